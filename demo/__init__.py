"""A facility in a box: database, broker, instruments and every process, on one machine."""
