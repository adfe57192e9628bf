"""Country, language and time zone carry no weight: swapped over everybody who is innocent, no verdict changes."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bench.nulls.emptied import empty
from tests.flow import planted, scans

from stillwatch.evaluation import simulate

Change = Callable[[pa.Table], pa.Table]
Verdicts = dict[str, str]
World = tuple[Path, set[str]]  # its folder, and its innocent accounts

COUNTRIES = ("US", "CN", "JP", "BR", "DE", "NG")
LATIN = "abcdefghijklmnopqrstuvwxyz"
# One letter for one letter: Cyrillic and Greek are spaced as Latin is; Han and Kana are written without spaces.
ALPHABETS = {
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщ",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψωϊϋ",
    "Han": "的一是不了人我在有他这中大来上国和地到以说时要就出会",
    "Kana": "あいうえおかきくけこさしすせそたちつてとなにぬねのは",
}


def verdicts(out: Path) -> Verdicts:
    rows = pq.read_table(out / "accounts.parquet", columns=["account_id", "verdict"]).to_pylist()
    return {row["account_id"]: row["verdict"] for row in rows}


def changed(path: Path, to: Path, names: set[str], change: Change) -> None:
    """A table with the rows of these accounts changed, the others as they are, in the order of rows it had."""
    table = pq.read_table(path)
    inside = pc.is_in(table["account_id"], pa.array(sorted(names), pa.string()))
    table = table.append_column("place", pa.array(range(table.num_rows)))
    parts = [table.filter(pc.invert(inside)), change(table.filter(inside))]
    to.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(parts, promote_options="permissive").sort_by("place").drop_columns("place"), to)


def in_alphabet(alphabet: str) -> Change:
    letters = str.maketrans(LATIN + LATIN.upper(), ALPHABETS[alphabet] * 2)

    def change(table: pa.Table) -> pa.Table:
        for name in ("prompt", "system_prompt", "completion"):
            told = [None if text is None else text.translate(letters) for text in table[name].to_pylist()]
            table = table.set_column(table.column_names.index(name), name, pa.array(told, pa.string()))
        return table

    return change


def hours_later(hours: int) -> Change:
    def change(table: pa.Table) -> pa.Table:
        later = pc.add(table["started_at"], pa.scalar(timedelta(hours=hours)))
        return table.set_column(table.column_names.index("started_at"), "started_at", later)

    return change


def from_country(offset: int) -> Change:
    def change(table: pa.Table) -> pa.Table:
        countries = [COUNTRIES[(number + offset) % len(COUNTRIES)] for number in range(table.num_rows)]
        if "signup_country" in table.column_names:
            table = table.drop_columns("signup_country")
        return table.append_column("signup_country", pa.array(countries, pa.string()))

    return change


@pytest.fixture(scope="module")
def hand_written(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The planted world and its innocent accounts."""
    world = planted.write(tmp_path_factory.mktemp("planted") / "world")
    accounts = pq.read_table(world / "accounts.parquet")["account_id"].to_pylist()
    return world, {account for account in accounts if planted.segment_of(account) != "harvest"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four days of a small simulated world, its campaigns taken out: every population of customers, and nobody else."""
    world = tmp_path_factory.mktemp("simulated") / "world"
    simulate(world, scenario="feb2026", scale=0.004, days=4, seed=31)
    empty(world)
    (world / "exchanges").rename(world / "logs")
    return world, set(pq.read_table(world / "truth.parquet")["account_id"].to_pylist())


@pytest.fixture(scope="module")
def planted_before(hand_written: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scan of the planted world as it is wrote."""
    return scanned(hand_written, tmp_path_factory.mktemp("planted-before"))


@pytest.fixture(scope="module")
def simulated_before(simulated: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scan of the simulated world as it is wrote."""
    return scanned(simulated, tmp_path_factory.mktemp("simulated-before"))


def scanned(world: World, folder: Path) -> Path:
    scans.scan(world[0], folder / "out")
    return folder / "out"


def after(world: World, folder: Path, change: Change) -> Verdicts:
    """The verdicts when the traffic of all innocent accounts is changed."""
    for path in (world[0] / "logs").iterdir():
        changed(path, folder / "logs" / path.name, world[1], change)
    scans.scan(world[0], folder / "out", logs=(str(folder / "logs"),))
    return verdicts(folder / "out")


def elsewhere(world: World, before: Path, folder: Path, offset: int) -> bool:
    """Whether the campaigns are the same to the byte when every innocent account signed up in another country."""
    changed(world[0] / "accounts.parquet", folder / "accounts.parquet", world[1], from_country(offset))
    scans.scan(world[0], folder / "out", accounts=folder / "accounts.parquet")
    return (folder / "out" / "campaigns.json").read_bytes() == (before / "campaigns.json").read_bytes()


def test_there_is_something_to_judge(hand_written: World, planted_before: Path) -> None:
    found = verdicts(planted_before)
    assert set(found.values()) == {"distillation", "explained"}
    assert {verdict for account, verdict in found.items() if account in hand_written[1]} == {"explained"}


@pytest.mark.nightly
def test_there_is_something_to_judge_in_the_simulated_world(simulated_before: Path) -> None:
    assert {"coordinated", "explained"} & set(verdicts(simulated_before).values())


@pytest.mark.parametrize("offset", [0, *(pytest.param(offset, marks=pytest.mark.nightly) for offset in (1, 2))])
def test_another_sign_up_country_changes_nothing_at_all(
    offset: int, hand_written: World, planted_before: Path, tmp_path: Path
) -> None:
    assert elsewhere(hand_written, planted_before, tmp_path, offset)


@pytest.mark.nightly
def test_another_sign_up_country_changes_nothing_in_a_simulated_world(
    simulated: World, simulated_before: Path, tmp_path: Path
) -> None:
    assert elsewhere(simulated, simulated_before, tmp_path, 0)


@pytest.mark.parametrize("hours", [-9, 8, pytest.param(5, marks=pytest.mark.nightly)])
def test_another_time_zone_changes_no_verdict(
    hours: int, hand_written: World, planted_before: Path, tmp_path: Path
) -> None:
    assert after(hand_written, tmp_path, hours_later(hours)) == verdicts(planted_before)


@pytest.mark.nightly
def test_another_time_zone_changes_no_verdict_in_a_simulated_world(
    simulated: World, simulated_before: Path, tmp_path: Path
) -> None:
    assert after(simulated, tmp_path, hours_later(8)) == verdicts(simulated_before)


# One that is spaced and one that is not, every day; the others are of the same two kinds.
@pytest.mark.parametrize(
    "alphabet", ["Cyrillic", "Han", *(pytest.param(name, marks=pytest.mark.nightly) for name in ("Greek", "Kana"))]
)
def test_another_language_changes_no_verdict(
    alphabet: str, hand_written: World, planted_before: Path, tmp_path: Path
) -> None:
    assert after(hand_written, tmp_path, in_alphabet(alphabet)) == verdicts(planted_before)


@pytest.fixture(scope="module")
def in_cyrillic(simulated: World, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """The verdicts of the simulated world when its customers write in another alphabet."""
    return after(simulated, tmp_path_factory.mktemp("cyrillic"), in_alphabet("Cyrillic"))


@pytest.mark.nightly
def test_another_language_calls_nobody_distillation_in_a_simulated_world(
    in_cyrillic: Verdicts, simulated_before: Path
) -> None:
    assert "distillation" not in {*in_cyrillic.values(), *verdicts(simulated_before).values()}


@pytest.mark.nightly
@pytest.mark.xfail(
    strict=True,
    reason="other letters, other fingerprints in the sketches: what is taken for a rewording may come and go, and five "
    "customers join a coordinated cluster; docs/results.md, What falls short",
)
def test_another_language_changes_no_verdict_in_a_simulated_world(
    in_cyrillic: Verdicts, simulated_before: Path
) -> None:
    assert in_cyrillic == verdicts(simulated_before)


@pytest.mark.nightly
def test_a_language_without_spaces_accuses_nobody_else_in_a_simulated_world(
    simulated: World, simulated_before: Path, tmp_path: Path
) -> None:
    """Each letter is a token then, so sketches reach less far into a text: what is explained may come and go."""
    assert accused(after(simulated, tmp_path, in_alphabet("Kana"))) == accused(verdicts(simulated_before))


def accused(found: Verdicts) -> Verdicts:
    """Verdicts that say something against an account."""
    return {account: verdict for account, verdict in found.items() if verdict in ("distillation", "coordinated")}
