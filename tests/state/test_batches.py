"""Batches in any order and any split, with duplicates among them, merge to what one scan of all logs finds."""

import random
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests import processes
from tests.flow import planted, scans
from tests.state import worlds

from stillwatch.errors import InputError, StoreError
from stillwatch.settings import KEY_VARIABLE
from stillwatch.state import Window, existing_manifest
from stillwatch.state import batches as module
from stillwatch.state.kept import newest_accounts

# A failing example is shown as it is: making it smaller would read logs a hundred times.
LAW = settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
FIRST_DAY = (planted.STARTS_AT - datetime(1970, 1, 1, tzinfo=UTC)).days
PROMPTS = ("Say step by step how this is done: {}", "What comes after {} in this list of words, please?", None)
SCHEMA = pa.schema(
    [
        ("exchange_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("account_id", pa.string()),
        ("model", pa.string()),
        ("client_ip", pa.string()),
        ("prompt", pa.string()),
        ("output_tokens", pa.int64()),
        ("reasoning_issued", pa.list_(pa.string())),
        ("reasoning_replayed", pa.list_(pa.string())),
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(("a", "b", "c")),
            "started_at": st.integers(0, 3 * 86_400).map(lambda s: planted.STARTS_AT + timedelta(seconds=s)),
            "model": st.sampled_from(("large", "small")),
            "client_ip": st.sampled_from((None, "192.0.2.1", "198.51.100.7")),
            "prompt": st.sampled_from(PROMPTS),
            "output_tokens": st.none() | st.integers(0, 9_000),
            "reasoning_issued": st.sampled_from((None, ["r1"], ["r1", "r2"])),
            "reasoning_replayed": st.sampled_from((None, ["r1"], ["r2", "r3"])),
        }
    ),
    min_size=4,
    max_size=40,
)


@LAW
@given(rows=ROWS, seed=st.integers(0, 999), cut=st.booleans())
def test_any_split_in_any_order_merges_to_the_rollups_of_one_scan(
    rows: list[dict[str, Any]], seed: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    rng = random.Random(seed)
    known = [
        {**row, "exchange_id": f"x{i}", "prompt": row["prompt"] and row["prompt"].format(f"word{i} " * 9)}
        for i, row in enumerate([*rows, {**rows[0], "started_at": planted.STARTS_AT + timedelta(days=1)}])
    ]
    whole = folder / "whole.parquet"
    pq.write_table(pa.Table.from_pylist(known, SCHEMA), whole)
    hands = [[row for row in known if rng.random() < 0.4] for _ in range(3)]
    taken = {row["exchange_id"] for hand in hands for row in hand}
    hands.append([row for row in known if row["exchange_id"] not in taken])
    rng.shuffle(hands)
    for number, hand in enumerate(hands):
        path = folder / f"part-{number}.parquet"
        pq.write_table(pa.Table.from_pylist(hand, SCHEMA), path)
        worlds.ingested(folder / "state", path)
    window = Window(FIRST_DAY + 1, FIRST_DAY + 3) if cut else worlds.OPEN
    found = worlds.merged(folder / "state", folder / "merged", window)
    expected = worlds.rolled([whole], folder / "rolled", window)
    if cut:  # which columns are filled is known of batches, not of days
        del found["columns"], expected["columns"]
    assert found == expected
    assert cut or found["activity"].total() > 0
    read = worlds.straight([whole], folder / "straight")
    assert cut or read == {name: rows for name, rows in found.items() if name in read}


def test_dealt_batches_with_duplicates_give_the_campaigns_of_one_scan(
    world: Path, campaigns: bytes, tmp_path: Path
) -> None:
    files = worlds.dealt(planted.exchanges(), tmp_path / "logs", seed=1, batches=3)
    random.Random(1).shuffle(files)
    surplus = 0
    for path in files:
        done = worlds.ingested(tmp_path / "state", path, accounts=world / "accounts.parquet")
        surplus += done.batch.duplicates
    assert surplus > 100
    worlds.detected(tmp_path / "state", tmp_path / "out")
    assert (tmp_path / "out" / "campaigns.json").read_bytes() == campaigns


def test_batches_by_day_newest_first_give_the_campaigns_of_one_scan(
    held: Path, campaigns: bytes, tmp_path: Path
) -> None:
    done = worlds.detected(held, tmp_path / "out")
    assert (tmp_path / "out" / "campaigns.json").read_bytes() == campaigns
    assert done.run["counts"]["exchanges"] == len(planted.exchanges())
    names = {path.name for path in (tmp_path / "out").iterdir()} - {".lock"}
    assert names == {
        *("campaigns.json", "known_campaigns.json", "accounts.parquet", "links.parquet", "seen.parquet"),
        *("rejected.parquet", "vocabulary.parquet", "lead_matches.parquet", "bundle.json", "report.html", "run.json"),
        "recognised.json",
    }


def test_a_window_of_days_gives_the_campaigns_of_a_scan_of_these_days(held: Path, world: Path, tmp_path: Path) -> None:
    logs = tuple(str(world / "logs" / f"day-{day}.parquet") for day in (1, 2))
    scans.scan(world, tmp_path / "scanned", logs=logs, exemplars=False)
    worlds.detected(held, tmp_path / "detected", Window(FIRST_DAY + 1, FIRST_DAY + 3))
    scanned, detected = (tmp_path / name / "campaigns.json" for name in ("scanned", "detected"))
    assert detected.read_bytes() == scanned.read_bytes()
    with pytest.raises(StoreError, match="no batch with exchanges in this window"):
        worlds.detected(held, tmp_path / "nothing", Window(0, 10))


def test_the_same_files_under_other_names_change_nothing(world: Path, tmp_path: Path) -> None:
    state, day = tmp_path / "state", world / "logs" / "day-0.parquet"
    first = worlds.ingested(state, day)
    before = (state / "manifest.json").read_bytes()
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(day.read_bytes())
    again = worlds.ingested(state, copy)
    assert (first.was_known, again.was_known, again.batch) == (False, True, first.batch)
    assert (state / "manifest.json").read_bytes() == before
    said = scans.run("ingest", copy, "--state", state)
    assert "nothing was changed" in said.stderr
    assert said.stdout.strip() == first.batch.batch_id


def test_an_exchange_delivered_again_within_a_week_counts_once_and_later_twice(tmp_path: Path) -> None:
    row = planted.exchanges()[0]
    for number, days in enumerate((0, 7, 15)):
        at = row["started_at"] + timedelta(days=days)
        planted.write_part(tmp_path / f"{number}.parquet", [{**row, "started_at": at}])
        worlds.ingested(tmp_path / "state", tmp_path / f"{number}.parquet")
    counts = [(batch.exchanges, batch.duplicates) for batch in existing_manifest(tmp_path / "state").batches]
    assert counts == [(1, 0), (0, 1), (1, 0)]


def test_no_exchange_id_and_no_text_is_in_a_state(world: Path, tmp_path: Path) -> None:
    row = {**planted.exchanges()[0], "exchange_id": "an-id-nobody-keeps", "prompt": "a sentence nobody keeps"}
    planted.write_part(tmp_path / "log.parquet", [row])
    worlds.ingested(tmp_path / "state", tmp_path / "log.parquet")
    tables = [pq.read_table(path).to_pylist() for path in (tmp_path / "state").rglob("*.parquet")]
    assert any(row["account_id"] in str(table) for table in tables)
    assert not any("nobody" in str(table) for table in tables)


def test_two_writers_of_one_batch_and_one_of_another_leave_each_batch_once(
    world: Path, held: Path, tmp_path: Path
) -> None:
    state, days = tmp_path / "state", sorted((world / "logs").iterdir())
    words = [("ingest", days[0]), ("ingest", days[0]), ("ingest", *days[1:], "--accounts", world / "accounts.parquet")]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                processes.started(*told, "--state", state, "--threads", 1, errors=tmp_path / f"errors-{number}")
            )
            for number, told in enumerate(words)
        ]
        codes = [process.wait() for process in running]
    said = [(tmp_path / f"errors-{number}").read_text() for number in range(len(words))]
    assert codes == [0, 0, 0], said
    assert sum("nothing was changed" in told for told in said) == 1
    assert len(existing_manifest(state).batches) == 2
    assert worlds.merged(state, tmp_path / "merged") == worlds.merged(held, tmp_path / "held")


def test_too_many_rejected_rows_leave_the_state_as_it_was_and_a_list(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"exchange_id": 3\n' * 5, encoding="utf-8")
    with pytest.raises(InputError, match="were rejected"):
        worlds.ingested(tmp_path / "state", log, input_format="jsonl")
    assert not (tmp_path / "state" / "manifest.json").exists()
    assert pq.read_table(tmp_path / "state" / "rejected.parquet").num_rows == 5


def test_rejected_rows_are_kept_per_batch_and_listed_by_detection(world: Path, tmp_path: Path) -> None:
    planted.write_part(tmp_path / "log.parquet", [{**row, "account_id": None} for row in planted.exchanges()[:3]])
    state = tmp_path / "state"
    done = worlds.ingested(state, tmp_path / "log.parquet", world / "logs" / "day-0.parquet")
    assert done.batch.rejected == 3
    assert worlds.detected(state, tmp_path / "out").run["counts"]["rejected"] == 3
    assert pq.read_table(tmp_path / "out" / "rejected.parquet").num_rows == 3


def test_a_state_of_another_key_is_refused_before_anything_is_read(
    held: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "another"))
    with pytest.raises(StoreError, match=r"was made under key .* this run has key"):
        worlds.detected(held, tmp_path / "out")
    with pytest.raises(StoreError, match="ingest the logs into another folder with --state"):
        worlds.ingested(held, world / "logs" / "day-0.parquet")


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('"format": 2', '"format": 0', "has format 0 .* Ingest the logs into a new state"),
        ('"format": 2', '"format', "is damaged"),
        ('"kernels": "', '"kernels": "z', "was made by the text kernels"),
    ],
)
def test_a_state_of_another_version_says_what_to_do(
    written: str, instead: str, said: str, world: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    worlds.ingested(state, world / "logs" / "day-0.parquet")
    text = (state / "manifest.json").read_text("utf-8")
    assert written in text
    (state / "manifest.json").write_text(text.replace(written, instead), "utf-8")
    with pytest.raises(StoreError, match=said):
        worlds.ingested(state, world / "logs" / "day-1.parquet")


def test_the_row_of_an_account_that_came_last_counts(world: Path, tmp_path: Path) -> None:
    def given(name: str, program: str) -> Path:
        path = tmp_path / f"{name}.parquet"
        planted.write_accounts(tmp_path, [{"account_id": "a", "access_program": program}])
        return (tmp_path / "accounts.parquet").rename(path)

    state, day = tmp_path / "state", world / "logs" / "day-0.parquet"
    worlds.ingested(state, day, accounts=given("old", "free"))
    assert worlds.ingested(state, day, accounts=tmp_path / "old.parquet").has_new_accounts is False
    assert worlds.ingested(state, day, accounts=given("new", "paid")).has_new_accounts is True
    tables = [pq.read_table(path) for path in (state / "parts").rglob("accounts.parquet")]
    newest = newest_accounts(pa.concat_tables(tables)).to_pylist()
    assert [(row["account_id"], row["access_program"]) for row in newest] == [("a", "paid")]
    assert len(existing_manifest(state).batches) == 2


def test_the_name_of_a_batch_says_what_is_read_and_how(world: Path, tmp_path: Path) -> None:
    def name(*logs: Path, **flags: Any) -> str:
        from stillwatch.settings import Settings

        return module.batch_id(Settings(logs=tuple(map(str, logs)), out=tmp_path, **flags))

    days = sorted((world / "logs").iterdir())
    assert name(days[0], days[1]) == name(days[1], days[0])
    assert len({name(days[0]), name(days[1]), name(*days), name(days[0], input_format="parquet")}) == 4
