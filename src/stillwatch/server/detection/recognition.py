"""By what an exchange of a newcomer is recognised: the wordings, addresses and cards that known campaigns own.

Why:    a campaign takes on accounts every day, and each brings along what the others hold. Between two detections
        nobody has to be clustered anew to see that.
Misses: everything that a detection alone can tell: rewordings that are new, timing, reasoning that is sent back. Traits
        that ordinary customers hold as well are left out, however much the campaign uses them.
Source: the rules by which `linkage` ties an account to a cluster, and `membership` for how many bits; see
        docs/live-detection.md.

A value counts by the rules of linkage: most of its holders are members, of a wording nearly all. An address or a habit
of sign-up counts only when most of the members that have it are held by a card, a device or a telephone as well.

The index is one file, replaced in one step, that a process loads by the number of its detection. It holds hashes and
counts; of accounts only hashes of the ids that the detection saw.
"""

import io
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch import decisions, linkage, rollups, store
from stillwatch.membership import MIN_ACCOUNTS, TIE_SHARE, WORDINGS
from stillwatch.records import DURABILITIES, KINDS, LEAD_KIND, SIGNALS, arrow_schema

INDEX = "newcomers.npz"  # beside the output of the detection
VERDICT = "distillation"  # of the campaigns that newcomers are held against
OWN_SHARE = 0.9  # of the holders of a wording that must be members, as in linkage
ANCHORED_SHARE = 0.5  # of the members that hold an address or a habit, who are held by a card, device or telephone too
CONTENT = KINDS["template"][1]
READ = pa.schema(
    [
        arrow_schema(SIGNALS).field(name).with_nullable(True)
        for name in ("account_id", "sketch", "system_prompt_id", "client_ip", "client_ip_prefix")
    ]
)
COSTLY = tuple(KINDS[kind][1] for kind in ("payment", "device", "phone"))  # groups that no class or office shares

Ints = NDArray[np.int64]
Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Index:
    """What the newest detection knows of its campaigns, as arrays.

    `campaign_ids`, `sizes` (campaigns,): names and members. The values that tie an account to a campaign are sorted by
    kind and value: `kinds`, `values`, `home` (which campaign), `inside` (members that hold it), `holders` (all accounts
    that do), `bits` (learned weight), (values,) each. `seen` (accounts,): hashes of the ids that the detection saw,
    sorted. `words`, `groups`, `exact`: the vocabulary, see `linkage.vocabulary_rows`.
    """

    number: int
    account_count: int
    campaign_ids: Names
    sizes: Ints
    kinds: Names
    values: Names
    home: Ints
    inside: Ints
    holders: Ints
    bits: NDArray[np.float64]
    seen: NDArray[np.uint64]
    words: Ints
    groups: Ints
    exact: Ints


def built(out: Path, *, number: int) -> Index:
    """The index of what the last detection wrote to a folder.

    Raises:
        StoreError: a file of the output is missing or damaged.
    """
    links, seen = store.read_table(out, store.LINKS), store.read_table(out, store.SEEN)
    members = _members(out)
    names = sorted(set(members.values()))
    place = {name: i for i, name in enumerate(names)}
    rows = _tying(links, {account_id: place[name] for account_id, name in members.items()})
    rows.sort(key=lambda row: (row["kind"], row["value"]))
    words = store.read_table(out, store.VOCABULARY)
    known, exact = linkage.recognised(words)
    sizes = Counter(members.values())
    return Index(
        number=number,
        account_count=int(store.read_run(out)["counts"]["accounts"]),
        campaign_ids=np.array(names, dtype=np.str_),
        sizes=np.array([sizes[name] for name in names], np.int64),
        kinds=np.array([row["kind"] for row in rows], dtype=np.str_),
        values=np.array([row["value"] for row in rows], dtype=np.str_),
        home=np.array([row["home"] for row in rows], np.int64),
        inside=np.array([row["inside"] for row in rows], np.int64),
        holders=np.array([row["holders"] for row in rows], np.int64),
        bits=np.array([row["weight_bits"] for row in rows], np.float64),
        seen=np.sort(rollups.id_hashes(_whole(seen["account_id"]))),
        words=known.fingerprints,
        groups=known.group,
        exact=exact,
    )


def _members(out: Path) -> dict[str, str]:
    """Campaign of each member of the campaigns that newcomers are held against, less those an analyst cleared."""
    cleared = decisions.newest_verdicts(store.read_verdicts(out), "campaign")
    return {
        account_id: campaign["campaign_id"]
        for campaign in store.read_campaigns(out)
        if campaign["verdict"] == VERDICT and cleared.get(campaign["campaign_id"]) != "innocent"
        for account_id in campaign["account_ids"]
    }


def _tying(links: pa.Table, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """The values that tie an account to a campaign, by the rule of `linkage`: enough of their holders are members."""
    inside = links.filter(pc.is_in(links["account_id"], pa.array(list(place), pa.string())))
    counts: dict[tuple[str, str], Counter[int]] = {}
    facts: dict[tuple[str, str], tuple[int, float]] = {}
    for row in inside.select(["account_id", "kind", "value", "account_count", "weight_bits"]).to_pylist():
        name = (row["kind"], row["value"])
        counts.setdefault(name, Counter())[place[row["account_id"]]] += 1
        facts[name] = (row["account_count"], row["weight_bits"])
    found = []
    for (kind, value), homes in counts.items():
        home, members = min(homes.items(), key=lambda item: (-item[1], item[0]))
        holders, bits = facts[kind, value]
        if _ties(kind, members, holders):
            names = {"kind": kind, "value": value, "home": home}
            found.append({**names, "inside": members, "holders": holders, "weight_bits": bits})
    return _anchored(found, inside, place)


def _anchored(found: list[dict[str, Any]], links: pa.Table, place: Mapping[str, int]) -> list[dict[str, Any]]:
    """The values without addresses and habits of members that nothing costly holds.

    A class or an office that a detection took along with a campaign shares prompts, a network and a domain; whoever
    comes new to it would follow. It shares no card.
    """
    home = {(row["kind"], row["value"]): row["home"] for row in found}
    held = [
        (row["account_id"], (row["kind"], row["value"]))
        for row in links.select(["account_id", "kind", "value"]).to_pylist()
        if home.get((row["kind"], row["value"])) == place[row["account_id"]]
    ]
    anchors = {account_id for account_id, (kind, _) in held if KINDS[kind][1] in COSTLY}
    counts = Counter(name for account_id, name in held if account_id in anchors)
    return [
        row
        for row in found
        if KINDS[row["kind"]][1] in (CONTENT, *COSTLY)
        or counts[row["kind"], row["value"]] >= ANCHORED_SHARE * row["inside"]
    ]


def _ties(kind: str, members: int, holders: int) -> bool:
    """Whether a value ties whoever holds it: most of its holders are members, of a wording nearly all.

    Tools never do, nor what a partner sent: that is about wordings.
    """
    if kind == LEAD_KIND:
        return False
    if KINDS[kind][1] == CONTENT:
        return kind in WORDINGS and members >= MIN_ACCOUNTS and members >= OWN_SHARE * holders
    return members >= 1 and members >= TIE_SHARE * holders


def write_index(out: Path, *, number: int) -> None:
    """Build the index of a folder and put it there, in one step."""
    index = built(out, number=number)
    held = io.BytesIO()
    np.savez(held, **{name: getattr(index, name) for name in Index.__slots__})
    store.write_bytes(out / INDEX, held.getvalue())


def read_index(out: Path) -> Index | None:
    """The index of a folder; None when there is none."""
    try:
        with np.load(out / INDEX, allow_pickle=False) as held:
            told = {name: held[name] for name in Index.__slots__}
    except FileNotFoundError:
        return None
    return Index(**{**told, "number": int(told["number"]), "account_count": int(told["account_count"])})


@dataclass(frozen=True, slots=True)
class Sighting:
    """An exchange's account, and the value of the index that the exchange shows."""

    account_id: str
    value: int


class Recogniser:
    """An index made ready to be asked, batch by batch."""

    def __init__(self, index: Index) -> None:
        """Make the tables that values are looked up in."""
        self.index = index
        self._known = linkage.indexed(index.words, index.groups)
        self._names = linkage.group_templates(self._known)
        self._first: dict[str, int] = {}
        self._texts: dict[str, pa.Array] = {}
        self._numbers: dict[str, tuple[Ints, Ints]] = {}
        for kind in sorted(set(index.kinds.tolist())):
            of_kind = np.flatnonzero(index.kinds == kind)
            if kind in WORDINGS:
                numbers = index.values[of_kind].astype(np.int64)
                order = np.argsort(numbers)
                self._numbers[kind] = (numbers[order], of_kind[order])
            else:
                self._first[kind] = int(of_kind[0])
                self._texts[kind] = pa.array(index.values[of_kind].tolist(), pa.string())

    def sightings(self, rows: pa.Table) -> list[Sighting]:
        """What accounts that the detection did not see show of the campaigns; the columns in READ, texts plain."""
        if not len(self.index.values) or not rows.num_rows:
            return []
        shown = [*self._wordings(rows), *self._addresses(rows)]
        places = np.stack(shown)
        hits = np.flatnonzero((places >= 0).any(axis=0))
        if not len(hits):
            return []
        ids = _whole(rows["account_id"].take(pa.array(hits)))
        new = ~self.was_seen(ids)
        pairs = {
            (account_id, int(value))
            for account_id, row in zip(ids.filter(pa.array(new)).to_pylist(), hits[new], strict=True)
            for value in places[:, row]
            if value >= 0
        }
        return [Sighting(account_id, value) for account_id, value in sorted(pairs)]

    def was_seen(self, account_ids: pa.Array) -> NDArray[np.bool_]:
        """Whether the detection saw each account."""
        hashes, seen = rollups.id_hashes(account_ids), self.index.seen
        if not len(seen):
            return np.zeros(len(hashes), np.bool_)
        return np.asarray(seen[np.minimum(np.searchsorted(seen, hashes), len(seen) - 1)] == hashes)

    def values_of(self, traits: Iterable[tuple[str, str]]) -> list[int]:
        """The values of the index among the kinds and values that an account's registration shows."""
        found = []
        for kind, value in traits:
            if kind in self._texts:
                place = self._texts[kind].index(value).as_py()
                if place >= 0:
                    found.append(self._first[kind] + place)
        return found

    def carried_over(self, names: Collection[tuple[str, str]]) -> set[int]:
        """The values of this index that an earlier one knew by these kinds and values."""
        wordings = {(kind, int(value)) for kind, value in names if kind in WORDINGS}
        found = set(self.values_of((kind, value) for kind, value in names if kind not in WORDINGS))
        for kind, (numbers, places) in self._numbers.items():
            found |= {int(p) for n, p in zip(numbers, places, strict=True) if (kind, int(n)) in wordings}
        return found

    def name_of(self, value: int) -> tuple[str, str]:
        """Kind and value, as they outlive the index."""
        return str(self.index.kinds[value]), str(self.index.values[value])

    def _wordings(self, rows: pa.Table) -> list[Ints]:
        """Places of the template and of the system prompt of each row, kind by kind; one at least."""
        found = [np.full(rows.num_rows, -1, np.int64)]
        kinds = [kind for kind in self._numbers if kind != "system_prompt"]  # their values are ids of templates
        if kinds:
            ids = linkage.template_ids(rows["sketch"], self._known, self._names, self.index.exact)
            found += [self._numbered(kind, ids) for kind in kinds]
        if "system_prompt" in self._numbers:
            found.append(self._numbered("system_prompt", rows["system_prompt_id"]))
        return found

    def _numbered(self, kind: str, ids: pa.Array | pa.ChunkedArray) -> Ints:
        """The place of each number in the index, -1 for none."""
        numbers, places = self._numbers[kind]
        asked = ids.fill_null(0).to_numpy()
        near = np.minimum(np.searchsorted(numbers, asked), len(numbers) - 1)
        is_known = (numbers[near] == asked) & ids.is_valid().to_numpy(zero_copy_only=False)
        return np.where(is_known, places[near], -1)

    def _addresses(self, rows: pa.Table) -> Sequence[Ints]:
        columns = {"ip": "client_ip", "ip_prefix": "client_ip_prefix"}
        return [self._named(kind, rows[name]) for kind, name in columns.items() if kind in self._texts]

    def _named(self, kind: str, column: pa.ChunkedArray) -> Ints:
        """The place of each text in the index, -1 for none."""
        found = pc.index_in(column, value_set=self._texts[kind])
        return np.asarray(pc.add(found.cast(pa.int64()), self._first[kind]).fill_null(-1).to_numpy())


def is_durable(kind: str) -> bool:
    """Whether a trait of the kind costs much to fake."""
    return DURABILITIES.index(KINDS[kind][2]) >= DURABILITIES.index("high")


def plain(rows: pa.Table) -> pa.Table:
    """The columns in READ alone, of one type whatever they came as: texts may come as dictionaries."""
    return rows.select(READ.names).cast(READ)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column of texts as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
