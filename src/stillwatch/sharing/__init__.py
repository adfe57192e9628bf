"""Sharing: campaigns as bundles that other providers can use, without anybody's prompts or identifiers."""

from stillwatch.sharing.bundle import bundle
from stillwatch.sharing.egress import check_egress

__all__ = ["bundle", "check_egress"]
