"""From the campaigns of an output folder to what would leave for one recipient, through the gate."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stillwatch import sharing, store
from stillwatch.errors import SettingsError, StoreError
from stillwatch.partners.aliases import read_aliases, sent_aliases
from stillwatch.settings import key_path
from stillwatch.sharing.gate import Considered, Private, considered, revocations
from stillwatch.sharing.groups import current, read_groups
from stillwatch.sharing.intrusion_sets import Alias
from stillwatch.sharing.keyed import GroupKey
from stillwatch.sharing.recipients import STRICTNESS, Limits, Recipient, Recipients, recipients
from stillwatch.sharing.traits import unkeyed_values

USUAL_TLP = "amber"
NOTHING_TAKEN: Mapping[str, Collection[str]] = {}


def recipients_path() -> Path:
    """Where the file of recipients is, unless another is named: beside the key."""
    return key_path().with_name("recipients.toml")


def read_recipients(path: Path) -> Recipients:
    """Whom something may be sent to.

    Raises:
        SettingsError: the file cannot be read, or a value in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(
            f"cannot read {path}: {why}. Say there who may be sent what: docs/sharing-gate.md"
        ) from error
    return recipients(text, str(path))


def marking_for(recipient: Recipient, tlp: str | None) -> str:
    """The marking to send under: what is asked for, else the usual one or what the recipient may see at most.

    Raises:
        SettingsError: there is no such marking.
    """
    if tlp is None:
        return min(USUAL_TLP, recipient.ceiling, key=STRICTNESS.__getitem__)
    if tlp not in STRICTNESS:
        raise SettingsError(f"TLP {tlp!r}: give one of {', '.join(STRICTNESS)}")
    return tlp


def group_for(recipient: Recipient, folder: Path, group_id: str | None, *, now: datetime) -> GroupKey | None:
    """The key to send under: of the group that is named, else of the one that both are in; None when there is none.

    Raises:
        SettingsError: there are several, and none is named.
        SharingError: there is no such group, or no epoch of it holds now.
    """
    if group_id is not None:
        return current(folder, group_id, now)
    both = [held.group_id for held in read_groups(folder) if held.group_id in recipient.groups]
    if len(both) > 1:
        raise SettingsError(f"{recipient.name} is in several groups: name one of {', '.join(both)} (--group)")
    return current(folder, both[0], now) if both else None


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent under: for whom, which limits, which marking, which group's key, and when."""

    recipient: Recipient
    limits: Limits
    tlp: str
    group: GroupKey | None
    now: datetime


def sending(
    told: Recipients, name: str, groups: Path, *, tlp: str | None, group_id: str | None, now: datetime
) -> Sending:
    """What to send under, for the recipient of that name.

    Raises:
        SettingsError: there is no such recipient or marking, or one of several groups has to be named.
        SharingError: there is no such group, or no epoch of it holds now.
    """
    recipient = told.named(name)
    group = group_for(recipient, groups, group_id, now=now)
    return Sending(recipient, told.limits, marking_for(recipient, tlp), group, now)


def outbound(
    folder: Path,
    under: Sending,
    *,
    before: Mapping[str, Mapping[str, Any]],
    taken: Mapping[str, Collection[str]] = NOTHING_TAKEN,
) -> Considered:
    """What of the campaigns of a folder would leave for the recipient, who was sent `before`.

    `taken` are the actions that were taken against each campaign.

    Raises:
        SharingError: an object holds what must not leave.
        StoreError: there was no scan in the folder, or its files are damaged.
    """
    key_id, campaigns = _scanned(folder)
    aliases = read_aliases(folder)
    objects = sharing.objects_of(
        campaigns,
        now=under.now,
        tlp=under.tlp,
        key_id=key_id,
        group=under.group,
        aliases=aliases,
        practice=sharing.Practice(least_accounts=under.limits.least_holders, taken=taken),
    )
    return through_gate(objects, under, campaigns, before=before, aliases=aliases)


def taken_back(
    folder: Path, under: Sending, ids: Iterable[str], *, because: str, before: Mapping[str, Mapping[str, Any]]
) -> Considered:
    """What would leave to take back objects that the recipient was sent; campaigns may be named by our own ids.

    Raises:
        SharingError: one was not sent, or was revoked before.
        StoreError: there was no scan in the folder, or its files are damaged.
    """
    _, campaigns = _scanned(folder)
    ours = {campaign_id_of(one): name for name, one in before.items() if one["type"] == "campaign"}
    objects = revocations(before, [ours.get(one, one) for one in ids], because=because, now=under.now)
    return through_gate(objects, under, campaigns, before=before, aliases=sent_aliases(before))


def campaign_id_of(object_: Mapping[str, Any]) -> str:
    """Our own id of the campaign that a STIX campaign is about: the last word of its name."""
    return str(object_["name"]).rpartition(" ")[2]


def through_gate(
    objects: Sequence[Mapping[str, Any]],
    under: Sending,
    campaigns: Sequence[Mapping[str, Any]],
    *,
    before: Mapping[str, Mapping[str, Any]],
    aliases: Sequence[Alias] = (),
) -> Considered:
    """What of the objects would leave, held against everything that the campaigns of this deployment must keep.

    Raises:
        SharingError: an object holds what must not leave.
    """
    kept = private(campaigns, aliases)
    return considered(objects, under.recipient, limits=under.limits, before=before, private=kept)


def private(campaigns: Sequence[Mapping[str, Any]], aliases: Sequence[Alias] = ()) -> Private:
    """What of the campaigns must not leave: ids of accounts and organisations, and fingerprints without a key."""
    organisations = [campaign["declared"]["organization_id"] for campaign in campaigns if campaign.get("declared")]
    return Private(
        frozenset(account_id for campaign in campaigns for account_id in campaign["account_ids"]).union(organisations),
        frozenset(value for campaign in campaigns for value in unkeyed_values(campaign)),
        tuple(aliases),
    )


def _scanned(folder: Path) -> tuple[str | None, list[dict[str, Any]]]:
    run = store.read_run(folder)
    if not run:
        raise StoreError(f"there was no scan in {folder}. Run `stillwatch scan LOGS --out {folder}` first.")
    return run.get("key_id"), store.read_campaigns(folder)
