"""One world as every baseline reads it: the exchanges with their prompts and the accounts; never the truth.

What several baselines need is made once. Its CPU time is kept by name, so each baseline can be billed for what it used.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from numpy.typing import NDArray

from stillwatch.records import ACCOUNTS, EMBEDDING_SIZE, SKETCH_SIZE, arrow_schema
from stillwatch.signals import signals

MIN_TEXTS = 5  # different prompts in which a wording recurs before it counts as a part of a template
TEXTS_PER_ACCOUNT = 3.0  # different prompts in which an account that has the wording uses it, on average
MIN_MATCHED = 2  # recurring fingerprints that make a template
BATCH_ROWS = 65_536
BLOCK_ROWS = 262_144  # sketches worked on at a time
PARTS = 16  # of the fingerprints, counted one after the other
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a baseline says of each account, in the order of `World.account_ids`.

    `accused` is at the method's own threshold, which no label has touched. Each ranking is a score per account, larger
    is more suspicious, nan is not judged; the oracle sets its threshold on these.
    """

    accused: Flags  # (accounts,)
    rankings: tuple[Floats, ...]  # each (accounts,)


@dataclass(frozen=True, slots=True)
class Traffic:
    """All exchanges, by account and within it by time; each array is (exchanges,)."""

    account: Ints  # place in World.account_ids
    started_us: Ints
    address: Ints  # number of the client's address; -1 is none
    model: Ints
    input_tokens: Ints
    output_tokens: Ints
    reasoning_tokens: Ints
    turns: Ints
    tools: Ints
    is_api: Flags


@dataclass(frozen=True, slots=True)
class Texts:
    """What the prompts say, in the order of `Traffic`."""

    present: Flags  # (exchanges,)
    text: Ints  # (exchanges,) hash of the whole normalised prompt
    sketch: Ints  # (exchanges, SKETCH_SIZE), 0 where there is none
    embedding: NDArray[np.float32]  # (exchanges, EMBEDDING_SIZE), length 1


@dataclass
class World:
    """The files of one world, read when asked for."""

    folder: Path
    seed: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)  # spent on each part
    used: set[str] = field(default_factory=set)  # parts asked for since somebody last cleared it

    @property
    def account_ids(self) -> list[str]:
        """Every account with a row or an exchange, sorted."""
        return self._part("accounts", self._accounts)[0]

    @property
    def accounts(self) -> pa.Table:
        """The accounts table, one row per account of `account_ids`, in that order; unknown ones are null."""
        return self._part("accounts", self._accounts)[1]

    @property
    def traffic(self) -> Traffic:
        """All exchanges without their text."""
        self.account_ids  # noqa: B018 - read first, so that its time is its own
        return self._part("traffic", self._traffic)

    @property
    def texts(self) -> Texts:
        """Sketch and embedding of every prompt."""
        self.traffic  # noqa: B018 - the same
        return self._part("texts", self._texts)

    @property
    def template(self) -> Ints:
        """Template of each exchange; -1 is none: (exchanges,)."""
        self.texts  # noqa: B018 - the same
        return self._part("templates", self._templates)

    @property
    def templates_held(self) -> Ints:
        """How many different templates each account used: (accounts,)."""
        bears = self.template >= 0
        width = int(self.template.max(initial=0)) + 1
        held = np.unique(self.traffic.account[bears] * width + self.template[bears])
        return np.bincount(held // width, minlength=len(self.account_ids))

    def _part(self, name: str, make: Callable[[], Part]) -> Part:
        self.used.add(name)
        if name not in self._made:
            began = time.process_time()
            self._made[name] = make()
            self.cpu_s[name] = time.process_time() - began
        return cast(Part, self._made[name])

    @cached_property
    def _made(self) -> dict[str, object]:
        return {}

    @cached_property
    def _files(self) -> list[str]:
        return sorted(str(path) for path in (self.folder / "exchanges").glob("*.parquet"))

    def _accounts(self) -> tuple[list[str], pa.Table]:
        names = ", ".join(f"a.{name}" for name in ACCOUNTS.names if name != "account_id")
        query = f"""
            WITH seen AS (SELECT DISTINCT account_id FROM read_parquet($files)
                          UNION SELECT account_id FROM read_parquet($accounts))
            SELECT account_id, {names} FROM seen LEFT JOIN read_parquet($accounts) a USING (account_id)
            ORDER BY account_id"""  # noqa: S608 - our own column names
        parameters = {"files": self._files, "accounts": str(self.folder / "accounts.parquet")}
        table = duckdb.execute(query, parameters).to_arrow_table().cast(arrow_schema(ACCOUNTS))
        return table["account_id"].to_pylist(), table

    def _traffic(self) -> Traffic:
        query = """
            SELECT account_id, epoch_us(started_at) AS started_us, client_ip, model,
                   coalesce(input_tokens, 0)::BIGINT AS input_tokens,
                   coalesce(output_tokens, 0)::BIGINT AS output_tokens,
                   coalesce(reasoning_tokens, 0)::BIGINT AS reasoning_tokens,
                   coalesce(turn_count, 0)::BIGINT AS turns, coalesce(tool_count, 0)::BIGINT AS tools,
                   coalesce(access_path, '') = 'api' AS is_api
            FROM read_parquet($files)"""
        table = duckdb.execute(query, {"files": self._files}).to_arrow_table()
        account = _codes(table["account_id"], self.account_ids)
        started = table["started_us"].to_numpy()
        order = np.lexsort((started, account))
        self._made["order"] = order
        rest = ("input_tokens", "output_tokens", "reasoning_tokens", "turns", "tools", "is_api")
        return Traffic(
            account[order],
            started[order],
            _codes(table["client_ip"])[order],
            _codes(table["model"])[order],
            *(table[name].to_numpy()[order] for name in rest),
        )

    def _texts(self) -> Texts:
        order = cast(Ints, self._made["order"])
        place = np.empty(len(order), np.int64)  # of each row of the files: filled at once, since copies would not fit
        place[order] = np.arange(len(order))
        text = np.zeros(len(order), np.int64)
        sketch = np.zeros((len(order), SKETCH_SIZE), np.int64)
        embedding = np.zeros((len(order), EMBEDDING_SIZE), np.float32)
        done = 0
        for batch in ds.dataset(self._files, format="parquet").to_batches(batch_size=BATCH_ROWS):
            if batch.num_rows:
                read, rows = signals(batch), place[done : done + batch.num_rows]
                text[rows] = read["text_id"].fill_null(0).to_numpy()
                sketch[rows] = _matrix(read["sketch"], SKETCH_SIZE, np.int64)
                vectors = _matrix(read["embedding"], EMBEDDING_SIZE, np.float32)
                length = np.linalg.norm(vectors, axis=1, keepdims=True)
                embedding[rows] = np.divide(vectors, length, out=vectors, where=length > 0)
                done += batch.num_rows
        return Texts(np.asarray(embedding.any(axis=1)), text, sketch, embedding)

    def _templates(self) -> Ints:
        recurring, sketch = self._recurring(), self.texts.sketch
        total, bears = np.zeros(len(sketch), np.int64), np.zeros(len(sketch), bool)
        for start in range(0, len(sketch), BLOCK_ROWS):  # a block at a time: the copies of all would not fit
            rows = slice(start, start + BLOCK_ROWS)
            total[rows], bears[rows] = _sums(sketch[rows], recurring)
        rows = pa.table({"account": self.traffic.account[bears], "text": self.texts.text[bears], "key": total[bears]})
        varied = _varied(rows.group_by(["account", "text", "key"]).aggregate([]))
        bears &= np.isin(total, varied)
        return np.where(bears, np.searchsorted(varied, total), -1).astype(np.int64)

    def _recurring(self) -> Ints:
        """Fingerprints of wordings that one account after another puts into ever new prompts; sorted."""
        order = np.lexsort((self.texts.text, self.traffic.account))
        is_new = np.ones(len(order), bool)
        for values in (self.traffic.account, self.texts.text):
            is_new[1:] &= values[order][1:] == values[order][:-1]
        is_new[1:] = ~is_new[1:]
        first = order[is_new]
        return np.sort(np.concatenate([self._recurring_part(first, part) for part in range(PARTS)]))

    def _recurring_part(self, first: Ints, part: int) -> Ints:
        """The same among the fingerprints of one part, so that only a part of all is in memory."""
        accounts, keys = [], []
        for start in range(0, len(first), BLOCK_ROWS):
            block = first[start : start + BLOCK_ROWS]
            sketch = self.texts.sketch[block]
            wanted = (sketch != 0) & (sketch.view(np.uint64) % np.uint64(PARTS) == part)
            accounts.append(self.traffic.account[block][np.nonzero(wanted)[0]])
            keys.append(sketch[wanted])
        return _varied(pa.table({"account": np.concatenate(accounts), "key": np.concatenate(keys)}))


def _sums(sketch: Ints, recurring: Ints) -> tuple[Ints, Flags]:
    """A number for the set of recurring fingerprints of each sketch, and whether there are enough of them."""
    known = sketch.copy()
    if len(recurring):
        place = np.minimum(np.searchsorted(recurring, known), len(recurring) - 1)
        known[recurring[place] != known] = 0
    else:
        known[:] = 0
    known.sort(axis=1)
    known[:, 1:][known[:, 1:] == known[:, :-1]] = 0
    bears = (known != 0).sum(axis=1) >= MIN_MATCHED
    with np.errstate(over="ignore"):
        mixed = (known.view(np.uint64) ^ (known.view(np.uint64) >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        total = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64).view(np.int64)
    return total, bears


def _varied(rows: pa.Table) -> Ints:
    """Keys that come in at least five texts and in three texts of each account that has them, on average; sorted.

    `rows` has one row per account, text and key.
    """
    query = f"""
        SELECT key FROM tbl GROUP BY key
        HAVING count(*) >= {MIN_TEXTS} AND count(*) >= {TEXTS_PER_ACCOUNT} * count(DISTINCT account) ORDER BY key"""  # noqa: S608 - our own constants
    with duckdb.connect() as connection:
        connection.register("tbl", rows)
        return np.asarray(connection.execute(query).to_arrow_table()["key"].to_numpy(), dtype=np.int64)


def _codes(column: pa.ChunkedArray, names: list[str] | None = None) -> Ints:
    """Whole numbers for the values of a column, by their place in `names` or in any order; null is -1."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(), dtype=np.int64)
    if names is None:
        return codes
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[name] for name in encoded.dictionary.to_pylist()], dtype=np.int64)[codes]


def _matrix(column: pa.Array, size: int, kind: type[np.generic]) -> NDArray[Any]:
    """A column of lists of fixed size as a matrix; null rows are zeros."""
    filled = np.zeros((len(column), size), dtype=kind)
    valid = np.asarray(column.is_valid())
    filled[valid] = np.asarray(column.drop_null().flatten()).reshape(-1, size)
    return filled
