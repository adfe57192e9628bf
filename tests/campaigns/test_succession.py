"""Succession: independent marks must agree; a public template or a default client alone never links."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log2
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.campaigns.known import Known, Span
from stillwatch.campaigns.marks import SAMPLE_SIZE, Marks, Sample, hash_name
from stillwatch.campaigns.succession import (
    ALPHA,
    CAP_BITS,
    CHEAP,
    Agreement,
    Surroundings,
    agreements,
    bits_by_group,
    handover,
    handovers,
    links,
)

START = datetime(2026, 3, 2, tzinfo=UTC)
BAN = START + timedelta(days=14)
END = START + timedelta(days=28)
HOURS = 28 * 24.0
ACCOUNTS = 10_000
RARE = 0.5 / ACCOUNTS
EVERYBODY = Surroundings(ACCOUNTS, client_counts={"sdk": 8_000, "browser": 2_000, "odd": 4})


def sample(*numbers: int, outside: float = RARE) -> Sample:
    names = sorted(hash_name(number) for number in numbers)
    return Sample(len(names), names, dict.fromkeys(names, outside))


def marks(**given: Any) -> Marks:
    private = {"wordings": sample(*range(40)), "items": sample(*range(1000, 1100)), "clients": {"sdk": 1.0}}
    return Marks(**{**private, **given})


def pool(name: str, first: datetime, last: datetime, of: Marks, count: int = 20) -> Known:
    spans = {f"{name}-{number:02}": Span(100, first, last) for number in range(count)}
    return Known(f"c-{name}", "distillation", spans, of)


def old(of: Marks | None = None) -> Known:
    return pool("old", START, BAN, of or marks())


def new(of: Marks | None = None, *, began: datetime = BAN + timedelta(hours=3)) -> Known:
    return pool("new", began, END, of or marks())


def agreed(before: Known, after: Known, others: Surroundings = EVERYBODY) -> list[Agreement]:
    between = handover(before, after, END)
    return [] if between is None else agreements(before, after, between, others, HOURS)


def test_a_pool_that_takes_over_the_wordings_within_hours_is_linked_and_says_why() -> None:
    found = agreed(old(), new())
    assert links(found, 100)
    assert {agreement.group for agreement in found} >= {"content", "timing"}
    told = " ".join(agreement.because for agreement in found)
    assert "100% of the wordings" in told
    assert "100 prompts of a sample recur word for word" in told
    assert "began 3 hours after the others stopped" in told


def test_wordings_weigh_as_much_as_they_are_rare_and_as_far_as_they_recur() -> None:
    half = marks(wordings=sample(*range(20), *range(500, 520)), items=Sample())
    less = marks(wordings=sample(*range(15), *range(500, 525)), items=Sample())
    quarter = marks(wordings=sample(*range(10), *range(500, 530)), items=sample(*range(1000, 1100)))
    bits = {share: agreed(old(), new(of))[0].bits for share, of in ((0.5, half), (0.375, less))}
    assert bits[0.5] == pytest.approx(-log2(RARE))
    assert bits[0.375] == pytest.approx(-log2(RARE) / 2)
    assert [agreement for agreement in agreed(old(), new(quarter)) if agreement.group == "content"] == []


def test_a_public_template_with_a_default_client_never_links_two_campaigns() -> None:
    public = marks(wordings=sample(*range(40), outside=0.2), items=sample(*range(1000, 1100), outside=0.2))
    found = agreed(old(public), new(public))
    assert [agreement.group for agreement in found if agreement.group == "content"] == []
    assert not links(found, 1)


def test_a_default_client_alone_weighs_next_to_nothing_and_an_odd_one_no_more_than_its_cap() -> None:
    def tooling(client: str) -> float:
        bare = marks(wordings=Sample(), items=Sample(), clients={client: 1.0})
        return sum(agreement.bits for agreement in agreed(old(bare), new(bare)) if agreement.group == "tooling")

    assert tooling("sdk") < 0.5
    assert tooling("odd") == CAP_BITS["low"]


def test_the_same_items_without_a_wording_of_their_own_prove_nothing() -> None:
    benchmark = marks(wordings=Sample())
    found = agreed(old(benchmark), new(benchmark))
    assert {agreement.group for agreement in found} <= {"timing", "tooling"}


def test_what_is_cheap_links_nothing_however_many_bits_it_has() -> None:
    cheap = [Agreement(group, 50.0, "so") for group in CHEAP]
    assert not links(cheap, 1)
    assert links([*cheap, Agreement("payment", 10.0, "so")], 1)


def test_content_alone_links_nothing() -> None:
    assert not links([Agreement("content", 60.0, "so")], 1)


def test_the_bits_needed_grow_with_the_pairs_that_were_tried() -> None:
    two = [Agreement("content", 14.0, "so"), Agreement("timing", 4.0, "so")]
    enough = int(2**18.0 * ALPHA)
    assert links(two, enough)
    assert not links(two, enough + 1)


def test_kinds_of_one_group_do_not_add_but_items_beside_wordings_do() -> None:
    kinds = [Agreement("network", 5.0, "ip"), Agreement("network", 3.0, "prefix"), Agreement("content", 9.0, "w")]
    assert bits_by_group([*kinds, Agreement("content", 5.0, "items")]) == {"network": 5.0, "content": 14.0}


def held(kind: str, *pairs: tuple[str, str]) -> Surroundings:
    rows = {
        "account_id": [account for account, _ in pairs],
        "kind": [kind] * len(pairs),
        "value": [value for _, value in pairs],
    }
    return replace(EVERYBODY, held=pa.table({name: pa.array(values, pa.string()) for name, values in rows.items()}))


def test_a_card_of_the_stopped_accounts_in_the_hands_of_newcomers_speaks() -> None:
    cards = marks(wordings=Sample(), items=Sample(), infrastructure={"payment": ["card"]})
    found = agreed(old(cards), new(cards), held("payment", ("new-01", "card"), ("old-03", "card")))
    [payment] = [agreement for agreement in found if agreement.group == "payment"]
    assert payment.bits > 5
    assert "1 of 1 sampled values of payment recur" in payment.because


def test_an_address_that_many_strangers_share_says_nothing() -> None:
    address = marks(wordings=Sample(), items=Sample(), infrastructure={"ip": ["nat"]})
    crowd = [(f"stranger-{number}", "nat") for number in range(2000)]
    found = agreed(old(address), new(address), held("ip", ("new-01", "nat"), *crowd))
    assert sum(agreement.bits for agreement in found if agreement.group == "network") < 0.1


def test_accounts_that_both_have_are_no_newcomers_and_bring_no_agreement() -> None:
    cards = marks(wordings=Sample(), items=Sample(), infrastructure={"payment": ["card"]})
    stolen = {"both": Span(100, START, END)}
    before, after = old(cards), new(cards)
    before, after = (replace(known, accounts={**known.accounts, **stolen}) for known in (before, after))
    found = agreed(before, after, held("payment", ("both", "card")))
    assert [agreement for agreement in found if agreement.group == "payment"] == []


def test_only_a_stop_and_a_start_make_a_pair() -> None:
    assert handover(old(), new(), END) is not None
    assert handover(pool("old", START, END, marks()), new(), END) is None  # it goes on
    assert handover(old(), new(began=START), END) is None  # it was there all along
    assert handover(old(), new(began=BAN + timedelta(days=15)), START + timedelta(days=60)) is None  # too late


def test_a_campaign_of_which_nobody_was_seen_takes_nothing_over() -> None:
    """An organisation is reported as a whole, and none of its accounts is a member."""
    assert handover(old(), pool("unit", BAN, END, marks(), count=0), END) is None


def test_handovers_among_many_are_those_of_every_two_of_them() -> None:
    news = [new(), new(began=START), replace(new(began=BAN - timedelta(hours=2)), campaign_id="c-early")]
    many = [old(), pool("on", START, END, marks()), pool("gone", START, BAN + timedelta(hours=9), marks()), *news]
    found = [(before.campaign_id, after.campaign_id, between) for before, after, between in handovers(many, news, END)]
    by_name = sorted(many, key=lambda one: one.campaign_id)
    each = [(a.campaign_id, b.campaign_id, handover(a, b, END)) for b in news for a in by_name if a is not b]
    assert len(found) == 4
    assert found == [row for row in each if row[2] is not None]


def test_the_sooner_the_start_the_more_it_says_and_hours_of_the_day_say_nothing() -> None:
    def timing(hours: float, of: Marks) -> float:
        found = agreed(old(), new(of, began=BAN + timedelta(hours=hours)))
        return sum(agreement.bits for agreement in found if agreement.group == "timing")

    day, night = (marks(by_hour=[1.0 if hour == at else 0.0 for hour in range(24)]) for at in (12, 0))
    assert timing(1, day) > timing(72, day) > 0
    assert timing(1, day) == timing(1, night)
    assert agreed(old(day), new(day)) == agreed(old(day), new(night))


def test_full_samples_are_compared_up_to_where_both_reach() -> None:
    """Of two sets that agree by half, samples of the smallest hashes see the half, though one is ten times larger."""
    first = list(range(0, 20_000, 2))
    second = [n if n % 4 == 0 else n + 1 for n in range(0, 2_000, 2)]
    cut = [sample(*numbers) for numbers in (first, second)]
    cut = [Sample(s.count, s.hashes[:SAMPLE_SIZE], s.outside) for s in cut]
    found = agreed(old(marks(wordings=cut[0], items=Sample())), new(marks(wordings=cut[1], items=Sample())))
    assert found[0].because.startswith(("50%", "49%"))
    assert found[0].bits == pytest.approx(-log2(RARE), rel=0.05)


def test_marks_of_an_earlier_run_that_kept_none_agree_with_nothing() -> None:
    assert agreed(replace(old(), marks=None), new()) == []
