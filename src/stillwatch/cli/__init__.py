"""The command line."""

from stillwatch.cli import groups as group_commands
from stillwatch.cli import partners as partner_commands
from stillwatch.cli import psi as psi_commands
from stillwatch.cli import server as server_commands
from stillwatch.cli import share as share_commands
from stillwatch.cli import state as state_commands
from stillwatch.cli import taxii as taxii_commands
from stillwatch.cli.commands import app, main

__all__ = [
    "app",
    "group_commands",
    "main",
    "partner_commands",
    "psi_commands",
    "server_commands",
    "share_commands",
    "state_commands",
    "taxii_commands",
]
