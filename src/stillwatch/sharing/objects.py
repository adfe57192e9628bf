"""What the STIX objects of every bundle draw on: ids, producer, our extension, times and rounding.

Why:    ids are UUIDv5 of what an object is about, so sending the same campaign twice updates it instead of doubling it.
Source: OASIS, "STIX Version 2.1", 2021, sections 2.9 (identifiers) and 7.3 (extension definitions).
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.words import DEPLOYMENT, EXTENSION_DESCRIPTION, EXTENSION_NAME, PROJECT

NAMESPACE: Final = uuid.UUID("5b0c7d1e-8f0e-4a44-9d55-6f1a1c1d7a20")  # drawn once, at random
UNCHANGING: Final = "2026-01-01T00:00:00.000Z"  # objects that say the same in every bundle never get a new version
# The first number changes when what a property means does; then the id changes too, and old readers match nothing.
EXTENSION_VERSION: Final = "2.0.0"
EXTENSION_CHANGED: Final = "2026-11-26T00:00:00.000Z"  # when that version was made
LAST_YEAR: Final = 9000  # later ones leave no room to say until when an indicator is valid
MOST_COUNTED: Final = 990_000_000  # STIX counts to 999,999,999; two digits of it


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every object of one bundle carries: who made it, how it is marked, when the bundle was made."""

    producer_id: str
    marking_id: str
    now: datetime

    def changing(self, kind: str, object_id: str, since: datetime, /, **properties: object) -> dict[str, Any]:
        """An object about a campaign: created when the campaign began, as it stands now."""
        return self._object(kind, object_id, stix_time(since), stix_time(max(self.now, since)), properties)

    def unchanging(self, kind: str, object_id: str, /, **properties: object) -> dict[str, Any]:
        """An object that is the same in every bundle."""
        return self._object(kind, object_id, UNCHANGING, UNCHANGING, properties)

    def id(self, kind: str, *about: str) -> str:
        """The id of this producer's object of that kind about these things."""
        return stix_id(kind, self.producer_id, *about)

    def relationship(
        self, source_id: str, verb: str, target_id: str, since: datetime, **measures: object
    ) -> dict[str, Any]:
        """A relationship; `measures` go into our extension."""
        extended = {"extensions": extension(**measures)} if measures else {}
        return self.changing(
            "relationship",
            stix_id("relationship", source_id, verb, target_id),
            since,
            source_ref=source_id,
            relationship_type=verb,
            target_ref=target_id,
            **extended,
        )

    def _object(
        self, kind: str, object_id: str, created: str, modified: str, properties: Mapping[str, object]
    ) -> dict[str, Any]:
        return {
            "type": kind,
            "spec_version": "2.1",
            "id": object_id,
            "created_by_ref": self.producer_id,
            "created": created,
            "modified": modified,
            "object_marking_refs": [self.marking_id],
            **properties,
        }


@dataclass(frozen=True, slots=True)
class Subject:
    """A campaign that leaves: its record, the whole hours it lasted, and the marking it leaves under."""

    campaign: Mapping[str, Any]
    stamp: Stamp
    tlp: str
    since: datetime
    until: datetime

    @property
    def campaign_id(self) -> str:
        """Its id here."""
        return str(self.campaign["campaign_id"])

    @property
    def id(self) -> str:
        """The id of its STIX object."""
        return self.stamp.id("campaign", self.campaign_id)

    @property
    def observed_id(self) -> str:
        """The id of the observed-data object that counts its traffic."""
        return self.stamp.id("observed-data", self.campaign_id)

    def changing(self, kind: str, object_id: str, /, **properties: object) -> dict[str, Any]:
        """An object about it."""
        return self.stamp.changing(kind, object_id, self.since, **properties)

    def relationship(self, source_id: str, verb: str, target_id: str, **measures: object) -> dict[str, Any]:
        """A relationship that is part of its story."""
        return self.stamp.relationship(source_id, verb, target_id, self.since, **measures)


def subject(campaign: Mapping[str, Any], stamp: Stamp, tlp: str) -> Subject:
    """The campaign as what objects are about.

    Raises:
        SharingError: one of its times is none.
    """
    return Subject(campaign, stamp, tlp, *hours(campaign["first_seen_at"], campaign["last_seen_at"]))


def stix_id(kind: str, *about: str) -> str:
    """The id of the object of that kind about these things; the same things give the same id."""
    return f"{kind}--{uuid.uuid5(NAMESPACE, json.dumps([kind, *about]))}"


EXTENSION_ID: Final = stix_id("extension-definition", "stillwatch", EXTENSION_VERSION.partition(".")[0])


def identity(name: str, *about: str) -> dict[str, Any]:
    """Who makes an object: a system, told from others by what it is about, never by a company's name."""
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": stix_id("identity", *about),
        "created": UNCHANGING,
        "modified": UNCHANGING,
        "name": name,
        "identity_class": "system",
    }


def producer(key_id: str | None) -> dict[str, Any]:
    """The deployment that makes the bundle: the holder of that key."""
    return identity(DEPLOYMENT, "deployment", key_id or "unkeyed")


def extension_definition() -> list[dict[str, Any]]:
    """The definition of our property extension and its author: the same two objects in every bundle."""
    author = identity(PROJECT, "project")
    definition = {
        "type": "extension-definition",
        "spec_version": "2.1",
        "id": EXTENSION_ID,
        "created_by_ref": author["id"],
        "created": UNCHANGING,
        "modified": EXTENSION_CHANGED,
        "name": EXTENSION_NAME,
        "description": EXTENSION_DESCRIPTION,
        "schema": extension_schema(),
        "version": EXTENSION_VERSION,
        "extension_types": ["property-extension"],
    }
    return [author, definition]


@cache
def extension_schema() -> str:
    """The JSON Schema of our extension as compact text; it travels inside the definition."""
    text = resources.files(__package__).joinpath("extension.schema.json").read_text(encoding="utf-8")
    return json.dumps(json.loads(text), separators=(",", ":"), sort_keys=True)


def extension(**properties: object) -> dict[str, Any]:
    """The value of an object's `extensions`: our properties, without those that are null."""
    stated = {name: value for name, value in properties.items() if value is not None}
    return {EXTENSION_ID: {"extension_type": "property-extension", **stated}}


def measures(object_: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our extension's properties of an object; none when it has none."""
    extensions = object_.get("extensions")
    found = extensions.get(EXTENSION_ID) if isinstance(extensions, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def pattern(kind: str, values: Sequence[str]) -> str:
    """The STIX pattern that an account bearing one of these traits matches; the account carries our extension."""
    path = f"user-account:extensions.'{EXTENSION_ID}'"
    literals = ", ".join(f"'{value}'" for value in values)
    return f"[{path}.kind = '{kind}' AND {path}.value IN ({literals})]"


def stix_time(moment: datetime) -> str:
    """The moment as STIX writes it, in UTC to the millisecond."""
    utc = _utc(moment)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def stix_hour(moment: datetime) -> str:
    """The start of the moment's hour as STIX's own tools write it, so that it survives them letter by letter."""
    return f"{hour(moment):%Y-%m-%dT%H:%M:%S}Z"


def hour(moment: datetime) -> datetime:
    """The start of the moment's hour, in UTC."""
    return _utc(moment).replace(minute=0, second=0, microsecond=0)


def hours(first: str, last: str) -> tuple[datetime, datetime]:
    """The whole hours around two RFC 3339 times: an exact instant could point at one exchange.

    Raises:
        SharingError: one of them is no time.
    """
    try:
        start, end = (_utc(datetime.fromisoformat(text)) for text in (first, last))
        ceiling = hour(end) + timedelta(hours=1)
        if end.year > LAST_YEAR:
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise SharingError("first_seen_at or last_seen_at is no RFC 3339 time. Scan again and share that.") from error
    return hour(start), max(hour(start), ceiling)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def two_digits(count: float) -> int:
    """The count to two significant digits: enough to compare, too little to recognise a customer by."""
    return int(float(f"{count:.1e}"))


def counted(count: float) -> int:
    """The count to two significant digits, within what STIX can count."""
    return min(two_digits(count), MOST_COUNTED)


def rounded(number: float | None, digits: int) -> float | None:
    """The number to so many decimals."""
    return None if number is None else round(float(number), digits)
