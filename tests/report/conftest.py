import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.records import ACCOUNT_VERDICTS, LINKS, arrow_schema

SAMPLES = Path(__file__).parent.parent / "golden" / "sample_campaigns.json"
Campaigns = list[dict[str, Any]]

RUN = {
    "version": "0.1.0",
    "started_at": "2026-02-24T08:00:00Z",
    "finished_at": "2026-02-24T08:01:12Z",
    "inputs": [{"file": "exchanges/2026-02-02.parquet", "rows": 180_991, "rejected": 12}],
    "counts": {
        "exchanges": 4_120_312,
        "accounts": 44_404,
        "rejected": 48,
        "duplicates": 1_031,
        "campaigns_by_verdict": {"distillation": 1, "coordinated": 1, "explained": 1, "insufficient_data": 1},
    },
    "seconds": {"ingest": 30.2, "linkage": 20.1},
    "peak_memory_bytes": 3_200_000_000,
    "key_id": "0f3c9a11",
    "not_judged": ["reasoning replay: no log has reasoning artefacts"],
    "minimum_detectable_campaign": {"accounts": 9},
    "settings": {},
}


@pytest.fixture
def campaigns() -> Campaigns:
    """The sample campaigns, with a decision on the first."""
    return samples()


def samples() -> Campaigns:
    """The sample campaigns, with a decision on the first."""
    made: Campaigns = json.loads(SAMPLES.read_text(encoding="utf-8"))
    made[0]["recommended_decisions"] = [
        {
            "action": "suspend",
            "check": None,
            "account_ids": made[0]["account_ids"],
            "because": "The campaign harvests. Shadow: recommended, nothing acts.",
            "approvals": 2,
            "expires_after_days": 30,
        }
    ]
    return made


@pytest.fixture
def run() -> dict[str, Any]:
    """A run as run.json tells it."""
    return copy.deepcopy(RUN)


@pytest.fixture
def links() -> Callable[[Campaigns], pa.Table]:
    """The links behind the evidence: every trait is held by the first members of its campaign."""

    def made(campaigns: Campaigns) -> pa.Table:
        rows = [
            {**trait, "account_id": account_id}
            for campaign in campaigns
            for trait in campaign["evidence"]
            for account_id in campaign["account_ids"][: trait["account_count"]]
        ]
        return pa.Table.from_pylist(rows, schema=arrow_schema(LINKS))

    return made


@pytest.fixture
def accounts() -> Callable[[Campaigns], pa.Table]:
    """The verdict table of the campaigns' accounts."""

    def made(campaigns: Campaigns) -> pa.Table:
        rows = [
            {"account_id": account_id, "campaign_id": campaign["campaign_id"], "verdict": campaign["verdict"]}
            for campaign in campaigns
            for account_id in campaign["account_ids"]
        ]
        return pa.Table.from_pylist(rows, schema=arrow_schema(ACCOUNT_VERDICTS))

    return made
