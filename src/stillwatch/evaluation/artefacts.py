"""Opaque reasoning artefacts: issued where a model thinks, sent back by whoever holds them.

Why:    replaying other people's artefacts is a disclosed sign; resuming a conversation, moving it to another account of
        one's organisation, and pasting a transcript that went round look the same in a single exchange.
Misses: artefacts kept for days (everything is sent back on the day it was issued), and transcripts published during the
        window by an account of the world.
Source: own; no provider has published how often its customers send artefacts back.

Numbers stand for artefacts, 0 for none. They are hashes of what is drawn anyway, so no other draw moves.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stillwatch.evaluation.parts import hex_ids, mix
from stillwatch.evaluation.people import Columns

Draws = dict[str, npt.NDArray[Any]]
Ids = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MOST_REPLAYED = 4  # artefacts one exchange sends back; older turns are dropped by clients
FAILOVERS = 0.03  # of an organisation's conversations go on where another of its accounts stopped
PASTERS = 0.06  # of the accounts that belong to no organisation paste transcripts they found
PASTED = 0.08  # of a paster's conversations begin with one
TRANSCRIPTS = 60  # that went round, a few of them very popular
RECENT = 96  # artefacts of a campaign among which a replaying account picks


def handed_out(people: Columns, draws: Draws, work: Ints, *, first: int, seed: int) -> Draws:
    """`issued` (rows,) and `replayed` (rows, MOST_REPLAYED) for a population's day, ordered by account and session."""
    chance, own = mix(draws["wording"], 53), draws["account"].astype(np.int64) - first
    issued = np.where(draws["reasoning_tokens"] > 0, mix(draws["wording"], 59) | np.uint64(1), np.uint64(0))
    replayed = _resumed(draws, issued)
    opens = draws["has_session"] & (draws["position"] == 0)
    _put(replayed, *_moved(people["organization"][own], draws, issued, opens & (_unit(chance) < FAILOVERS)))
    if "campaign" in people and people["campaign"][:1].tolist() == [None]:
        alone = ~_named(people["organization"][own])
        _paste(seed, draws, replayed, opens & alone & (_unit(mix(chance, 3)) < PASTED))
    if "replay_work" in people:
        replays = work == people["replay_work"][own]
        _put(replayed, *_borrowed(draws, issued, replays, chance))
    return {"issued": issued, "replayed": replayed}


def artefact_lists(numbers: Ids) -> pa.Array:
    """A list of artefacts per row (rows, most); null where it has none."""
    held = numbers != 0
    counts = held.sum(axis=1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, hex_ids("rsn_", numbers[held]), mask=pa.array(counts == 0))


def _named(names: npt.NDArray[np.object_]) -> Flags:
    """Whether an organisation is named."""
    return np.array([name is not None for name in names], dtype=bool)


def _unit(numbers: Ids) -> npt.NDArray[np.float64]:
    return (numbers >> np.uint64(40)).astype(np.float64) / 2**24


def _resumed(draws: Draws, issued: Ids) -> Ids:
    """What each turn of a conversation sends back of its own earlier turns."""
    replayed = np.zeros((len(issued), MOST_REPLAYED), np.uint64)
    session, talks = draws["session"], draws["has_session"]
    for back in range(1, MOST_REPLAYED + 1):
        same = talks[back:] & (session[back:] == session[:-back])
        replayed[back:, back - 1] = np.where(same, issued[:-back], np.uint64(0))
    return replayed


def _put(replayed: Ids, rows: Ints, found: Ids) -> None:
    """Send back `found` first; what a client drops is the oldest."""
    replayed[rows, 1:] = replayed[rows, :-1]
    replayed[rows, 0] = found


def _moved(names: npt.NDArray[np.object_], draws: Draws, issued: Ids, chosen: Flags) -> tuple[Ints, Ids]:
    """Rows that go on where another account of the organisation stopped last, and the artefact they hold."""
    owner = np.where(_named(names), np.unique(names.astype(str), return_inverse=True)[1], -1)
    order = np.lexsort((draws["at_us"], owner))
    last = _latest_before(issued[order] != 0)
    source = np.where(last >= 0, order[np.maximum(last, 0)], -1)
    target = order
    account = draws["account"]
    fits = (source >= 0) & chosen[target] & (owner[target] >= 0)
    fits &= (owner[source] == owner[target]) & (account[source] != account[target])
    return target[fits], issued[source[fits]]


def _latest_before(marked: Flags) -> Ints:
    """For each place the last marked place before it, -1 for none."""
    places = np.where(marked, np.arange(len(marked)), -1)
    return np.concatenate([[-1], np.maximum.accumulate(places)[:-1]]) if len(marked) else places


def _paste(seed: int, draws: Draws, replayed: Ids, chosen: Flags) -> None:
    """Let some people of no organisation begin with a transcript that was public before the window opened."""
    paster = _unit(mix(draws["account"].astype(np.int64), 61 + seed)) < PASTERS
    rows = np.flatnonzero(chosen & paster)
    number = (TRANSCRIPTS * _unit(mix(draws["wording"][rows], 67)) ** 2.5).astype(np.int64)
    for turn in range(MOST_REPLAYED):
        replayed[rows, turn] = mix(number * MOST_REPLAYED + turn, 71 + seed) | np.uint64(1)


def _borrowed(draws: Draws, issued: Ids, chosen: Flags, chance: Ids) -> tuple[Ints, Ids]:
    """Rows that send back what another account of the population was issued a little earlier, and the artefact."""
    order = np.argsort(draws["at_us"], kind="stable")
    sources = order[issued[order] != 0]
    before = np.searchsorted(draws["at_us"][sources], draws["at_us"], side="left")
    ago = (_unit(mix(chance, 7)) * np.minimum(before, RECENT)).astype(np.int64)
    rows = np.flatnonzero(chosen & (before > 0))
    source = sources[(before - 1 - ago)[rows]]
    other = draws["account"][source] != draws["account"][rows]
    return rows[other], issued[source[other]]
