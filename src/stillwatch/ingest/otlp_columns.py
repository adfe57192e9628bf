"""The usual span or log record, column by column: what it says in plain attributes is gathered without a Python object.

Why:    a dictionary for each record and a look-up for each name cost five times what all signals of the record cost.
        Most records of a gateway say everything in attributes of their own, of the expected types.
Misses: any other record (attributes on the resource, events, structured values, a name twice) is left to the reader of
        records, which this must equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stillwatch.ingest import attributes as otel
from stillwatch.ingest import wire
from stillwatch.ingest.access_logs import BODIES, COMMON
from stillwatch.ingest.documents import Json, parsed
from stillwatch.ingest.formats import envoy, otlp
from stillwatch.ingest.messages import request_columns
from stillwatch.ingest.readers import Raw
from stillwatch.ingest.wire import Bytes, Ints

Flags = npt.NDArray[np.uint8]
_TEXTS = ("organization_id", "session_id", "model", "client_ip", "user_agent", "tls_fingerprint")
_COUNTS = ("input_tokens", "output_tokens", "reasoning_tokens")
_OPERATION, _REASONS = "gen_ai.operation.name", "gen_ai.response.finish_reasons"
# Canonical column or part of one -> the attributes it is taken from, the preferred first.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    **{name: otel.ALIASES[name] for name in (*_TEXTS, *_COUNTS)},
    "account_id": otel.ACCOUNTS,
    "status": otel.STATUSES,
    "operation": (_OPERATION,),
    "reasons": (_REASONS,),
    "inputs": otel.INPUTS,
    "outputs": otel.OUTPUTS,
    "systems": otel.SYSTEMS,
}
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
MADE = frozenset(
    {
        *(*_TEXTS, *_COUNTS, "account_id", "status", "exchange_id", "started_at", "prompt", "system_prompt"),
        *("image_count", "finish_reason", "reasoning_issued", "reasoning_replayed", "client_ip_prefix", "metadata"),
    }
)  # columns that are made here; of the last two OTLP knows nothing
_ODD, _GENAI = np.uint8(1), np.uint8(2)
_ANOTHER = -2  # where something else than a text stands
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_INDEXED = (b"gen_ai.prompt.", b"gen_ai.completion.")
_SAYS_EXCHANGE = (b"gen_ai.request.", b"gen_ai.response.", b"gen_ai.usage.")
_PREFIXES = np.frombuffer(b"".join((*_INDEXED, *_SAYS_EXCHANGE)), np.uint8)
_PREFIX_EDGES = np.cumsum([0, *map(len, (*_INDEXED, *_SAYS_EXCHANGE))])


def _asked() -> list[str]:
    """Every attribute that a reader of OTLP asks for, here or record by record."""
    lists = (*_FIELDS.values(), otel.END_USERS, otel.TOOLS, *otel.ALIASES.values(), *COMMON.values())
    found = {name for names in (*lists, *envoy.NAMES.values()) for name in names}
    return sorted(found | set(BODIES) | envoy.SIGNS | {"event.name"})


KEYS = _asked()
NAMES = wire.Names.of(KEYS)
_ODD_KEYS = np.array([name in envoy.SIGNS or name == "event.name" for name in KEYS])


def _uses() -> tuple[Ints, Ints, Ints]:
    """Of each key where its fields begin in a list of places and ranks."""
    begins, places, ranks = [0], [], []
    for key in KEYS:
        for name, aliases in _FIELDS.items():
            if key in aliases:
                places.append(_PLACES[name])
                ranks.append(aliases.index(key))
        begins.append(len(places))
    return np.array(begins), np.array(places), np.array(ranks)


_BEGINS, _USE_PLACES, _USE_RANKS = _uses()


def plain_records(content: bytes, walked: wire.Walked, *, is_log: bool) -> tuple[Raw, npt.NDArray[np.bool_]]:
    """The columns of the records that are plain exchanges, and which records are dealt with by that.

    Raises:
        ArrowInvalid: a text is no UTF-8.
        UnicodeDecodeError: likewise.
    """
    data, records = np.frombuffer(content or b"\0", np.uint8), walked.records
    chosen = np.full((len(records), len(_FIELDS)), -1, np.int64)
    flags, has_shared = np.zeros(len(records), np.uint8), np.zeros(walked.resources, np.bool_)
    _choose(data, walked.pairs, _Uses(_BEGINS, _USE_PLACES, _USE_RANKS, _ODD_KEYS), chosen, flags, has_shared)
    starts, stops = _spans(walked.pairs, chosen[:, _PLACES["reasons"]])
    reasons = _first_texts(data, starts, stops)
    is_odd = (flags & _ODD).astype(bool) | has_shared[records[:, wire.RESOURCE]] | (reasons[0] == _ANOTHER)
    is_odd[walked.events[:, 0]] = True
    is_odd |= records[:, wire.TRACE + 1] - records[:, wire.TRACE] != _TRACE_BYTES
    is_odd |= records[:, wire.SPAN + 1] - records[:, wire.SPAN] != _SPAN_BYTES
    is_odd |= _is_of_odd_kind(walked.pairs, chosen)
    if is_log:
        is_odd |= (records[:, wire.BODY_KIND] > 0) | (records[:, wire.NAME + 1] > 0)
    rows = np.flatnonzero(~is_odd)
    found = _Found(content, data, walked, chosen[rows], (reasons[0][rows], reasons[1][rows]), rows)
    found = found.only(found.is_exchange((flags[rows] & _GENAI) > 0))
    return Raw(found.columns(), pa.array(found.rows + 1)), ~is_odd


def _is_of_odd_kind(pairs: Ints, chosen: Ints) -> npt.NDArray[np.bool_]:
    """Records with a value of a type that its column is not usually given in."""
    kinds = np.where(chosen >= 0, _taken(pairs, chosen)[..., wire.KIND], 0)
    allowed = np.full(len(_FIELDS), wire.STRING)
    allowed[[_PLACES[name] for name in _COUNTS]] = wire.INT
    allowed[_PLACES["reasons"]] = wire.ARRAY
    is_fine = (kinds == 0) | (kinds == allowed)
    is_fine[:, _PLACES["status"]] |= kinds[:, _PLACES["status"]] == wire.INT
    return ~is_fine.all(axis=1)


@dataclass(frozen=True, slots=True)
class _Found:
    """The plain records of a body: which they are, and of each field the pair it is taken from (-1: none)."""

    content: bytes
    data: Bytes
    walked: wire.Walked
    chosen: Ints
    reasons: tuple[Ints, Ints]
    rows: Ints

    def only(self, which: npt.NDArray[np.bool_]) -> "_Found":
        """Some of them."""
        reasons = (self.reasons[0][which], self.reasons[1][which])
        return replace(self, chosen=self.chosen[which], reasons=reasons, rows=self.rows[which])

    def is_exchange(self, says_so: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """As `otlp.is_exchange`: by the operation, else by any attribute of a request, a response or usage."""
        names = self.texts("operation").dictionary_encode()
        fits = np.array([not otlp.is_around(name) for name in names.dictionary.to_pylist()] + [False])
        places = names.indices.fill_null(len(fits) - 1).to_numpy(zero_copy_only=False)
        return np.where(names.is_valid().to_numpy(zero_copy_only=False), fits[places], says_so)

    def columns(self) -> dict[str, Any]:
        """Raw columns under canonical names."""
        records = self.walked.records[self.rows]
        texts = {name: self.texts(name) for name in ("account_id", *_TEXTS)}
        counts = {name: self._counts(name) for name in _COUNTS}
        at = records[:, wire.AT]
        at = np.where(at == 0, records[:, wire.OBSERVED_AT], at)
        ids = _ids(self.data, records)
        named = {"exchange_id": ids, "started_at": pa.array(at), "status": self._statuses(records[:, wire.STATUS])}
        return {**texts, **counts, **named, **self._contents()}

    def texts(self, name: str) -> pa.Array:
        """The values of a field as texts, null where there is none.

        Raises:
            ArrowInvalid: one of them is no UTF-8.
        """
        return self._gathered(*_spans(self.walked.pairs, self.chosen[:, _PLACES[name]]))

    def _gathered(self, starts: Ints, stops: Ints) -> pa.Array:
        offsets, made = _gather(self.data, starts, stops)
        is_valid = pa.py_buffer(np.packbits(starts >= 0, bitorder="little"))
        buffers = [is_valid, pa.py_buffer(offsets), pa.py_buffer(made)]
        found = pa.Array.from_buffers(pa.string(), len(starts), buffers)
        found.validate(full=True)
        return found

    def _counts(self, name: str) -> pa.Array:
        chosen = self.chosen[:, _PLACES[name]]
        return pa.array(_taken(self.walked.pairs, chosen)[:, wire.VALUE], mask=chosen < 0)

    def _statuses(self, codes: Ints) -> pa.Array:
        """The status as HTTP says it, else as the span does."""
        whole = "failure", "success"
        default = pc.if_else(pa.array(codes == otlp.FAILED), *map(pa.scalar, whole))
        chosen = self.chosen[:, _PLACES["status"]]
        pairs = _taken(self.walked.pairs, chosen)
        is_number = (chosen >= 0) & (pairs[:, wire.KIND] == wire.INT)
        numbers = pa.array(pairs[:, wire.VALUE], mask=~is_number).cast(pa.string())
        return pc.coalesce(self.texts("status"), numbers, default)

    def _contents(self) -> dict[str, Any]:
        """What the messages say: the only part that is read record by record."""
        sides = [_spans(self.walked.pairs, self.chosen[:, _PLACES[name]]) for name in _CONTENTS]
        spans = [zip(starts.tolist(), stops.tolist(), strict=True) for starts, stops in sides]
        reasons = self._gathered(*self.reasons).to_pylist()
        rows = [self._content(*told) for told in zip(*spans, reasons, strict=True)]
        columns = list(zip(*rows, strict=True)) or [()] * len(_READ)
        return dict(zip(_READ, map(list, columns), strict=True))

    def _content(
        self, asked: tuple[int, int], answered: tuple[int, int], systems: tuple[int, int], reason: Json
    ) -> tuple[Json, ...]:
        request = request_columns({"messages": self._json(*asked), "system": self._json(*systems)})
        issued, given = None, self.content[slice(*answered)] if answered[0] >= 0 else b""
        if given and (reason is None or _may_hold_artefacts(given)):
            response = otlp.answered_columns(self._json(*answered))
            issued = response.get("reasoning_issued")
            reason = response.get("finish_reason") if reason is None else reason
        names = ("prompt", "system_prompt", "image_count", "reasoning_replayed")
        return (*map(request.get, names), issued, reason)

    def _json(self, start: int, stop: int) -> Json:
        """As `attributes.content` reads it."""
        if start < 0:
            return None
        raw = self.content[start:stop]
        if raw.lstrip()[:1] in (b"[", b"{"):
            try:
                return parsed(raw)
            except (ValueError, RecursionError):
                pass
        return raw.decode()


def _may_hold_artefacts(given: bytes) -> bool:
    """Whether a reasoning artefact may be in a completion: its field or its type is named, or an escape could do so."""
    return b"ignature" in given or b"ncrypted" in given or b"edacted" in given or b"\\u" in given


_CONTENTS = ("inputs", "outputs", "systems")
_READ = ("prompt", "system_prompt", "image_count", "reasoning_replayed", "reasoning_issued", "finish_reason")


class _Uses(NamedTuple):
    """Which fields a key may be taken for: places and ranks from `begins[key]` on; and keys of other kinds of logs."""

    begins: Ints
    places: Ints
    ranks: Ints
    is_odd: npt.NDArray[np.bool_]


def _taken(pairs: Ints, chosen: Ints) -> Ints:
    """The rows of pairs that were chosen; any row where none was."""
    return (pairs if len(pairs) else np.zeros((1, wire.PAIR_COLUMNS), np.int64))[np.maximum(chosen, 0)]


def _spans(pairs: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Start and stop of the values that were chosen; -1 where there is none, or a number."""
    found = _taken(pairs, chosen)
    is_span = (chosen >= 0) & (found[:, wire.KIND] != wire.INT)
    return np.where(is_span, found[:, wire.VALUE], -1), np.where(is_span, found[:, wire.VALUE + 1], -1)


def _ids(data: Bytes, records: Ints) -> pa.Array:
    """Trace and span of each record as `otlp.exchange_id` writes them."""
    size = 2 * (_TRACE_BYTES + _SPAN_BYTES) + 1
    made = np.empty((len(records), size), np.uint8)
    _write_ids(data, records, made)
    offsets = np.arange(0, size * (len(records) + 1), size, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(records), [None, pa.py_buffer(offsets), pa.py_buffer(made)])


@njit(nogil=True, cache=True)
def _begins(data: Bytes, start: int, stop: int, number: int) -> bool:
    """Whether a key begins with a prefix."""
    first, last = _PREFIX_EDGES[number], _PREFIX_EDGES[number + 1]
    if stop - start < last - first:
        return False
    is_same = True
    for i in range(last - first):
        is_same = is_same and data[start + i] == _PREFIXES[first + i]
    return is_same


@njit(nogil=True, cache=True)
def _choose(
    data: Bytes, pairs: Ints, uses: _Uses, chosen: Ints, flags: Flags, has_shared: npt.NDArray[np.bool_]
) -> None:
    """For each record and field the pair of the best rank that is not empty; what is odd or an exchange is marked."""
    ranks = np.full(chosen.shape, 127, np.int8)
    seen = np.full(len(uses.is_odd), -1, np.int64)
    for row in range(len(pairs)):
        owner, key = pairs[row, 0], pairs[row, 2]
        if owner < 0:
            has_shared[-1 - owner] = True
            continue
        start, stop = pairs[row, 3], pairs[row, 4]
        for number in range(5):
            if _begins(data, start, stop, number):
                flags[owner] |= np.uint8(1) if number < 2 else np.uint8(2)
        if key < 0:
            continue
        if uses.is_odd[key] or seen[key] == owner:
            flags[owner] |= np.uint8(1)
        seen[key] = owner
        kind, value, last = pairs[row, 5], pairs[row, 6], pairs[row, 7]
        is_number = kind in (2, 3, 4)
        if kind == 0 or (kind == 3 and value < 0) or (not is_number and kind != 6 and value == last):
            continue
        for use in range(uses.begins[key], uses.begins[key + 1]):
            place, rank = uses.places[use], uses.ranks[use]
            if rank < ranks[owner, place]:
                ranks[owner, place] = rank
                chosen[owner, place] = row


@njit(nogil=True, cache=True)
def _first_texts(data: Bytes, starts: Ints, stops: Ints) -> tuple[Ints, Ints]:
    """Start and stop of the first value of each ArrayValue; -1 when there is none, -2 when it is something else."""
    first, last = np.full(len(starts), -1, np.int64), np.full(len(starts), -1, np.int64)
    for row in range(len(starts)):
        at, end = starts[row], stops[row]
        if at < 0:
            continue
        number, wire_type, start, stop, after = wire.field(data, at, end)
        kind, value, value_end, ended = wire.any_field(data, start, stop)
        if after < 0 or number != 1 or wire_type != 2 or kind != 1 or ended < 0:
            first[row] = last[row] = -2
        else:
            first[row], last[row] = value, value_end
    return first, last


@njit(nogil=True, cache=True)
def _gather(data: Bytes, starts: Ints, stops: Ints) -> tuple[npt.NDArray[np.int32], Bytes]:
    """Offsets and bytes of spans, one after the other; of one that starts below 0 nothing."""
    offsets = np.zeros(len(starts) + 1, np.int32)
    total = 0
    for row in range(len(starts)):
        total += max(stops[row] - starts[row], 0) if starts[row] >= 0 else 0
        offsets[row + 1] = total
    made = np.empty(max(total, 1), np.uint8)
    for row in range(len(starts)):
        if starts[row] >= 0:
            made[offsets[row] : offsets[row + 1]] = data[starts[row] : stops[row]]
    return offsets, made


@njit(nogil=True, cache=True)
def _write_ids(data: Bytes, records: Ints, made: Bytes) -> None:
    for row in range(len(records)):
        at = 0
        for part in range(2):
            first, last = records[row, 1 + 2 * part], records[row, 2 + 2 * part]
            if part:
                made[row, at] = 58  # a colon
                at += 1
            for place in range(first, last):
                made[row, at], made[row, at + 1] = _DIGITS[data[place] >> 4], _DIGITS[data[place] & 15]
                at += 2
