import os
import stat
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from stillwatch.errors import SettingsError
from stillwatch.settings import KEY_BYTES, KEY_VARIABLE, Settings, checked, key_path, key_secret

GOOD = Settings(logs=("logs",), out=Path("out"))


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"max_rejected_share": -0.01}, "--max-rejected-share"),
        ({"max_rejected_share": 1.01}, "--max-rejected-share"),
        ({"max_rejected_share": float("nan")}, "--max-rejected-share"),
        ({"false_discovery_rate": 0.0}, "--fdr"),
        ({"false_discovery_rate": 0.5}, "--fdr"),
        ({"threads": 0}, "--threads"),
        ({"memory_limit": "plenty"}, "--memory-limit"),
        ({"memory_limit": "4"}, "--memory-limit"),
        ({"memory_limit": "-4GB"}, "--memory-limit"),
        ({"memory_limit": "4GB; DROP TABLE x"}, "--memory-limit"),
    ],
)
def test_what_cannot_work_is_refused_by_the_name_of_its_flag(changes: dict[str, object], flag: str) -> None:
    with pytest.raises(SettingsError, match=flag):
        checked(replace(GOOD, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_rejected_share": 0.0},
        {"max_rejected_share": 1.0},
        {"threads": 1},
        {"memory_limit": "800MB"},
        {"memory_limit": "2.5GiB"},
        {"memory_limit": "1 tb"},
    ],
)
def test_what_can_work_passes_unchanged(changes: dict[str, object]) -> None:
    settings = replace(GOOD, **changes)
    assert checked(settings) is settings


def test_the_key_file_is_the_one_named_in_the_environment_else_one_of_the_persons_own() -> None:
    assert key_path({KEY_VARIABLE: "/etc/stillwatch/key"}) == Path("/etc/stillwatch/key")
    assert key_path({}).parts[-2:] == ("stillwatch", "key")
    assert key_path({KEY_VARIABLE: ""}) == key_path({})


def test_a_key_is_made_once_for_its_owner_only_and_then_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "key"
    before = os.umask(0)
    try:
        secret = key_secret(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(secret) == KEY_BYTES
    assert key_secret(path) == secret
    assert [file.name for file in path.parent.iterdir()] == ["key"]


def test_no_two_keys_are_alike(tmp_path: Path) -> None:
    assert key_secret(tmp_path / "a") != key_secret(tmp_path / "b")


def test_runs_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    together, secrets = Barrier(8), []

    def run() -> None:
        together.wait()
        secrets.append(key_secret(tmp_path / "key"))

    threads = [Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert len(set(secrets)) == 1


@pytest.mark.parametrize("size", [0, 1, KEY_BYTES - 1])
def test_a_key_that_is_too_short_is_refused_and_kept(size: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k" * size)
    with pytest.raises(SettingsError, match=f"holds {size} bytes, fewer than {KEY_BYTES}"):
        key_secret(path)
    assert path.read_bytes() == b"k" * size


def test_a_key_file_that_cannot_be_used_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=KEY_VARIABLE):
        key_secret(tmp_path)
