"""Owns runs: the protocol, the broker port, the state table, runs, events, jobs and the outbox."""
