"""Four simulated instruments: they measure, write NeXus event files and tell the broker."""
