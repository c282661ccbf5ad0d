"""What every test may need. The database comes from `tests.services`, loaded with `-p`."""
