"""No prompt, completion, raw identifier or account id leaves through the gate, at any marking, for anybody."""

import copy
import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.sharing.outgoing import FRIEND, GROUP, KEY_ID, NOW, Campaigns, let_go, through, would

from stillwatch import sharing
from stillwatch.errors import SharingError
from stillwatch.schemas import schema
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.recipients import AUDIENCES, Recipient

Path = tuple[str | int, ...]
PLAIN = "reason step by step, then give the answer"  # a prompt, to find the places that take any text

_WORDS = st.lists(st.sampled_from(["merger", "quarterly", "canary", "letter", "patient", "refund"]), min_size=3)
_HEX = st.text("0123456789abcdef", min_size=16, max_size=64).filter(lambda text: not text.isdecimal())
SECRETS = st.one_of(
    _WORDS.map(lambda words: f"Write the {' '.join(words)}"),  # a prompt
    _WORDS.map(lambda words: f"<thinking>{' '.join(words)}</thinking>"),  # a completion
    st.ip_addresses().map(str).filter(lambda text: len(text) > 6),
    st.emails().filter(lambda text: len(text) > 8),
    st.from_regex(r"acct-[a-z]{4}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"\+1555[0-9]{7}", fullmatch=True),
    st.from_regex(r"4[0-9]{15}", fullmatch=True),
    st.text(string.printable, min_size=12, max_size=40).filter(lambda text: len(text.strip()) > 11),
)


def places(value: object, path: Path = ()) -> Iterator[Path]:
    """Where text stands in a campaign; of a list, in its first two."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from places(inner, (*path, index))
    elif isinstance(value, str):
        yield path


def planted(campaign: dict[str, Any], path: Path, secret: str) -> dict[str, Any]:
    """The campaign with a secret in that place."""
    changed = copy.deepcopy(campaign)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = secret
    return changed


def tried(campaign: dict[str, Any], recipient: Recipient, tlp: str) -> str:
    """What leaves: the bytes, or nothing with the reason why."""
    try:
        return let_go(would([campaign], recipient, tlp=tlp)).text
    except SharingError as error:
        return str(error)


@pytest.fixture(scope="module")
def campaign() -> dict[str, Any]:
    from tests.sharing.planted import SAMPLES

    one = json.loads(SAMPLES.read_text(encoding="utf-8"))[0]
    one["account_ids"] = one["account_ids"][:12]
    one["recommended_decisions"] = one["recommended_decisions"][:1]
    one["evidence"] = list({row["family"]: row for row in one["evidence"]}.values())  # one of each family: quicker
    return dict(one)


@pytest.fixture(scope="module")
def open_places(campaign: dict[str, Any]) -> list[Path]:
    """Places where any text passes the schema, so that nothing but the way out stands before it."""
    shape = Draft202012Validator(schema("campaigns"))
    return [path for path in places(campaign) if shape.is_valid([planted(campaign, path, PLAIN)])]


def test_there_are_places_that_take_any_text(open_places: list[Path]) -> None:
    told = {path[0] for path in open_places}
    assert {"account_ids", "evidence", "templates"} <= told
    assert len(open_places) > 20


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_secrets_planted_anywhere_never_leave(
    campaign: dict[str, Any], open_places: list[Path], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.sampled_from(open_places), min_size=1, max_size=12, unique=True))
    secrets = data.draw(st.lists(SECRETS, min_size=len(chosen), max_size=len(chosen)))
    tlp = data.draw(st.sampled_from(list(TLP_MARKINGS)))
    audience = data.draw(st.sampled_from(list(AUDIENCES)))
    groups = data.draw(st.sampled_from([frozenset[str](), FRIEND.groups]))
    for path, secret in zip(chosen, secrets, strict=True):
        campaign = planted(campaign, path, secret)
    told = tried(campaign, Recipient("x", "red", audience, groups), tlp)
    for secret in secrets:
        assert secret not in told
        assert json.dumps(secret)[1:-1] not in told


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(account_id=_HEX, data=st.data())
def test_an_account_id_in_the_shape_of_a_hash_does_not_leave_as_a_trait(
    campaign: dict[str, Any], account_id: str, data: st.DataObject
) -> None:
    rows = [("evidence", i, "value") for i in range(len(campaign["evidence"]))]
    paths = data.draw(st.lists(st.sampled_from(rows), min_size=1, unique=True))
    for path in paths:
        campaign = planted(campaign, path, account_id)
    campaign = planted(campaign, ("account_ids", 3), account_id)
    assert account_id not in tried(campaign, FRIEND, data.draw(st.sampled_from(list(TLP_MARKINGS))))


@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_no_account_id_of_the_campaign_leaves(campaigns: Campaigns, tlp: str) -> None:
    told = let_go(would(campaigns, tlp=tlp)).text
    accounts = {account_id for one in campaigns for account_id in one["account_ids"]}
    assert len(accounts) > 100
    assert [account_id for account_id in accounts if account_id in told] == []


@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_no_fingerprint_leaves_without_a_key(campaigns: Campaigns, tlp: str) -> None:
    told = let_go(would(campaigns, tlp=tlp)).text
    bare = {value for one in campaigns for value in sharing.traits.unkeyed_values(one) if len(value) > 5}
    assert len(bare) > 10
    assert [value for value in bare if value in told] == []


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=SECRETS, data=st.data())
def test_an_object_with_a_secret_is_refused_whoever_built_it(
    campaigns: Campaigns, secret: str, data: st.DataObject
) -> None:
    objects = _objects(campaigns)
    number = data.draw(st.integers(0, len(objects) - 1))
    path = data.draw(st.sampled_from([*places(objects[number]), ("x_note",)]))
    changed = [planted(one, path, secret) if i == number else one for i, one in enumerate(objects)]
    with pytest.raises(SharingError) as caught:
        through(changed, FRIEND, campaigns)
    assert secret not in str(caught.value)


_MADE: list[dict[str, Any]] = []


def _objects(campaigns: Campaigns) -> list[dict[str, Any]]:
    """The objects of the samples, made once."""
    if not _MADE:
        _MADE.extend(sharing.objects_of(campaigns, now=NOW, tlp="red", key_id=KEY_ID, group=GROUP))
    return _MADE
