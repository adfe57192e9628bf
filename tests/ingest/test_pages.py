"""Every format has a page, and the page's example is read by the reader it describes."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stillwatch.ingest import formats, load_field_map
from stillwatch.records import EXCHANGES

DOCS = Path(__file__).parents[2] / "docs" / "formats"
NEEDS_START = {"vllm", "openai_batch", "anthropic_batch"}
METADATA_ONLY = {"envoy"}


def example(name: str) -> str:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    blocks = re.findall(r"^Example.*?^```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    return blocks[0]


def test_every_format_has_a_page_and_every_page_a_format() -> None:
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index", "field-map"}
    assert pages == set(formats())
    index = (DOCS / "index.md").read_text("utf-8")
    assert all(f"| [{name}]({name}.md) |" in index for name in formats())


@pytest.mark.parametrize("name", formats())
def test_a_page_says_who_the_account_is_which_clock_counts_and_how_to_force_it(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text("utf-8")
    assert "**account_id**" in page
    assert "**Clock**" in page
    assert f"--input-format {name}`" in page


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("name", formats())
def test_the_example_of_a_page_is_read(read: Any, parquet: Any, name: str, forced: bool) -> None:
    content: Any = example(name)
    if name == "parquet":
        content = parquet({column: [value] for column, value in json.loads(content).items()})
    options: dict[str, Any] = {"input_format": name} if forced else {}
    if name in NEEDS_START:
        options["started_at"] = datetime(2026, 3, 1, tzinfo=UTC)
    seen = []
    rows, rejected = read(content, on_file=lambda _, found: seen.append(found), **options)
    assert rejected == []
    assert seen == [name]
    assert len(rows) == 1
    assert "acct-7" in rows[0]["account_id"] or name in ("litellm", "bedrock")
    assert rows[0]["started_at"].year == 2026
    if name != "bedrock":
        assert rows[0]["model"] == "large-2"
    if name not in METADATA_ONLY:
        assert rows[0]["prompt"].startswith("Name three rivers")


def test_the_field_map_of_the_page_is_one(tmp_path: Path) -> None:
    page = (DOCS / "field-map.md").read_text("utf-8")
    path = tmp_path / "map.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    assert load_field_map(path).exchanges.columns["account_id"] == "customer.id"


def test_the_pages_name_every_column_that_is_read() -> None:
    page = (DOCS / "parquet.md").read_text("utf-8")
    derived = {"client_ip_prefix"}
    assert all(f"{name}" in page for name in set(EXCHANGES.names) - derived)
