"""What a campaign hides behind: a contract, a company, a public coding harness, other people's keys.

Why:    each of the four is an innocent explanation of what links the accounts, and none explains what they take.
Misses: a relay that rewords its customers' prompts, and staff who harvest by hand.
Source: disclosures of 10 September 2026: shell companies with a contract, relays chosen by their harness, and stolen
        keys of ordinary firms. That staff harvest in their own company's name is our reading of the same reports.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.owners import onboarded, one_owner, only
from stillwatch.evaluation.parts import NONE
from stillwatch.evaluation.people import ALWAYS, DAY_S, HARNESS_CLIENT, SDK_CLIENTS, Columns, Plan
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import customers, group_works, harness_work

STAFF_SHARE = 0.4  # of a company's accounts that harvest
CUSTOMER_TEMPLATES = 48  # of a reseller, as in the honest ones


def behind_a_contract(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """A verified reseller: one organisation, card and network, customers of its own, and the harvest among them."""
    count = len(people["rate"])
    _one_organisation(plan, rng, people, block=35, addresses=12)
    people["program"][:] = "partner"
    people["level"][:] = "contract"
    people["plan"][:] = "enterprise"
    people["hours"][:] = ALWAYS
    people["client"] = np.full(count, 15)
    people["client_other_share"] = np.zeros(count)
    people["end_users"] = rng.lognormal(5, 1.5, count).astype(np.int64)
    people["side"] = np.full(count, customers(plan, rng, CUSTOMER_TEMPLATES))
    people["side_share"] = rng.uniform(*campaign.camouflage, count)


def among_colleagues(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """A verified company: STAFF_SHARE of its accounts harvest besides their work, the others know nothing of it."""
    count = len(people["rate"])
    firm = SEGMENTS["enterprises"](plan, rng, count)
    _one_organisation(plan, rng, firm, block=193, addresses=6)
    firm["level"][:] = "contract"
    firm["work"] = group_works(plan, rng, np.zeros(count, np.int64), 1, 4, 8)
    harvests = np.arange(count) < max(round(STAFF_SHARE * count), 5)
    people["work"] = np.full(count, _corpus(campaign, plan, rng, campaign.recipes, count))
    for name in ("work", "timing", "beat", "hours", "from_s", "to_s", "late", "late_s"):
        firm[name] = np.where(harvests, people[name], firm[name])
    firm["rate"] *= people["rate"].mean() / firm["rate"].mean()
    firm["rate"] = np.where(harvests, people["rate"] / STAFF_SHARE, firm["rate"])
    firm["from_s"] = np.where(harvests, firm["from_s"], 0.0)
    firm["side"] = np.where(harvests, group_works(plan, rng, np.zeros(count, np.int64), 1, 4, 8), firm["side"])
    firm["side_share"] = np.where(harvests, rng.uniform(*campaign.camouflage, count), firm["side_share"])
    people.update(firm)
    people["campaign"] = only(harvests, np.full(count, campaign.name, object))
    people["role"] = only(harvests, np.full(count, "operator", object))
    people["segment"] = np.where(harvests, campaign.name, "enterprises").astype(object)


def behind_a_harness(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """A relay for users of the public harness: its client, system prompt and tools, and real sessions besides."""
    count = len(people["rate"])
    public = plan.library.system("harness", rng)
    works = [_corpus(campaign, plan, rng, (recipe,), count, system=public) for recipe in campaign.recipes]
    people["work"] = rng.choice(works, count)
    people["side"] = np.full(count, harness_work(plan))
    people["client"] = np.full(count, HARNESS_CLIENT)
    people["client_other_share"] = np.zeros(count)
    people["tools"] = rng.integers(4, 13, count)


def with_stolen_keys(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """Victims' own work goes on from their addresses; the campaign comes later, through its exits and its client."""
    del campaign
    stolen = people["role"] == "compromised"
    count = len(stolen)
    first, size = plan.networks.proxies()
    width = max(6, size // 12)
    people["away_work"] = np.where(stolen, people["work"], NONE)
    people["away_net"] = first + rng.integers(0, max(1, size - width), count)
    people["away_net_size"] = np.full(count, width)
    people["away_client"] = rng.choice(SDK_CLIENTS, count)
    people["late"] = np.where(stolen, people["work"], people["late"])
    people["late_s"] = np.where(stolen, rng.uniform(0.2, 0.6, count) * plan.days * DAY_S, people["late_s"])
    people["work"] = np.where(stolen, people["side"], people["work"])


def _one_organisation(
    plan: Plan, rng: np.random.Generator, people: Columns, *, block: int, addresses: int
) -> npt.NDArray[np.int64]:
    """Give all accounts one owner, and have them signed up as an owner's are."""
    alone = np.zeros(len(people["rate"]), np.int64)
    one_owner(plan, rng, people, alone, 1, name="org", block=block, addresses=addresses)
    onboarded(rng, people, alone, 1)
    people["from_s"] = np.maximum(people["from_s"], people["created_s"])
    return alone


def _corpus(
    campaign: Campaign,
    plan: Plan,
    rng: np.random.Generator,
    recipes: Sequence[str],
    count: int,
    *,
    system: str | None = None,
) -> int:
    """A corpus shared out, two templates to a recipe, each account sending all of them; under `system` if given."""
    templates = []
    for recipe in recipes:
        kinds = plan.harvest_kinds(campaign.aim, plan.library.words.recipes[recipe].capability)
        for k in range(2):
            item = kinds[k % len(kinds)] if kinds else None
            templates.append(plan.library.template(recipe, rng, item=item, system=system))
    corpus = int(campaign.exchanges / campaign.accounts * count * 4) + 200
    return plan.library.workload(templates, Dealing.SHARD, items=corpus, salt=int(rng.integers(1, 2**40)))


__all__ = ["among_colleagues", "behind_a_contract", "behind_a_harness", "with_stolen_keys"]
