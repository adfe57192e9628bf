import json
from pathlib import Path
from typing import Any

import pytest

from stillwatch.errors import SharingError, StoreError
from stillwatch.sharing.ledger import Ledger, check, ledger


def record(recipient: str, *ids: str) -> dict[str, Any]:
    return {"recipient": recipient, "object_ids": list(ids), "digest": "0" * 64}


def one(name: str, version: int = 1) -> dict[str, Any]:
    return {"id": name, "type": "campaign", "version": version}


@pytest.fixture
def book(tmp_path: Path) -> Ledger:
    with ledger(tmp_path) as held:
        held.append("export", record("north", "a"), {"a": one("a")})
        held.append("export", record("south", "a"), {"a": one("a")})
        held.append("revoke", record("north", "a"), {"a": one("a", 2)})
    return Ledger(tmp_path)


def test_records_are_kept_in_order_each_with_the_hash_of_the_one_before(book: Ledger) -> None:
    rows = book.records()
    assert [(row["sequence"], row["act"], row["recipient"]) for row in rows] == [
        (1, "export", "north"),
        (2, "export", "south"),
        (3, "revoke", "north"),
    ]
    assert [row["previous_hash"] for row in rows] == ["0" * 64, rows[0]["hash"], rows[1]["hash"]]
    check(book)
    check(book, rows[1]["hash"])


def test_what_each_recipient_holds_is_the_newest_of_what_it_was_sent(book: Ledger) -> None:
    assert book.held_by("north") == {"a": one("a", 2)}
    assert book.held_by("south") == {"a": one("a")}
    assert book.held_by("east") == {}


def test_nothing_of_what_was_sent_stands_in_the_records(book: Ledger) -> None:
    assert "version" not in (book.folder / "sent.jsonl").read_text()


def lines(book: Ledger) -> list[str]:
    return (book.folder / "sent.jsonl").read_text().splitlines()


def rewrite(book: Ledger, changed: list[str]) -> None:
    (book.folder / "sent.jsonl").write_text("".join(f"{line}\n" for line in changed))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_record_is_found(book: Ledger, place: int) -> None:
    told = lines(book)
    rewrite(book, [line.replace('"0000', '"0001', 1) if i == place else line for i, line in enumerate(told)])
    with pytest.raises(SharingError, match=f"line {place + 1}: it does not follow"):
        check(book)


def test_a_record_that_was_taken_out_or_moved_is_found(book: Ledger) -> None:
    first, second, third = lines(book)
    for changed in ([second, third], [first, third], [first, third, second], [first, first, second, third]):
        rewrite(book, changed)
        with pytest.raises(SharingError, match="does not follow"):
            check(book)


def test_an_end_that_was_cut_off_is_found_by_a_hash_that_was_kept_elsewhere(book: Ledger) -> None:
    newest = book.records()[-1]["hash"]
    rewrite(book, lines(book)[:2])
    (book.folder / "sent" / "north.json").write_text(json.dumps([one("a")]))
    check(book)  # the chain alone cannot know: the docs say so
    with pytest.raises(SharingError, match="does not hold the hash you kept"):
        check(book, newest)


def test_contents_that_were_changed_or_lost_are_found(book: Ledger) -> None:
    path = book.folder / "sent" / "south.json"
    path.write_text(json.dumps([one("a", 7)]))
    with pytest.raises(SharingError, match=r"sent/south\.json is not what line 2"):
        check(book)
    path.unlink()
    with pytest.raises(SharingError, match=r"sent/south\.json is not what line 2"):
        check(book)


def test_damage_is_said_to_be_damage(book: Ledger) -> None:
    rewrite(book, [*lines(book), "canary"])
    with pytest.raises(StoreError, match="line 4 is no record") as caught:
        check(book)
    assert "canary" not in str(caught.value)
    (book.folder / "sent" / "north.json").write_text("canary")
    with pytest.raises(StoreError, match="is damaged"):
        book.held_by("north")


def test_two_cannot_write_at_once(tmp_path: Path) -> None:
    with (
        ledger(tmp_path),
        pytest.raises(StoreError, match="somebody else is sharing"),
        ledger(tmp_path),
    ):
        pass


def test_a_folder_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"), ledger(tmp_path / "nowhere"):
        pass
