"""Sharing: campaigns as objects that other providers can use, without anybody's prompts or identifiers."""

from stillwatch.sharing.bundle import Practice, bundle, bundle_text, objects_of
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.intrusion_sets import Alias, check_alias
from stillwatch.sharing.keyed import GroupKey, keyed
from stillwatch.sharing.versions import renewed, revoked

__all__ = [
    "Alias",
    "GroupKey",
    "Practice",
    "bundle",
    "bundle_text",
    "check_alias",
    "check_egress",
    "keyed",
    "objects_of",
    "renewed",
    "revoked",
]
