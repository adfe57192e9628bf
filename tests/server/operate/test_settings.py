"""Settings: every one is in the docs with its variable, its default is told truly, and each can be replaced."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from stillwatch.errors import SettingsError
from stillwatch.server import ServerSettings, load_server_settings, opened
from stillwatch.server.settings import Storing

PAGE = Path(__file__).parents[3] / "docs" / "server-settings.md"
TOGETHER = {
    "feedback_approver": {"STILLWATCH_PARTNERS_FEEDBACK": "true"},  # the setting says nothing without the other
    "kafka_servers": {"STILLWATCH_INTAKE_KAFKA_TOPIC": "t"},
    "kafka_topic": {"STILLWATCH_INTAKE_KAFKA_SERVERS": "a:9092"},
}
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| `(STILLWATCH_\w+)` \| ", re.MULTILINE)


def settings() -> list[tuple[str, str, Any]]:
    """Every setting: its section, its name, its default."""
    built = ServerSettings()
    return [
        (section.name, entry.name, getattr(getattr(built, section.name), entry.name))
        for section in fields(ServerSettings)
        for entry in fields(getattr(built, section.name))
    ]


def test_every_setting_is_in_the_docs_in_its_section_with_its_variable_and_no_other() -> None:
    told = {}
    for part in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        section = re.match(r".*`\[(\w+)\]`", part)
        assert section, part[:40]
        told |= {(section[1], name): (default.strip(), variable) for name, default, variable in ROW.findall(part)}
    known = {(section, name): f"STILLWATCH_{section}_{name}".upper() for section, name, _ in settings()}
    assert {key: variable for key, (_, variable) in told.items()} == known
    for section, name, default in settings():
        told_as = ", ".join(default) if isinstance(default, tuple) else default
        words = {False: "false", (): "none", "": None}.get(default, f"`{told_as}`")
        if isinstance(default, int | float) and not isinstance(default, bool):
            words = f"{default:g}" if isinstance(default, float) else str(default)
        assert words is None or told[section, name][0] == words


@pytest.mark.parametrize(("section", "name", "default"), settings())
def test_each_can_be_replaced_by_its_variable(section: str, name: str, default: Any) -> None:
    kind = get_type_hints(type(getattr(ServerSettings(), section)))[name]
    special = {
        "metrics_token": "t" * 20,
        "issuer": "https://id.example",
        "live": "verify,throttle",
        "memory_limit": "1GB",
        "account": "header:x-tenant",
        "verify": "tell",
    }
    plain = {bool: "true", int: "7", float: "7.5", Path: "/x", str: "x"}
    variable = f"STILLWATCH_{section}_{name}".upper()
    told = load_server_settings(
        None, {**TOGETHER.get(name, {}), variable: special.get(name, plain.get(kind, "a=b,c=d"))}
    )
    assert getattr(getattr(told, section), name) not in (default, None, "")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SERVER_PORT", "70000", "give a port from 0 to 65535"),
        ("SERVER_GRPC_PORT", "-1", "give a port from 0 to 65535"),
        ("SERVER_METRICS_TOKEN", "short", "give at least 20 characters"),
        ("DECISIONS_LIVE", "explode", "no such action: explode"),
        ("DETECTION_EVERY_S", "0", "give a number of seconds above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_server_settings(None, {f"STILLWATCH_{variable}": value})


def test_secrets_are_not_printed_with_the_settings() -> None:
    told = load_server_settings(
        None,
        {
            "STILLWATCH_STORAGE_DATABASE": "postgresql://u:planted@h/d",
            "STILLWATCH_SERVER_METRICS_TOKEN": "planted" * 4,
            "STILLWATCH_ALERTS_WEBHOOKS": "https://h/x whsec_planted",
        },
    )
    assert "planted" not in repr(told)


def test_a_state_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SettingsError, match=r"cannot make .*file/state: .* Choose another storage.state"),
        opened(ServerSettings(storage=Storing(state=tmp_path / "file" / "state"))),
    ):
        pass
