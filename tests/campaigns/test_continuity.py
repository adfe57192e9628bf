"""Continuity: ids, lineage and displacement together, over runs that come again, come apart, or leave a day out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stillwatch.campaigns.continuity import Continuation, continuations
from stillwatch.campaigns.identity import new_id
from stillwatch.campaigns.known import Known, Past, Span
from stillwatch.campaigns.marks import Marks, Sample, hash_name
from stillwatch.campaigns.succession import Surroundings

START = datetime(2026, 3, 2, tzinfo=UTC)
BAN = START + timedelta(days=14)
END = START + timedelta(days=28)
OTHERS = Surroundings(5_000)
OLD = [f"old-{number:02}" for number in range(20)]
NEW = [f"new-{number:02}" for number in range(15)]


def sample(*numbers: int) -> Sample:
    names = [hash_name(number) for number in numbers]
    return Sample(len(names), names, dict.fromkeys(names, 1e-4))


PRIVATE = Marks(wordings=sample(*range(30)), items=sample(*range(100, 150)))
UNRELATED = Marks(wordings=sample(*range(1000, 1030)), items=sample(*range(2000, 2050)))


def spans(names: list[str], first: datetime, last: datetime) -> dict[str, Span]:
    return {name: Span(100, first, last) for name in names}


def banned(marks: Marks = PRIVATE) -> Known:
    return Known("c-old", "distillation", spans(OLD, START, BAN), marks)


def continued(marks: Marks, known: list[Known], ended_at: datetime = END) -> Continuation:
    of = Past(known, spans(NEW, BAN + timedelta(hours=4), ended_at), ended_at)
    [found] = continuations([(NEW, marks)], of, OTHERS)
    return found


def test_the_successor_of_a_banned_pool_has_an_id_of_its_own_and_its_lineage_in_words() -> None:
    found = continued(PRIVATE, [banned()])
    assert found.campaign_id == new_id(NEW)
    [kin] = found.lineage
    assert (kin["campaign_id"], kin["relation"]) == ("c-old", "displaced_from")
    assert "wordings" in kin["because"]
    assert "4 hours after the others stopped (" in kin["because"]
    [moved] = found.displacement
    assert (moved["from_campaign_id"], moved["accounts_stopped"], moved["delay_hours"]) == ("c-old", 20, 4.0)


def test_a_campaign_with_other_marks_has_no_lineage_though_it_starts_then() -> None:
    assert continued(UNRELATED, [banned()]) == Continuation(new_id(NEW), [], [])


def test_the_same_run_again_says_the_same() -> None:
    once = continued(PRIVATE, [banned()])
    again = Known(once.campaign_id, "distillation", spans(NEW, BAN + timedelta(hours=4), END), PRIVATE)
    again = replace(again, lineage=once.lineage, displacement=once.displacement)
    assert continued(PRIVATE, [banned(), again]) == once


def test_lineage_outlives_the_memory_of_the_other_campaign() -> None:
    once = continued(PRIVATE, [banned()])
    heir = Known(once.campaign_id, "distillation", spans(NEW, BAN, END), PRIVATE)
    heir = replace(heir, lineage=once.lineage, displacement=once.displacement)
    later = continued(PRIVATE, [heir], END + timedelta(days=100))
    assert (later.lineage, later.displacement) == (once.lineage, once.displacement)


def test_both_pools_found_in_one_run_are_linked_too() -> None:
    seen = spans(OLD, START, BAN) | spans(NEW, BAN + timedelta(hours=4), END)
    first, second = continuations([(OLD, PRIVATE), (NEW, PRIVATE)], Past((), seen, END), OTHERS)
    assert first.lineage == []
    assert [kin["campaign_id"] for kin in second.lineage] == [first.campaign_id]


def test_the_few_accounts_that_went_along_do_not_hide_the_displacement() -> None:
    both = {**spans(OLD, START, BAN), "old-00": Span(100, START, END)}
    known = replace(banned(), accounts=both)
    seen = spans(NEW, BAN + timedelta(hours=4), END) | {"old-00": Span(100, START, END)}
    [found] = continuations([([*NEW, "old-00"], PRIVATE)], Past([known], seen, END), OTHERS)
    assert [kin["relation"] for kin in found.lineage] == ["displaced_from"]


def test_accounts_in_common_without_a_stop_are_a_split() -> None:
    known = replace(banned(), accounts=spans([*OLD, *NEW[:3]], START, END))
    seen = spans([*OLD, *NEW], START, END)
    [found] = continuations([(NEW, UNRELATED)], Past([known], seen, END), OTHERS)
    [kin] = found.lineage
    assert (kin["relation"], kin["bits"]) == ("split_from", None)
    assert kin["because"] == "its accounts made 13% of the exchanges known of the other"


def test_the_order_of_clusters_and_of_known_campaigns_changes_nothing() -> None:
    known = [banned(), replace(banned(UNRELATED), campaign_id="c-other")]
    seen = spans([*OLD, *NEW], BAN + timedelta(hours=4), END)
    clusters = [(OLD[:10], UNRELATED), (NEW, PRIVATE)]
    there = continuations(clusters, Past(known, seen, END), OTHERS)
    back = continuations(clusters[::-1], Past(known[::-1], seen, END), OTHERS)
    assert there == back[::-1]


def test_a_window_without_exchanges_continues_nothing() -> None:
    assert continuations([], Past([banned()]), OTHERS) == []
