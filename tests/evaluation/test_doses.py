"""Doses: each changes what it names in the campaigns and leaves the customers alone."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.evaluation.wordings import kept

from stillwatch.errors import SettingsError
from stillwatch.evaluation import Doses, doses, scenario, simulate
from stillwatch.evaluation.arrivals import BUILT_IN_RHYTHM, arrivals
from stillwatch.evaluation.doses import checked, overridden
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.hostile import Campaign, accounts
from stillwatch.evaluation.paraphrase import words_of
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import BATCH, DAY_S, SESSIONS, Columns, Networks, Plan
from stillwatch.evaluation.templates import Library

Ask = Callable[..., list[tuple[Any, ...]]]
CUSTOMERS = "from known where not is_hostile"
OPERATORS = "from known where role = 'operator'"
SOURCE = Path(__file__).parents[2] / "src" / "stillwatch"


def world(folder: Path, wanted: Doses) -> Path:
    simulate(folder, scenario=scenario("jun2026", wanted), scale=0.0012, days=4, seed=3)
    return folder


@pytest.fixture(scope="module")
def undosed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("undosed"), Doses())


def tables(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_no_paraphrase_and_no_jitter_are_the_same_world_byte_for_byte(tmp_path: Path, undosed: Path) -> None:
    assert tables(world(tmp_path, Doses(paraphrase=0.0, jitter=0.0))) == tables(undosed)


def test_a_dosed_world_repeats_byte_for_byte_and_says_what_was_dosed(tmp_path: Path) -> None:
    wanted = Doses(paraphrase=0.4, hygiene=0.5, camouflage=0.3, jitter=900.0, accounts=14)
    first, second = world(tmp_path / "a", wanted), world(tmp_path / "b", wanted)
    assert tables(first) == tables(second)
    told = (first / "world.json").read_text("utf-8")
    assert '"paraphrase": 0.4' in told
    assert '"language"' not in told


@pytest.mark.parametrize(
    "wanted",
    [Doses(paraphrase=0.5), Doses(hygiene=1.0), Doses(camouflage=0.6), Doses(jitter=3600.0)],
    ids=lambda wanted: next(iter(wanted.as_json())),
)
def test_customers_do_not_notice_a_dose(tmp_path: Path, undosed: Path, ask: Ask, wanted: Doses) -> None:
    told = f"select account_id, epoch_us(started_at), model, length(prompt) {CUSTOMERS} order by all"
    changed = world(tmp_path, wanted)
    before, after = ask(told, undosed), ask(told, changed)
    assert abs(len(after) - len(before)) <= 0.15 * len(before)  # their traffic outweighs the campaign's, which moves
    signed_up = "select a.* from accounts a join truth using (account_id) where not is_hostile order by all"
    if wanted.hygiene is None:
        assert ask(signed_up, changed) == ask(signed_up, undosed)
        assert after == before or wanted.camouflage is not None


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_a_share_of_the_words_of_an_instruction_differs_on_each_call(
    tmp_path: Path, undosed: Path, ask: Ask, share: float
) -> None:
    told = f"select exchange_id, prompt {OPERATORS} and turn_count = 1 order by exchange_id"
    plain, reworded = dict(ask(told, undosed)), dict(ask(told, world(tmp_path, Doses(paraphrase=share))))
    assert list(plain) == list(reworded)
    changed = [name for name, text in plain.items() if text != reworded[name]]
    assert len(changed) > 100
    heads = [" ".join(words_of(plain[name])[:20]) for name in changed]
    left = [kept(head, " ".join(words_of(reworded[name])[:50])) for head, name in zip(heads, changed, strict=True)]
    assert 1 - sum(left) / len(left) == pytest.approx(share, abs=0.06)


def test_hardly_two_calls_of_a_campaign_that_rewords_begin_alike(tmp_path: Path, undosed: Path, ask: Ask) -> None:
    heads = f"select count(distinct left(prompt, 120)) / count(prompt) {OPERATORS} and length(prompt) > 250"
    [(plain,)], [(reworded,)] = ask(heads, undosed), ask(heads, world(tmp_path, Doses(paraphrase=0.5)))
    assert reworded > 0.9 > 2 * plain or reworded > plain + 0.3


def test_full_hygiene_leaves_no_shared_card_and_none_leaves_many(tmp_path: Path, ask: Ask) -> None:
    shared = """
        select count(*) - count(distinct payment_fingerprint), count(*) - count(distinct device_fingerprint)
        from accounts join truth using (account_id)
        where role = 'operator' and payment_fingerprint is not null and device_fingerprint is not null"""
    clean, careless = (world(tmp_path / f"{share}", Doses(hygiene=share, accounts=60)) for share in (1.0, 0.0))
    assert ask(shared, clean) == [(0, 0)]
    [(cards, devices)] = ask(shared, careless)
    assert cards > 5
    assert devices > 2


def test_camouflage_moves_the_share_of_traffic_that_bears_the_campaigns_templates(tmp_path: Path, ask: Ask) -> None:
    """A template is told by a head of 40 characters that five accounts of the campaign send."""
    bearing = """
        with heads as (
                select left(prompt, 40) as head, account_id from known where role = 'operator' and turn_count = 1),
             common as (select head from heads group by head having count(distinct account_id) >= 5)
        select avg((head in (from common))::int) from heads"""
    [(mostly,)] = ask(bearing, world(tmp_path / "little", Doses(camouflage=0.0, accounts=40)))
    [(hardly,)] = ask(bearing, world(tmp_path / "much", Doses(camouflage=0.9, accounts=40)))
    assert hardly < 0.25 * mostly


def test_an_hour_of_jitter_blurs_the_schedule_and_a_day_leaves_none() -> None:
    def waves(jitter_s: float) -> Columns:
        plan = Plan(7, 0.01, 2, Networks(7, 0.01), Library(grammar()), DAY_S, corpora=("c",))
        campaign = Campaign("c", 300, 6_000, ("reasoning",), timing=(1.0, 0.0, 0.0), churn=0.0, compromised=0.0)
        sized = overridden(campaign, Doses(jitter=jitter_s))
        return accounts(sized, plan, stream("campaign"), 300)

    def crowded(people: Columns) -> float:
        """The share of sessions that begin in the eighty fullest minutes of the day."""
        came = arrivals(people, 0, stream("day"), BUILT_IN_RHYTHM, 1)
        minutes = np.sort(np.bincount((came.at_s[came.position == 0] // 60).astype(int), minlength=1440))
        return float(minutes[-80:].sum() / minutes.sum())

    assert crowded(waves(0.0)) > 0.8
    assert crowded(waves(3600.0)) < 0.4
    assert set(waves(DAY_S)["timing"]) <= {SESSIONS, BATCH}


@pytest.mark.parametrize(("language", "letters"), [("ja", "[ぁ-ん]"), ("zh", "[一-鿿]"), ("es", "[ñáéíóú¿]")])
def test_a_campaign_instructs_in_its_language(tmp_path: Path, ask: Ask, language: str, letters: str) -> None:
    share = f"""select avg(regexp_matches(prompt, '{letters}')::int) {OPERATORS} and turn_count = 1"""
    [(spoken,)] = ask(share, world(tmp_path, Doses(language=language)))
    assert spoken > 0.5


def test_a_campaign_has_the_accounts_it_is_given_and_its_customers_stay_as_many(
    tmp_path: Path, undosed: Path, ask: Ask
) -> None:
    counts = "select count(*) filter (is_hostile), count(*) filter (not is_hostile) from truth"
    rate = "select count(*) / count(distinct account_id) from known where is_hostile"
    [(usual, customers)] = ask(counts, undosed)
    for size in (5, 200):
        sized = world(tmp_path / str(size), Doses(accounts=size))
        assert ask(counts, sized) == [(size, customers)]
        assert size != usual
    [(before,)], [(after,)] = ask(rate, undosed), ask(rate, sized)
    assert before / 2 < after < before * 2


def test_doses_are_read_from_texts() -> None:
    read = doses(["paraphrase=0.25", "language=zh", "accounts=40", "jitter=60", "paraphrase=0"])
    assert read == Doses(paraphrase=0.0, jitter=60.0, language="zh", accounts=40)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("speed=1", "paraphrase, hygiene"),
        ("paraphrase=0.7", "outside 0 to 0.6"),
        ("paraphrase=much", "give a number"),
        ("camouflage=1", "outside 0 to 0.9"),
        ("hygiene=nan", "outside 0 to 1"),
        ("accounts=4", "outside 5 to 5,000"),
        ("accounts=7.5", "whole number"),
        ("language=tlh", "en, zh, ja"),
        ("hygiene", "give a number"),
    ],
)
def test_a_dose_that_cannot_be_given_is_refused_with_what_can(given: str, told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        doses([given])


def test_words_are_replaced_in_english_only() -> None:
    with pytest.raises(SettingsError, match="English only"):
        checked(Doses(paraphrase=0.2, language="ja"))


def test_no_detector_can_read_what_the_campaigns_replace_words_with() -> None:
    """Nothing but the evaluation, and the command line that starts it, imports anything of the evaluation."""
    for path in sorted(SOURCE.rglob("*.py")):
        if path.parent.name in {"evaluation", "cli"}:
            continue
        text = path.read_text("utf-8")
        modules = {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
        assert not any(module.startswith("stillwatch.evaluation") for module in modules), path
        assert "synonyms" not in text, path


def test_published_tables_of_a_dosed_world_keep_their_columns(tmp_path: Path, undosed: Path) -> None:
    changed = world(tmp_path, Doses(paraphrase=0.5, camouflage=0.5, jitter=60.0))
    for name in ("accounts.parquet", "truth.parquet"):
        assert pq.read_schema(changed / name) == pq.read_schema(undosed / name)
