"""The world of hidden harvests: what each campaign hides behind, and the twins beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillwatch.evaluation import simulate
from stillwatch.evaluation.hidden import CAMPAIGNS
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.scenarios import CUSTOMERS, scenarios
from stillwatch.evaluation.twins import TWINS

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hidden")
    simulate(out, scenario="hidden", scale=0.01, days=8, seed=2)
    return out


@pytest.fixture
def look(ask: Rows, world: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    return lambda query: ask(query, folder=world)


def test_every_campaign_and_every_twin_is_there(look: Rows) -> None:
    assert {name for (name,) in look("select distinct campaign from truth where is_hostile")} == {
        campaign.name for campaign in CAMPAIGNS
    }
    segments = {name for (name,) in look("select distinct segment from truth where not is_hostile")}
    assert segments == set(SEGMENTS) | set(TWINS)


def test_other_worlds_have_none_of_the_new_twins() -> None:
    assert set(CUSTOMERS) & set(TWINS) == set()
    assert [name for name, world in scenarios().items() if set(world.customers) & set(TWINS)] == ["hidden"]


def test_the_shell_is_one_verified_partner_with_customers_of_its_own(look: Rows) -> None:
    rows = look("""
        select distinct organization_id, access_program, verification_level, payment_fingerprint
        from accounts join truth using (account_id) where campaign = 'shell'""")
    [(organisation, program, level, _)] = rows
    assert organisation
    assert (program, level) == ("partner", "contract")
    [(customers,)] = look("select count(distinct end_user_id) from known where campaign = 'shell'")
    assert customers > 20


def test_the_shell_sends_what_the_campaign_on_stolen_keys_sends(look: Rows) -> None:
    [(common,)] = look("""
        select count(*) from (
            select left(prompt, 80) as head from known where campaign = 'shell' and length(prompt) > 200
            intersect select left(prompt, 80) from known where campaign = 'stolen' and length(prompt) > 200)""")
    assert common > 0


def test_staff_and_colleagues_are_one_company_and_only_staff_are_hostile(look: Rows) -> None:
    [(organisation,)] = look("""
        select distinct organization_id from accounts join truth using (account_id) where campaign = 'staff'""")
    found = look("""
        select is_hostile, organization_id, count(*) from accounts join truth using (account_id) group by all""")
    rows = {hostile: count for hostile, name, count in found if name == organisation}
    assert rows[False] > rows[True] >= 5


def test_the_relay_behind_the_harness_has_the_prompt_and_client_of_all_its_users(look: Rows) -> None:
    rows = look("""
        select distinct system_prompt from known
        where segment in ('coders', 'harness') and user_agent like 'terminal-coder%'
        and system_prompt like '%coding assistant inside a terminal%'""")
    assert len(rows) == 1
    [(tooled,)] = look("select avg((user_agent like 'terminal-coder%')::int) from known where campaign = 'harness'")
    assert tooled == 1.0


def test_a_stolen_key_is_used_later_and_from_other_addresses_than_its_holders(look: Rows) -> None:
    rows = look("""
        with taken as (
            select distinct left(prompt, 80) as head from known
            where campaign = 'stolen' and role = 'operator' and length(prompt) > 200),
        used as (
            select account_id, started_at, client_ip, left(prompt, 80) in (select head from taken) as is_taken
            from known where role = 'compromised'),
        homes as (select distinct account_id, client_ip from used where not is_taken)
        select is_taken, count(distinct used.account_id), min(started_at)::date,
               avg((homes.client_ip is not null)::int)
        from used left join homes on used.account_id = homes.account_id and used.client_ip = homes.client_ip
        group by 1 order by 1""")
    (_, holders, began, _), (_, victims, taken, at_home) = rows
    assert holders >= victims >= 3
    assert taken > began
    assert at_home < 0.5


def test_a_large_product_or_customer_is_most_of_what_its_organisation_sends(look: Rows) -> None:
    rows = look("""
        with heads as (
            select segment, a.organization_id, left(prompt, 40) as head, count(*) as n
            from known join accounts a using (account_id)
            where segment in ('products', 'resellers') and length(prompt) > 120 group by all)
        select segment, avg(top) from (
            select segment, organization_id, max(n) / sum(n) as top from heads group by all) group by 1""")
    top = dict(rows)
    assert top["products"] > 3 * top["resellers"]
