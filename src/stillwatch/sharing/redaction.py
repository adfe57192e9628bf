"""What of the objects a recipient may have, and what is taken out and why: marking, kind, group, number of holders.

Why:    builders mark and choose; this asks of each object again whether this one reader may see it, and trusts no
        builder to have counted.
Misses: what the text of an object would tell; that is `check_egress`'s to know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.sharing.changes import is_revoked
from stillwatch.sharing.marking import may_leave, tlp_of
from stillwatch.sharing.objects import EXTENSION_ID, measures, pattern
from stillwatch.sharing.recipients import STRICTNESS, Limits, Recipient
from stillwatch.sharing.references import FRAMES, framed, tied_to_campaigns, without
from stillwatch.sharing.traits import CONTENT_KINDS

_UNDO: Final = frozenset({"revoked", "modified"})  # what a version that takes back may say otherwise

_COUNTED: Final = frozenset({"values", "evidence"})  # lists of our extension whose rows say how many accounts hold them

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Withheld:
    """An object that stays, or so many values of one that leaves without them; and why."""

    object_id: str
    object_type: str
    because: str
    values: int | None = None  # null: the whole object stays


def redacted(
    objects: Sequence[Object], recipient: Recipient, limits: Limits, before: Mapping[str, Object]
) -> tuple[list[dict[str, Any]], list[Withheld]]:
    """The objects as the recipient may have them, and everything that was taken out.

    Taking back what the recipient was sent is always allowed: it tells nothing that is not there already.
    """
    kept: list[Object] = []
    withheld: list[Withheld] = []
    for object_ in objects:
        if object_["type"] in FRAMES:
            continue
        if _takes_back(object_, before):
            kept.append(object_)
            continue
        why = _barred(object_, recipient, limits, before)
        if why is not None:
            withheld.append(Withheld(object_["id"], object_["type"], why))
            continue
        thinner, dropped = _thinned(object_, limits.least_holders)
        if dropped:
            because = f"fewer than {limits.least_holders} accounts hold them"
            withheld.append(Withheld(object_["id"], object_["type"], because, values=dropped))
        kept.append(thinner)
    whole, loose = _whole(kept, [one.object_id for one in withheld if one.values is None], objects, before)
    frames = [object_ for object_ in objects if object_["type"] in FRAMES]
    leaving = framed(whole, frames)
    return [dict(object_) for object_ in leaving], [*withheld, *loose]


def _takes_back(object_: Object, before: Mapping[str, Object]) -> bool:
    held = before.get(object_["id"])
    if held is None or not is_revoked(object_):
        return False
    return {name: value for name, value in object_.items() if name not in _UNDO} == {
        name: value for name, value in held.items() if name not in _UNDO
    }


def _barred(object_: Object, recipient: Recipient, limits: Limits, before: Mapping[str, Object]) -> str | None:
    """Why the recipient may not have the object at all."""
    tlp = tlp_of(object_)
    if tlp is None:
        return "it carries no TLP 2.0 marking"
    if STRICTNESS[tlp] > STRICTNESS[recipient.ceiling]:
        return f"it is TLP:{tlp.upper()}; {recipient.name} may see TLP:{recipient.ceiling.upper()} at most"
    if is_revoked(before.get(object_["id"], {})):
        return "it was revoked here; an id that was revoked is not used again"
    told = measures(object_)
    return _barred_kind(told, recipient, tlp) or _barred_count(object_, told, limits.least_holders)


def _barred_kind(told: Object, recipient: Recipient, tlp: str) -> str | None:
    kind, group_id = told.get("kind"), told.get("group_id")
    if kind is None:
        return None
    if not may_leave(kind, tlp):
        return f"values of {kind} do not leave under TLP:{tlp.upper()}"
    if kind in CONTENT_KINDS and group_id is None:
        return f"values of {kind} leave under a sharing group's key only"
    if group_id is not None and group_id not in recipient.groups:
        return f"{recipient.name} is no member of the sharing group {group_id}"
    return None


def _barred_count(object_: Object, told: Object, least: int) -> str | None:
    few = f"it tells of fewer than {least} accounts"
    if told.get("account_count", least) < least:
        return few
    if "value" in told and "account_count" not in told:
        return "it does not say how many accounts hold its value"
    if "pattern" in object_ and not told.get("values"):
        return "it does not say how many accounts hold its values"
    if "values" in told and all(one["account_count"] < least for one in told["values"]):
        return few
    return None


def _thinned(object_: Object, least: int) -> tuple[Object, int]:
    """The object with the values and evidence that enough accounts hold, in its pattern as well; how many went.

    That the pattern holds no other values is `check_egress`'s to know.
    """
    told = dict(measures(object_))
    dropped = 0
    for name in _COUNTED & told.keys():
        held = [one for one in told[name] if one["account_count"] >= least]
        dropped += len(told[name]) - len(held)
        told[name] = held
        if not held:
            del told[name]
    if not dropped:
        return object_, 0
    thinner = {**object_, "extensions": {**object_["extensions"], EXTENSION_ID: told}}
    if "pattern" in object_:
        thinner["pattern"] = pattern(told["kind"], [one["value"] for one in told["values"]])
    return thinner, dropped


def _whole(
    kept: Sequence[Object], missing: Sequence[str], objects: Sequence[Object], before: Mapping[str, Object]
) -> tuple[list[Object], list[Withheld]]:
    """What is left once nothing points to what stays, and nothing hangs in the air; and what that took out."""
    hung = tied_to_campaigns(objects)
    loose: list[Withheld] = []
    absent = set(missing)
    frames = {object_["id"] for object_ in objects if object_["type"] in FRAMES}
    while True:
        there = {object_["id"] for object_ in kept} | before.keys() | frames
        trimmed = [(one, _trimmed(one, absent, there)) for one in kept]
        bound = tied_to_campaigns([left for _, left in trimmed if left is not None])
        out = [one for one, left in trimmed if left is None or (one["id"] in hung and one["id"] not in bound)]
        if not out:
            return [left for _, left in trimmed if left is not None], loose
        loose += [Withheld(one["id"], one["type"], "what it belongs to stays") for one in out]
        absent |= {one["id"] for one in out}
        kept = [left for _, left in trimmed if left is not None and left["id"] not in absent]


def _trimmed(object_: Object, absent: set[str], there: set[str]) -> dict[str, Any] | None:
    """The object without what is absent; a relationship needs both its ends to be there, or sent before."""
    if object_["type"] == "relationship" and not {object_["source_ref"], object_["target_ref"]} <= there:
        return None
    return without(object_, absent)
