"""The report: campaigns as one HTML file."""

from stillwatch.report.page import report

__all__ = ["report"]
