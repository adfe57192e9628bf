"""The report: campaigns as one HTML file, and the neutralising of what strangers wrote."""

from stillwatch.report.neutral import csv_cell, terminal
from stillwatch.report.page import report

__all__ = ["csv_cell", "report", "terminal"]
