"""Prompt text: parts, wordings, items and templates."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.evaluation.grammar import ITEM_PARTS, SLOT, grammar, worded
from stillwatch.evaluation.parts import NONE, PartPool, hex_ids, mix, stream
from stillwatch.evaluation.templates import Library, prompt_parts
from stillwatch.records import CAPABILITIES


@given(st.lists(st.text(max_size=8), min_size=1, max_size=6), st.data())
def test_rows_of_parts_read_as_their_texts_joined(texts: list[str], data: st.DataObject) -> None:
    pool = PartPool()
    first, count = pool.add_run(texts)
    row = st.lists(st.integers(NONE, count - 1), min_size=3, max_size=3)
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    made = pool.freeze().texts(np.array(rows, np.int32))
    made.validate(full=True)
    expected = ["".join(texts[p - first] for p in row if p >= 0) if any(p >= 0 for p in row) else None for row in rows]
    assert made.to_pylist() == expected


def test_hex_ids_are_python_hex_and_null_where_absent() -> None:
    numbers = np.array([0, 255, 2**64 - 1], np.uint64)
    assert hex_ids("x_", numbers).to_pylist() == [f"x_{n:016x}" for n in numbers.tolist()]
    assert hex_ids("x_", numbers, np.array([False, True, False])).to_pylist()[1] is None


def test_mixing_is_one_to_one_and_depends_on_the_salt() -> None:
    numbers = np.arange(100_000)
    assert len(np.unique(mix(numbers, 1))) == 100_000
    assert not np.array_equal(mix(numbers, 1), mix(numbers, 2))


def test_streams_are_told_apart_by_their_names() -> None:
    assert stream("a", 1).integers(2**60) == stream("a", 1).integers(2**60)
    assert stream("a", 1).integers(2**60) != stream("a", 2).integers(2**60)


def test_choices_slots_and_names_are_decided_and_other_braces_are_kept() -> None:
    said = {worded('{a|b} \\boxed{} {"k": {"n": 1}} [[n]] [name]', Random(k), grammar()) for k in range(40)}
    assert {text[0] for text in said} == {"a", "b"}
    assert all(' \\boxed{} {"k": {"n": 1}} [[n]] ' in text for text in said)
    assert not any("[name]" in text for text in said)


@pytest.mark.parametrize("name", sorted(grammar().recipes))
def test_every_recipe_reads_without_leftover_marks(name: str) -> None:
    recipe = grammar().recipes[name]
    dice = Random(1)
    for _ in range(30):
        text = "".join(
            worded(part, dice, grammar()) for part in (*recipe.system, *recipe.before, *recipe.middle, *recipe.after)
        )
        assert "|" not in text
        assert "@" not in text
        assert not any(slot in grammar().slots for slot in SLOT.findall(text))
    assert recipe.capability in CAPABILITIES


@pytest.mark.parametrize("kind", sorted(grammar().frames))
def test_every_frame_fits_and_knows_its_slots(kind: str) -> None:
    for frame in grammar().frames[kind]:
        pieces = SLOT.split(frame)
        assert len([piece for piece in pieces if piece]) <= ITEM_PARTS
        assert all(slot in grammar().slots for slot in pieces[1::2])


def test_harvest_templates_are_of_the_length_of_real_ones() -> None:
    library = Library(grammar())
    template = library.template("reasoning", stream("t"))
    rows = prompt_parts(
        library.freeze_templates(),
        library.freeze_kinds(),
        np.full(500, template, np.int32),
        np.arange(500, dtype=np.uint64),
        np.zeros(500, np.uint64),
    )
    lengths = [len(text) for text in library.pool.freeze().texts(rows).to_pylist()]
    assert 300 < np.median(lengths) < 1_500


def test_items_differ_by_number_and_templates_stay() -> None:
    library = Library(grammar())
    fixed, reworded = (
        library.template("reasoning", stream("t")),
        library.template("reasoning", stream("t"), reworded=True),
    )
    templates, kinds = library.freeze_templates(), library.freeze_kinds()
    items = np.arange(200, dtype=np.uint64)
    parts = library.pool.freeze()

    def heads(template: int) -> set[str]:
        rows = prompt_parts(templates, kinds, np.full(200, template, np.int32), items, mix(items, 1))
        texts = parts.texts(rows).to_pylist()
        assert len(set(texts)) > 190
        return {text[:60] for text in texts}

    assert len(heads(fixed)) == 1
    assert len(heads(reworded)) > 10
