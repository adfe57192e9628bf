"""What of a set of objects is worth matching now: the values of each indicator, with what it is about and until when.

Why:    a table and a rule have no place for what a bundle says around an indicator, and no way to take one back; so
        they hold what is valid at the time of writing and nothing else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stillwatch.sharing.marking import tlp_of
from stillwatch.sharing.objects import measures

_CAMPAIGN: Final = re.compile(r"c-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Matchable:
    """One indicator that is valid now."""

    indicator: Mapping[str, Any]
    measures: Mapping[str, Any]  # its properties in our extension

    @property
    def kind(self) -> str:
        """The kind of its values."""
        return str(self.measures["kind"])

    @property
    def values(self) -> Sequence[Mapping[str, Any]]:
        """Its values, strongest first, each with the number of accounts that held it."""
        return list(self.measures["values"])

    @property
    def campaign(self) -> str:
        """The id of its campaign at the sender; empty where its name holds none."""
        found = _CAMPAIGN.search(str(self.indicator.get("name", "")))
        return found[0] if found else ""

    @property
    def tlp(self) -> str:
        """Its marking; without one it is for the recipient alone."""
        return tlp_of(self.indicator) or "red"


def matchable(objects: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[Matchable]:
    """The indicators with values of ours that are neither expired nor taken back, by id."""
    for one in sorted(objects, key=lambda one: str(one["id"])):
        told = measures(one) if one["type"] == "indicator" else {}
        is_valid = not one.get("revoked", False) and _until(one) > now
        if is_valid and "kind" in told and "values" in told:
            yield Matchable(one, told)


def _until(indicator: Mapping[str, Any]) -> datetime:
    stated = indicator.get("valid_until")
    return datetime.fromisoformat(stated) if stated else datetime.max.replace(tzinfo=UTC)
