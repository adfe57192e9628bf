"""What a template looks like, without what any single account put into it.

Why:    an analyst must see what a campaign asks for; a customer's words must not be shown.
Misses: templates with fewer than MIN_ACCOUNTS sampled accounts: they show nothing.
Source: own; the rule is k-anonymity (Sweeney, 2002) over runs of words: shown only when enough accounts wrote them.
"""

import re
from collections import Counter
from collections.abc import Sequence

MIN_ACCOUNTS = 5  # accounts that must have written a run of words before it is shown
MAX_EXEMPLARS = 16
RUN = 3  # words; a shorter run is too common to belong to a skeleton
MAX_CHARS = 600
GAP = "[…]"
_DIGITS = re.compile(r"\d+")
_ADDRESS = re.compile(r"\S*[@/\\]\S*")


def skeleton(exemplars: Sequence[tuple[str, str]]) -> str | None:
    """The words common to exemplars of one template, gaps elsewhere; exemplars are (account_id, prompt).

    Null when fewer than MIN_ACCOUNTS accounts are among them, or when they have nothing in common.
    """
    per_account = dict(sorted(exemplars, reverse=True))
    texts = [per_account[account].split() for account in sorted(per_account)][:MAX_EXEMPLARS]
    if len(texts) < MIN_ACCOUNTS:
        return None
    needed = max(MIN_ACCOUNTS, len(texts) // 2)
    support = Counter(run for words in texts for run in set(_runs(words)))
    shown = max((_masked(words, {r for r in _runs(words) if support[r] >= needed}) for words in texts), key=_kept)
    return _redacted(shown) if _kept(shown) else None


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]


def _masked(words: Sequence[str], common: set[tuple[str, ...]]) -> list[str]:
    """The words covered by common runs, with one gap for each stretch that is not."""
    covered = [False] * len(words)
    for i, run in enumerate(_runs(words)):
        if run in common:
            covered[i : i + RUN] = [True] * RUN
    shown: list[str] = []
    for word, keep in zip(words, covered, strict=True):
        if keep:
            shown.append(word)
        elif not shown or shown[-1] != GAP:
            shown.append(GAP)
    return shown


def _kept(shown: Sequence[str]) -> int:
    return sum(word != GAP for word in shown)


def _redacted(words: Sequence[str]) -> str:
    """Addresses, paths and numbers go even when common; the rest is cut to a readable length."""
    text = " ".join(_DIGITS.sub("#", _ADDRESS.sub(GAP, word)) for word in words)
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1].rstrip() + "…"
