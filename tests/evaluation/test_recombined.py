"""Innocents whose prompts are put together anew on each call: each kind does what its name says."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from stillwatch.evaluation import simulate
from stillwatch.evaluation.recombined import DEMONSTRATIONS, INSTRUCTION, RECOMBINED, WAYS
from stillwatch.evaluation.scenarios import scenario, scenarios

Sent = Mapping[str, Mapping[str, list[str]]]  # segment, account

USED = 150  # characters at the front of a prompt


def made(out: Path, prompts: Path | None = None) -> Sent:
    """What the innocents of a small world send that have nothing else to do."""
    only = replace(scenario("low-and-slow"), customers=dict.fromkeys(RECOMBINED, 1 / len(RECOMBINED)))
    simulate(out, scenario=only, scale=0.003, days=6, seed=1, prompts=prompts)
    truth = {row["account_id"]: row["segment"] for row in pq.read_table(out / "truth.parquet").to_pylist()}
    sent: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in ds.dataset(out / "exchanges").to_table(["account_id", "prompt"]).to_pylist():
        sent[truth[row["account_id"]]][row["account_id"]].append(row["prompt"])
    return sent


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return made(tmp_path_factory.mktemp("recombined"))


def at_work(sent: Sent, segment: str, beginning: str = "") -> list[list[str]]:
    """The prompts of each account that begin so, of accounts with several."""
    own = [[text for text in texts if text.startswith(beginning)] for texts in sent[segment].values()]
    return [texts for texts in own if len(texts) >= 5]


def test_a_benchmark_draws_its_demonstrations_and_everybody_has_its_items(sent: Sent) -> None:
    prompts = [text for texts in at_work(sent, "demonstrated", "Q: ") for text in texts]
    shown = {text.split("\n\nQ: ")[0].removeprefix("Q: ") for text in prompts}
    assert len(prompts) > 100
    assert 3 < len(shown) <= DEMONSTRATIONS
    assert len({text[: 2 * USED] for text in prompts}) > 0.8 * len(prompts)
    items = [{text[-60:] for text in texts} for texts in at_work(sent, "demonstrated", "Q: ")]
    assert any(one & other for one, other in combinations(items, 2))


def test_readers_share_an_instruction_and_passages(sent: Sent) -> None:
    own = at_work(sent, "public_readers", INSTRUCTION)
    passages = [{text.split("\n\n")[1] for text in texts} for texts in own]
    assert len(own) >= 5
    assert any(one & other for one, other in combinations(passages, 2))


def test_ten_wordings_are_ten_and_a_tool_has_many_more(sent: Sent) -> None:
    def fronts(segment: str) -> set[str]:
        front = [text[:USED] for texts in sent[segment].values() for text in texts]
        return {text for text in front if front.count(text) >= 3}

    assert 5 < len(fronts("ten_wordings")) <= 2 * WAYS
    varied = [text for texts in sent["rewording_tool"].values() for text in texts]
    assert len({text[:USED] for text in varied}) > 5 * WAYS


def test_users_of_the_tool_share_its_wordings_and_no_item(sent: Sent) -> None:
    own = at_work(sent, "rewording_tool")
    openings = [{text[:20] for text in texts} for texts in own]
    assert sum(bool(one & other) for one, other in combinations(openings, 2)) > 0.9 * len(own) * (len(own) - 1) / 2


def test_public_texts_come_from_the_file_of_prompts_where_there_is_one(tmp_path: Path) -> None:
    texts = [f"Which of the {k} bridges over the river was built of stone in the year {1800 + k}?" for k in range(60)]
    rows = {"text": texts, "label": ["legitimate"] * 60, "source": ["bridges"] * 60}
    pq.write_table(pa.table(rows), tmp_path / "prompts.parquet")
    sent = made(tmp_path / "world", tmp_path / "prompts.parquet")
    shown = {text.split("\n")[0] for texts in at_work(sent, "demonstrated", "Q: ") for text in texts}
    assert shown
    assert shown <= {f"Q: {text}" for text in texts}


def test_no_scenario_has_them_unless_it_asks() -> None:
    assert all(set(world.customers).isdisjoint(RECOMBINED) for world in scenarios().values())
