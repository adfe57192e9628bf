"""No secret leaves, wherever it stands: planted in every text of a campaign, and at every place of every object."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sharing.planted import (
    ADVICE,
    ALIAS,
    GROUP,
    KEY_ID,
    NOW,
    SAMPLES,
    SECRETS,
    everything,
    places,
    planted,
    text_places,
)

from stillwatch.errors import SharingError
from stillwatch.sharing import check_egress, objects_of
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import measures

MARKINGS = sorted(TLP_MARKINGS)
WHOLE = json.loads(SAMPLES.read_text(encoding="utf-8"))[0] | {"recommended_decisions": ADVICE}
CAMPAIGN = WHOLE | {"timeline": WHOLE["timeline"][:2], "account_ids": WHOLE["account_ids"][:12]}  # quick to check
PLACES = list(text_places(CAMPAIGN))


# A card, a telephone, a place: where a number may stand, and where a text of digits may.
NUMBERS = (4111111111111111, 15550100777, 37.77493, "4111111111111111", "15550100777")


def variants() -> list[dict[str, Any]]:
    """One object of every type, every kind of indicator, note, sighting, relationship; from all markings."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for tlp in MARKINGS:
        for one in everything([CAMPAIGN], tlp):
            names = (one["type"], measures(one).get("kind"), one.get("relationship_type"), tuple(sorted(one)))
            found.setdefault(names, one)
    return list(found.values())


OBJECTS = variants()


def check(one: dict[str, Any]) -> None:
    """What the gate asks, knowing the alias that was given and the group it is for."""
    check_egress([one], aliases=[ALIAS], groups=[GROUP.group_id])


def refusal(one: dict[str, Any]) -> str:
    """Why the gate refuses it; empty when it does not."""
    try:
        check(one)
    except SharingError as error:
        return str(error)
    return ""


def told(campaign: dict[str, Any], tlp: str) -> tuple[str, bool]:
    """Everything that becomes known of the campaign, and whether it was refused."""
    try:
        objects = objects_of([campaign], now=NOW, tlp=tlp, key_id=KEY_ID, group=GROUP)
        return json.dumps(objects, ensure_ascii=False), False
    except SharingError as error:
        return str(error), True


def holds(text: str, secret: str) -> bool:
    return secret in text or json.dumps(secret)[1:-1] in text or json.dumps(secret, ensure_ascii=False)[1:-1] in text


def test_a_secret_in_any_text_of_a_campaign_stays() -> None:
    assert len(PLACES) > 70
    refused = 0
    for index, path in enumerate(PLACES):
        secret, tlp = SECRETS[index % len(SECRETS)], MARKINGS[index % len(MARKINGS)]
        text, was_refused = told(planted(CAMPAIGN, path, secret), tlp)
        refused += was_refused
        assert not holds(text, secret), path
    assert refused < len(PLACES) / 2  # most places are simply never copied


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    path=st.sampled_from(PLACES),
    secret=st.sampled_from(SECRETS) | st.text(min_size=1).map(lambda text: f"canary{text}canary"),
    tlp=st.sampled_from(MARKINGS),
)
def test_any_text_at_any_place_under_any_marking_stays(path: tuple[object, ...], secret: str, tlp: str) -> None:
    assert not holds(told(planted(CAMPAIGN, path, secret), tlp)[0], secret)


def test_a_secret_at_any_place_of_any_object_is_refused() -> None:
    for one in OBJECTS:
        check(one)
    tried = 0
    for index, one in enumerate(OBJECTS):
        for step, path in enumerate(places(one)):
            for secret in (SECRETS[(index + step) % len(SECRETS)], *NUMBERS):
                tried += 1
                reply = refusal(planted(one, path, secret))
                assert reply, f"{one['type']} {path} took {secret!r}"
                assert not holds(reply, str(secret))
    assert tried > 2_000


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), text=st.text(max_size=40))
def test_any_words_at_any_place_of_any_object_are_refused(data: st.DataObject, text: str) -> None:
    one = data.draw(st.sampled_from(OBJECTS))
    path = data.draw(st.sampled_from(list(places(one))))
    with pytest.raises(SharingError) as caught:
        check(planted(one, path, f"canary{text}"))
    assert "canary" not in str(caught.value)


def mappings(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every table inside an object."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    own = [path] if isinstance(value, dict) else []
    return own + [found for key, one in inner for found in mappings(one, (*path, key))]


@pytest.mark.parametrize("name", ["prompt", "skeleton", "client_ip", "x_note", "canary@example.org", "labels"])
def test_a_field_more_is_refused_in_every_table_of_every_object(name: str) -> None:
    for one in OBJECTS:
        for path in mappings(one):
            with pytest.raises(SharingError) as caught:
                check(planted(one, (*path, name), "canary"))
            assert "canary" not in str(caught.value)


def test_a_field_less_is_refused_where_it_is_required() -> None:
    optional = {"confidence", "revoked", "aliases", "authors", "count", "observed_data_refs", "explanation"}
    for one in OBJECTS:
        for field in one.keys() - optional:
            if one["type"] == "relationship" and field == "extensions":
                continue
            with pytest.raises(SharingError):
                check({name: value for name, value in one.items() if name != field})


def test_model_names_and_reasons_are_nowhere_in_what_leaves() -> None:
    text, was_refused = told(CAMPAIGN, "red")
    assert not was_refused
    own = [*CAMPAIGN["exposure"]["by_model"], *CAMPAIGN["account_ids"], *(row["because"] for row in ADVICE)]
    own += [row["because"] for row in CAMPAIGN["benign_hypotheses"]]
    own += [template["skeleton"] for template in CAMPAIGN["templates"] if template["skeleton"]]
    assert [one for one in own if holds(text, one)] == []
