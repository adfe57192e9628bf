"""Families: reworded templates are one, sentences in common do not make two templates one, items are none."""

import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import Families, families
from stillwatch.linkage.pools import LEAST_BITS, Pools, assigned, estimated, postings
from stillwatch.records import SKETCH_SIZE, WORDS_SIZE

Prompt = tuple[str, list[int]]  # an account and the words of a prompt of its, as numbers
WORDS, SYNONYMS = 3_000, 5
FREQUENCY = 1 / (np.arange(WORDS) + 2.7)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(29)


def drawn(rng: np.random.Generator, count: int) -> list[int]:
    """Words of ordinary text by the law of Zipf and Mandelbrot: some are common, most are rare."""
    return [int(n) + 1 for n in rng.choice(WORDS, count, p=FREQUENCY / FREQUENCY.sum())]


def reworded(template: list[int], share: float, rng: np.random.Generator) -> list[int]:
    """A share of the words replaced by one of a few synonyms of each."""
    swapped = rng.random(len(template)) < share
    return [
        WORDS + word * SYNONYMS + int(rng.integers(SYNONYMS)) if swap else word
        for word, swap in zip(template, swapped, strict=True)
    ]


def sent(
    template: list[int], rng: np.random.Generator, *, share: float = 0.4, name: str = "a", accounts: int = 4
) -> list[Prompt]:
    """A template reworded ten times by each account, each time with other text behind."""
    return [(f"{name}{i}", reworded(template, share, rng) + drawn(rng, 40)) for i in range(accounts) for _ in range(10)]


def ordinary(rng: np.random.Generator, count: int = 400) -> list[Prompt]:
    return [(f"n{i % 40}", drawn(rng, 60)) for i in range(count)]


def mixed(*parts: int) -> int:
    """A hash of numbers, as the kernels make them: below 2^62, not zero."""
    state = 17
    for part in parts:
        state = (state ^ part) * 0xD6E8FEB86659FD93 & (2**64 - 1)
        state ^= state >> 32
    return state % 2**62 or 1


def signals(prompts: list[Prompt], script: str = "latin") -> pa.Table:
    """Sketches of sampled triples of words, bags of words, and the text ids."""
    rows = []
    for i, (account, words) in enumerate(prompts):
        shingles = [mixed(*words[k : k + 3]) for k in range(len(words) - 2)]
        sketch = [s for s in shingles if s % 4 == 0][:SKETCH_SIZE]
        marks = list(dict.fromkeys(mixed(word) % 65_535 - 32_767 or 1 for word in words))[:WORDS_SIZE]
        rows.append(
            {
                "exchange_id": f"e{i}",
                "account_id": account,
                "started_at": datetime(2026, 1, 1, tzinfo=UTC),
                "script": script,
                "sketch": sketch + [0] * (SKETCH_SIZE - len(sketch)),
                "words": marks + [0] * (WORDS_SIZE - len(marks)),
                "text_id": mixed(*words) - 2**61,
            }
        )
    schema = pa.schema(
        [
            ("exchange_id", pa.string()),
            ("account_id", pa.string()),
            ("started_at", pa.timestamp("us", tz="UTC")),
            ("script", pa.string()),
            ("sketch", pa.list_(pa.int64(), SKETCH_SIZE)),
            ("words", pa.list_(pa.int16(), WORDS_SIZE)),
            ("text_id", pa.int64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def learned(table: pa.Table) -> Families:
    with tempfile.TemporaryDirectory() as scratch, EmbeddedEngine(Path(scratch)) as engine:
        return families(engine.memory(table), engine, Path(scratch))


def found(prompts: list[Prompt]) -> list[int]:
    """The ids of the families of some prompts."""
    return [family for known in learned(signals(prompts)).by_script.values() for family in known.ids.tolist()]


def given_to(table: pa.Table, known: Families) -> list[int | None]:
    return known.ids_of(table["words"].combine_chunks(), table["script"].combine_chunks()).to_pylist()


def ids(prompts: list[Prompt]) -> list[int | None]:
    table = signals(prompts)
    return given_to(table, learned(table))


def largest_share(given: list[int | None]) -> float:
    """Share of the prompts that are in the largest family among them."""
    sizes = Counter(family for family in given if family is not None)
    return max(sizes.values(), default=0) / len(given)


def test_a_template_reworded_on_every_call_is_one_family(rng: np.random.Generator) -> None:
    texts = sent(drawn(rng, 40), rng, share=0.4, accounts=6)
    given = ids(texts + ordinary(rng))
    assert largest_share(given[:60]) >= 0.9
    assert set(given[60:]) == {None}


def test_two_templates_that_share_a_sentence_are_two_families(rng: np.random.Generator) -> None:
    sentence = drawn(rng, 12)
    one = sent(drawn(rng, 25) + sentence, rng, name="a")
    two = sent(sentence + drawn(rng, 25), rng, name="b")
    given = ids(one + two + ordinary(rng))
    assert min(largest_share(given[:40]), largest_share(given[40:80])) >= 0.9
    assert not set(given[:40]) & set(given[40:80]) - {None}


def test_a_question_that_many_accounts_ask_in_one_or_two_wordings_each_is_no_family(rng: np.random.Generator) -> None:
    question = drawn(rng, 40)
    asked = [(f"q{i % 30}", reworded(question, 0.1, rng)) for i in range(45)]
    assert set(ids(asked + ordinary(rng))) == {None}


def test_an_item_does_not_take_the_texts_of_the_template_around_it(rng: np.random.Generator) -> None:
    items = [drawn(rng, 35) for _ in range(20)]
    template = drawn(rng, 30)
    texts = [(f"a{a}", reworded(template, 0.3, rng) + item) for a in range(12) for item in items]
    assert largest_share(ids(texts + ordinary(rng, 1600))[:240]) >= 0.9


def test_ordinary_text_has_no_family(rng: np.random.Generator) -> None:
    assert set(ids(ordinary(rng, 800))) == {None}


def test_prompts_without_words_have_no_family(rng: np.random.Generator) -> None:
    texts = sent(drawn(rng, 40), rng) + ordinary(rng)
    bare = signals([("a", []), ("b", [])])
    assert given_to(bare, learned(signals(texts))) == [None, None]


def test_row_order_and_repeated_rows_change_no_id(rng: np.random.Generator) -> None:
    texts = sent(drawn(rng, 40), rng) + sent(drawn(rng, 30), rng, name="b") + ordinary(rng)
    order = [int(i) for i in rng.permutation(len(texts))]
    turned = [texts[i] for i in order]
    given = ids(texts)
    assert ids(turned) == [given[i] for i in order]
    assert ids(texts + texts[:100])[: len(texts)] == given


def test_most_ids_survive_the_loss_of_a_tenth_and_as_much_traffic_again(rng: np.random.Generator) -> None:
    pools = [drawn(rng, 40) for _ in range(30)]
    first = [prompt for i, pool in enumerate(pools) for prompt in sent(pool, rng, name=f"{i}-")] + ordinary(rng)
    second = [prompt for i, pool in enumerate(pools) for prompt in sent(pool, rng, name=f"{i}-")] + ordinary(rng)
    before = set(found(first))
    thinned = [prompt for prompt in first if rng.random() < 0.9]
    assert 29 <= len(before) <= 32
    assert len(before & set(found(thinned))) >= 0.8 * len(before)
    assert len(before & set(found(first + second))) >= 0.7 * len(before)


def test_no_two_families_have_one_id(rng: np.random.Generator) -> None:
    pools = [drawn(rng, 40) for _ in range(60)]
    known = found([prompt for i, pool in enumerate(pools) for prompt in sent(pool, rng, name=f"{i}-")])
    assert len(known) == len(set(known)) >= 55


def test_without_prompts_there_are_no_families() -> None:
    assert found([]) == []
    assert given_to(signals([("a", [1, 2, 3])]), learned(signals([]))) == [None]


def test_a_language_that_few_others_use_is_no_family(rng: np.random.Generator) -> None:
    def foreign(words: list[int]) -> list[int]:
        return [word + 2 * WORDS for word in words]

    templates = [foreign(drawn(rng, 40)) for _ in range(10)]
    few = [prompt for i, one in enumerate(templates) for prompt in sent(one, rng, name=f"{i}-")]
    apart = pa.concat_tables([signals(ordinary(rng, 1200)), signals([(a, foreign(w)) for a, w in few], "kana")])
    given = given_to(apart, learned(apart))[1200:]
    shares = [largest_share(given[i : i + 40]) for i in range(0, 400, 40)]
    assert np.mean(shares) >= 0.9
    assert len(set(given) - {None}) >= 10


def test_a_family_is_of_one_writing_system(rng: np.random.Generator) -> None:
    texts = sent(drawn(rng, 40), rng) + ordinary(rng)
    known = learned(signals(texts))
    assert given_to(signals(texts, "han")[:40], known) == [None] * 40


@pytest.mark.parametrize("seed", range(4))
def test_a_text_goes_to_the_pool_that_explains_it_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words, pools = random_pools(rng)
    bits = bits_by_hand(words, pools)
    best = bits.max(axis=1)
    home = assigned(words, pools, postings(pools))
    clear = np.abs(best - LEAST_BITS) > 1e-3
    np.testing.assert_array_equal((home >= 0)[clear], (best > LEAST_BITS)[clear])
    taken = np.flatnonzero(home >= 0)
    assert len(taken) > 50
    np.testing.assert_allclose(bits[taken, home[taken]], best[taken], rtol=1e-4)


def test_marks_added_to_all_families_at_once_say_what_they_say_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    words, pools = random_pools(np.random.default_rng(7), marks=100)
    found = {}
    for share in (0.0, 1 / 6, 1.0):  # all marks, those of two families and more, none
        monkeypatch.setattr("stillwatch.linkage.pools.MANY_FAMILIES", share)
        proposed = postings(pools)
        found[share] = (len(proposed.whole), assigned(words, pools, proposed).tolist())
    counts, homes = zip(*found.values(), strict=True)
    assert counts[0] > counts[1] > counts[2] == 0
    assert homes[0] == homes[1] == homes[2]
    assert max(homes[0]) >= 0


@pytest.mark.parametrize("seed", range(4))
def test_a_pool_holds_how_often_each_word_comes_in_its_texts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words, pools = random_pools(rng)
    for family in range(pools.families):
        own = words[family * 20 : family * 20 + 20]
        for mark, share in zip(pools.marks[family], pools.share[family], strict=True):
            if mark:
                assert share == pytest.approx(min((own == mark).any(axis=1).sum() / 21, 0.95), abs=1e-6)


def random_pools(rng: np.random.Generator, marks: int = 65_536) -> tuple[np.ndarray, Pools]:
    """Six families of twenty texts that draw two thirds of a pool each, out of so many marks, among other texts."""
    cores = rng.integers(1, marks, (6, 24))
    texts = [[*(int(m) for m in core[rng.random(24) < 2 / 3]), *drawn(rng, 16)] for core in cores for _ in range(20)]
    texts += [drawn(rng, 30) for _ in range(200)]
    words = np.zeros((len(texts), WORDS_SIZE), np.uint16)
    for row, text in enumerate(texts):
        distinct = list(dict.fromkeys(text))
        words[row, : len(distinct)] = distinct
    frequency = np.bincount(words[words != 0], minlength=65_536).astype(np.int64)
    return words, estimated(np.arange(0, 121, 20), np.arange(120), words, frequency)


def bits_by_hand(words: np.ndarray, pools: Pools) -> np.ndarray:
    """What each text says for each family: (texts, families)."""
    bits = np.zeros((len(words), pools.families))
    for row, text in enumerate(words):
        known = set(text.tolist()) - {0}
        for family in range(pools.families):
            has = [m in known for m in pools.marks[family].tolist()]
            bits[row, family] = pools.lacking[family] + pools.odds[family][np.array(has)].sum()
    return bits
