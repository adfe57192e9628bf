import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from stillwatch.errors import SettingsError, SharingError
from stillwatch.sharing.groups import (
    Group,
    current,
    group,
    group_keys,
    group_of,
    merged,
    read_group,
    read_groups,
    rotated,
    text_of,
    with_members,
    without_members,
    write_group,
)
from stillwatch.sharing.keyed import GroupKey, keyed

START = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))
ANN = "identity--0f3c9a11-55aa-57cc-8a11-000000000001"
BOB = "identity--0f3c9a11-55aa-57cc-8a11-000000000002"


@pytest.fixture
def held() -> Group:
    return group("g-frontier", FIRST, since=START, members=[ANN, BOB])


def days(count: int) -> datetime:
    return START + timedelta(days=count)


def test_a_group_is_kept_for_its_owner_alone_and_read_again(tmp_path: Path, held: Group) -> None:
    folder = tmp_path / "groups"
    write_group(folder, rotated(held, SECOND, since=days(30)))
    path = folder / "g-frontier.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_group(folder, "g-frontier") == rotated(held, SECOND, since=days(30))
    assert [one.name for one in folder.iterdir()] == ["g-frontier.json"]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path, held: Group) -> None:
    write_group(tmp_path, held)
    (tmp_path / "g-frontier.json").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_group(tmp_path, "g-frontier")


def test_the_key_to_send_under_is_that_of_the_epoch_that_holds_now(tmp_path: Path, held: Group) -> None:
    write_group(tmp_path, rotated(held, SECOND, since=days(30)))
    assert current(tmp_path, "g-frontier", days(29)) == GroupKey("g-frontier", 1, FIRST)
    assert current(tmp_path, "g-frontier", days(30)) == GroupKey("g-frontier", 2, SECOND)
    with pytest.raises(SharingError, match="No epoch"):
        current(tmp_path, "g-frontier", START - timedelta(seconds=1))


def test_old_epochs_stay_to_match_what_was_sent_under_them(tmp_path: Path, held: Group) -> None:
    write_group(tmp_path, rotated(held, SECOND, since=days(30)))
    write_group(tmp_path, group("g-other", SECOND, since=START))
    assert group_keys(tmp_path) == {
        ("g-frontier", 1): GroupKey("g-frontier", 1, FIRST),
        ("g-frontier", 2): GroupKey("g-frontier", 2, SECOND),
        ("g-other", 1): GroupKey("g-other", 1, SECOND),
    }
    assert group_keys(tmp_path / "nowhere") == {}
    assert [one.group_id for one in read_groups(tmp_path)] == ["g-frontier", "g-other"]


def test_values_of_two_epochs_have_nothing_in_common(held: Group) -> None:
    numbers = np.arange(-10_000, 10_000, dtype=np.int64)
    before, after = (held.key(epoch) for epoch in rotated(held, SECOND, since=days(30)).epochs)
    for kind in ("wording", "item"):
        old, new = (keyed(numbers, kind, key) for key in (before, after))
        assert len(set(old.tolist()) | set(new.tolist())) == 40_000
        # As many bits agree as between coin tosses: 64 * 20,000 of them, with a deviation of 566.
        agreeing = int(np.bitwise_count(~(old ^ new)).sum())
        assert abs(agreeing - 32 * 20_000) < 5 * 566


def test_removing_a_member_rotates_the_key(held: Group) -> None:
    after = without_members(held, [BOB], SECOND, since=days(1))
    assert after.members == (ANN,)
    assert [epoch.number for epoch in after.epochs] == [1, 2]
    assert after.epochs[0].until == after.epochs[1].since == days(1)
    with pytest.raises(SharingError, match="is no member"):
        without_members(after, [BOB], bytes(32), since=days(2))


def test_members_are_identities_each_once(held: Group) -> None:
    assert with_members(held, [BOB, ANN]) == held
    with pytest.raises(SharingError, match="id of its identity") as caught:
        with_members(held, ["Canary Works"])
    assert "Canary" not in str(caught.value)


def test_a_rotation_needs_a_new_secret_and_a_later_time(held: Group) -> None:
    with pytest.raises(SharingError, match="new secret"):
        rotated(held, FIRST, since=days(1))
    with pytest.raises(SharingError, match="rotate later"):
        rotated(held, SECOND, since=START)


def test_a_group_needs_an_id_and_a_whole_secret() -> None:
    for group_id in ("", "G", "a b", "../x", "x" * 64):
        with pytest.raises(SharingError, match="id of a group"):
            group(group_id, FIRST, since=START)
    with pytest.raises(SharingError, match="32 bytes"):
        group("g", b"short", since=START)


def test_an_invitation_adds_epochs_and_replaces_members(held: Group) -> None:
    theirs = without_members(held, [BOB], SECOND, since=days(1))
    assert merged(None, theirs) == theirs
    assert merged(held, theirs) == theirs
    with pytest.raises(SharingError, match="older than what is here"):
        merged(theirs, held)


def test_another_secret_under_a_known_epoch_is_another_group(held: Group) -> None:
    forged = group("g-frontier", SECOND, since=START)
    with pytest.raises(SharingError, match="another secret"):
        merged(held, forged)


def test_a_fingerprint_tells_groups_apart_and_holds_no_secret(held: Group) -> None:
    prints = {
        one.fingerprint
        for one in (held, rotated(held, SECOND, since=days(1)), group("g-frontier", SECOND, since=START))
    }
    assert len(prints) == 3
    assert with_members(held, []).fingerprint == held.fingerprint
    assert held.fingerprint not in FIRST.hex()


def test_nothing_shows_a_secret(held: Group) -> None:
    assert FIRST.hex() not in repr(held)
    assert repr(FIRST) not in repr(held) + repr(held.key(held.epochs[0]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda told: told.update(group_id="../x"),
        lambda told: told.update(members=["Canary"]),
        lambda told: told.update(extra=1),
        lambda told: told.update(epochs=[]),
        lambda told: told.update(epochs=3),
        lambda told: told["epochs"][0].update(secret="ab"),
        lambda told: told["epochs"][0].update(secret="canary"),
        lambda told: told["epochs"][0].update({"from": "canary"}),
        lambda told: told["epochs"][0].update(epoch=True),
        lambda told: told["epochs"].append(dict(told["epochs"][0])),
        lambda told: told["epochs"].append({**told["epochs"][0], "epoch": 2}),
    ],
)
def test_a_damaged_file_is_refused_without_quoting_it(held: Group, damage: object) -> None:
    told = json.loads(text_of(held))
    damage(told)  # type: ignore[operator]
    with pytest.raises(SettingsError, match=r"groups/g\.json is no sharing group") as caught:
        group_of(json.dumps(told), "groups/g.json")
    assert "anary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_under_another_name_is_refused(tmp_path: Path, held: Group) -> None:
    write_group(tmp_path, held)
    (tmp_path / "g-frontier.json").rename(tmp_path / "g-other.json")
    with pytest.raises(SettingsError, match="another group than its name"):
        read_group(tmp_path, "g-other")
    for name in ("g-frontier", "../g-other", "x" * 200):
        with pytest.raises(SharingError, match="There is no sharing group"):
            read_group(tmp_path, name)
