"""Campaigns, looked for again and again while traffic comes in."""
