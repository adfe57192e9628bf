"""Templates: whole sets of recurring wordings, and nothing that is merely asked again."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import numpy as np
import pyarrow as pa
import pytest

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import (
    TEMPLATED_SCHEMA,
    VOCABULARY,
    Templated,
    Vocabulary,
    accepted,
    groups,
    indexed,
    looks,
    loose_templates,
    numbered_accounts,
    sampled,
    template_traits,
    templated_batches,
    vocabulary,
)
from stillwatch.linkage import templated as templates_of
from stillwatch.records import SKETCH_SIZE, TEMPLATE_KINDS, TRAITS, arrow_schema

Sketch = list[int] | None
Sent = tuple[str, Sketch]  # an account and the sketch of a prompt of its
KEPT = [field for field in TEMPLATED_SCHEMA if field.name not in ("template_id", "item_id")]
FIRST, SECOND, THIRD = [101, 102, 103, 104], [-201, 202, 203, 204], [301, 302, 303, 304]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def fresh(rng: np.random.Generator, count: int) -> list[int]:
    """Fingerprints that nothing else has."""
    return [int(n) for n in rng.integers(10**6, 10**15, count)]


def sent(wording: list[int], rng: np.random.Generator, *, accounts: int, texts: int, name: str = "a") -> list[Sent]:
    """A wording from each of some accounts, with another item around it each time."""
    return [(f"{name}{a}", wording + fresh(rng, 8)) for a in range(accounts) for _ in range(texts)]


def signals(prompts: list[Sent], sketches: pa.DataType | None = None) -> pa.RecordBatch:
    """A batch of signals; two prompts are the same text when their sketches are equal."""
    rows = [
        {
            "exchange_id": i,
            "account_id": account,
            "started_at": datetime(2026, 1, 1, i % 24, tzinfo=UTC),
            "sketch": None if sketch is None else (sketch + [0] * SKETCH_SIZE)[:SKETCH_SIZE],
            "text_id": None if sketch is None else hash(tuple(sketch)),
        }
        for i, (account, sketch) in enumerate(prompts)
    ]
    sketch_type = sketches or pa.list_(pa.int64(), SKETCH_SIZE)
    schema = pa.schema([*KEPT, pa.field("sketch", sketch_type), pa.field("text_id", pa.int64())])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def recurring(batch: pa.RecordBatch, parts: int = 1) -> np.ndarray:
    """The vocabulary, as the pipeline hands it on."""
    table = pa.Table.from_batches([batch])
    with TemporaryDirectory() as work, EmbeddedEngine(Path(work)) as engine:
        return vocabulary(
            engine.memory(table), numbered_accounts(ibis.memtable(table)), engine, Path(work), parts=parts
        )


def known_to(batch: pa.RecordBatch) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary with its groups and the templates that recur as exact sets, as `templated` works them out."""
    fingerprints = recurring(batch)
    looked = ibis.memtable(pa.Table.from_batches([looks(indexed(fingerprints))(batch)]))
    exact = accepted(looked)
    prompts = sampled(looked, exact, accounts=40).to_pyarrow()["numbers"]
    return indexed(fingerprints, groups(prompts, len(fingerprints))), np.sort(
        exact.to_pyarrow()["template_id"].to_numpy()
    )


def words(prompts: list[Sent]) -> set[int]:
    return set(recurring(signals(prompts)).tolist())


def templated(prompts: list[Sent], batches: int = 1) -> pa.Table:
    """The prompts with their templates, assigned batch by batch."""
    batch = signals(prompts)
    assign = templated_batches(*known_to(batch))
    size = -(-batch.num_rows // batches)
    return pa.Table.from_batches([assign(batch.slice(i, size)) for i in range(0, batch.num_rows, size)])


def template_ids(prompts: list[Sent], batches: int = 1) -> list[int | None]:
    return templated(prompts, batches)["template_id"].to_pylist()


def found(prompts: list[Sent]) -> Templated:
    """What a run has of the prompts: their templates, and which of these recur word for word."""
    known, exact = known_to(signals(prompts))
    named = (ibis.memtable(pa.table({"template_id": ids})) for ids in (exact, loose_templates(known)))
    return Templated(ibis.memtable(templated(prompts)), *named)


def traits(prompts: list[Sent]) -> list[dict[str, object]]:
    rows = template_traits(found(prompts)).to_pyarrow().to_pylist()
    return [row for row in rows if row["kind"] in TEMPLATE_KINDS]


def test_a_wording_in_ever_new_texts_is_vocabulary_and_the_items_are_not(rng: np.random.Generator) -> None:
    assert words(sent(FIRST, rng, accounts=4, texts=6)) == set(FIRST)


def test_an_item_that_many_accounts_send_over_and_over_is_no_vocabulary(rng: np.random.Generator) -> None:
    question = fresh(rng, SKETCH_SIZE)
    prompts: list[Sent] = [(f"a{i % 40}", question) for i in range(400)]
    assert words(prompts) == set()


def test_accounts_use_a_wording_in_three_texts_on_average_or_it_is_no_vocabulary(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=4, texts=3)
    assert words(prompts) == set(FIRST)
    assert words(prompts[:-1]) == set()


def test_a_wording_in_fewer_than_five_texts_is_no_vocabulary(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=1, texts=5)
    assert words(prompts) == set(FIRST)
    assert words(prompts[:-1]) == set()


def test_a_text_sent_again_by_its_account_counts_once(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=2, texts=2)
    assert words(prompts * 10) == set()


def test_two_owners_who_share_a_sentence_have_two_templates(rng: np.random.Generator) -> None:
    sentence = [7, 8]
    one = sent(FIRST + sentence, rng, accounts=3, texts=5, name="one-")
    two = sent(SECOND + sentence, rng, accounts=3, texts=5, name="two-")
    others = sent(sentence, rng, accounts=20, texts=4, name="loose-")
    found = template_ids(one + two + others)
    assert [len(set(part)) for part in (found[:15], found[15:30], found[30:])] == [1, 1, 1]
    assert len(set(found)) == 3
    assert None not in found


def test_a_single_recurring_fingerprint_is_no_template_and_two_are(rng: np.random.Generator) -> None:
    alone, pair = sent([7], rng, accounts=3, texts=5), sent([8, 9], rng, accounts=3, texts=5, name="b")
    found = template_ids(alone + pair)
    assert words(alone + pair) == {7, 8, 9}
    assert set(found[:15]) == {None}
    assert None not in found[15:]


def test_a_fingerprint_twice_in_one_sketch_counts_once(rng: np.random.Generator) -> None:
    twice = sent([7, 7], rng, accounts=3, texts=5)
    assert words(twice) == {7}
    assert set(template_ids(twice)) == {None}
    threefold, once = sent([8, 8, 8, 9], rng, accounts=3, texts=5), sent([8, 9], rng, accounts=3, texts=5)
    assert len(set(template_ids(threefold + once))) == 1


def test_prompts_with_no_wording_in_common_bear_no_template(rng: np.random.Generator) -> None:
    noise: list[Sent] = [(f"n{i % 20}", fresh(rng, SKETCH_SIZE)) for i in range(200)]
    found = template_ids(sent(FIRST, rng, accounts=4, texts=5) + noise)
    assert None not in found[:20]
    assert set(found[20:]) == {None}


def test_prompts_without_a_sketch_or_with_an_empty_one_bear_no_template(rng: np.random.Generator) -> None:
    found = template_ids([*sent(FIRST, rng, accounts=3, texts=5), ("a0", None), ("a0", [])])
    assert found[-2:] == [None, None]
    assert None not in found[:-2]
    assert template_ids([("a", None), ("b", None)]) == [None, None]


def test_padding_is_no_fingerprint(rng: np.random.Generator) -> None:
    short: list[Sent] = [(f"a{i % 3}", [*FIRST, *fresh(rng, 1)]) for i in range(30)]
    assert words(short) == set(FIRST)


def test_fingerprints_counted_in_parts_are_those_counted_at_once(rng: np.random.Generator) -> None:
    signed = [int(value) for value in rng.integers(-(2**62), 2**62, 12)]
    noise: list[Sent] = [(f"n{i % 20}", fresh(rng, SKETCH_SIZE)) for i in range(100)]
    batch = signals(sent(signed, rng, accounts=4, texts=5) + sent(signed[:4], rng, accounts=9, texts=2) + noise)
    assert set(recurring(batch).tolist()) == set(signed)
    np.testing.assert_array_equal(recurring(batch, parts=8), recurring(batch))


def test_lists_of_open_length_are_read_as_those_of_fixed_length(rng: np.random.Generator) -> None:
    prompts = [*sent(FIRST, rng, accounts=3, texts=5), ("a0", None)]
    fixed, loose = signals(prompts), signals(prompts, pa.list_(pa.int64()))
    np.testing.assert_array_equal(recurring(fixed), recurring(loose))
    assign = templated_batches(*known_to(loose))
    assert assign(fixed) == assign(loose)
    assert assign(loose.slice(15))["template_id"].to_pylist() == [None]


def test_the_id_of_a_template_depends_neither_on_order_nor_batches_nor_other_prompts(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=3, texts=8) + sent(SECOND, rng, accounts=3, texts=8)
    order = [int(i) for i in rng.permutation(len(prompts))]
    turned: list[Sent] = [(prompts[i][0], (prompts[i][1] or [])[::-1]) for i in order]
    found, mixed = template_ids(prompts), template_ids(turned, batches=7)
    assert [found[i] for i in order] == mixed
    assert template_ids(prompts[:24]) == found[:24]


@pytest.mark.parametrize("seed", range(6))
def test_two_prompts_share_a_template_exactly_when_their_recurring_wordings_are_the_same_set(seed: int) -> None:
    prompts = random_prompts(np.random.default_rng(seed))
    known = vocabulary_by_hand(prompts)
    assert words(prompts) == known
    sets = [frozenset(f for f in sketch or [] if f in known) for _, sketch in prompts]
    found = template_ids(prompts, batches=3)
    id_of: dict[frozenset[int], int | None] = {}
    for wordings, template in zip(sets, found, strict=True):
        assert (template is None) == (len(wordings) < 2)
        assert id_of.setdefault(wordings, template) == template
    ids = [template for template in id_of.values() if template is not None]
    assert len(ids) == len(set(ids)) > 20


def random_prompts(rng: np.random.Generator) -> list[Sent]:
    """Prompts that mix common wordings, repeated texts and noise."""
    pool = [int(n) for n in rng.integers(-(2**62), 2**62, 12)]
    prompts: list[Sent] = []
    for _ in range(400):
        chosen = [pool[i] for i in rng.permutation(12)[: rng.integers(0, 5)]]
        prompts.append((f"a{rng.integers(15)}", chosen + fresh(rng, int(rng.integers(0, 3)))))
    return prompts + [(f"a{rng.integers(15)}", prompts[int(rng.integers(400))][1]) for _ in range(100)] + [("a0", None)]


def vocabulary_by_hand(prompts: list[Sent]) -> set[int]:
    texts = {(account, tuple(sketch)) for account, sketch in prompts if sketch is not None}
    rows = [(account, fingerprint) for account, sketch in texts for fingerprint in sketch]
    count, owners = Counter(fingerprint for _, fingerprint in rows), Counter(f for _, f in set(rows))
    return {f for f in count if count[f] >= 5 and count[f] >= 3 * owners[f]}


def test_the_same_text_is_the_same_item_and_another_text_another(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=3, texts=5)
    items = templated([*prompts, prompts[0]])["item_id"].to_pylist()
    assert len(set(items)) == 15
    assert items[0] == items[-1]


def test_the_assigned_table_has_the_published_columns_and_every_row(rng: np.random.Generator) -> None:
    found = templated([*sent(FIRST, rng, accounts=3, texts=5), ("a0", None)])
    assert found.schema == TEMPLATED_SCHEMA
    assert found["exchange_id"].to_pylist() == list(range(16))


def test_without_any_vocabulary_there_is_no_template() -> None:
    batch = signals([("a", FIRST), ("b", SECOND)])
    assign = templated_batches(*known_to(batch))
    assert assign(batch)["template_id"].to_pylist() == [None, None]


def test_where_no_wording_recurs_the_table_is_what_two_passes_would_leave(tmp_path: Path) -> None:
    batch = signals([("a", FIRST), ("b", SECOND), ("b", None)])
    with EmbeddedEngine(tmp_path, memory_limit="200MB", threads=1) as engine:
        found = templates_of(engine.memory(pa.Table.from_batches([batch])), engine, tmp_path)
        rows = found.exchanges.to_pyarrow().sort_by("exchange_id").to_pylist()
        assert found.exact.to_pyarrow().num_rows == 0
        assert template_traits(found).to_pyarrow().num_rows == 0
        assert engine.read(tmp_path / VOCABULARY).to_pyarrow().num_rows == 0
    assert rows == templated_batches(*known_to(batch))(batch).to_pylist()


def test_a_template_is_a_trait_of_every_account_that_bears_it(rng: np.random.Generator) -> None:
    prompts = sent(FIRST, rng, accounts=3, texts=6)
    table = template_traits(found(prompts)).to_pyarrow()
    assert set(arrow_schema(TRAITS).names) <= set(table.column_names)
    assert set(table["kind"].to_pylist()) == {"template"}
    [template] = {str(t) for t in template_ids(prompts)}
    rows = {(row["account_id"], row["value"]): row["exchanges"] for row in table.to_pylist()}
    assert rows == {(f"a{i}", template): 6 for i in range(3)}
    spans = {row["account_id"]: (row["first_seen_at"].hour, row["last_seen_at"].hour) for row in table.to_pylist()}
    assert spans == {"a0": (0, 5), "a1": (6, 11), "a2": (12, 17)}


def test_accounts_that_reword_one_text_on_each_call_send_one_template(rng: np.random.Generator) -> None:
    noise: list[Sent] = [(f"n{i % 20}", fresh(rng, SKETCH_SIZE)) for i in range(200)]
    text = fresh(rng, 16)
    reworded = [(f"a{i % 4}", [f for f in text if rng.random() < 0.7] + fresh(rng, 8)) for i in range(40)]
    found = template_ids(reworded + noise)
    [template] = set(found[:40])
    assert template is not None
    assert template not in found[40:]
    assert {row["account_id"] for row in traits(reworded + noise)} == {f"a{i}" for i in range(4)}
    assert {row["kind"] for row in traits(reworded + noise)} == {"rewording"}


def test_a_sentence_that_many_reworded_texts_share_makes_them_no_one_template(rng: np.random.Generator) -> None:
    sentence, texts = fresh(rng, 4), [fresh(rng, 12) for _ in range(5)]
    kept = [[f for f in sentence + text if rng.random() < 0.7] for text in texts for _ in range(30)]
    found = template_ids([(f"a{i // 10}", wording + fresh(rng, 8)) for i, wording in enumerate(kept)])
    named = [Counter(found[30 * i : 30 * (i + 1)]).most_common(1)[0] for i in range(5)]
    assert len({template for template, _ in named}) == 5
    assert min(count for _, count in named) >= 28


def test_a_template_that_recurs_exactly_is_no_rewording_of_another(rng: np.random.Generator) -> None:
    text = fresh(rng, 16)
    exact = sent(text[:6], rng, accounts=4, texts=10)
    reworded = [(f"b{i % 4}", [f for f in text if rng.random() < 0.7] + fresh(rng, 8)) for i in range(40)]
    found = template_ids(exact + reworded)
    assert len(set(found[:40])) == 1
    assert found[0] not in found[40:]


def reworded(slots: list[list[int]], rng: np.random.Generator, *, each: int = 20) -> list[Sent]:
    """One text that is reworded on each call before each of the slots in turn, by four accounts for each slot."""
    text, prompts = fresh(rng, 9), list[Sent]()
    for number, slot in enumerate(slots):
        for call in range(each):
            kept = [f for f in text if rng.random() < 0.7][:7]
            head = [*kept, *slot, *fresh(rng, 8)][: SKETCH_SIZE // 2]
            prompts.append((f"s{number}-a{call % 4}", head + fresh(rng, SKETCH_SIZE // 2)))
    return prompts


def test_a_rewording_before_the_same_words_is_one_setting_and_before_others_another(rng: np.random.Generator) -> None:
    prompts = reworded([fresh(rng, 2) for _ in range(4)], rng)
    table = templated(prompts)
    assert len(set(table["template_id"].to_pylist())) == 1
    settings = table["setting_id"].to_pylist()
    assert [len(set(settings[first : first + 20])) for first in (0, 20, 40, 60)] == [1, 1, 1, 1]
    assert len(set(settings)) == 4
    assert templated(prompts, batches=7)["setting_id"].to_pylist() == settings


def test_what_stands_beside_a_rewording_is_found_at_either_end(rng: np.random.Generator) -> None:
    text, ends = fresh(rng, 9), [fresh(rng, 1) for _ in range(10)]
    prompts: list[Sent] = []
    for first, last in [(0, 1), (1, 0), (2, 3), (4, 5), (6, 7), (8, 9)]:
        for call in range(30):
            head = [*[f for f in text if rng.random() < 0.7][:7], *ends[first]]
            head += fresh(rng, SKETCH_SIZE // 2 - len(head))
            tail = ends[last] + fresh(rng, SKETCH_SIZE // 2 - 1)
            prompts.append((f"a{call % 4}", head + tail))
    settings = templated(prompts)["setting_id"].to_pylist()
    kinds = [set(settings[first : first + 30]) for first in range(0, 180, 30)]
    assert [len(kind) for kind in kinds] == [1] * 6
    assert kinds[0] == kinds[1], "which end it is at says nothing"
    assert len(set(settings)) == 5


def test_what_recurs_word_for_word_or_has_nothing_beside_it_has_no_setting(rng: np.random.Generator) -> None:
    exact, alone = sent(FIRST, rng, accounts=4, texts=10), reworded([[]], rng, each=40)
    table = templated([*exact, *alone, ("a0", None)])
    assert table["template_id"].null_count == 1
    assert table["setting_id"].null_count == table.num_rows


def test_a_setting_is_a_trait_named_by_its_rewording_and_its_texts_must_vary(rng: np.random.Generator) -> None:
    prompts = reworded([fresh(rng, 2) for _ in range(4)], rng)
    item = reworded([fresh(rng, 2)], rng, each=1)[0][1]
    asked_again = [(f"b{i}", item) for i in range(30)]  # one text that everybody sends
    table = templated(prompts + asked_again)
    rows = template_traits(found(prompts + asked_again)).to_pyarrow().to_pylist()
    held = {(row["account_id"], row["value"]): row["exchanges"] for row in rows if row["kind"] == "setting"}
    names = [f"{t}:{s}" for t, s in zip(*(table[c].to_pylist() for c in ("template_id", "setting_id")), strict=True)]
    assert held == {(f"s{n}-a{i}", names[20 * n]): 5 for n in range(4) for i in range(4)}


def test_a_fixed_text_made_of_recurring_wordings_is_no_trait(rng: np.random.Generator) -> None:
    changing = sent(FIRST + SECOND, rng, accounts=4, texts=6)
    fixed: list[Sent] = [(f"b{i}", FIRST) for i in range(6)]  # asked again by six accounts, in one text
    found = template_ids(changing + fixed)
    assert None not in found
    assert found[0] != found[-1]
    assert {row["value"] for row in traits(changing + fixed)} == {str(found[0])}


def test_an_account_that_bears_an_own_template_once_is_a_holder_too(rng: np.random.Generator) -> None:
    rows = traits(sent(THIRD, rng, accounts=4, texts=6) + sent(THIRD, rng, accounts=1, texts=1, name="b"))
    assert {row["account_id"] for row in rows} == {"a0", "a1", "a2", "a3", "b0"}
