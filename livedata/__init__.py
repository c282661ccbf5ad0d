"""What processes publish: ordered streams of (metadata, bytes). A run's plot is the newest one."""
