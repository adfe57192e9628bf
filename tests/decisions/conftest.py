import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent.parent / "golden" / "sample_campaigns.json"
ORDER = {"distillation": 0, "explained": 1, "coordinated": 2, "insufficient_data": 3}


@pytest.fixture
def campaign() -> Callable[..., dict[str, Any]]:
    """A sample campaign of the verdict, with the changes given."""

    def made(verdict: str = "distillation", **changes: object) -> dict[str, Any]:
        return {**json.loads(SAMPLES.read_text(encoding="utf-8"))[ORDER[verdict]], **changes}

    return made
