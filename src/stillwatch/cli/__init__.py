"""The command line."""

from stillwatch.cli import state as state_commands
from stillwatch.cli.commands import app, main

__all__ = ["app", "main", "state_commands"]
