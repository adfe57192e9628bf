"""What an innocent explanation returns, and how all of them are found.

Every module of this package except this one defines `hypothesis(facts, harvest) -> Finding` and `NEEDS`, the columns of
the logs and of the accounts table without which it cannot be tested. Adding one edits nothing else. A hypothesis
survives only when it explains what speaks for harvesting too: being a verified organisation, a reseller or a user of a
public tool explains why accounts are linked, and is no immunity.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from stillwatch.campaigns.coordination import CONTENT, TestResult
from stillwatch.campaigns.facts import VERIFIED, Facts, most_named
from stillwatch.errors import SettingsError
from stillwatch.membership import GROUP_P_VALUE
from stillwatch.records import ACCOUNTS, EXCHANGES

TELLING_BITS = 6.0  # elicitation as rare as in one ordinary unit in 64: no business reason explains it
ORDINARY_BITS = 3.0  # as rare as in one ordinary unit in 8; what explains volume alone explains content up to here
DURABLE_GROUPS = ("payment", "device", "contact", "crossing", "artefact")  # what strangers do not share by chance
FREE_SHARE = 0.5  # of the members on free credit, for which many accounts are opened
OWNED_SHARE = 0.8  # of the accounts that must openly be one owner's, for its doings to explain theirs
TABLES = {table.name: table for table in (ACCOUNTS, EXCHANGES)}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an innocent explanation holds, and why, in words that can be shown to whom it is about.

    `coordinated` marks an explanation under which the accounts may still be under common control: it denies the
    harvest, not the coordination. `tested` is false when the data it needs are missing. `nearness` is how much of what
    it needs was found, from 0 to 1; null where there is no amount.
    """

    name: str
    survives: bool
    because: str
    coordinated: bool = False
    tested: bool = True
    nearness: float | None = None


Test = Callable[[Facts, TestResult], Finding]


class Hypothesis(NamedTuple):
    """One innocent explanation: its name in words, its test, and the columns it needs (`accounts.organization_id`)."""

    name: str
    test: Test
    needs: tuple[str, ...]

    def finding(self, facts: Facts, harvest: TestResult) -> Finding:
        """Its result on one cluster; starved when a column it needs holds nothing."""
        missing = [need for need in self.needs if need not in facts.columns]
        if missing:
            return Finding(self.name, False, f"starved: the data hold no {', '.join(missing)}", tested=False)
        return self.test(facts, harvest)


@cache
def hypotheses() -> tuple[Hypothesis, ...]:
    """Every innocent explanation, by name."""
    package = __name__.rpartition(".")[0]
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return tuple(_hypothesis(package, module.name) for module in sorted(modules) if module.name != "base")


def findings(facts: Facts, harvest: TestResult) -> list[Finding]:
    """Every innocent explanation, tested on one cluster; those that hold come first, those that clear before others."""
    results = [hypothesis.finding(facts, harvest) for hypothesis in hypotheses()]
    return sorted(results, key=lambda finding: (not finding.survives, finding.coordinated, finding.name))


def telling(harvest: TestResult) -> bool:
    """Whether the content of the traffic (not its volume) is far outside ordinary use."""
    return bits_of(harvest, "elicitation") >= TELLING_BITS


def bits_of(harvest: TestResult, *names: str) -> float:
    """The largest bits among some of the harvest test's measures; 0 where they were not taken."""
    return max((m.bits or 0.0 for m in harvest.measures if m.name in names), default=0.0)


def sent_outside(facts: Facts) -> bool:
    """Whether a campaign outside the organisation sends its wordings: nothing an owner does by itself explains that."""
    return facts.declared is not None and bool(facts.declared.outside)


def share_of(facts: Facts, column: str, values: tuple[str, ...]) -> float:
    """Share of members whose accounts-table column has one of the values."""
    return sum(getattr(member, column) in values for member in facts.members) / max(len(facts.members), 1)


def on_free_credit(facts: Facts) -> str:
    """How many of the members are on free credit, where most are, as many accounts are opened for it; else empty."""
    free = share_of(facts, "access_program", ("free",))
    return f"{free:.0%} of them are on free credit" if free > FREE_SHARE else ""


def named_share(facts: Facts, *, verified: bool = False) -> float:
    """Share of members that name the organisation most of them name; only verified members count when asked for."""
    members = (m for m in facts.members if not verified or m.verification_level in VERIFIED)
    return most_named(members) / max(len(facts.members), 1)


def paid_together(facts: Facts) -> int:
    """Members for whom the most used payment instrument pays."""
    return max((item.account_count for item in facts.evidence if item.kind == "payment"), default=0)


def of_one_owner(facts: Facts) -> float:
    """Share of members that openly belong together: by the organisation they name, or by one card for them all."""
    return max(named_share(facts), paid_together(facts) / max(len(facts.members), 1))


def shared_beyond_prompts(facts: Facts) -> list[str]:
    """Groups of traits that cost something and that the members share beyond chance; a contract is one."""
    if facts.declared is not None:
        return ["a contract"]
    return sorted(k.group for k in facts.links if k.p_value <= GROUP_P_VALUE and k.group in DURABLE_GROUPS)


def linked_beyond_content(facts: Facts) -> list[str]:
    """Groups of traits other than what is sent that tie the members beyond chance."""
    return sorted(k.group for k in facts.links if k.p_value <= GROUP_P_VALUE and k.group != CONTENT)


def nearness(found: float, needed: float) -> float:
    """What was found over what is needed, at most 1."""
    return min(found / needed, 1.0)


def _hypothesis(package: str, name: str) -> Hypothesis:
    module = importlib.import_module(f"{package}.{name}")
    test: Test | None = getattr(module, "hypothesis", None)
    needs: tuple[str, ...] | None = getattr(module, "NEEDS", None)
    if test is None or needs is None:
        message = (
            f"{module.__name__} defines no `hypothesis(facts, harvest)` or no `NEEDS`. Write both, or move the file "
            "elsewhere."
        )
        raise SettingsError(message)
    unknown = [need for need in needs if not _is_column(need)]
    if unknown:
        raise SettingsError(f"{module.__name__}.NEEDS names {', '.join(unknown)}: no such column in records.py.")
    return Hypothesis(name.replace("_", " "), test, needs)


def _is_column(need: str) -> bool:
    table, _, column = need.partition(".")
    return table in TABLES and column in TABLES[table].names


def meaning(finding: Finding) -> str:
    """The first sentence of the file whose name the finding's name begins with; the name itself when there is none."""
    for one in hypotheses():
        text = (sys.modules[one.test.__module__].__doc__ or "").strip().partition("\n")[0]
        if text and finding.name.startswith(one.name):
            return text
    return finding.name
