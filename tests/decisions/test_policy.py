from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stillwatch.decisions import load_policy
from stillwatch.errors import SettingsError
from stillwatch.records import ACCESS_PROGRAMS, ACTIONS, CHECKS, DURABILITIES, ROLES, VERDICTS, VERIFICATION_LEVELS
from stillwatch.schemas import schema

DOCS = Path(__file__).parent.parent.parent / "docs" / "policy.md"

SMALL = """
name = "small"
version = 3
[checks]
default = ["identity"]
[[rules]]
name = "watch"
because = "Nothing more is called for."
campaign = { verdicts = ["coordinated"] }
outcome = { action = "observe", approvals = 0, expires_after_days = 5 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_built_in_policy_loads_and_names_itself() -> None:
    policy = load_policy(None)
    assert (policy.name, policy.version) == ("default", 1)
    assert policy.rules[0].name == "stolen-key"


def test_the_built_in_policy_is_the_worked_example_in_the_docs() -> None:
    text = Path(__file__).parent.parent.parent / "src" / "stillwatch" / "decisions" / "policy.toml"
    assert text.read_text(encoding="utf-8").strip() in DOCS.read_text(encoding="utf-8")


def test_every_key_of_the_schema_is_documented() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    rule = schema("policy")["$defs"]["rule"]["properties"]
    keys = {key for part in ("campaign", "account", "outcome") for key in rule[part]["properties"]}
    assert not {key for key in keys | set(rule) if f"`{key}`" not in docs}


def test_a_policy_from_a_file_keeps_order_and_values(tmp_path: Path) -> None:
    policy = load_policy(written(tmp_path, SMALL))
    assert (policy.name, policy.version, policy.checks) == ("small", 3, {"default": ("identity",)})
    assert policy.rules[0].outcome.expires_after_days == 5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('action = "observe"', 'action = "ban"', "rules[0].outcome.action: 'ban' is not known. Use one of observe"),
        ("approvals = 0", "approvals = -1", "rules[0].outcome.approvals"),
        ('action = "observe", approvals = 0', 'action = "suspend", approvals = 1', "Shaping and suspending need at"),
        ('action = "observe"', 'action = "observe", check = "email"', "a check belongs to the action verify only"),
        ('verdicts = ["coordinated"]', 'verdicts = ["guilty"]', "rules[0].campaign.verdicts[0]"),
        ('default = ["identity"]', 'free = ["phone"]', "checks: 'default' is a required property"),
        ("version = 3", 'version = "3"', "version: '3' is not of type 'integer'"),
        ("version = 3", "version = 3\ncolour = 1", "top level: "),
        ("version = 3", "version = = 3", "is not TOML"),
        ("[[rules]]", "[countermeasures.throttle]\nrequests_per_minute = 0\n[[rules]]", "0 is less than the minimum"),
        ("[[rules]]", "[countermeasures.shape]\nmax_tokens = 5\n[[rules]]", "countermeasures.shape: "),
        ("[[rules]]", '[countermeasures.shape]\nreasoning = "hide"\n[[rules]]', "Use one of withhold, summarise"),
        ("[[rules]]", "[countermeasures.suspend]\nhours = 5\n[[rules]]", "countermeasures: "),
        (
            "[[rules]]",
            '[[rules]]\nname = "watch"\nbecause = "The same name again."\ncampaign = { verdicts = ["explained"] }\n'
            'outcome = { action = "observe", approvals = 0, expires_after_days = 1 }\n[[rules]]',
            "the name 'watch' is used twice",
        ),
    ],
)
def test_a_fault_is_told_with_file_key_and_advice(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in SMALL
    path = written(tmp_path, SMALL.replace(old, new))
    with pytest.raises(SettingsError) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_a_policy_without_countermeasures_has_the_defaults(tmp_path: Path) -> None:
    shape = {"max_output_tokens": 1024, "strip_logprobs": True, "reasoning": "withhold"}
    for policy in (load_policy(written(tmp_path, SMALL)), load_policy(None)):
        assert policy.countermeasures.limits("throttle") == {"requests_per_minute": 10}
        assert policy.countermeasures.limits("shape") == shape
        assert [policy.countermeasures.limits(action) for action in ("observe", "verify", "suspend")] == [None] * 3


def test_countermeasures_of_a_file_replace_the_defaults_they_name(tmp_path: Path) -> None:
    told = '[countermeasures.shape]\nmax_output_tokens = 200\nreasoning = "summarise"\n[[rules]]'
    policy = load_policy(written(tmp_path, SMALL.replace("[[rules]]", told)))
    shape = {"max_output_tokens": 200, "strip_logprobs": True, "reasoning": "summarise"}
    assert policy.countermeasures.limits("shape") == shape
    assert policy.countermeasures.limits("throttle") == {"requests_per_minute": 10}


def test_every_countermeasure_of_the_schema_is_documented() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    told = schema("policy")["properties"]["countermeasures"]["properties"]
    keys = [f"{action}.{key}" for action, entry in told.items() for key in entry["properties"]]
    assert [key for key in keys if f"`{key}`" not in docs] == []


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_policy(path)


def test_the_schema_speaks_the_vocabulary_of_the_records() -> None:
    policy = schema("policy")
    Draft202012Validator.check_schema(policy)
    rule = policy["$defs"]["rule"]["properties"]
    assert tuple(policy["$defs"]["check"]["enum"]) == CHECKS
    assert tuple(rule["outcome"]["properties"]["action"]["enum"]) == ACTIONS
    assert tuple(rule["campaign"]["properties"]["verdicts"]["items"]["enum"]) == VERDICTS
    assert tuple(rule["campaign"]["properties"]["min_durability"]["enum"]) == DURABILITIES
    account = rule["account"]["properties"]
    assert tuple(account["access_programs"]["items"]["enum"]) == ACCESS_PROGRAMS
    assert tuple(account["verification_levels"]["items"]["enum"]) == VERIFICATION_LEVELS
    assert tuple(account["roles"]["items"]["enum"]) == ROLES
    assert set(policy["properties"]["checks"]["properties"]) == {*ACCESS_PROGRAMS, "default"}
