"""The inbox keeps the last version of what each partner may send, whatever comes, twice or cut off."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from tests.partners.world import (
    NOON,
    NORTH,
    SOUTH,
    Clock,
    Object,
    campaign,
    indicates,
    indicator,
    lead,
    object_of,
    uid,
)

from stillwatch.errors import SharingError, StoreError
from stillwatch.partners import Inbox
from stillwatch.partners import inbox as inbox_module
from stillwatch.partners.inbox import Taken
from stillwatch.partners.received import Standing

LEAD = uid("indicator", 1)


def take(inbox: Inbox, objects: list[Object], name: str = "north", senders: tuple[str, ...] = (NORTH,)) -> Taken:
    with inbox.opened(name, senders) as box:
        return box.take(objects, now=NOON)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_taking_the_same_objects_again_changes_nothing(inbox: Inbox) -> None:
    assert take(inbox, lead()) == Taken(kept=3)
    before = bytes_of(inbox.folder / "north")
    assert take(inbox, lead()) == Taken(known=3)
    assert bytes_of(inbox.folder / "north") == before


def test_the_last_version_counts_in_whatever_order_versions_come(inbox: Inbox) -> None:
    versions = [
        indicator(modified=NOON - timedelta(hours=2), values=("00000000000000c3",)),
        indicator(modified=NOON - timedelta(hours=1), pattern="[in another form]"),
        indicator(modified=NOON, values=("00000000000000d4",)),
    ]
    for order in permutations(versions):
        name = f"p{len(inbox.partners())}"
        sender = f"{NORTH[:-1]}{len(inbox.partners()) + 1}"
        take(inbox, [{**version, "created_by_ref": sender} for version in order], name, (sender,))
        assert inbox.objects(name)[LEAD].body["values"] == ["00000000000000d4"]


def test_what_is_revoked_stays_revoked_in_whatever_order_versions_come(inbox: Inbox) -> None:
    versions = [
        indicator(modified=NOON - timedelta(hours=2)),
        indicator(modified=NOON - timedelta(hours=1), revoked=True),
    ]
    late = indicator(modified=NOON)  # STIX allows no version after a revocation
    for number, order in enumerate(permutations([*versions, late])):
        sender = f"{NORTH[:-1]}{number + 1}"
        take(inbox, [{**version, "created_by_ref": sender} for version in order], f"p{number}", (sender,))
        assert inbox.objects(f"p{number}")[LEAD].standing is Standing.revoked
    take(inbox, [versions[0], versions[1], versions[0]])
    assert inbox.objects("north")[LEAD].standing is Standing.revoked


def test_a_revocation_of_the_version_we_have_counts(inbox: Inbox) -> None:
    take(inbox, [indicator()])
    assert take(inbox, [indicator(revoked=True)]).kept == 1
    assert take(inbox, [indicator()]).known == 1
    assert inbox.objects("north")[LEAD].standing is Standing.revoked


def test_a_newer_version_that_cannot_be_read_puts_the_older_one_out_of_use(inbox: Inbox) -> None:
    take(inbox, [indicator(modified=NOON - timedelta(hours=1))])
    take(inbox, [indicator(pattern="[something:new = 1]")])
    assert inbox.objects("north")[LEAD].standing is Standing.unread
    take(inbox, [indicator(modified=NOON - timedelta(hours=1))])
    assert inbox.objects("north")[LEAD].standing is Standing.unread


def test_an_object_that_somebody_else_made_is_refused(inbox: Inbox) -> None:
    done = take(inbox, [indicator(by=SOUTH), *lead(2)])
    assert done == Taken(kept=3, refused={"somebody else made it than this partner": 1})
    assert LEAD not in inbox.objects("north")
    assert inbox.refused("north") == {"somebody else made it than this partner": 1}


def test_a_partner_can_neither_replace_nor_revoke_what_another_sent(inbox: Inbox) -> None:
    take(inbox, lead())
    later = NOON + timedelta(hours=1)
    for by in (NORTH, SOUTH):
        take(inbox, [indicator(by=by, modified=later, revoked=True), campaign(by=by, revoked=True)], "south", (SOUTH,))
    assert inbox.objects("north")[LEAD].standing is Standing.current
    assert inbox.objects("north")[uid("campaign", 1)].standing is Standing.current


def test_the_first_identity_seen_is_pinned_when_the_operator_pinned_none(inbox: Inbox) -> None:
    take(inbox, lead(), senders=())
    assert inbox.senders("north") == (NORTH,)
    done = take(inbox, lead(2, by=SOUTH), senders=())
    assert done.refused == {"somebody else made it than this partner": 3}


def test_an_identity_that_is_pinned_to_another_partner_is_never_taken_for_this_one(inbox: Inbox) -> None:
    with inbox.opened("south", not_theirs=[NORTH]) as box:
        assert box.take(lead(), now=NOON).refused == {"somebody else made it than this partner": 3}
        assert box.take(lead(by=SOUTH), now=NOON).kept == 3


def test_an_identity_cannot_belong_to_two_partners(inbox: Inbox) -> None:
    take(inbox, lead(), senders=())
    assert take(inbox, lead(2), "south", ()).refused == {"somebody else made it than this partner": 3}
    with pytest.raises(SharingError, match="identity of another partner"):
        take(inbox, lead(2), "south", (NORTH,))


def test_objects_of_an_identity_that_is_pinned_no_more_are_not_used(inbox: Inbox) -> None:
    take(inbox, lead())
    take(inbox, lead(2, by=SOUTH), senders=(SOUTH,))
    assert {received.made_by for received in inbox.objects("north").values()} == {SOUTH}


def test_within_one_partner_one_identity_cannot_replace_what_another_made(inbox: Inbox) -> None:
    take(inbox, lead(), senders=(NORTH, SOUTH))
    done = take(inbox, [indicator(by=SOUTH, modified=NOON + timedelta(hours=1))], senders=(NORTH, SOUTH))
    assert done.refused == {"another identity made the object first": 1}


def test_values_under_a_group_that_the_partner_is_no_member_of_are_refused(inbox: Inbox) -> None:
    other = {"group_id": "g-two", "epoch": 1}
    with inbox.opened("north", (NORTH,), groups=("g-one",)) as box:
        done = box.take([*lead(1), *lead(2, key=other), indicator(3, kind="payment", key={})], now=NOON)
    assert done.refused == {"it is under the key of a group that this partner is no member of": 1}
    assert done.kept == 6


def test_what_is_refused_is_counted_once_however_often_it_comes(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        take(inbox, [*lead(1, by=SOUTH), 5, {**indicator(2), "id": "none"}])  # type: ignore[list-item]
    assert inbox.refused("north") == {
        "somebody else made it than this partner": 3,
        "it is no object": 1,
        "its id is none of its type": 1,
    }
    monkeypatch.setattr(inbox_module, "MOST_REFUSED", 10)
    take(inbox, [{**indicator(name=str(number)), "id": "none"} for number in range(50)])
    assert inbox.refused("north") == {"its id is none of its type": 10}


def test_unused_types_are_counted_and_not_kept(inbox: Inbox) -> None:
    done = take(inbox, [object_of("report", 1), object_of("x-widget", 1), *lead()])
    assert (done.kept, done.unused) == (3, 2)
    assert len((inbox.folder / "north" / "objects.jsonl").read_text().splitlines()) == 3


def test_a_line_that_a_crash_cut_off_is_left_out_and_then_overwritten(inbox: Inbox) -> None:
    take(inbox, lead(1))
    path = inbox.folder / "north" / "objects.jsonl"
    whole = path.read_bytes()
    take(inbox, lead(2))
    longer = path.read_bytes()
    for length in range(len(whole), len(longer), 37):
        path.write_bytes(longer[:length])
        assert set(inbox.objects("north")) >= {uid(kind, 1) for kind in ("campaign", "indicator", "relationship")}
    path.write_bytes(whole + b'{"id": "indicator--')
    assert len(inbox.objects("north")) == 3
    assert take(inbox, lead(2)).kept == 3
    assert len(inbox.objects("north")) == 6
    assert path.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_damaged_line_is_named(inbox: Inbox) -> None:
    take(inbox, lead())
    path = inbox.folder / "north" / "objects.jsonl"
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(StoreError, match=r"objects\.jsonl, line 1 is damaged"):
        inbox.objects("north")


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from stillwatch.partners import Inbox
from tests.partners.world import NOON, NORTH, lead

with Inbox(Path(sys.argv[1])).opened("north", (NORTH,)) as box:
    for page in range(10_000):
        box.take([object_ for number in range(20) for object_ in lead(20 * page + number)], now=NOON)
        print(page, flush=True)
"""


@pytest.mark.nightly
def test_a_process_that_is_killed_loses_at_most_the_page_it_was_taking(inbox: Inbox) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, inbox.out], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = -1
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged == 4:
            os.kill(process.pid, signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout)])
    process.communicate()
    kept = inbox.objects("north")
    assert set(kept) >= {uid("indicator", number) for number in range(20 * (acknowledged + 1))}
    again = [object_ for number in range(20 * (acknowledged + 3)) for object_ in lead(number)]
    assert take(inbox, again).kept == len(again) - len(kept)


def test_two_processes_cannot_hold_one_box(inbox: Inbox) -> None:
    with inbox.opened("north"), pytest.raises(StoreError, match="another process"), inbox.opened("north"):
        pass


@pytest.mark.parametrize("name", ["", "..", ".north", "a/b", "North", "x" * 64, "nörd", "a\n"])
def test_a_name_that_is_no_name_makes_no_folder(inbox: Inbox, name: str) -> None:
    with pytest.raises(SharingError), inbox.opened(name):
        pass
    assert not inbox.folder.exists()


def test_a_partner_that_sends_too_much_is_cut_off_and_can_still_revoke(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MOST_OBJECTS", 5)
    done = take(inbox, [*lead(1), *lead(2), *lead(3)])
    assert done == Taken(kept=5, refused={"this partner has sent as much as is kept": 4})
    assert take(inbox, [indicator(revoked=True)]).kept == 1
    assert take(inbox, lead(4, by=SOUTH), "south", (SOUTH,)).kept == 3
    monkeypatch.setattr(inbox_module, "MOST_OBJECTS", 100)
    monkeypatch.setattr(inbox_module, "MOST_VALUES", 4)
    assert take(inbox, [indicator(5), indicator(6)]).refused == {"this partner has sent as much as is kept": 1}


def test_versions_that_pile_up_are_forgotten_and_no_old_one_comes_back(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(inbox_module, "LEAST_REWRITTEN_BYTES", 20_000)
    path = inbox.folder / "north" / "objects.jsonl"
    with inbox.opened("north", (NORTH,)) as box:
        box.take([indicator(9, days=1), indicator(8, revoked=True)], now=clock())
        clock.pass_by(days=2)
        for minute in range(90):
            later = clock() + timedelta(minutes=minute)
            box.take([indicator(modified=later)], now=later)
            assert path.stat().st_size < 30_000
        assert box.take([indicator(9), indicator(8)], now=clock()).known == 2
    held = inbox.objects("north")
    assert (len(held), held[uid("indicator", 8)].standing) == (3, Standing.revoked)


def test_bookmarks_are_kept_by_collection(inbox: Inbox) -> None:
    with inbox.opened("north") as box:
        assert box.bookmark("one") is None
        box.move_bookmark("one", NOON)
        box.move_bookmark("two", NOON + timedelta(days=1))
    with inbox.opened("north") as box:
        assert (box.bookmark("one"), box.bookmark("two")) == (NOON, NOON + timedelta(days=1))


def test_ties_between_what_two_partners_sent_are_kept_apart(inbox: Inbox) -> None:
    take(inbox, [indicator(), campaign()])
    take(inbox, [indicates(by=SOUTH)], "south", (SOUTH,))
    assert set(inbox.objects("south")) == {uid("relationship", 1)}
