"""The one place that every outbound object passes: `considered` says what would leave, `released` lets it.

1. Every field of every object must be one that may leave, and no value an account id (`check_egress`).
2. The recipient's clearance, groups and readers, and k, take out what it may not have, and what hangs on that.
3. What the recipient has already keeps its version, and the rest is told apart: new, changed, revoked.
4. A person answers for it by name, where the limits say so; in some places somebody else than whoever proposed it.
5. What left is on record by id and digest, never by contents.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.bundle import bundle_text
from stillwatch.sharing.changes import Differences, differences, is_revoked
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.intrusion_sets import Alias
from stillwatch.sharing.marking import tlp_of
from stillwatch.sharing.objects import stix_time
from stillwatch.sharing.recipients import STRICTNESS, Limits, Recipient
from stillwatch.sharing.redaction import Withheld, redacted
from stillwatch.sharing.references import FRAMES, GENERAL, tied_to_campaigns, without
from stillwatch.sharing.traits import LEAST_HOLDERS
from stillwatch.sharing.versions import STANDING_TYPES, renewed, revoked

NAME_CHARACTERS: Final = 200
# Not about one campaign: another may need them later, and an id that was revoked is never used again.
_LASTING: Final = STANDING_TYPES | GENERAL | {"campaign"}


@dataclass(frozen=True, slots=True)
class Private:
    """What must not stand anywhere in what leaves: ids of accounts and organisations, and fingerprints without a key.

    `aliases` are the exception: names that a person gave to a set of campaigns.
    """

    identifiers: frozenset[str] = frozenset()
    unkeyed: frozenset[str] = frozenset()
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Considered:
    """What would leave for a recipient under the limits, what stays, and what would be new."""

    recipient: Recipient
    limits: Limits
    objects: tuple[dict[str, Any], ...]
    withheld: tuple[Withheld, ...]
    differences: Differences
    text: str  # the bundle that would leave; empty when nothing would

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle that would leave."""
        return _digest(self.text)

    @property
    def marking(self) -> str:
        """The strictest marking of what would leave."""
        told = (tlp_of(object_) for object_ in self.objects)
        return max((tlp for tlp in told if tlp is not None), key=STRICTNESS.__getitem__, default="clear")

    @property
    def too_large(self) -> str | None:
        """How it breaks the limits of size; None when it does not."""
        count, size = len(self.objects), len(self.text.encode())
        if count > self.limits.most_objects:
            return f"{count:,} objects are more than {self.limits.most_objects:,} (most_objects)"
        if size > self.limits.most_bytes:
            return f"{size:,} bytes are more than {self.limits.most_bytes:,} (most_bytes)"
        return None

    def as_json(self) -> dict[str, Any]:
        """The preview as JSON: what is new, changed, revoked and unchanged, what stays and why, and its size."""
        return {
            "recipient": self.recipient.name,
            "marking": self.marking,
            "digest": self.digest,
            "object_count": len(self.objects),
            "byte_count": len(self.text.encode()),
            "too_large": self.too_large,
            "withheld": [asdict(one) for one in self.withheld],
            **asdict(self.differences),
        }


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept about a release: who, for whom, which ids, how marked, which bytes. Never what they say.

    `digest` is SHA-256 of the bytes that left, in the form they left in.
    """

    at: str
    recipient: str
    marking: str
    proposer: str | None
    approver: str | None
    form: str
    object_count: int
    object_ids: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Released:
    """What left: objects, the text they left as, and the record of it."""

    objects: tuple[dict[str, Any], ...]
    text: str
    record: Record

    def row(self) -> dict[str, Any]:
        """The record as JSON."""
        return asdict(self.record) | {"object_ids": list(self.record.object_ids)}

    def held_after(self, before: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What the recipient holds from now on, by id."""
        return {**before, **{object_["id"]: object_ for object_ in self.objects}}


def considered(
    objects: Sequence[Mapping[str, Any]],
    recipient: Recipient,
    *,
    limits: Limits,
    before: Mapping[str, Mapping[str, Any]],
    private: Private,
) -> Considered:
    """What of the objects would leave for the recipient, who was sent `before`, by id.

    Raises:
        SharingError: an object holds what must not leave for anybody; its field is named, never its value.
    """
    _check(objects, private)
    leaving, withheld = redacted(objects, recipient, limits, before)
    settled = renewed(leaving, before.values())
    if all(one["type"] in FRAMES for one in settled):
        settled = []
    _check_again(settled, objects, limits.least_holders, private)
    told = [one for one in settled if one["type"] not in FRAMES]
    text = bundle_text(settled) if settled else ""
    return Considered(recipient, limits, tuple(settled), tuple(withheld), differences(told, _told(before)), text)


def released(
    would: Considered,
    *,
    approver: str | None,
    proposer: str | None,
    now: datetime,
    form: str = "stix",
    write: Callable[[Sequence[dict[str, Any]]], str] | None = None,
) -> Released:
    """Let it leave, as the bundle or in another form that `write` makes of the objects.

    Raises:
        SharingError: nothing would leave, it is too large, or nobody who may has approved it.
    """
    if not would.objects:
        raise SharingError(
            f"Nothing may leave for {would.recipient.name}: {len(would.withheld)} objects stay. Preview."
        )
    if would.too_large:
        raise SharingError(f"{would.too_large}. Nothing left; share fewer campaigns or raise the limit.")
    _check_people(would.limits, approver, proposer)
    text = would.text if write is None else write(would.objects)
    record = Record(
        at=stix_time(now),
        recipient=would.recipient.name,
        marking=would.marking,
        proposer=proposer,
        approver=approver,
        form=form,
        object_count=len(would.objects),
        object_ids=tuple(object_["id"] for object_ in would.objects),
        digest=_digest(text),
    )
    return Released(would.objects, text, record)


def revocations(
    held: Mapping[str, Mapping[str, Any]], ids: Iterable[str], *, because: str, now: datetime
) -> list[dict[str, Any]]:
    """What a recipient holds, as the versions that take back the named objects and what makes no sense without them.

    Raises:
        SharingError: the recipient was not sent one of them, it cannot be or was revoked before, or nobody knows why.
    """
    gone = set(ids)
    for object_id in sorted(gone):
        if object_id not in held:
            raise SharingError(f"{_shown(object_id)} was not sent. Name a campaign, or an id that the record shows.")
        if held[object_id]["type"] in STANDING_TYPES:
            raise SharingError(f"{object_id} stands for itself: take back the campaigns that rest on it.")
        if is_revoked(held[object_id]):
            raise SharingError(f"{object_id} was revoked before.")
    standing = [one for one in _told(held).values() if not is_revoked(one)]
    hung = tied_to_campaigns(standing)
    while more := _loose(standing, hung, gone) - gone:
        gone |= more
    undone = [one for name, one in held.items() if name in gone or one["type"] in FRAMES]
    return revoked(undone, now=now, because=because)


def _loose(standing: Sequence[Mapping[str, Any]], hung: set[str], gone: set[str]) -> set[str]:
    """What names an object that is taken back, or hung on a campaign and hangs on none without it."""
    left = [one for one in standing if one["id"] not in gone]
    bound = tied_to_campaigns(left)
    return {
        one["id"]
        for one in left
        if one["type"] not in _LASTING
        and ((one["id"] in hung and one["id"] not in bound) or without(one, gone) is None)
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _told(held: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: one for name, one in held.items() if one["type"] not in FRAMES}


def _check_people(limits: Limits, approver: str | None, proposer: str | None) -> None:
    if approver is None:
        if limits.needs_approver:
            raise SharingError("Nobody has approved it. Name who does, with --approver.")
        return
    if not approver.strip() or not approver.isprintable() or len(approver) > NAME_CHARACTERS:
        raise SharingError(f"The approver's name is 1 to {NAME_CHARACTERS} characters that can be printed.")
    if limits.two_people and (proposer is None or proposer.casefold() == approver.casefold()):
        raise SharingError("Who proposes cannot approve it too: somebody else must.")


def _shown(object_id: str) -> str:
    return object_id if object_id.isprintable() and len(object_id) <= NAME_CHARACTERS else "one of the ids"


def _check_again(
    leaving: Sequence[Mapping[str, Any]], checked: Sequence[Mapping[str, Any]], least: int, private: Private
) -> None:
    """The last look: at everything under a higher k, else at what is not as it came in."""
    came = {one["id"]: one for one in checked}
    undone = [one for one in leaving if is_revoked(one)]
    others = [one for one in leaving if not is_revoked(one)]
    if least == LEAST_HOLDERS:
        undone, others = ([one for one in some if one != came.get(one["id"])] for some in (undone, others))
    _check(undone, private)
    _check(others, private, least=least)


def _check(objects: Sequence[Mapping[str, Any]], private: Private, least: int = LEAST_HOLDERS) -> None:
    check_egress(
        objects, account_ids=private.identifiers, unkeyed=private.unkeyed, aliases=private.aliases, least=least
    )
