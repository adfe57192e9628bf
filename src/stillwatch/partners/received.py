"""One object as a partner sent it, reduced to what we use of it, every field of which was held against its pattern.

Why:    whoever sends objects may be mistaken, taken over or hostile, and names and descriptions are theirs to choose.
        Nothing that is not an id, a moment, a count, a hash or a word of a closed list gets past this module; free
        text is not read at all, so there is none to show, to store or to obey.
Misses: that what is well-formed is true. It is a lead.
Source: OASIS, "STIX Version 2.1", 2021, sections 3.2 (versions, revocation), 4.7 (indicator), 5.2 (sighting).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stillwatch.partners.moments import moment, written
from stillwatch.partners.patterns import RefusedError, values_of
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID

# Older objects are refused, so that nothing need be remembered for longer: of an object that was revoked or replaced
# before that, no earlier version can come back.
OLDEST: Final = timedelta(days=400)
AHEAD: Final = timedelta(days=1)  # how far another clock may be ahead of ours
LONGEST_VALID: Final = timedelta(days=400)  # whatever its sender says
MOST_REFS: Final = 100

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TLP_OF = {marking_id: tlp for tlp, marking_id in TLP_MARKINGS.items()}
OPINIONS: Final = ("strongly-disagree", "disagree", "neutral", "agree", "strongly-agree")
OUTCOMES: Final = ("hit", "miss", "wrong", "open")
VERDICTS: Final = ("distillation", "coordinated")
_MOST_COUNT: Final = 999_999_999  # STIX, section 5.2


class Standing(StrEnum):
    """What a version of an object is good for."""

    current = "current"
    revoked = "revoked"
    unread = "unread"  # newer than what we had, and in a form that we do not read: what we had is not used either


@dataclass(frozen=True, slots=True)
class Received:
    """One version of one object. `body` holds what we read of its type; nothing when it is revoked or unread."""

    object_id: str
    made_by: str
    modified_at: datetime
    received_at: datetime
    standing: Standing
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its type, as STIX calls it."""
        return self.object_id.partition("--")[0]

    def replaces(self, older: "Received") -> bool:
        """Whether this is to be kept instead. What is revoked stays revoked, in whatever order versions come."""
        if older.standing is Standing.revoked:
            return False
        return self.standing is Standing.revoked or self.modified_at > older.modified_at


def read_object(object_: object, *, now: datetime) -> Received | None:
    """The object, reduced and checked; None when it is of a type that we do not use.

    Raises:
        RefusedError: its id, its maker or the moment of its version cannot be read.
    """
    if not isinstance(object_, dict):
        raise RefusedError("it is no object")
    kind = object_.get("type")
    if not isinstance(kind, str) or kind not in _BODIES:
        return None
    object_id, made_by = object_.get("id"), object_.get("created_by_ref")
    if not is_id(object_id, kind):
        raise RefusedError("its id is none of its type")
    if not is_id(made_by, "identity"):
        raise RefusedError("it does not say who made it")
    modified_at, revoked = moment(object_.get("modified")), object_.get("revoked", False)
    if modified_at is None or not isinstance(revoked, bool) or object_.get("spec_version") != "2.1":
        raise RefusedError("it has no version that can be read, or is no STIX 2.1")
    if not now - OLDEST <= modified_at <= now + AHEAD:
        raise RefusedError("its version is too old, or from the future")
    standing, body = (Standing.revoked, dict[str, Any]()) if revoked else _read_body(object_, kind)
    return Received(str(object_id), str(made_by), modified_at, now, standing, body)


def _read_body(object_: Mapping[str, Any], kind: str) -> tuple[Standing, dict[str, Any]]:
    try:
        return Standing.current, _BODIES[kind](object_)
    except RefusedError:
        return Standing.unread, {}


def is_id(told: object, kind: str) -> bool:
    """Whether it is the id of a STIX object of that type."""
    return isinstance(told, str) and re.fullmatch(rf"{kind}--{_UUID}", told) is not None


def _indicator(object_: Mapping[str, Any]) -> dict[str, Any]:
    if (object_.get("pattern_type"), object_.get("pattern_version", "2.1")) != ("stix", "2.1"):
        raise RefusedError("its pattern is of another kind")
    found = values_of(object_.get("pattern"), _extension(object_))
    since, until = moment(object_.get("valid_from")), moment(object_.get("valid_until"))
    if since is None or until is None or until <= since:
        raise RefusedError("it does not say from when until when it holds")
    return {
        **found,
        "valid_from": written(since),
        "valid_until": written(min(until, since + LONGEST_VALID)),
        "tlp": _tlp(object_),
    }


def _relationship(object_: Mapping[str, Any]) -> dict[str, Any]:
    source, target = object_.get("source_ref"), object_.get("target_ref")
    if object_.get("relationship_type") != "indicates" or not is_id(source, "indicator"):
        raise RefusedError("it ties nothing that we use")
    if not is_id(target, "campaign"):
        raise RefusedError("it ties an indicator to something else than a campaign")
    return {"source": source, "target": target}


def _campaign(object_: Mapping[str, Any]) -> dict[str, Any]:
    verdict = _extension(object_).get("verdict")
    return {"verdict": verdict if verdict in VERDICTS else None, "tlp": _tlp(object_)}


def _sighting(object_: Mapping[str, Any]) -> dict[str, Any]:
    subject, count = object_.get("sighting_of_ref"), object_.get("count", 1)
    if not is_id(subject, "indicator"):
        raise RefusedError("it has seen nothing that we sent")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_COUNT:
        raise RefusedError("its count is none")
    outcome = _extension(object_).get("outcome")
    return {"of": subject, "count": count, "outcome": outcome if outcome in OUTCOMES else None}


def _opinion(object_: Mapping[str, Any]) -> dict[str, Any]:
    about = object_.get("object_refs")
    if not isinstance(about, list) or not 0 < len(about) <= MOST_REFS:
        raise RefusedError("it is about nothing, or about too much")
    known = [ref for ref in about if is_id(ref, "indicator")]
    if not known or object_.get("opinion") not in OPINIONS:
        raise RefusedError("it is about nothing that we sent, or says nothing")
    return {"of": known, "opinion": object_["opinion"]}


def _extension(object_: Mapping[str, Any]) -> Mapping[str, Any]:
    extensions = object_.get("extensions")
    ours = extensions.get(EXTENSION_ID) if isinstance(extensions, dict) else None
    return ours if isinstance(ours, dict) else {}


def _tlp(object_: Mapping[str, Any]) -> str | None:
    """The strictest marking among those of TLP 2.0; null when it has none."""
    refs = object_.get("object_marking_refs")
    told = refs[:MOST_REFS] if isinstance(refs, list) else []
    found = [_TLP_OF[ref] for ref in told if isinstance(ref, str) and ref in _TLP_OF]
    return max(found, key=tuple(TLP_MARKINGS).index, default=None)


_BODIES: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "campaign": _campaign,
    "indicator": _indicator,
    "opinion": _opinion,
    "relationship": _relationship,
    "sighting": _sighting,
}
USED_TYPES: Final = frozenset(_BODIES)
