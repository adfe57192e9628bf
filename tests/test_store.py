import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillwatch import store
from stillwatch.errors import StoreError

VERDICT = {
    "subject": "a1",
    "subject_kind": "account",
    "verdict": "guilty",
    "because": "traced the card",
    "author": "ada",
    "decided_at": "2026-03-02T10:00:00+00:00",
}


class Crash(Exception):  # noqa: N818 - it stands for a power cut, not for an error
    """The power goes."""


def power_cut(*_: object, **__: object) -> None:
    raise Crash


def test_a_crash_between_writing_and_replacing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_json(tmp_path / "a.json", ["old"])
    store.write_table(tmp_path / "a.parquet", pa.table({"n": [1]}))
    monkeypatch.setattr(Path, "replace", power_cut)
    with pytest.raises(Crash):
        store.write_json(tmp_path / "a.json", ["new"])
    with pytest.raises(Crash):
        store.write_table(tmp_path / "a.parquet", pa.table({"n": [2]}))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == ["old"]
    assert pq.read_table(tmp_path / "a.parquet")["n"].to_pylist() == [1]


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(Path, "write_bytes", power_cut)
    with pytest.raises(Crash):
        store.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_bytes() == b"old"


def test_what_a_killed_run_left_is_gone_when_the_next_one_holds_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".work" / "signals").mkdir(parents=True)
    (tmp_path / ".work" / "signals" / "part.parquet").touch()
    (tmp_path / f".{store.CAMPAIGNS}.partial").touch()
    with store.locked(tmp_path) as work:
        assert list(work.iterdir()) == []
        assert {path.name for path in tmp_path.iterdir()} == {".lock", ".work"}
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}


def test_the_work_folder_goes_even_when_the_run_fails(tmp_path: Path) -> None:
    with pytest.raises(Crash), store.locked(tmp_path):
        power_cut()
    assert not (tmp_path / ".work").exists()


def test_a_folder_is_held_by_one_run_at_a_time(tmp_path: Path) -> None:
    with store.locked(tmp_path):
        with pytest.raises(StoreError, match="another run is writing"), store.locked(tmp_path):
            pass
        assert (tmp_path / ".work").exists(), "the refused run removed the work of the other"
    with store.locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="--out"), store.locked(tmp_path / "file" / "out"):
        pass


def test_a_run_under_another_key_is_refused(tmp_path: Path) -> None:
    store.check_key(tmp_path, "0123")
    store.write_json(tmp_path / store.RUN, {"key_id": "0123"})
    store.check_key(tmp_path, "0123")
    with pytest.raises(StoreError, match=r"made under key 0123, this run has key 4567.*Restore the earlier key"):
        store.check_key(tmp_path, "4567")


def test_an_empty_folder_has_no_campaigns_no_run_and_no_verdicts(tmp_path: Path) -> None:
    assert store.read_campaigns(tmp_path) == []
    assert store.read_run(tmp_path) == {}
    assert store.read_verdicts(tmp_path).num_rows == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2", b"\xff\xfe\x00"])
def test_damaged_results_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / store.CAMPAIGNS).write_bytes(content)
    with pytest.raises(StoreError, match=r"campaigns\.json is damaged"):
        store.read_campaigns(tmp_path)


@pytest.mark.parametrize("content", ["{}", "3", '"text"', "null", "[1]"])
def test_json_of_another_shape_is_damaged_too(content: str, tmp_path: Path) -> None:
    (tmp_path / store.CAMPAIGNS).write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=r"campaigns\.json is damaged"):
        store.read_campaigns(tmp_path)
    if content != "{}":
        (tmp_path / store.RUN).write_text(content, encoding="utf-8")
        with pytest.raises(StoreError, match=r"run\.json is damaged"):
            store.read_run(tmp_path)


def test_a_missing_or_damaged_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no .*accounts\.parquet"):
        store.read_table(tmp_path, store.ACCOUNTS)
    (tmp_path / store.ACCOUNTS).write_bytes(b"PAR1 no PAR1")
    with pytest.raises(StoreError, match=r"accounts\.parquet is damaged"):
        store.read_table(tmp_path, store.ACCOUNTS)


def test_verdicts_are_kept_in_order(tmp_path: Path) -> None:
    for subject in ("a1", "a2"):
        store.write_verdict(tmp_path, {**VERDICT, "subject": subject})
    assert [row["subject"] for row in store.read_verdicts(tmp_path).to_pylist()] == ["a1", "a2"]


def test_blank_lines_between_verdicts_are_passed_over_and_damage_is_named_by_its_line(tmp_path: Path) -> None:
    good = json.dumps(VERDICT)
    (tmp_path / store.VERDICTS).write_text(f"{good}\n\n{good}\n", encoding="utf-8")
    assert store.read_verdicts(tmp_path).num_rows == 2
    (tmp_path / store.VERDICTS).write_text(f"{good}\n\n{good[:-9]}\n", encoding="utf-8")
    with pytest.raises(StoreError, match="line 3 is no verdict"):
        store.read_verdicts(tmp_path)


@pytest.mark.parametrize(
    "change", [{"verdict": "maybe"}, {"subject": None}, {"decided_at": "yesterday"}, {"because": 3}, {"more": 1}]
)
def test_a_verdict_of_another_shape_is_damaged(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / store.VERDICTS).write_text(json.dumps({**VERDICT, **change}) + "\n", encoding="utf-8")
    with pytest.raises(StoreError, match="line 1 is no verdict"):
        store.read_verdicts(tmp_path)


@pytest.mark.parametrize("text", ["plain", "Zoë 東京 🙂", "\x1b[31m", "\u202e\u2066", "\x9b2J\x7f\x00", "\u2028"])
def test_json_text_escapes_what_acts_keeps_what_is_read_and_loses_nothing(text: str) -> None:
    told = store.json_text([text])
    assert json.loads(told) == [text]
    assert all(character.isprintable() or character == "\n" for character in told)
    assert (text in told) == text.isprintable()


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.json_text([float("nan")])
