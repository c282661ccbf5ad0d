"""The three things every process starts with: its environment, its SQL and its log."""
