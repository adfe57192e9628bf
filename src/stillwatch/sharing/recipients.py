"""Whom something may be sent to, and the limits that hold for everybody: one TOML file, checked before it is used.

Source: FIRST, "Traffic Light Protocol (TLP) Version 2.0", 2022: who may read what, by marking.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.errors import SettingsError
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.traits import LEAST_HOLDERS

# Who reads it there, and the strictest marking such readers may see at all, whatever was agreed with them.
AUDIENCES: Final[Mapping[str, str]] = {
    "public": "clear",
    "community": "green",
    "clients": "amber",
    "organisation": "amber+strict",
    "named": "red",
}
STRICTNESS: Final[Mapping[str, int]] = {tlp: rank for rank, tlp in enumerate(TLP_MARKINGS)}
MOST_HOLDERS: Final = 99  # counts are told with two digits: above that a rounded count could pass for k
GROUP_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_COLLECTION = re.compile(r"[0-9a-z][0-9a-z-]{0,35}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom something is sent to.

    `clearance` is the strictest marking that was agreed; `audience` says who reads it there; `groups` are the sharing
    groups it is a member of; `collection` is the TAXII collection, by id or alias, in which a running
    service publishes for it.
    """

    name: str
    clearance: str
    audience: str = "organisation"
    groups: frozenset[str] = frozenset()
    collection: str | None = None

    @property
    def ceiling(self) -> str:
        """The strictest marking it may see: what was agreed, and never more than its readers may."""
        return min(self.clearance, AUDIENCES[self.audience], key=STRICTNESS.__getitem__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every recipient: k, sizes, and whether somebody has to answer for what leaves."""

    least_holders: int = LEAST_HOLDERS
    most_objects: int = 10_000
    most_bytes: int = 10 << 20
    needs_approver: bool = True
    two_people: bool = False  # who proposes and who approves must differ


@dataclass(frozen=True, slots=True)
class Recipients:
    """The limits, and everybody by name."""

    limits: Limits
    by_name: Mapping[str, Recipient]

    def named(self, name: str) -> Recipient:
        """The recipient of that name.

        Raises:
            SettingsError: there is none.
        """
        if name not in self.by_name:
            known = ", ".join(sorted(self.by_name)) or "nobody"
            raise SettingsError(f"recipient {name!r} is not in the file of recipients, which names: {known}")
        return self.by_name[name]


def recipients(text: str, where: str) -> Recipients:
    """What a TOML file says; `where` names it in errors.

    Raises:
        SettingsError: it cannot be read, or a name or a value in it is wrong.
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not TOML: {error}") from error
    _known(told, {"limits", "recipients"}, where)
    limits, people = told.get("limits", {}), told.get("recipients", {})
    for section, value in (("limits", limits), ("recipients", people)):
        if not isinstance(value, dict):
            raise SettingsError(f"{where}: {section} is a section: write [{section}] and its values below it")
    return Recipients(
        _limits(limits, f"{where}, [limits]"),
        {name: _recipient(name, entry, f"{where}, [recipients.{name}]") for name, entry in people.items()},
    )


def _known(told: Mapping[str, Any], names: set[str], where: str) -> None:
    unknown = sorted(set(told) - names)
    if unknown:
        raise SettingsError(f"{where}: no such setting: {', '.join(unknown)}. There are: {', '.join(sorted(names))}.")


def _limits(told: Mapping[str, Any], where: str) -> Limits:
    _known(told, set(Limits.__slots__), where)
    for name in ("least_holders", "most_objects", "most_bytes"):
        if type(told.get(name, 1)) is not int or told.get(name, 1) < 1:
            raise SettingsError(f"{where} {name}: give a whole number of at least 1")
    for name in ("needs_approver", "two_people"):
        if not isinstance(told.get(name, True), bool):
            raise SettingsError(f"{where} {name}: give true or false")
    limits = Limits(**told)
    if not LEAST_HOLDERS <= limits.least_holders <= MOST_HOLDERS:
        raise SettingsError(f"{where} least_holders: give {LEAST_HOLDERS} to {MOST_HOLDERS}")
    if limits.two_people and not limits.needs_approver:
        raise SettingsError(f"{where} two_people: it needs needs_approver = true")
    return limits


def _recipient(name: str, told: object, where: str) -> Recipient:
    if not isinstance(told, dict):
        raise SettingsError(f"{where}: write a section with clearance, audience and groups")
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where}: a name is a-z, 0-9, dot, dash and underscore, at most 63 of them")
    _known(told, {"clearance", "audience", "groups", "collection"}, where)
    for field, allowed in (("clearance", tuple(TLP_MARKINGS)), ("audience", tuple(AUDIENCES))):
        if field == "clearance" and field not in told:
            raise SettingsError(f"{where}: say its clearance: one of {', '.join(allowed)}")
        if field in told and told[field] not in allowed:
            raise SettingsError(f"{where} {field} {told[field]!r}: give one of {', '.join(allowed)}")
    groups = told.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(one, str) and GROUP_ID.fullmatch(one) for one in groups):
        raise SettingsError(f"{where} groups: give a list of ids of sharing groups; see `stillwatch share group list`")
    collection = told.get("collection")
    if collection is not None and not (isinstance(collection, str) and _COLLECTION.fullmatch(collection)):
        raise SettingsError(f"{where} collection: give the id or the alias of a TAXII collection")
    audience = told.get("audience", "organisation")
    return Recipient(name, told["clearance"], audience, frozenset(groups), collection)
