"""Accounts as they sign up and change, and what they are asked to prove."""

from stillwatch.server.accounts.rows import account_rows
from stillwatch.server.accounts.verifications import require

__all__ = ["account_rows", "require"]
