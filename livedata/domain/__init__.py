"""What can be said about published content without a database."""
