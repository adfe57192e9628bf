"""Who is kept apart from whom, and how a window of traffic is drawn.

Each round deals the repositories of legitimate prompts out: one is the placebo, the others are reference, calibration
and test in equal parts. Every repository is the placebo equally often. A distillation repository that also has
legitimate prompts outside the placebo sits a round out, so nothing is ever on two sides.

Legitimate traffic is then one of two kinds. `foreign` comes from the test part, which the reference has never seen.
`own` comes from the repositories of reference and test, whose other prompts are the reference, as an operator knows
the traffic of its own customers. Placebo, distillation and calibration are unseen in both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .corpus import Corpus, Ints

SHARES = (0.05, 0.10, 0.25)
SIZES = ((100, 1), (500, 1), (1500, 1), (100, 50))  # queries of each account, accounts
KINDS = ("foreign", "own")

Stream = tuple[str, str]  # repository, family
Part = Mapping[Stream, Ints]  # rows of the corpus


@dataclass(frozen=True, slots=True)
class Cell:
    """Windows of one kind: queries per account, accounts, share of the source that is mixed in."""

    queries: int
    accounts: int
    share: float

    @property
    def name(self) -> str:
        """As the tables show it."""
        alone = f"{self.queries:,} alone" if self.accounts == 1 else f"{self.accounts} × {self.queries} pooled"
        return f"{alone}, {self.share:.0%}"


CELLS = tuple(Cell(queries, accounts, share) for queries, accounts in SIZES for share in SHARES)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round deals out; `own` is the other half of what `known` holds."""

    reference: Part
    calibration: Part
    test: Part
    known: Part
    own: Part
    placebo: Part
    distillation: Part

    def kind(self, name: str) -> tuple[Part, Part]:
        """What is learned from and what legitimate traffic is drawn from, for one of KINDS."""
        return (self.reference, self.test) if name == "foreign" else (self.known, self.own)


@dataclass(frozen=True, slots=True)
class Window:
    """Prompts drawn, by row of the corpus, and the account each belongs to."""

    rows: Ints
    account: Ints


def rounds(corpus: Corpus, count: int, rng: np.random.Generator) -> Iterator[Round]:
    """Deal the repositories out, again and again.

    Raises:
        ValueError: fewer than four repositories have enough legitimate prompts, or none has distillation prompts.
    """
    names = sorted({repository for repository, _ in corpus.legitimate})
    if len(names) < 4 or not corpus.distillation:
        raise ValueError(
            f"{len(names)} repositories have legitimate prompts and {len(corpus.distillation)} streams distillation "
            "prompts; at least four and one are needed (a stream is a repository and family of 40 prompts or more)"
        )
    order: list[str] = []
    for _ in range(count):
        order = order or list(rng.permutation(names))
        placebo = order.pop()
        rest = list(rng.permutation([name for name in names if name != placebo]))
        yield _dealt(corpus, placebo, rest, rng)


def _dealt(corpus: Corpus, placebo: str, rest: Sequence[str], rng: np.random.Generator) -> Round:
    reference, test, calibration = (_of(corpus.legitimate, rest[part::3]) for part in range(3))
    shuffled = {stream: rng.permutation(rows) for stream, rows in sorted({**reference, **test}.items())}
    return Round(
        reference,
        calibration,
        test,
        known={stream: rows[::2] for stream, rows in shuffled.items()},
        own={stream: rows[1::2] for stream, rows in shuffled.items()},
        placebo=_of(corpus.legitimate, [placebo]),
        distillation={stream: rows for stream, rows in corpus.distillation.items() if stream[0] not in rest},
    )


def _of(streams: Part, repositories: Sequence[str]) -> Part:
    return {stream: rows for stream, rows in sorted(streams.items()) if stream[0] in set(repositories)}


def window(base: Part, cell: Cell, source: Ints | None, rng: np.random.Generator) -> Window:
    """Legitimate traffic, every stream of `base` alike, with the share of `source` mixed into every account.

    A prompt comes twice only where a stream has fewer than are wanted of it.
    """
    mixed = round(cell.queries * cell.share) if source is not None else 0
    account = np.arange(cell.accounts)
    counts = rng.multinomial((cell.queries - mixed) * cell.accounts, np.full(len(base), 1 / len(base)))
    ordinary = np.concatenate([_taken(rows, n, rng) for rows, n in zip(base.values(), counts, strict=True)])
    rows, owners = [rng.permutation(ordinary)], [np.repeat(account, cell.queries - mixed)]
    if source is not None:
        rows.append(_taken(source, mixed * cell.accounts, rng))
        owners.append(np.repeat(account, mixed))
    return Window(np.concatenate(rows), np.concatenate(owners))


def _taken(rows: Ints, count: int, rng: np.random.Generator) -> Ints:
    return np.asarray(rng.choice(rows, count, replace=count > len(rows)))
