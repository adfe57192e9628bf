"""Innocent explanations, one file each. A file that defines `hypothesis` is found and tested on every cluster."""

from stillwatch.campaigns.hypotheses.base import Finding, findings, hypotheses, meaning

__all__ = ["Finding", "findings", "hypotheses", "meaning"]
