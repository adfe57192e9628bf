"""What one method did on one world, as numbers that can be added up over worlds and kept in a file."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from stillwatch.evaluation.customers import Wronged
from stillwatch.evaluation.measures import Share

from .lines import append_line, read_lines

Pair = tuple[int, int]  # hits, total

FILE = "results.jsonl"
WORLD = "world"  # the method under which the facts of a world are kept


@dataclass(frozen=True, slots=True)
class WorldName:
    """What a world is made from: the same name gives the same files."""

    scenario: str
    scale: float
    seed: int
    source: str  # of prompts and timing

    def __str__(self) -> str:
        return f"{self.scenario}, scale {self.scale:g}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Record:
    """One method on one world; what a method does not give is null. `not_run` says why there are no numbers."""

    world: WorldName
    method: str
    right: int = 0
    wrong: int = 0
    missed: int = 0
    legitimate: int = 0
    owners: Pair | None = None
    segments: Mapping[str, Pair] = field(default_factory=dict)
    owners_by_segment: Mapping[str, Pair] = field(default_factory=dict)
    countries: Mapping[str, Pair] = field(default_factory=dict)
    scripts: Mapping[str, Pair] = field(default_factory=dict)
    campaigns: Mapping[str, Pair] = field(default_factory=dict)  # accused of each true campaign
    wrong_campaigns: Pair | None = None  # accused campaigns of which most accounts are legitimate
    control: Pair | None = None  # accused accounts that one hand runs with others of the same reported campaign
    one_hand: Pair | None = None  # accused campaigns half of which or more one hand runs
    frontier: tuple[Pair, ...] | None = None  # right and wrong at each of the oracle's thresholds
    senders: Pair | None = None  # hostile accounts accused, of those that sent anything
    senders_wronged: Pair | None = None  # and legitimate ones
    strangers: int | None = None  # accused legitimate accounts, without those that one hand runs as several
    strangers_frontier: tuple[Pair, ...] | None = None  # as `frontier`, with these alone as wrong
    exposure: Mapping[str, float | None] = field(default_factory=dict)  # share of each campaign made before detection
    runs: int = 1  # successive runs behind `exposure`
    sharing: Mapping[str, Pair] = field(default_factory=dict)  # of a world: accounts that share infrastructure
    exchanges: int = 0  # of a world
    makes: Mapping[str, str] = field(default_factory=dict)  # of a world: what the seed drew of each campaign, in words
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    not_run: str | None = None


def pairs(shares: Mapping[str, Share] | None) -> dict[str, Pair]:
    """Hits and totals by name; nothing where a slice was not measured."""
    return {name: (share.hits, share.total) for name, share in (shares or {}).items()}


def sliced(found: Wronged) -> dict[str, Any]:
    """The fields of a record that tell who was wronged."""
    return {
        "owners": None if found.owners is None else (found.owners.hits, found.owners.total),
        "segments": pairs(found.segments),
        "owners_by_segment": pairs(found.owners_by_segment),
        "countries": pairs(found.countries),
        "scripts": pairs(found.scripts),
    }


class Records:
    """Records by world and method; with a folder they are kept as lines of JSON, the last line of a pair counts."""

    def __init__(self, folder: Path | None, *, refresh: Collection[str] = ()) -> None:
        """Read what is there, but for the methods to refresh."""
        self._path = None if folder is None else folder / FILE
        self._known: dict[tuple[WorldName, str], Record] = {}
        self._refresh = set(refresh)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        if self._path is not None:
            for record in map(_record, read_lines(self._path)):
                if not self._is_stale(record.method):
                    self._known[record.world, record.method] = record

    def get(self, world: WorldName, method: str) -> Record | None:
        """The record of a method on a world, if there is one."""
        return self._known.get((world, method))

    def add(self, record: Record) -> None:
        """Keep a record, at once."""
        self._known[record.world, record.method] = record
        if self._path is not None:
            append_line(self._path, asdict(record))

    def all(self) -> list[Record]:
        """Every record, in the order in which they came."""
        return list(self._known.values())

    def _is_stale(self, method: str) -> bool:
        return method in self._refresh or method.partition(":")[0] in self._refresh


def _record(raw: dict[str, Any]) -> Record:
    """A record from what was kept of it."""
    for item in fields(Record):
        value = raw.get(item.name)
        if isinstance(value, dict) and item.name not in ("world", "exposure", "makes"):
            raw[item.name] = {name: tuple(pair) for name, pair in value.items()}
        elif isinstance(value, list):
            raw[item.name] = tuple(tuple(part) if isinstance(part, list) else part for part in value)
    return Record(**{**raw, "world": WorldName(**raw["world"])})
