"""Stolen keys: the holder's work goes on from home, the campaign's comes from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.campaigns.clues import facts
from tests.campaigns.logs import Logs

from stillwatch.campaigns import Facts, Member, marked, stolen_keys
from stillwatch.campaigns.facts import TemplateUse
from stillwatch.engines.embedded import EmbeddedEngine

CAMPAIGN, OWN = 17, 3  # templates
ONSET_DAY = 5.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path, memory_limit="200MB", threads=1) as engine:
        yield engine


def campaign(*accounts: str) -> Facts:
    uses = [TemplateUse(CAMPAIGN, 100, len(accounts), 100, "reasoning")]
    return facts(members=[Member(account) for account in accounts], templates=uses)


def victim(logs: Logs, account: str = "v") -> None:
    logs.send(account, OWN, 20, place="home")
    logs.send(account, OWN, 20, day=ONSET_DAY + 1, place="home")
    logs.send(account, CAMPAIGN, 30, day=ONSET_DAY, place="exit")


def found(logs: Logs, engine: EmbeddedEngine, *accounts: str) -> dict[str, str]:
    return stolen_keys(logs.tables(engine), engine, [campaign(*accounts)])


def test_work_at_home_before_and_beside_makes_a_victim_and_the_reason_says_so(engine: EmbeddedEngine) -> None:
    logs = Logs()
    victim(logs)
    (because,) = found(logs, engine, "v").values()
    assert "5 days and 20 exchanges of its own came before" in because
    assert "20 more came from the same places, while 30 came from others" in because


def test_an_operator_who_mixes_other_traffic_in_is_no_victim(engine: EmbeddedEngine) -> None:
    logs = Logs()
    for day in range(8):
        logs.send("mixed", OWN, 10, day=day, place=f"exit-{day % 3}")
        logs.send("mixed", CAMPAIGN, 10, day=day + 0.5, place=f"exit-{day % 3}")
    assert found(logs, engine, "mixed") == {}


def test_an_operator_who_waited_is_no_victim_when_the_campaign_comes_from_the_same_place(
    engine: EmbeddedEngine,
) -> None:
    logs = Logs()
    logs.send("aged", OWN, 20, place="exit")
    logs.send("aged", OWN, 20, day=ONSET_DAY + 1, place="exit")
    logs.send("aged", CAMPAIGN, 30, day=ONSET_DAY, place="exit")
    assert found(logs, engine, "aged") == {}


def test_an_account_whose_holder_is_gone_is_no_victim_here(engine: EmbeddedEngine) -> None:
    logs = Logs()
    logs.send("sold", OWN, 20, place="home")
    logs.send("sold", CAMPAIGN, 30, day=ONSET_DAY, place="exit")
    assert found(logs, engine, "sold") == {}


def test_a_short_history_is_too_little_to_tell(engine: EmbeddedEngine) -> None:
    logs = Logs()
    logs.send("new", OWN, 20, place="home", day=ONSET_DAY - 1)
    logs.send("new", OWN, 20, day=ONSET_DAY + 1, place="home")
    logs.send("new", CAMPAIGN, 30, day=ONSET_DAY, place="exit")
    assert found(logs, engine, "new") == {}


def test_an_account_that_sends_nothing_of_the_campaigns_is_not_looked_at(engine: EmbeddedEngine) -> None:
    logs = Logs()
    logs.send("idle", OWN, 40, place="home")
    victim(logs)
    assert set(found(logs, engine, "idle", "v")) == {"v"}


def test_without_addresses_nobody_is_called_a_victim(engine: EmbeddedEngine) -> None:
    logs = Logs()
    victim(logs)
    for row in logs.exchanges:
        row["place"] = None
    assert found(logs, engine, "v") == {}


def test_victims_are_marked_in_the_campaign_that_holds_them(engine: EmbeddedEngine) -> None:
    one, other = marked([campaign("v", "w"), campaign("z")], {"v": "so"})
    assert (one.compromised, other.compromised) == ({"v": "so"}, {})
