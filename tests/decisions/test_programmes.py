"""Programmes: what each wants, from the policy's file or, where it says nothing, built in."""

from pathlib import Path

import pytest
from tests.decisions.test_policy import DOCS, SMALL, written

from stillwatch.decisions import PROGRAMME_CHECKS, Programme, load_programmes
from stillwatch.errors import SettingsError
from stillwatch.records import ACCESS_PROGRAMS
from stillwatch.schemas import schema

OURS = """
[programmes.startup]
required = ["sponsor", "domain_age"]
renew_after_days = 30
[programmes.partner]
required = []
"""


def test_the_built_in_programmes_want_checks_and_renewal() -> None:
    built_in = load_programmes(None)
    assert built_in.policy == "policy default 1"
    assert set(built_in.of) == {"education", "startup", "research"}
    for programme in built_in.of.values():
        assert programme.required
        assert programme.renew_after_days
    assert built_in.wanted("free") == built_in.wanted(None) == Programme()


def test_a_policy_that_says_nothing_of_programmes_has_the_built_in_ones(tmp_path: Path) -> None:
    found = load_programmes(written(tmp_path, SMALL))
    assert (found.policy, found.of) == ("policy small 3", load_programmes(None).of)


def test_a_policy_with_programmes_has_these_and_no_others(tmp_path: Path) -> None:
    found = load_programmes(written(tmp_path, SMALL + OURS))
    assert found.of == {"startup": Programme(("sponsor", "domain_age"), 30), "partner": Programme((), None)}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("sponsor", "horoscope", "programmes.startup.required[0]: 'horoscope' is not known"),
        ("programmes.partner", "programmes.golden", "programmes: "),
        ("renew_after_days = 30", "renew_after_days = 0", "programmes.startup.renew_after_days"),
        ("renew_after_days", "renew", "programmes.startup: "),
    ],
)
def test_a_fault_is_told_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_programmes(written(tmp_path, SMALL + OURS.replace(old, new)))
    assert told in str(caught.value)


def test_the_schema_knows_the_programmes_and_checks_of_the_code() -> None:
    programmes = schema("policy")["properties"]["programmes"]["properties"]
    assert tuple(programmes) == ACCESS_PROGRAMS
    known = schema("policy")["$defs"]["programme"]["properties"]["required"]["items"]["enum"]
    assert tuple(known) == PROGRAMME_CHECKS


def test_every_key_and_check_is_documented() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    keys = ("programmes", *schema("policy")["$defs"]["programme"]["properties"], *PROGRAMME_CHECKS)
    assert [key for key in keys if f"`{key}`" not in docs] == []
