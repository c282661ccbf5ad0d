"""The statements of this package, by file and name."""
