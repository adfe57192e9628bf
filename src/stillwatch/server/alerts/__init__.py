"""What others are told: queued with what it tells of, then sent to webhooks and by mail until it has arrived."""

from stillwatch.server.alerts.outbox import KINDS, tell

__all__ = ["KINDS", "tell"]
