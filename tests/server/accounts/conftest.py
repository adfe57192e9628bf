"""What the tests of accounts share: telling an account, and a detection that was there before."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from stillwatch import store
from stillwatch.records import ACCOUNTS, KINDS, LINKS, arrow_schema
from stillwatch.server import Service
from stillwatch.server.access import Principal
from stillwatch.server.accounts import disposable
from stillwatch.server.accounts.rows import told_rows
from stillwatch.server.accounts.traits import signup_traits


class Source:
    """A source of traffic that tells of accounts."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    def __call__(self, **fields: Any) -> Any:
        """Tell of one account; the reply."""
        return self._told({"account_id": "a-1", **fields})

    def many(self, rows: list[dict[str, Any]]) -> list[Any]:
        """Tell of many at once; the replies."""
        return list(self._told(rows)["accounts"])

    def _told(self, body: Any) -> Any:
        answer = self._client.post("/v1/accounts", json=body, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def tell_account(client: TestClient, key_for: Callable[..., dict[str, str]]) -> Source:
    return Source(client, key_for("ingest"))


@pytest.fixture
def detected(service: Service) -> Callable[..., None]:
    """Leave what a detection leaves: a campaign of these accounts, and the links of some of their traits."""

    def made(
        members: list[dict[str, Any]],
        *,
        kinds: tuple[str, ...],
        bits: float = 8.0,
        others: int = 0,
        verdict: str = "distillation",
    ) -> None:
        folder = service.settings.storage.state / "detections"
        folder.mkdir(exist_ok=True)
        ids = [member["account_id"] for member in members]
        campaign = {"campaign_id": "c-1", "verdict": verdict, "account_ids": ids}
        (folder / store.CAMPAIGNS).write_text(json.dumps([campaign]))
        told = told_rows(members, key=service.key, principal=Principal("tests", frozenset()))
        rows = []
        for one in told:
            shown = signup_traits({**dict.fromkeys(ACCOUNTS.names), **one.values}, service.key)
            for kind in kinds:
                family, _, durability = KINDS[kind]
                rows.append(
                    {
                        "account_id": one.account_id,
                        "kind": kind,
                        "family": family,
                        "value": shown[kind],
                        "account_count": len(ids) + others,
                        "weight_bits": bits,
                        "durability": durability,
                    }
                )
        store.write_table(folder / store.LINKS, pa.Table.from_pylist(rows, arrow_schema(LINKS)))

    return made


@pytest.fixture
def disposable_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package that lists disposable domains, as it is laid out, with one domain of ours."""
    folder = tmp_path / "list" / disposable.PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("blocklist = {'thrown-away.example'}\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.delitem(sys.modules, disposable.PACKAGE, raising=False)
    disposable._listed.cache_clear()
    yield
    disposable._listed.cache_clear()
    sys.modules.pop(disposable.PACKAGE, None)
