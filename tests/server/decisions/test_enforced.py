"""What was done about a campaign's accounts: counted once each, by action, and whether it acts."""

from collections.abc import Callable
from typing import Any

from tests.server.conftest import Clock
from tests.server.decisions.conftest import CAMPAIGN_ID, campaign, recommended

from stillwatch.server import Service, decisions
from stillwatch.server.decisions import Taken, people
from stillwatch.server.tables import brakes


def taken(service: Service, *live: str) -> list[Taken]:
    with service.database.read() as connection:
        return decisions.taken(connection, live)


def test_accounts_are_counted_by_campaign_action_and_mode(
    service: Service, reconciled: Callable[..., Any], clock: Clock
) -> None:
    other = "c-ffffffffffff"
    first = campaign(recommended("verify", ["a", "b", "c"]), recommended("throttle", ["d"]))
    reconciled(first, campaign(recommended("verify", ["e"]), campaign_id=other))
    assert taken(service, "throttle") == [
        Taken(CAMPAIGN_ID, "throttle", "live", 1, 1),
        Taken(CAMPAIGN_ID, "verify", "shadow", 3, 3),
        Taken(other, "verify", "shadow", 1, 1),
    ]
    clock.pass_by(days=1)
    reconciled(campaign(recommended("verify", ["a", "b"])), campaign(recommended("verify", ["e"]), campaign_id=other))
    assert taken(service)[:2] == [
        Taken(CAMPAIGN_ID, "throttle", "shadow", 1, 0),
        Taken(CAMPAIGN_ID, "verify", "shadow", 3, 2),
    ]


def test_what_was_never_approved_was_not_taken(service: Service, reconciled: Callable[..., Any]) -> None:
    reconciled(campaign(recommended("suspend", ["a", "b"])))
    assert taken(service, "suspend") == []
    for name in ("p", "q"):
        with service.database.write() as connection:
            people.approve_campaign(connection, CAMPAIGN_ID, "suspend", principal=name, now=service.now())
    assert taken(service, "suspend") == [Taken(CAMPAIGN_ID, "suspend", "live", 2, 2)]
    with service.database.write() as connection:
        put = {"principal": "p", "at": service.now(), "because": "look first"}
        connection.execute(brakes.insert().values(action="suspend", **put))
    assert taken(service, "suspend") == [Taken(CAMPAIGN_ID, "suspend", "shadow", 2, 2)]
