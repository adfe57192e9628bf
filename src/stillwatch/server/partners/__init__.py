"""What partners send, taken into the inbox while the service runs, and turned into leads for the next detection."""

from stillwatch.server.partners.intake import take_posted

__all__ = ["take_posted"]
