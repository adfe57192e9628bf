"""Sharing: campaigns as bundles that other providers can use, without anybody's prompts or identifiers."""

from stillwatch.sharing.bundle import bundle
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.keyed import GroupKey, keyed

__all__ = ["GroupKey", "bundle", "check_egress", "keyed"]
