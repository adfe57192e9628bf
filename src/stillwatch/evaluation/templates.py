"""Templates and workloads: which wordings an owner fixed, and how items are dealt to the accounts that send them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.grammar import AFTER, BEFORE, MIDDLE, PROMPT_PARTS, Grammar, ItemKinds, Recipe, worded
from stillwatch.evaluation.paraphrase import variants
from stillwatch.evaluation.parts import NONE, PartPool, mix, stream

FIXED_PARTS = BEFORE + MIDDLE + AFTER
EQUIPPED = 0.25  # of the templates without need of tools offer some all the same
VARIANTS = 4_096  # of each part of a template whose words are replaced on every call
REWORDINGS = 24  # wordings kept of each part of a template that is reworded on every call


class Dealing(IntEnum):
    """How a workload picks its next item."""

    FREE = 0  # anything; two requests hardly ever carry the same item
    SET = 1  # one of a small fixed set, again and again
    SHARD = 2  # the next unused item of a corpus shared out over the accounts
    PARALLEL = 3  # the same, each item once under every template of the workload


@dataclass(frozen=True, slots=True)
class Templates:
    """One row per template, frozen for generation."""

    low: npt.NDArray[np.int32]  # (templates, FIXED_PARTS) first wording of each part, NONE for no part
    wordings: npt.NDArray[np.int32]  # (templates, FIXED_PARTS) wordings to choose from
    system: npt.NDArray[np.int32]  # (templates,) first wording of the system prompt, or NONE
    systems: npt.NDArray[np.int32]  # (templates,) wordings of it to choose from
    item: npt.NDArray[np.int32]  # (templates,) kind of the item
    second: npt.NDArray[np.int32]  # (templates,) kind of the second item, or NONE
    output_tokens: npt.NDArray[np.float64]
    reasoning_share: npt.NDArray[np.float64]
    tools: npt.NDArray[np.int32]
    images: npt.NDArray[np.int32]
    followup: int  # the template of short replies inside a conversation


@dataclass(frozen=True, slots=True)
class Workloads:
    """One row per workload: a run of templates and a way to deal items."""

    template: npt.NDArray[np.int32]  # first template
    templates: npt.NDArray[np.int32]  # how many
    dealing: npt.NDArray[np.int8]
    items: npt.NDArray[np.int64]  # size of the set or of the corpus
    salt: npt.NDArray[np.int64]  # which set or corpus


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of item, frozen for generation."""

    first: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    def parts(self, kind: npt.NDArray[np.int32], item: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The parts of each item: frame and words are the digits of its number."""
        frame = self.first[kind] + (item % self.count[kind].astype(np.uint64)).astype(np.int64)
        rest = mix(item, 17)
        low, size = self.low[frame], self.size[frame]
        out = np.full(low.shape, NONE, np.int32)
        for place in range(low.shape[1]):
            radix = np.maximum(size[:, place], 1).astype(np.uint64)
            digit = (rest % radix).astype(np.int64)
            rest = rest // radix
            out[:, place] = np.where(size[:, place] > 0, low[:, place] + digit, NONE)
        return out


@dataclass(slots=True)
class Library:
    """Templates and workloads of a world while it is planned."""

    words: Grammar
    with_text: bool = True
    pool: PartPool = field(default_factory=PartPool)
    rows: list[tuple[list[tuple[int, int]], tuple[int, int], int, int, Recipe, int]] = field(default_factory=list)
    loads: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    kinds: ItemKinds = field(init=False)
    followup: int = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = ItemKinds(self.pool)
        self.followup = self.template("followup", stream("followup"), bare=True)

    def system(self, recipe: str, rng: np.random.Generator, *, bare: bool = False) -> str:
        """A system prompt that goes with a recipe; never empty where the item is sent alone in a template's place."""
        form, dice = self.words.recipes[recipe], Random(int(rng.integers(2**62)))
        options = [text for text in form.system if text] or ["@persona"] if bare and form.before else form.system
        return worded(dice.choice(options), dice, self.words) if self.with_text else ""

    def template(
        self,
        recipe: str,
        rng: np.random.Generator,
        *,
        item: int | None = None,
        system: str | None = None,
        reworded: bool = False,
        bare: bool = False,
        paraphrase: float = 0.0,
    ) -> int:
        """Fix one template of a recipe, under `system` or one that goes with it; `bare` sends the item alone.

        Each call replaces the share `paraphrase` of the words of the template and of its system prompt.
        """
        system = self.system(recipe, rng, bare=bare) if system is None else system
        dice = Random(int(rng.integers(2**62)))
        form = self.words.recipes[recipe]
        kind = self.kinds.number(dice.choice(form.item), self.words) if item is None else item
        second = NONE if form.second is None or bare else self.kinds.number(form.second, self.words)
        empty = bare or not self.with_text
        fixed = [[""]] * FIXED_PARTS if empty else self._places(form, dice, REWORDINGS if reworded else 1)
        offered = dice.randrange(2, 15) if form.tools or dice.random() < EQUIPPED else 0
        places = [self._run(wordings, paraphrase) for wordings in fixed]
        self.rows.append((places, self._run([system], paraphrase), kind, second, form, offered))
        return len(self.rows) - 1

    def assembled(self, recipe: str, before: Sequence[Sequence[str]], *, item: int, after: str = "") -> int:
        """Fix one template that draws each part before its item from the texts of that part, anew on each call."""
        parts = [*before, *[[""]] * (BEFORE + MIDDLE - len(before)), [after], *[[""]] * (AFTER - 1)]
        places = [self._run(texts if self.with_text else [""], 0.0) for texts in parts]
        self.rows.append((places, (NONE, 1), item, NONE, self.words.recipes[recipe], 0))
        return len(self.rows) - 1

    def _places(self, form: Recipe, dice: Random, count: int) -> list[list[str]]:
        """The wordings of each fixed part of a template; a part that is not there has one empty wording."""
        places = []
        for parts, room in ((form.before, BEFORE), (form.middle, MIDDLE), (form.after, AFTER)):
            for text in (*parts, *[""] * (room - len(parts))):
                places.append([worded(text, dice, self.words) for _ in range(count)] if text else [""])
        return places

    def _run(self, wordings: Sequence[str], paraphrase: float) -> tuple[int, int]:
        """The parts to draw from, (first, count), for a text with these wordings."""
        if wordings == [""]:
            return NONE, 1
        if paraphrase:
            each = VARIANTS // len(wordings)
            return self.pool.add_run(new for text in wordings for new in variants(text, paraphrase, each))
        return (self.pool.add(wordings[0]), 1) if len(wordings) == 1 else self.pool.add_run(wordings)

    def workload(self, templates: Sequence[int], dealing: Dealing, *, items: int = 1, salt: int = 0) -> int:
        """A workload over consecutive templates."""
        self.loads.append((templates[0], len(templates), int(dealing), max(items, 1), salt))
        return len(self.loads) - 1

    def freeze_templates(self) -> Templates:
        """The templates as arrays."""
        forms = [row[4] for row in self.rows]
        places = np.array([row[0] for row in self.rows], np.int32)  # (templates, FIXED_PARTS, 2)
        systems = np.array([row[1] for row in self.rows], np.int32)  # (templates, 2)
        return Templates(
            low=places[:, :, 0],
            wordings=places[:, :, 1],
            system=systems[:, 0],
            systems=systems[:, 1],
            item=np.array([row[2] for row in self.rows], np.int32),
            second=np.array([row[3] for row in self.rows], np.int32),
            output_tokens=np.array([form.output_tokens for form in forms], np.float64),
            reasoning_share=np.array([form.reasoning_share for form in forms], np.float64),
            tools=np.array([row[5] for row in self.rows], np.int32),
            images=np.array([form.images for form in forms], np.int32),
            followup=self.followup,
        )

    def freeze_workloads(self) -> Workloads:
        """The workloads as arrays."""
        loads = np.array(self.loads, np.int64)
        return Workloads(
            template=loads[:, 0].astype(np.int32),
            templates=loads[:, 1].astype(np.int32),
            dealing=loads[:, 2].astype(np.int8),
            items=loads[:, 3],
            salt=loads[:, 4],
        )

    def freeze_kinds(self) -> Kinds:
        """The kinds of item as arrays."""
        return Kinds(
            first=np.array(self.kinds.first, np.int64),
            count=np.array(self.kinds.count, np.int64),
            low=np.array(self.kinds.low, np.int64),
            size=np.array(self.kinds.size, np.int64),
        )


def system_parts(
    templates: Templates, template: npt.NDArray[np.int32], session: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int32]:
    """The part of each exchange's system prompt, one wording for a whole session (rows,)."""
    low, choices = templates.system[template], templates.systems[template]
    drawn = (mix(session, 37) % choices.astype(np.uint64)).astype(np.int32)
    parts: npt.NDArray[np.int32] = np.where(low == NONE, NONE, low + drawn).astype(np.int32)
    return parts


def prompt_parts(
    templates: Templates,
    kinds: Kinds,
    template: npt.NDArray[np.int32],
    item: npt.NDArray[np.uint64],
    wording: npt.NDArray[np.uint64],
) -> npt.NDArray[np.int32]:
    """The parts of each prompt: the template's wordings around one item or two (rows, PROMPT_PARTS)."""
    low, choices = templates.low[template], templates.wordings[template]
    places = np.arange(FIXED_PARTS, dtype=np.uint64)
    drawn = (wording[:, None] >> (places * np.uint64(8))) % choices.astype(np.uint64)
    fixed = np.where(low == NONE, NONE, low + drawn.astype(np.int32)).astype(np.int32)
    rows = np.full((len(template), PROMPT_PARTS), NONE, np.int32)
    middle = BEFORE + kinds.low.shape[1]
    rows[:, :BEFORE] = fixed[:, :BEFORE]
    rows[:, BEFORE:middle] = kinds.parts(templates.item[template], item)
    rows[:, middle : middle + MIDDLE] = fixed[:, BEFORE : BEFORE + MIDDLE]
    second = templates.second[template]
    has_second = np.flatnonzero(second != NONE)
    if len(has_second):
        filled = kinds.parts(second[has_second], mix(item[has_second], 5))
        rows[has_second, middle + MIDDLE : -AFTER] = filled
    rows[:, -AFTER:] = fixed[:, -AFTER:]
    return rows
