import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.sharing.planted import ADVICE, SAMPLES, everything


@pytest.fixture
def campaigns() -> list[dict[str, Any]]:
    """The sample campaigns: one of each verdict."""
    return list(json.loads(Path(SAMPLES).read_text(encoding="utf-8")))


@pytest.fixture
def advised(campaigns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with something recommended against the first."""
    changed = copy.deepcopy(campaigns)
    changed[0]["recommended_decisions"] = copy.deepcopy(ADVICE)
    return changed


@pytest.fixture
def every_object(advised: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Objects of every type that leaves, as much in each as there may be."""
    return everything(advised)
