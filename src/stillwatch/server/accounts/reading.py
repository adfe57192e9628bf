"""The risk reading of one sign-up: what speaks for looking closer, in words, and which checks that would justify.

Why:    an operator who comes back is recognised by what he brings along; asking him for a check is cheap, and asking an
        innocent one costs little.
Misses: an operator who brings nothing along. A reading is about a sign-up, by itself it does nothing to anybody: no
        reading refuses, limits or closes.

    bits      weights that the last detection learned of traits shared with open campaigns; one per independent group,
              because kinds that move together count once
    signs     a disposable address, a burst: no bits, nobody measured how many innocent people show them
    level     high: two groups of at least 3 bits, one of them not cheap to fake
              elevated: one such group, or two cheap ones, or two signs, or a sign beside a programme that is given away
              low: anything less that weighs
              none: nothing weighs

Country, language and time zone are not looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillwatch.decisions import check_to_ask
from stillwatch.ingest import Key
from stillwatch.records import DURABILITIES, KINDS, VERIFICATION_LEVELS
from stillwatch.server.accounts.bursts import Burst, bursts
from stillwatch.server.accounts.disposable import is_disposable
from stillwatch.server.accounts.known import LEAST_SHARE, Known, KnownTrait
from stillwatch.server.accounts.traits import signup_traits
from stillwatch.server.tables import accounts

LEVELS = ("none", "low", "elevated", "high")
STANDING_BITS = 3.0  # as in decisions/durability: evidence counts as standing from here on
NOT_CHEAP = "medium"  # the least durability of a trait that is not cheap to fake
GIVEN_AWAY = ("education", "startup", "research")  # programmes that cost nothing and ask for documents instead
# Kinds that strangers share by the thousand; that nobody but a campaign holds one is checked against all accounts.
_POPULAR = {
    "ip": "signup_ip",
    "ip_prefix": "signup_ip_prefix",
    "email_domain": "email_domain",
    "email_pattern": "email_pattern",
}
_MOST_COUNTED = 5000
_WORDS = {
    "ip": "its sign-up address",
    "ip_prefix": "the range of its sign-up address",
    "payment": "its payment instrument",
    "device": "its device",
    "email": "its e-mail address",
    "phone": "its telephone number",
    "email_domain": "its e-mail domain",
    "email_pattern": "the shape and domain of its e-mail address",
    "signup_cohort": "the hour of its sign-up together with its e-mail domain",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing noticed: its kind, in words, and bits where it has any; `weighs` is false for what is only told."""

    kind: str
    because: str
    bits: float | None = None
    weighs: bool = True
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A level, the bits that were added up, and the reasons."""

    level: str
    bits: float
    reasons: tuple[Reason, ...]

    def told(self, *, with_campaigns: bool = False) -> dict[str, Any]:
        """The reading as a reply; which campaign is for analysts only."""
        rows = [asdict(reason) for reason in self.reasons]
        if not with_campaigns:
            rows = [{name: value for name, value in row.items() if name != "campaign_id"} for row in rows]
        return {"level": self.level, "bits": self.bits, "reasons": rows}


def reading(connection: sa.Connection, row: Mapping[str, Any], *, known: Known, key: Key) -> Reading:
    """The reading of an account whose row is in the table already."""
    shared = _shared(connection, row, known, key)
    signs = [*_disposable(row), *(_burst(burst) for burst in bursts(connection, row))]
    groups = _strongest_by_group(shared)
    reasons = (*_told(shared), *signs, *_programme(row))
    level = _level(groups, [sign for sign in signs if sign.weighs], row["access_program"])
    return Reading(level, round(sum(trait.weight_bits for trait in groups), 6), reasons)


def recommended_checks(found: Reading, checks: Sequence[str], verification_level: str | None) -> list[str]:
    """What to ask for, of the policy's checks: nothing, the next one, the next two, or all it has not proven."""
    passed = VERIFICATION_LEVELS.index(verification_level) if verification_level else 0
    open_checks = [c for c in checks if c not in VERIFICATION_LEVELS or VERIFICATION_LEVELS.index(c) > passed]
    if found.level == "none" or not open_checks:
        return []
    if found.level == "low":
        return [check_to_ask(checks, verification_level)]
    return open_checks[:2] if found.level == "elevated" else open_checks


def _level(groups: Sequence[KnownTrait], signs: Sequence[Reason], programme: str | None) -> str:
    standing = [trait for trait in groups if trait.weight_bits >= STANDING_BITS]
    is_dear = any(DURABILITIES.index(t.durability) >= DURABILITIES.index(NOT_CHEAP) for t in standing)
    if len(standing) >= 2 and is_dear:
        return "high"
    if is_dear or len(standing) >= 2 or len(signs) >= 2 or (signs and programme in GIVEN_AWAY):
        return "elevated"
    return "low" if groups or signs else "none"


def _shared(connection: sa.Connection, row: Mapping[str, Any], known: Known, key: Key) -> list[tuple[str, KnownTrait]]:
    shown = signup_traits(row, key).items()
    found = [(kind, known.traits[kind, value]) for kind, value in shown if (kind, value) in known.traits]
    return [(kind, trait) for kind, trait in found if _is_theirs(connection, row, kind, trait, known.at)]


def _is_theirs(
    connection: sa.Connection, row: Mapping[str, Any], kind: str, trait: KnownTrait, at: datetime | None
) -> bool:
    """Whether members are most of those who held the trait when the detection ran, accounts without traffic too."""
    if kind not in _POPULAR:
        return True
    same = [accounts.c[_POPULAR[kind]] == row[_POPULAR[kind]]]
    if kind == "email_pattern":
        same.append(accounts.c.email_domain == row["email_domain"])
    then = sa.or_(accounts.c.created_at.is_(None), accounts.c.created_at <= at) if at else sa.true()
    some = sa.select(sa.literal(1)).where(*same, then, accounts.c.account_id != row["account_id"])
    counted = sa.select(sa.func.count()).select_from(some.limit(_MOST_COUNTED).subquery())
    holders = int(connection.execute(counted).scalar_one())
    return trait.members >= LEAST_SHARE * max(holders, trait.holders)


def _strongest_by_group(shared: Sequence[tuple[str, KnownTrait]]) -> list[KnownTrait]:
    best: dict[str, KnownTrait] = {}
    for kind, trait in shared:
        group = KINDS[kind][1]
        if group not in best or trait.weight_bits > best[group].weight_bits:
            best[group] = trait
    return list(best.values())


def _told(shared: Sequence[tuple[str, KnownTrait]]) -> list[Reason]:
    return [
        Reason(
            kind,
            f"{_WORDS[kind]} is shared with {trait.members} of the {trait.holders} accounts that have it, "
            "all in one campaign that is open",
            trait.weight_bits,
            campaign_id=trait.campaign_id,
        )
        for kind, trait in shared
    ]


def _disposable(row: Mapping[str, Any]) -> list[Reason]:
    if not is_disposable(row["email_domain"]):
        return []
    return [Reason("disposable_email", "its e-mail domain is one whose addresses are thrown away")]


def _burst(burst: Burst) -> Reason:
    words = {
        "device": f"{burst.signups} sign-ups from its device within an hour, far more than usual for it",
        "email_pattern": f"{burst.signups} sign-ups with the shape of its e-mail address within an hour, a far larger "
        "part of the domain's than usual",
        "ip_prefix": f"{burst.signups} sign-ups from its address range within an hour: a class, an office or a carrier "
        "looks the same, so this weighs nothing",
    }
    return Reason(f"burst_{burst.kind}", words[burst.kind], weighs=burst.weighs)


def _programme(row: Mapping[str, Any]) -> list[Reason]:
    programme = row["access_program"]
    if programme not in GIVEN_AWAY:
        return []
    return [Reason("programme", f"it asks for the {programme} programme, which is given after checks", weighs=False)]
