"""Exchanges become signals: one measurement of one exchange each, one file per signal."""

from stillwatch.signals.table import inputs, signal_modules, signals

__all__ = ["inputs", "signal_modules", "signals"]
