"""How urgent a job is, on the broker's scale: 0 to 9, 4 where nothing is said."""

BULK = 1
FRESH = 4
URGENT = 7
