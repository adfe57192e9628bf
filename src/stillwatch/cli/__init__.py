"""The command line."""

from stillwatch.cli import server as server_commands
from stillwatch.cli import state as state_commands
from stillwatch.cli import taxii as taxii_commands
from stillwatch.cli.commands import app, main

__all__ = ["app", "main", "server_commands", "state_commands", "taxii_commands"]
