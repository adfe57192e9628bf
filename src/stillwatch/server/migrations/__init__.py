"""The schema of the database, step by step: one file in `versions/` per change, run at start."""

from stillwatch.server.migrations.running import current, newest, refuse_newer, upgraded

__all__ = ["current", "newest", "refuse_newer", "upgraded"]
