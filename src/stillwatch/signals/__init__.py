"""Exchanges become signals: one measurement of one exchange each, one file per signal."""

from stillwatch.signals.table import signal_modules, signals

__all__ = ["signal_modules", "signals"]
