"""The world in many languages: a ring's accounts, eight languages, items asked several times, crews that change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import written

from stillwatch.evaluation import simulate
from stillwatch.evaluation.crews import crews
from stillwatch.evaluation.doses import Doses, overridden
from stillwatch.evaluation.grammar import LANGUAGES, grammar
from stillwatch.evaluation.hostile import accounts
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.origins import CREW_DAYS, KEPT, PROGRAMMES
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, LOTS, SESSIONS, Columns, Networks, Plan
from stillwatch.evaluation.polyglot import CAMPAIGNS, DAYS, EDITIONS, WORDINGS
from stillwatch.evaluation.scenarios import scenario
from stillwatch.evaluation.templates import Dealing, Library

Rows = Callable[..., list[tuple[Any, ...]]]

COUNT = 400
[CAMPAIGN] = CAMPAIGNS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of the size it has at scale 0.04, so that each desk has several accounts, among fewer customers."""
    out = tmp_path_factory.mktemp("polyglot")
    simulate(out, scenario=scenario("many-languages", Doses(accounts=240)), scale=0.005, days=14, seed=4106)
    return out


@pytest.fixture
def look(ask: Rows, world: Path) -> Rows:
    return lambda query, **values: ask(query, folder=world, **values)


def planned(doses: Doses | None = None, count: int = COUNT) -> tuple[Columns, Plan]:
    plan = Plan(7, 0.06, DAYS, Networks(7, 0.06), Library(grammar()), 11 * DAY_S, corpora=(CAMPAIGN.aim,))
    people = accounts(overridden(CAMPAIGN, doses or Doses()), plan, stream("polyglot"), count)
    return people, plan


def crowds(numbers: np.ndarray) -> np.ndarray:
    """How many accounts hold each number."""
    return np.unique(numbers[numbers >= 0], return_counts=True)[1]


def harvest(people: Columns) -> np.ndarray:
    """What each account was obtained for, whenever it begins with it."""
    return np.where(people["late"] >= 0, people["late"], people["work"])


def test_one_hand_runs_every_account_but_those_whose_key_was_stolen(look: Rows) -> None:
    assert set(look("select distinct role, controller, segment from truth where is_hostile")) == {
        ("operator", "polyglot", "polyglot"),
        ("compromised", None, "developers"),
    }
    known = {name for (name,) in look("select distinct segment from truth where not is_hostile")}
    assert known == {*SEGMENTS, "tutors"}
    assert look("select count(*) from truth where segment = 'tutors' and controller is not null") == [(0,)]


def test_tutors_are_one_customer_in_twenty() -> None:
    shares = scenario("many-languages").customers
    assert shares["tutors"] / sum(shares.values()) == pytest.approx(0.05, abs=0.001)


def test_accounts_go_at_sweeps_and_others_take_their_place() -> None:
    people, _ = planned()
    own = people["role"] == "operator"
    ends = np.sort(people["to_s"][own & (people["to_s"] < DAYS * DAY_S - 1)])
    within = np.array([((ends >= end) & (ends < end + 7_200)).sum() for end in ends])
    assert np.sort(within)[-4:].sum() > 0.1 * own.sum()
    assert 0.3 < (people["to_s"][own] > DAYS * DAY_S - 1).mean() < 0.7
    late = people["from_s"][own & (people["from_s"] > 0.5 * DAYS * DAY_S)]
    assert np.mean([((ends < start) & (ends > start - 2 * DAY_S)).any() for start in late]) > 0.95
    spent = (people["rate"] * (people["to_s"] - people["from_s"])).sum() / DAY_S
    assert spent == pytest.approx(CAMPAIGN.exchanges / CAMPAIGN.accounts * COUNT)


def test_lent_accounts_are_in_programmes_and_share_neither_card_nor_device() -> None:
    people, _ = planned()
    lent = np.isin(people["program"], PROGRAMMES) & (people["role"] == "operator")
    assert 0.3 < lent.mean() < 0.5
    for column in ("card", "device"):
        assert crowds(people[column][lent]).max() == 1
    schooled = np.array([name.startswith("uni") for name in people["mail_domain"]])
    assert 0.05 < schooled.mean() < 0.25
    assert set(people["program"][schooled & lent]) == {"education"}


def test_victims_keep_the_hours_and_the_programme_of_their_own_lives() -> None:
    people, _ = planned()
    stolen = people["role"] == "compromised"
    assert stolen.sum() > 10
    assert LOTS not in people["timing"][stolen]
    assert np.isin(people["program"][stolen], PROGRAMMES).mean() < 0.2
    assert (people["from_s"][stolen] == 0).all()


def test_who_pays_has_a_card_and_a_plan_and_who_does_not_has_neither_plan_nor_proof() -> None:
    people, _ = planned()
    own = people["role"] == "operator"
    for program, unfit_plan, unfit_level in (("paid", "free", "email"), ("free", "pay-as-you-go", "payment")):
        members = own & (people["program"] == program)
        assert members.sum() > 20
        assert unfit_plan not in people["plan"][members]
        assert unfit_level not in people["level"][members]
    assert (people["card"][own & (people["program"] == "paid")] >= 0).all()


def test_cards_pay_for_several_and_a_kept_telephone_is_never_used_twice_at_once() -> None:
    people, _ = planned()
    own = people["role"] == "operator"
    cards, devices = crowds(people["card"][own]), crowds(people["device"][own])
    assert 0.15 < cards[cards > 1].sum() / own.sum() < 0.45
    assert 0.05 < devices[devices > 1].sum() / own.sum() < 0.3
    assert devices.max() <= KEPT[1]
    for device in np.unique(people["device"][own & (people["device"] >= 0)]):
        held = np.flatnonzero(own & (people["device"] == device))
        held = held[np.argsort(people["from_s"][held])]
        assert (people["from_s"][held][1:] >= people["to_s"][held][:-1]).all()


def test_some_share_of_the_accounts_shares_a_card_a_device_or_a_telephone() -> None:
    people, _ = planned(count=3_000)
    shares = np.zeros(3_000, dtype=bool)
    for column in ("card", "device", "phone"):
        _, place, held = np.unique(people[column], return_inverse=True, return_counts=True)
        shares |= (people[column] >= 0) & (held[place] > 1)
    assert shares[people["role"] == "operator"].mean() == pytest.approx(0.44, abs=0.05)  # as the page says


def test_a_crew_works_together_for_days_and_is_then_another() -> None:
    people, _ = planned()
    everybody = np.arange(COUNT)
    days = [crews(people, everybody, day) for day in range(3 * CREW_DAYS)]
    assert (days[0] == days[CREW_DAYS - 1]).all()
    together = [{frozenset(np.flatnonzero(day == crew)) for crew in np.unique(day)} for day in days[::CREW_DAYS]]
    assert not together[0] & together[1]
    assert not set(days[0]) & set(days[CREW_DAYS])
    assert 4 < np.mean([len(crew) for crew in together[0]]) < 40


def test_desks_keep_their_corpus_and_renew_their_wordings() -> None:
    people, plan = planned()
    loads = plan.library.freeze_workloads()
    works = np.unique(harvest(people)[people["role"] == "operator"])
    assert (loads.dealing[works] == Dealing.PARALLEL).all()
    assert set(loads.templates[works]) == {WORDINGS}
    assert len(set(loads.salt[works])) == len(CAMPAIGN.recipes)
    assert 2 * len(CAMPAIGN.recipes) < len(works) <= EDITIONS * len(CAMPAIGN.recipes)
    rows = plan.library.freeze_templates()
    for work in works:
        first = loads.template[work]
        assert len(set(rows.item[first : first + WORDINGS])) == 1


def test_an_item_is_asked_by_several_accounts_in_several_wordings(look: Rows) -> None:
    rows = look("""
        with asked as (select regexp_extract(prompt, '(Un tren|Un depósito|Se reparten|Dos lados)[^\n]*') as item,
                              prompt, account_id from known where role = 'operator' and turn_count = 1)
        select count(distinct prompt), count(distinct account_id) from asked where item <> '' group by item""")
    assert len(rows) > 40
    several = [row for row in rows if row[0] > 1]
    assert len(several) > 0.25 * len(rows)
    assert np.mean([accounts > 1 for _, accounts in several]) > 0.8  # 0.72 if every wording began with the same items


def test_thoughts_are_asked_for_in_every_language_and_an_account_has_one_besides_english(look: Rows) -> None:
    beginnings = {
        "en": r"^I (teach|give lessons)",
        "zh": "^我(在晚上|在网上|给小班)",
        "ja": "^私は",
        "es": "^(Enseño|Doy clases)",
        "de": "^Ich (unterrichte|gebe)",
        "fr": "^(J'enseigne|Je donne des cours)",
        "pt": "^(Ensino|Dou explicações)",
        "ko": "^저는 ",
    }
    assert set(beginnings) == set(LANGUAGES)
    asked = (
        "select avg(regexp_matches(prompt, $text)::int) from known where role = 'operator' and turn_count = 1 "
        "group by account_id order by account_id"
    )
    shares = np.array([[share for (share,) in look(asked, text=text)] for text in beginnings.values()]).T
    assert (shares.max(axis=0) > 0).all()
    assert ((shares[:, 1:] > 0).sum(axis=1) <= 1).all()


def test_machines_serve_several_accounts_and_are_given_up(look: Rows) -> None:
    spans = look("""
        select count(distinct account_id), date_diff('day', min(started_at), max(started_at)) from known
        where role = 'operator' and client_ip like '52.%' group by client_ip having count(*) >= 10""")
    shared = [days for accounts, days in spans if accounts >= 3]
    assert len(shared) > 5
    assert np.mean([days <= CREW_DAYS for days in shared]) > 0.8


def test_who_is_in_a_crew_begins_when_its_lots_come_in(look: Rows) -> None:
    """Sessions of two accounts on one machine on one day begin within a quarter of an hour more often than others."""
    near = look("""
        with began as (select account_id, client_ip, date_trunc('day', started_at) as day, min(started_at) as at
                       from known where role = 'operator' and client_ip like '52.%'
                       group by account_id, client_ip, session_id, day),
             pairs as (select one.client_ip = two.client_ip as same,
                              abs(epoch(one.at) - epoch(two.at)) < 900 as close
                       from began one join began two on one.day = two.day and one.account_id < two.account_id)
        select same, avg(close::int), count(*) from pairs group by same order by same""")
    (_, others, _), (_, crew, pairs) = near
    assert pairs > 50
    assert crew > 4 * others


def test_the_ring_comes_to_a_stolen_key_when_its_owner_has_long_used_it(look: Rows) -> None:
    rows = look("""
        select min(epoch(started_at)) as first, min(epoch(started_at)) filter (regexp_matches(
                   prompt, '^(I teach|I give lessons|My course practises|We practise|We rehearse)')) as taken
        from known where role = 'compromised' group by account_id having taken is not null""")
    assert len(rows) > 5
    assert np.median([taken - first for first, taken in rows]) > DAY_S
    assert all(taken > first for first, taken in rows)


def test_nothing_is_shared_by_all_and_no_organisation_is_named(look: Rows) -> None:
    [(everything, nothing, names)] = look("""
        with shared as (
            select count(*) over (partition by payment_fingerprint) > 1 and payment_fingerprint is not null as card,
                   count(*) over (partition by device_fingerprint) > 1 and device_fingerprint is not null as device,
                   organization_id
            from accounts join truth using (account_id) where role = 'operator')
        select avg((card and device)::int), avg((not (card or device))::int), count(organization_id) from shared""")
    assert everything < 0.2
    assert nothing > 0.35
    assert names == 0


@pytest.mark.parametrize(("jitter", "timing"), [(0.0, LOTS), (600.0, LOTS), (float(DAY_S), SESSIONS)])
def test_crews_drain_lots_unless_a_dose_takes_the_schedule_away(jitter: float, timing: int) -> None:
    people, _ = planned(Doses(jitter=jitter))
    crewed = (people["machine_share"] > 0) & (people["role"] == "operator")
    assert set(people["timing"][crewed]) == {timing}
    assert set(people["jitter_s"][crewed]) == {jitter if timing == LOTS else 0.0}


def test_a_dose_of_hygiene_takes_every_shared_trait_away() -> None:
    people, _ = planned(Doses(hygiene=1.0))
    own = people["role"] == "operator"
    for column in ("card", "device", "phone"):
        assert crowds(people[column][own]).max() == 1
    assert (people["machine_share"][own] == 0).all()
    assert (people["created_s"] < people["from_s"])[own].all()


def test_a_dose_of_camouflage_is_the_share_of_unrelated_work() -> None:
    people, _ = planned(Doses(camouflage=0.7))
    own = people["role"] == "operator"
    assert (people["side_share"][own] == 0.7).all()
    assert (people["late_s"][own] == np.inf).all()


@pytest.mark.parametrize("count", [5, 12, 40])
def test_a_campaign_of_any_size_can_be_planned(count: int) -> None:
    people, _ = planned(Doses(accounts=count), count)
    assert all(len(values) == count for values in people.values())
    assert (people["to_s"] > people["from_s"]).all()


def test_the_same_seed_makes_the_same_world_and_another_does_not(tmp_path: Path) -> None:
    first = written(tmp_path / "a", "many-languages", days=2, seed=4107)
    assert first == written(tmp_path / "b", "many-languages", days=2, seed=4107)
    assert first != written(tmp_path / "c", "many-languages", days=2, seed=4108)


def test_it_speaks_one_language_when_a_dose_says_so(tmp_path: Path, ask: Rows) -> None:
    spoken = scenario("many-languages", Doses(language="ja"))
    simulate(tmp_path, scenario=spoken, scale=0.002, days=3, seed=4107)
    [(japanese, korean)] = ask(
        "select avg(regexp_matches(prompt, '[ぁ-ん]')::int), avg(regexp_matches(prompt, '^저는')::int) "
        "from known where role = 'operator' and turn_count = 1 and length(prompt) > 150",
        tmp_path,
    )
    assert japanese > 0.4
    assert korean == 0
