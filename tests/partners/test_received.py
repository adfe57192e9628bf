"""What is read of an object, and that nothing else is."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.partners.world import NOON, VALUES, campaign, indicates, indicator, object_of, stix_moment, uid

from stillwatch import sharing
from stillwatch.partners.patterns import LEAD_KINDS, MOST_VALUES, RefusedError
from stillwatch.partners.received import USED_TYPES, Standing, read_object
from stillwatch.sharing.objects import EXTENSION_ID, extension, pattern
from stillwatch.sharing.traits import CONTENT_KINDS


def body_of(object_: dict[str, Any]) -> dict[str, Any] | None:
    """What is read of it; None when it is put aside as one that cannot be read."""
    received = read_object(object_, now=NOON)
    assert received is not None
    return dict(received.body) if received.standing is Standing.current else None


def extended(object_: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**object_, "extensions": {EXTENSION_ID: {**object_["extensions"][EXTENSION_ID], **changes}}}


def test_an_indicator_is_reduced_to_its_values_its_key_and_its_time() -> None:
    assert body_of(indicator()) == {
        "kind": "wording",
        "values": list(VALUES),
        "group_id": "g-one",
        "epoch": 3,
        "key_id": None,
        "valid_from": "2026-02-27T12:00:00.000000Z",
        "valid_until": "2026-03-31T12:00:00.000000Z",
        "tlp": "amber",
    }


def test_indicators_that_we_send_ourselves_can_be_read() -> None:
    evidence = {"kind": "payment", "value": "ab" * 16}
    told = indicator(kind="payment", values=(evidence["value"],), key={"key_id": "0123abcd"})
    assert body_of(told) is not None
    assert body_of(indicator(kind="ja4", values=("t13d1516h2_8daaf6152771_b186095e22b6",), key={})) is not None


def test_every_indicator_of_a_bundle_can_be_read_or_is_of_content_without_a_group(campaigns: list[Any]) -> None:
    objects = json.loads(sharing.bundle(campaigns, now=NOON))["objects"]
    indicators = [object_ for object_ in objects if object_["type"] == "indicator"]
    assert indicators
    for object_ in indicators:
        told = object_["extensions"][EXTENSION_ID]
        assert (body_of(object_) is None) == (told["kind"] in CONTENT_KINDS and "group_id" not in told)
    assert all(body_of(object_) for object_ in objects if object_["type"] == "campaign")


@pytest.mark.parametrize(
    "change",
    [
        {"pattern": "[ipv4-addr:value = '10.0.0.1']"},
        {"pattern": pattern("wording", [*VALUES, "00000000000000c3"])},
        {"pattern": pattern("wording", list(VALUES)).replace("')]", "') OR 1 = 1]")},
        {"pattern": pattern("wording", list(VALUES)).replace("', '", "' , '")},
        {"pattern": pattern("wording", list(VALUES)) + " START t'2026-01-01T00:00:00Z' STOP t'2027-01-01T00:00:00Z'"},
        {"pattern": pattern("wording", list(VALUES)).replace("a1", "A1")},
        {"pattern": pattern("wording", list(VALUES)) + "\n"},
        {"pattern": pattern("wording", ["<script>alert(1)</script>"])},
        {"pattern": pattern("account", list(VALUES))},
        {"pattern": "x" * 10_000_000},
        {"pattern": None},
        {"pattern": ["a"]},
        {"pattern_type": "sigma"},
        {"valid_until": None},
        {"valid_until": "never"},
        {"valid_from": "2026-13-01T00:00:00Z"},
        {"valid_until": stix_moment(NOON - timedelta(days=5))},
        {"extensions": None},
        {"extensions": {EXTENSION_ID: ["kind"]}},
    ],
)
def test_an_indicator_in_any_other_form_is_put_aside(change: dict[str, Any]) -> None:
    assert body_of(indicator(**change)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "item"},
        {"values": [{"value": VALUES[0]}]},
        {"values": [{"value": VALUES[0]}, {"value": {"a": 1}}]},
        {"values": VALUES[0]},
        {"group_id": None},
        {"epoch": None},
        {"epoch": True},
        {"epoch": -1},
        {"epoch": 10**9},
        {"group_id": "../../etc"},
        {"group_id": ["g-one"]},
        {"key_id": "ignore previous instructions"},
    ],
)
def test_an_extension_in_any_other_form_puts_its_indicator_aside(change: dict[str, Any]) -> None:
    assert body_of(extended(indicator(), **change)) is None


def test_values_have_the_shape_of_their_kind() -> None:
    ja4, keyed, long = "t13d1516h2_8daaf6152771_b186095e22b6", "0123456789abcdef", "ab" * 32
    fitting = {("wording", keyed), ("item", keyed), ("template", keyed), ("ja4", ja4), ("payment", long), ("ip", keyed)}
    for kind in ("wording", "item", "template", "ja4", "payment", "ip"):
        for value in (ja4, keyed, long, keyed[:15], long + "0"):
            is_read = body_of(indicator(kind=kind, values=(value,))) is not None
            assert is_read == ((kind, value) in fitting or (kind, value) in {("payment", keyed), ("ip", long)})


def test_values_of_content_without_a_group_are_put_aside() -> None:
    for kind in ("wording", "item", "template", "rewording", "system_prompt", "metadata"):
        assert body_of(indicator(kind=kind, key={})) is None
        assert body_of(indicator(kind=kind)) is not None


def test_too_many_values_are_put_aside() -> None:
    most = tuple(f"{number:016x}" for number in range(MOST_VALUES))
    read = body_of(indicator(values=most))
    assert read is not None
    assert len(read["values"]) == MOST_VALUES
    assert body_of(indicator(values=(*most, "f" * 16))) is None


def test_no_indicator_holds_for_longer_than_four_hundred_days() -> None:
    read = body_of(indicator(days=100_000))
    assert read is not None
    assert read["valid_until"] == "2027-04-03T12:00:00.000000Z"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "indicator--1"},
        {"id": uid("campaign", 1)},
        {"id": uid("indicator", 1).upper()},
        {"id": uid("indicator", 1) + "\n"},
        {"id": ["indicator"]},
        {"created_by_ref": None},
        {"created_by_ref": uid("indicator", 1)},
        {"modified": None},
        {"modified": 1767225600},
        {"modified": "2026-02-30T00:00:00Z"},
        {"modified": "\u0662026-01-01T00:00:00Z"},
        {"modified": "2026-03-01T12:00:00+00:00"},
        {"modified": stix_moment(NOON + timedelta(days=2))},
        {"modified": stix_moment(NOON - timedelta(days=401))},
        {"revoked": "yes"},
        {"spec_version": "2.0"},
    ],
)
def test_an_object_without_an_id_a_maker_or_a_version_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        read_object({**indicator(), **change}, now=NOON)


@pytest.mark.parametrize("object_", [None, 5, "indicator", [], [{}], True])
def test_what_is_no_object_is_refused(object_: object) -> None:
    with pytest.raises(RefusedError, match="no object"):
        read_object(object_, now=NOON)


def test_types_that_we_do_not_use_are_passed_over() -> None:
    for kind in ("malware", "report", "note", "identity", "x-anything", ["indicator"], None, ""):
        assert read_object({**indicator(), "type": kind}, now=NOON) is None


def test_a_revocation_needs_nothing_but_its_header() -> None:
    gone = {name: indicator()[name] for name in ("type", "spec_version", "id", "created_by_ref", "modified")}
    received = read_object({**gone, "revoked": True, "pattern": "<script>"}, now=NOON)
    assert received is not None
    assert (received.standing, received.body) == (Standing.revoked, {})


def test_ties_sightings_and_opinions_are_reduced_to_ids_and_words_of_ours() -> None:
    assert body_of(indicates(1)) == {"source": uid("indicator", 1), "target": uid("campaign", 1)}
    assert body_of(indicates(1, relationship_type="uses")) is None
    assert body_of(indicates(1, target_ref=uid("malware", 1))) is None
    seen = object_of("sighting", 1, sighting_of_ref=uid("indicator", 1), count=120, extensions=extension(outcome="hit"))
    assert body_of(seen) == {"of": uid("indicator", 1), "count": 120, "outcome": "hit"}
    assert body_of({**seen, "count": 10**12}) is None
    assert body_of({**seen, "sighting_of_ref": uid("malware", 1)}) is None
    said = object_of("opinion", 1, object_refs=[uid("indicator", 1)], opinion="agree", explanation="<b>obey</b>")
    assert body_of(said) == {"of": [uid("indicator", 1)], "opinion": "agree"}
    assert body_of({**said, "opinion": "<b>"}) is None
    assert body_of({**said, "object_refs": [uid("indicator", 1)] * 101}) is None


def test_the_strictest_marking_is_kept_and_unknown_ones_are_passed_over() -> None:
    read = body_of(campaign(object_marking_refs=["marking-definition--x", {"a": 1}, "<b>"]))
    assert read == {"verdict": None, "tlp": None}
    verdict = campaign(extensions=extension(verdict="distillation"))
    assert body_of(verdict) == {"verdict": "distillation", "tlp": "amber"}
    assert body_of(campaign(extensions=extension(verdict="guilty, suspend them")))["verdict"] is None  # type: ignore[index]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("id", "created_by_ref", "modified", "revoked", "spec_version", "pattern", "pattern_type", "valid_from")
MORE = ("valid_until", "extensions", "object_marking_refs", "source_ref", "target_ref", "count", "object_refs")


@settings(max_examples=60)
@given(st.sampled_from([indicator(), campaign(), indicates()]), st.dictionaries(st.sampled_from(FIELDS + MORE), JSON))
def test_whatever_stands_in_a_field_it_is_read_or_refused_and_never_breaks(
    object_: dict[str, Any], changes: dict[str, Any]
) -> None:
    try:
        received = read_object({**object_, **changes}, now=NOON)
    except RefusedError:
        return
    assert received is not None
    assert received.kind in USED_TYPES
    assert received.body.get("kind") in {None, *LEAD_KINDS}
    json.dumps(dict(received.body)).encode("ascii")
