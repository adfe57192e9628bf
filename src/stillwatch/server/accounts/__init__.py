"""Accounts as they sign up and change, and what they are asked to prove."""
