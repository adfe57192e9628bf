"""Domains of mail addresses that are made to be thrown away, from a list that others keep.

Why:    whoever opens many accounts by program often uses such addresses.
Misses: new domains, and domains of an operator's own. People who guard their privacy use them as well: a reason to ask
        for a check, never more.
Source: the package disposable-email-domains (MIT), when it is installed; without it no domain is known.
"""

from collections.abc import Collection
from functools import lru_cache
from importlib import import_module

PACKAGE = "disposable_email_domains"


def is_disposable(domain: str | None) -> bool:
    """Whether the domain, or one above it, is on the list."""
    if domain is None:
        return False
    labels = domain.strip().lower().rstrip(".").split(".")
    return any(".".join(labels[i:]) in _listed() for i in range(len(labels) - 1))


@lru_cache(maxsize=1)
def _listed() -> Collection[str]:
    try:
        return frozenset(import_module(PACKAGE).blocklist)
    except ImportError:  # the list is optional
        return frozenset()
