"""What a gateway is told, in prebuilt parts: all but the account and the id is shared by many decisions.

A reply is `{"account_id":ID` + middle + decision id + tail. A million accounts share a few parts this way.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

import orjson

from stillwatch.decisions import Countermeasures
from stillwatch.records import ACTIONS

HEAD = b'{"account_id":'
FIELDS = (
    "action",
    "shadow",
    "check",
    "limits",
    "because",
    "decision_id",
    "campaign_id",
    "author",
    "decided_at",
    "expires_at",
)
NOTHING = b"," + orjson.dumps({**dict.fromkeys(FIELDS), "action": "none"})[1:]
PART_ID_BYTES = 6

# What an answer tells to do: the action, and the one in shadow. Answers are counted at these places; nothing is at 0.
TOLD = tuple(product(("none", *ACTIONS), repeat=2))


class Standing(NamedTuple):
    """A decision, but for whose it is and its id: many accounts share one."""

    action: str
    check: str | None
    because: str
    campaign_id: str | None
    author: str
    decided_at: datetime
    expires_at: datetime


class Choice(NamedTuple):
    """What is told of the decisions of one account: which one, what it means now, and until when that holds."""

    standing: Standing
    action: str
    shadow: str | None
    until: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """A choice, with its bytes before and after the decision's id, and the place in `TOLD` of what it tells to do."""

    choice: Choice
    middle: bytes
    tail: bytes
    place: int


Held = Sequence[tuple[bytes, Standing]]  # decisions of one account, with their ids


def chosen(held: Held, live: Collection[str], now: datetime) -> tuple[bytes, Choice] | None:
    """The strongest live decision, and the strongest one in shadow beside it when that goes further; None: nothing."""
    standing = [one for one in held if one[1].expires_at > now]
    if not standing:
        return None
    ranked = sorted(standing, key=_strength, reverse=True)
    acting = next((one for one in ranked if one[1].action in live), None)
    strongest = ranked[0]
    until = min(one[1].expires_at for one in standing)
    if acting is None:
        return strongest[0], Choice(strongest[1], "none", strongest[1].action, until)
    shadow = strongest[1].action if strongest[1].action not in live else None
    if shadow == acting[1].action:
        shadow = None
    return acting[0], Choice(acting[1], acting[1].action, shadow, until)


def built(choice: Choice, countermeasures: Countermeasures) -> Part:
    """The bytes of a choice."""
    standing = choice.standing
    does = choice.action != "none"
    values: dict[str, Any] = {
        "action": choice.action,
        "shadow": choice.shadow,
        "check": standing.check if does else None,
        "limits": countermeasures.limits(choice.action),
        "because": standing.because,
        "campaign_id": standing.campaign_id,
        "author": standing.author,
        "decided_at": standing.decided_at,
        "expires_at": standing.expires_at,
    }
    before, after = FIELDS[: FIELDS.index("decision_id")], FIELDS[FIELDS.index("decision_id") + 1 :]
    middle = b"," + _json({name: values[name] for name in before})[1:-1] + b',"decision_id":"'
    tail = b'",' + _json({name: values[name] for name in after})[1:]
    return Part(choice, middle, tail, TOLD.index((choice.action, choice.shadow or "none")))


def row(account_id: bytes, decision_id: bytes, part: Part) -> bytes:
    """What is told of an account, as JSON; the account's id must be UTF-8."""
    told = orjson.dumps(account_id.decode())
    return b"".join((HEAD, told, part.middle, decision_id.hex().encode(), part.tail))


def nothing(account_id: bytes) -> bytes:
    """What is told of an account about which nothing is decided."""
    return HEAD + orjson.dumps(account_id.decode()) + NOTHING


class Parts:
    """The parts in use, each once, by an id that is never used again."""

    def __init__(self, countermeasures: Countermeasures) -> None:
        """No part is in use."""
        self._countermeasures = countermeasures
        self._by_id: dict[bytes, Part] = {}
        self._ids: dict[Choice, bytes] = {}
        self._uses: dict[bytes, int] = {}
        self._made = 0

    def __len__(self) -> int:
        """How many are in use."""
        return len(self._by_id)

    def get(self, part_id: bytes) -> Part | None:
        """The part; None when nobody uses it any more."""
        return self._by_id.get(part_id)

    def build(self, choice: Choice) -> Part:
        """A part for this moment, which is not kept."""
        return built(choice, self._countermeasures)

    def taken(self, choice: Choice) -> bytes:
        """The id of the part of a choice, with one more use."""
        part_id = self._ids.get(choice)
        if part_id is None:
            self._made += 1
            part_id = self._made.to_bytes(PART_ID_BYTES, "big")
            self._by_id[part_id] = built(choice, self._countermeasures)
            self._ids[choice] = part_id
            self._uses[part_id] = 0
        self._uses[part_id] += 1
        return part_id

    def given_back(self, part_id: bytes) -> None:
        """One use less; what nobody uses goes."""
        self._uses[part_id] -= 1
        if not self._uses[part_id]:
            del self._ids[self._by_id[part_id].choice], self._by_id[part_id], self._uses[part_id]

    def uses(self) -> list[tuple[Choice, int]]:
        """How many use each choice now."""
        return [(choice, self._uses.get(part_id, 0)) for choice, part_id in self._ids.copy().items()]

    def copied(self) -> dict[bytes, Part]:
        """The parts of this moment by id."""
        return self._by_id.copy()


def _strength(one: tuple[bytes, Standing]) -> tuple[int, datetime, bytes]:
    return ACTIONS.index(one[1].action), one[1].expires_at, one[0]


def _json(values: dict[str, Any]) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_UTC_Z)
