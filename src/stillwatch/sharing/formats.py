"""Every form that shared objects can be written in and read from, by name.

Why:    one list serves the command line, the inbox and the documentation; a format is added here and nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing import rules, tables
from stillwatch.sharing.bundle import bundle_text
from stillwatch.sharing.outside import MOST_OBJECTS, parsed

Objects = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """One form: how its files end, and the ways there and back. `read` is None where nothing can be read back."""

    name: str
    suffix: str
    holds: str
    write: Callable[[Objects, datetime], str]
    read: Callable[[str], list[dict[str, Any]]] | None


def _read_bundle(text: str) -> list[dict[str, Any]]:
    """The objects of a bundle as they are: another producer's may hold what ours never do, so the inbox judges them."""
    whole = parsed(text)
    objects = whole.get("objects") if isinstance(whole, dict) and whole.get("type") == "bundle" else None
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise SharingError("The file is no STIX bundle. Ask the sender for it again.")
    if len(objects) > MOST_OBJECTS:
        raise SharingError(f"The file holds more than {MOST_OBJECTS} objects. Ask the sender for smaller parts.")
    return objects


def _misp() -> ModuleType:
    """The part that needs pymisp, which is slow to load and installed with the extra `sharing` only."""
    try:
        return import_module("stillwatch.sharing.misp")
    except ModuleNotFoundError as error:
        raise SharingError("MISP needs pymisp. Install stillwatch with the extra `sharing`.") from error


def _written_misp(objects: Objects, now: datetime) -> str:
    return str(_misp().to_misp(objects, now=now))


def _read_misp(text: str) -> list[dict[str, Any]]:
    return list(_misp().from_misp(text))


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        one.name: one
        for one in (
            Format("stix", ".json", "everything", lambda o, _: bundle_text(o), _read_bundle),
            Format("misp", ".misp.json", "everything, one event for each campaign", _written_misp, _read_misp),
            Format(
                "sigma", ".yml", "values that a log search can find", lambda o, now: rules.to_sigma(o, now=now), None
            ),
            Format("csv", ".csv", "values", lambda o, now: tables.to_csv(o, now=now), tables.from_csv),
            Format("jsonl", ".jsonl", "values", lambda o, now: tables.to_jsonl(o, now=now), tables.from_jsonl),
        )
    }
)
