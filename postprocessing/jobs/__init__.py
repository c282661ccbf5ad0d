"""The kinds of jobs, one file for each, all of one shape: a `Kind` with a function `perform`."""
