"""A field map: their names for our columns, from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stillwatch.errors import SettingsError
from stillwatch.ingest.documents import Json
from stillwatch.records import ACCOUNTS, EXCHANGES

_NONE: Mapping[str, Any] = MappingProxyType({})
ACCOUNT_EXTRAS = ("email", "phone")  # plain columns that are hashed on the way in and not kept


@dataclass(frozen=True, slots=True)
class Names:
    """For one table: canonical column -> their name (dots descend), and canonical column -> a constant."""

    columns: Mapping[str, str] = field(default_factory=lambda: _NONE)
    constants: Mapping[str, Any] = field(default_factory=lambda: _NONE)

    def row(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document under canonical names. Names that are not mapped keep their place."""
        if not self.columns:
            return document
        return {**document, **{ours: value_at(document, theirs) for ours, theirs in self.columns.items()}}


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Their names for the columns of both input tables."""

    exchanges: Names = field(default_factory=Names)
    accounts: Names = field(default_factory=Names)


def load_field_map(path: Path) -> FieldMap:
    """The field map in a TOML file: exchanges at the top and under [constants], accounts under [accounts].

    Raises:
        SettingsError: when the file is missing, is no TOML, or names a column we do not have.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"the field map {path} cannot be read: {error.strerror}; give the path of a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the field map {path} is not TOML: {error}; see docs/formats/field-map.md") from error
    accounts = found.pop("accounts", {})
    if not isinstance(accounts, dict):
        raise SettingsError(f'{path}: "accounts" must be a table: write [accounts] and its columns below it')
    return FieldMap(
        _names(path, "", found, EXCHANGES.names),
        _names(path, "accounts.", accounts, (*ACCOUNTS.names, *ACCOUNT_EXTRAS)),
    )


def value_at(document: Json, name: str) -> Json:
    """The value under a dotted name; a key that itself holds dots is found first. Null when there is none."""
    if isinstance(document, list):
        head, _, rest = name.partition(".")
        index = int(head) if head.isdecimal() and len(head) < 10 else len(document)
        inner = document[index] if index < len(document) else None
        return value_at(inner, rest) if rest else inner
    if not isinstance(document, dict):
        return None
    if name in document:
        return document[name]
    cut = name.find(".")
    while cut >= 0:
        inner = document.get(name[:cut])
        if inner is not None:
            return value_at(inner, name[cut + 1 :])
        cut = name.find(".", cut + 1)
    return None


def _names(path: Path, section: str, entries: dict[str, Any], known: tuple[str, ...]) -> Names:
    constants = entries.pop("constants", {})
    if not isinstance(constants, dict):
        raise SettingsError(f'{path}: "{section}constants" must be a table: write [{section}constants]')
    for name in (*entries, *constants):
        if name not in known:
            raise SettingsError(f'{path}: "{section}{name}" is not one of our columns; they are: {", ".join(known)}')
    for name, theirs in entries.items():
        if not isinstance(theirs, str) or not theirs:
            raise SettingsError(f'{path}: "{section}{name}" must be the name of their field in quotes, as in "user.id"')
    for name, constant in constants.items():
        if not isinstance(constant, str | int | float | datetime | date):
            raise SettingsError(f'{path}: the constant "{section}{name}" must be a text, a number or a time')
    return Names(entries, constants)
