"""The reading of a sign-up: what an operator brings along is seen, and the innocent who looks alike is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillwatch.server import Service
from stillwatch.server.tables import accounts

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
DETECTION_DAY = "2026-02-20T08:00:00Z"


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def member(i: int, **fields: Any) -> dict[str, Any]:
    """An account of the campaign: one card, one device and one range of addresses for all."""
    return {
        "account_id": f"m-{i}",
        "created_at": DETECTION_DAY,
        "email": f"worker{i:03d}@farm.example",
        "payment_fingerprint": "their-card",
        "device_fingerprint": "their-device",
        "signup_ip": f"198.51.100.{i}",
        **fields,
    }


def usual_signups(service: Service, count: int, *, domain: str = "mail.example") -> None:
    """A week of customers of a mail provider before NOON, whose addresses have many shapes."""
    rows = []
    for i in range(count):
        moment = NOON - timedelta(days=7) + (timedelta(days=6) * i / count)
        shape = f"a{3 + i % 9}d{1 + i % 4}"
        rows.append(
            {
                "account_id": f"usual-{domain}-{i}",
                "created_at": moment,
                "email_domain": domain,
                "email_pattern": shape,
                "signup_ip_prefix": f"prefix-{i}",
                "updated_at": moment,
                "sequence": 1_000_000 + i,
            }
        )
    with service.database.write() as connection:
        connection.execute(sa.insert(accounts), rows)


def kinds(reply: dict[str, Any]) -> set[str]:
    return {reason["kind"] for reason in reply["reading"]["reasons"]}


def test_a_sign_up_that_shares_nothing_reads_none_and_is_asked_for_nothing(tell_account: Any, detected: Any) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "device"))
    reply = tell_account(email="kim@mail.example", payment_fingerprint="own-card", created_at=at(-1))
    assert reply["reading"] == {"level": "none", "bits": 0.0, "reasons": []}
    assert (reply["recommended_checks"], reply["required_checks"]) == ([], [])


def test_without_any_detection_a_sign_up_is_read_as_well(tell_account: Any) -> None:
    assert tell_account(payment_fingerprint="their-card")["reading"]["level"] == "none"


def test_card_and_device_of_a_campaign_read_high_with_the_bits_that_were_learned(
    tell_account: Any, detected: Any
) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "device"), bits=7.5)
    reply = tell_account(payment_fingerprint="their-card", device_fingerprint="their-device", access_program="free")
    assert reply["reading"]["level"] == "high"
    assert reply["reading"]["bits"] == 15.0
    assert {reason["kind"]: reason["bits"] for reason in reply["reading"]["reasons"]} == {"payment": 7.5, "device": 7.5}
    assert "shared with 10 of the 10 accounts" in reply["reading"]["reasons"][0]["because"]
    assert reply["recommended_checks"] == ["phone", "payment", "identity"]


@pytest.mark.parametrize(
    ("shared", "told", "level"),
    [
        (("payment",), {"payment_fingerprint": "their-card"}, "elevated"),
        (("email_domain",), {"email": "new@farm.example"}, "low"),
        (("email_domain", "email_pattern"), {"email": "worker999@farm.example"}, "low"),  # one group counts once
        (("email_domain", "ip_prefix"), {"email": "new@farm.example", "signup_ip": "198.51.100.200"}, "elevated"),
        (("payment", "ip_prefix"), {"payment_fingerprint": "their-card", "signup_ip": "198.51.100.200"}, "high"),
        (("payment", "device"), {"payment_fingerprint": "their-card"}, "elevated"),
    ],
)
def test_the_level_follows_how_many_groups_stand_and_whether_one_is_dear_to_fake(
    tell_account: Any, detected: Any, shared: tuple[str, ...], told: dict[str, Any], level: str
) -> None:
    detected([member(i) for i in range(10)], kinds=shared)
    reply = tell_account(**told)
    assert reply["reading"]["level"] == level
    assert kinds(reply) <= set(shared)


def test_bits_too_few_to_stand_on_read_low(tell_account: Any, detected: Any) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "device"), bits=2.0)
    reply = tell_account(payment_fingerprint="their-card", device_fingerprint="their-device")
    assert reply["reading"]["level"] == "low"


@pytest.mark.parametrize("verdict", ["explained", "insufficient_data"])
def test_what_is_explained_or_not_known_weighs_nothing(tell_account: Any, detected: Any, verdict: str) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "device"), verdict=verdict)
    assert tell_account(payment_fingerprint="their-card")["reading"]["level"] == "none"


def test_a_card_that_mostly_strangers_hold_weighs_nothing(tell_account: Any, detected: Any) -> None:
    """A company's card, shared by its team, of which two accounts were taken over."""
    detected([member(i) for i in range(2)], kinds=("payment",), others=12)
    assert tell_account(payment_fingerprint="their-card")["reading"]["level"] == "none"


def test_one_members_card_links_nobody(tell_account: Any, detected: Any) -> None:
    detected([member(0)], kinds=("payment",))
    assert tell_account(payment_fingerprint="their-card")["reading"]["level"] == "none"


def test_a_team_that_signs_up_with_its_companys_card_reads_none(tell_account: Any, client: TestClient) -> None:
    replies = [
        tell_account(
            account_id=f"team-{i}",
            created_at=at(-40 + i),
            email=f"{name}@maker.example",
            organization_id="maker",
            payment_fingerprint="company-card",
            device_fingerprint=f"laptop-{i}",
            signup_ip="192.0.2.10",
        )
        for i, name in enumerate(("ana", "bo", "cleo", "dimitri", "eun", "farid", "grace", "hugo", "ines", "jo") * 2)
    ]
    assert {reply["reading"]["level"] for reply in replies} == {"none"}
    assert all(not reply["recommended_checks"] for reply in replies)


def test_a_class_that_signs_up_from_one_network_in_an_hour_reads_none(tell_account: Any, service: Service) -> None:
    usual_signups(service, 400)
    replies = [
        tell_account(
            account_id=f"student-{i}",
            created_at=at(-50 + i),
            email=f"ab{1000 + i}@uni.example",
            device_fingerprint=f"own-laptop-{i}",
            signup_ip=f"203.0.113.{i % 4}",
            access_program="education",
        )
        for i in range(45)
    ]
    assert {reply["reading"]["level"] for reply in replies} == {"none"}
    assert {"burst_ip_prefix", "programme"} == kinds(replies[-1])  # seen, told, and weighed by nobody
    assert not any(reason["weighs"] for reason in replies[-1]["reading"]["reasons"])
    assert replies[-1]["recommended_checks"] == []
    assert [one["check"] for one in replies[-1]["required_checks"]] == [
        "email",
        "institution_domain",
        "programme_documents",
    ]


def test_a_public_network_and_a_popular_domain_weigh_nothing_even_where_a_campaign_uses_them(
    tell_account: Any, detected: Any, service: Service
) -> None:
    """Whatever weight a detection of few active accounts gave them: the accounts that are there say otherwise."""
    campaign = [member(i, email=f"w{i:03d}@mail.example", signup_ip="192.0.2.7") for i in range(10)]
    detected(campaign, kinds=("ip", "ip_prefix", "email_domain", "email_pattern"))
    fields = {"email": "w777@mail.example", "signup_ip": "192.0.2.7", "created_at": at(-1)}
    assert tell_account(account_id="before", **fields)["reading"]["level"] == "elevated"
    usual_signups(service, 400)
    with service.database.write() as connection:
        prefix = sa.select(accounts.c.signup_ip_prefix).where(accounts.c.account_id == "before").scalar_subquery()
        values = {"signup_ip_prefix": prefix, "signup_ip": service.key.identifier("ip", "192.0.2.7")}
        here = accounts.c.account_id.startswith("usual-")
        connection.execute(accounts.update().where(here).values(email_pattern="a1d3", **values))
    assert tell_account(account_id="after", **fields)["reading"] == {"level": "none", "bits": 0.0, "reasons": []}


def test_newcomers_with_the_campaigns_card_do_not_hide_each_other(tell_account: Any, detected: Any) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "ip_prefix"))
    fields = {"payment_fingerprint": "their-card", "signup_ip": "198.51.100.9"}
    later = "2090-01-01T00:00:00Z"  # after the detection, whose files are as old as this test
    for i in range(40):
        reply = tell_account(account_id=f"new-{i}", created_at=later, **fields)
    assert reply["reading"]["level"] == "high"


def test_a_disposable_domain_is_a_reason_for_a_check_and_no_more(tell_account: Any, disposable_list: None) -> None:
    reply = tell_account(email="x@Mx.Thrown-Away.example")
    assert (reply["reading"]["level"], kinds(reply)) == ("low", {"disposable_email"})
    assert reply["recommended_checks"] == ["payment"]
    assert tell_account(account_id="b", email="x@away.example")["reading"]["level"] == "none"
    given_away = tell_account(account_id="c", email="x@thrown-away.example", access_program="research")
    assert given_away["reading"]["level"] == "elevated"


def test_without_the_list_no_domain_is_disposable(tell_account: Any) -> None:
    from stillwatch.server.accounts import disposable

    disposable._listed.cache_clear()
    assert tell_account(email="x@thrown-away.example")["reading"]["level"] == "none"


def test_many_sign_ups_from_one_device_in_an_hour_are_a_burst(tell_account: Any) -> None:
    replies = [tell_account(account_id=f"n-{i}", created_at=at(-30 + i), device_fingerprint="one") for i in range(8)]
    assert replies[3]["reading"]["level"] == "none"
    assert (replies[-1]["reading"]["level"], kinds(replies[-1])) == ("low", {"burst_device"})
    late = tell_account(account_id="late", created_at=at(90), device_fingerprint="one")
    assert late["reading"]["level"] == "none"


def test_a_device_from_which_people_sign_up_all_week_is_no_burst(tell_account: Any) -> None:
    """A library's computer: ten an hour is its usual rate."""
    many = [
        {"account_id": f"week-{i}", "created_at": at(-60 * 24 * 6 + 6 * i), "device_fingerprint": "library"}
        for i in range(900)
    ]
    tell_account.many(many)
    replies = [
        tell_account(account_id=f"n-{i}", created_at=at(-30 + i), device_fingerprint="library") for i in range(9)
    ]
    assert {reply["reading"]["level"] for reply in replies} == {"none"}


def test_one_shape_of_address_at_a_provider_far_above_its_share_is_a_burst(tell_account: Any, service: Service) -> None:
    usual_signups(service, 600)
    replies = [
        tell_account(account_id=f"n-{i}", created_at=at(-30 + i), email=f"qwertyuiop.{i:02d}@mail.example")
        for i in range(25)
    ]
    assert replies[5]["reading"]["level"] == "none"
    assert kinds(replies[-1]) == {"burst_email_pattern"}
    assert replies[-1]["reading"]["level"] == "low"


def test_a_day_on_which_everybody_comes_is_no_burst(tell_account: Any, service: Service) -> None:
    usual_signups(service, 600)
    rows = [
        {
            "account_id": f"n-{i}",
            "created_at": at(-59 + i * 0.05),
            "email": f"{'abcdefghijkl'[: 3 + i % 9]}{'7' * (1 + i % 4)}@mail.example",
        }
        for i in range(600)
    ]
    replies = tell_account.many(rows)
    assert {reply["reading"]["level"] for reply in replies} == {"none"}


def test_device_burst_and_disposable_address_together_read_elevated(tell_account: Any, disposable_list: None) -> None:
    for i in range(8):
        reply = tell_account(
            account_id=f"n-{i}",
            created_at=at(-30 + i),
            device_fingerprint="one",
            email=f"u{i}@thrown-away.example",
        )
    assert reply["reading"]["level"] == "elevated"
    assert reply["recommended_checks"] == ["payment", "identity"]


def test_what_an_account_has_proven_is_not_recommended_again(tell_account: Any, detected: Any) -> None:
    detected([member(i) for i in range(10)], kinds=("payment", "device"))
    fields = {"payment_fingerprint": "their-card", "device_fingerprint": "their-device"}
    assert tell_account(verification_level="payment", **fields)["recommended_checks"] == ["identity"]
    assert tell_account(verification_level="identity", **fields)["recommended_checks"] == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(countries=st.lists(st.sampled_from(["CN", "US", "RU", "CH", "IR", "ZZ", None]), min_size=2, max_size=4))
def test_no_country_changes_any_reading(
    tell_account: Any, detected: Callable[..., None], countries: list[str | None]
) -> None:
    detected([member(i, signup_country="CN") for i in range(10)], kinds=("payment", "email_domain"))
    for told in ({"payment_fingerprint": "their-card"}, {"email": "z@farm.example"}, {"email": "z@mail.example"}):
        fields = {"email": None, "payment_fingerprint": None, **told}
        replies = [tell_account(signup_country=country, **fields) for country in countries]
        seen = [(reply["reading"], reply["recommended_checks"]) for reply in replies]
        assert all(one == seen[0] for one in seen)


def test_only_analysts_see_which_campaign_it_is(
    tell_account: Any, detected: Any, client: TestClient, key_for: Any
) -> None:
    detected([member(i) for i in range(10)], kinds=("payment",))
    reply = tell_account(payment_fingerprint="their-card")
    assert "campaign_id" not in reply["reading"]["reasons"][0]
    shown = client.get("/v1/accounts/a-1", headers=key_for("analyst")).json()
    assert shown["reading"]["reasons"][0]["campaign_id"] == "c-1"
    assert (shown["account"]["account_id"], shown["verifications"], shown["decisions"]) == ("a-1", [], [])


def test_a_detection_that_is_damaged_leaves_the_reading_without_it(
    tell_account: Any, detected: Any, service: Service
) -> None:
    detected([member(i) for i in range(10)], kinds=("payment",))
    (service.settings.storage.state / "detections" / "links.parquet").write_bytes(b"PAR1 but no more")
    assert tell_account(payment_fingerprint="their-card")["reading"]["level"] == "none"
