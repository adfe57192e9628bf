"""Campaigns of the tests' own, as a detection hands them over, and the records that come of them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from stillwatch.server import Service, decisions
from stillwatch.server.decisions import Reconciled
from stillwatch.server.tables import decisions as table

CAMPAIGN_ID = "c-0123456789ab"
LEAST = {"shape": 2, "suspend": 2}


def recommended(action: str, account_ids: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A recommendation, as in campaigns.json."""
    told = {
        "action": action,
        "check": "identity" if action == "verify" else None,
        "account_ids": list(account_ids),
        "because": f"They harvest. Shadow: recommended, nothing acts. (policy default 1, rule {action}-them)",
        "approvals": LEAST.get(action, 0),
        "expires_after_days": 7,
    }
    return {**told, **changes}


def campaign(*recommendations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As much of a campaign as decisions are made of."""
    members = sorted({one for told in recommendations for one in told["account_ids"]} or {"a", "b"})
    trait = {"kind": "template", "family": "content", "value": "0f", "account_count": 9, "durability": "high"}
    told = {
        "campaign_id": CAMPAIGN_ID,
        "verdict": "distillation",
        "probability": None,
        "account_ids": members,
        "evidence": [{**trait, "weight_bits": bits} for bits in (4.0, 9.5)],
        "lineage": [],
        "recommended_decisions": list(recommendations),
    }
    return {**told, **changes}


@pytest.fixture
def reconciled(service: Service) -> Callable[..., Reconciled]:
    """Run a detection's outcome into the service's decisions, and follow."""

    def run(*campaigns: dict[str, Any]) -> Reconciled:
        with service.database.write() as connection:
            done = decisions.reconcile(connection, campaigns, now=service.now(), policy_name="default 1")
        service.snapshot.refresh(service.database)
        return done

    return run


@pytest.fixture
def rows(service: Service) -> Callable[..., list[Any]]:
    """Decisions as they are kept, oldest first and of one moment the ended ones, by any of their columns."""

    def found(**wanted: Any) -> list[Any]:
        fits = [table.c[name] == value for name, value in wanted.items()]
        with service.database.read() as connection:
            order = (table.c.created_at, table.c.ended_at.is_(None), table.c.state, table.c.account_id)
            return list(connection.execute(sa.select(table).where(*fits).order_by(*order)))

    return found
