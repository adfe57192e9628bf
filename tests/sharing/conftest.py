import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.sharing import planted

from stillwatch.sharing import Alias, GroupKey, Practice, objects_of


@pytest.fixture
def campaigns() -> list[dict[str, Any]]:
    """The sample campaigns: one of each verdict."""
    return list(json.loads(Path(planted.SAMPLES).read_text(encoding="utf-8")))


@pytest.fixture
def advised(campaigns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with something recommended against the first."""
    changed = copy.deepcopy(campaigns)
    changed[0]["recommended_decisions"] = copy.deepcopy(planted.ADVICE)
    return changed


@pytest.fixture
def every_object(advised: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects of every type that leaves, as much in each as there may be."""
    return planted.everything(advised)


@pytest.fixture
def everything(campaigns: list[dict[str, Any]]) -> Callable[[str], list[dict[str, Any]]]:
    """Objects of every type and kind that may leave under the marking, keyed by a group where content is concerned."""

    def made(tlp: str) -> list[dict[str, Any]]:
        sent = copy.deepcopy(campaigns)
        wordings = [{"value": str(10**17 + 7 * n), "account_count": 5 + n} for n in range(12)]
        sent[0]["sketch"] = {"wordings": wordings, "items": wordings[:8]}
        now = datetime(2026, 2, 12, 8, 1, 12, 345_000, tzinfo=UTC)
        match = {"accounts": 9, "exchanges": 400, "first_seen_at": now, "last_seen_at": now}
        return objects_of(
            sent,
            now=now,
            tlp=tlp,
            key_id="0f3c9a1155aa77cc",
            group=GroupKey("north", 3, bytes(range(32))),
            aliases=[Alias(sent[0]["campaign_id"], "Grey Heron", "ada", "own investigation", now)],
            matches=[
                {**match, "lead_id": f"indicator--{n}21e383f-ed73-5442-be72-01a99866b8e1", "verdict": verdict}
                for n, verdict in enumerate(("distillation", "explained"))
            ],
            practice=Practice(taken={sent[0]["campaign_id"]: ["throttle"]}),
        )

    return made
