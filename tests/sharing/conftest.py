import json
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent.parent / "golden" / "sample_campaigns.json"


@pytest.fixture
def campaigns() -> list[dict[str, Any]]:
    """The sample campaigns: one of each verdict."""
    return list(json.loads(SAMPLES.read_text(encoding="utf-8")))
