"""Decisions inside a gateway's own process: a snapshot kept up to date, answered in microseconds, failing open."""
