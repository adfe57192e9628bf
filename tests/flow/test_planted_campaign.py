"""A planted campaign goes from log lines to bundle."""

import json
import re
from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
import stix2validator
from tests.flow import planted, scans

from stillwatch import schemas
from stillwatch.records import ACCOUNT_VERDICTS, LINKS, REJECTED, SEEN, arrow_schema
from stillwatch.scan import Scanned

Done = tuple[Path, Scanned]
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def test_the_harvest_is_found_whole_and_alone(scanned: Done) -> None:
    [campaign] = scans.with_verdict(scanned[1].campaigns, "distillation")
    assert campaign["account_ids"] == [f"harvest-{number:03}" for number in range(planted.HARVEST)]


def test_nobody_else_is_accused_and_ordinary_people_are_in_no_campaign(scanned: Done) -> None:
    found = scans.verdicts(scanned[1].campaigns)
    assert "coordinated" not in found
    assert "people" not in found.get("explained", {})


def test_the_class_is_explained_and_the_verified_company_links_nobody(scanned: Done) -> None:
    explained = scans.verdicts(scanned[1].campaigns)["explained"]
    assert explained == {"class": planted.CLASS}


def test_every_planted_wording_is_a_template_and_exposure_is_counted_exactly(scanned: Done) -> None:
    [campaign] = scans.with_verdict(scanned[1].campaigns, "distillation")
    sent = [row for row in planted.exchanges() if planted.segment_of(row["account_id"]) == "harvest"]
    assert campaign["exposure"]["exchanges"] == len(sent)
    assert campaign["exposure"]["output_tokens"] == sum(row["output_tokens"] for row in sent)
    hours = [row["started_at"].replace(minute=0, second=0, microsecond=0).isoformat() for row in sent]
    assert (campaign["first_seen_at"], campaign["last_seen_at"]) == (min(hours), max(hours))
    assert len(campaign["templates"]) >= len(planted.HARVEST_WORDINGS)


def test_every_campaign_has_shape_and_names_what_was_tested(scanned: Done) -> None:
    campaigns = json.loads((scanned[0] / "campaigns.json").read_text(encoding="utf-8"))
    assert campaigns == scanned[1].campaigns
    jsonschema.Draft202012Validator(schemas.schema("campaigns")).validate(campaigns)
    assert all(campaign["benign_hypotheses"] for campaign in campaigns)


def test_the_accounts_table_says_what_the_campaigns_say(scanned: Done) -> None:
    out, done = scanned
    table = pq.read_table(out / "accounts.parquet")
    assert table.schema == arrow_schema(ACCOUNT_VERDICTS)
    told = {(row["account_id"], row["campaign_id"], row["verdict"], row["decision"]) for row in table.to_pylist()}
    expected = set()
    for campaign in done.campaigns:
        action = {a: d["action"] for d in campaign["recommended_decisions"] for a in d["account_ids"]}
        expected |= {
            (account, campaign["campaign_id"], campaign["verdict"], action.get(account))
            for account in campaign["account_ids"]
        }
    assert told == expected
    assert any(row[3] for row in told), "no decision was recommended for the harvest"


def test_the_other_tables_have_their_published_columns(scanned: Done) -> None:
    assert pq.read_table(scanned[0] / "links.parquet").schema == arrow_schema(LINKS)
    assert pq.read_table(scanned[0] / "rejected.parquet").schema == arrow_schema(REJECTED)
    assert pq.read_table(scanned[0] / "seen.parquet").schema == arrow_schema(SEEN)


def test_every_account_of_the_logs_is_seen_with_its_traffic(scanned: Done) -> None:
    sent = planted.exchanges()
    rows = {row["account_id"]: row for row in pq.read_table(scanned[0] / "seen.parquet").to_pylist()}
    assert {name: row["exchanges"] for name, row in rows.items()} == Counter(row["account_id"] for row in sent)
    [campaign] = scans.with_verdict(scanned[1].campaigns, "distillation")
    for name, row in rows.items():
        times = [exchange["started_at"] for exchange in sent if exchange["account_id"] == name]
        assert row["first_seen_at"] <= min(times) < row["first_seen_at"] + timedelta(hours=1)
        assert row["last_seen_at"] <= max(times) < row["last_seen_at"] + timedelta(hours=1)
        assert row["is_verified_organisation"] == name.startswith("company")
        if name.startswith(("people", "company")):
            assert row["bearing_exchanges"] is None
    members = [rows[name] for name in campaign["account_ids"]]
    bearing, made = (sum(row[column] for row in members) for column in ("bearing_exchanges", "exchanges"))
    assert bearing / made == pytest.approx(campaign["exposure"]["template_share"], abs=1e-6)
    assert all(0 < row["bearing_exchanges"] <= row["exchanges"] for row in members)


def test_the_bundle_is_valid_and_holds_neither_prompts_nor_identifiers(scanned: Done) -> None:
    text = (scanned[0] / "bundle.json").read_text(encoding="utf-8")
    result = stix2validator.validate_string(text, stix2validator.ValidationOptions(version="2.1"))
    assert result.is_valid, result.as_dict()
    kinds = {thing["type"] for thing in json.loads(text)["objects"]}
    assert {"campaign", "indicator", "infrastructure", "marking-definition"} <= kinds
    for private in ("harvest-0", "198.18.", "card-h", "device-h", "<thinking>", "Think step by step"):
        assert private not in text


def test_no_output_file_holds_a_raw_identifier(scanned: Done) -> None:
    for path in scanned[0].iterdir():
        content = path.read_bytes()
        assert not any(raw in content for raw in (b"198.18.", b"card-h", b"device-h")), path.name
    links = pq.read_table(scanned[0] / "links.parquet")
    assert not re.search(r"198\.1|card-|device-", " ".join(links["value"].to_pylist()))


class _Page(HTMLParser):
    """Notes open elements and what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_page_that_fetches_nothing(scanned: Done) -> None:
    text = (scanned[0] / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert [url for url in page.fetched if not url.startswith("data:")] == []
    [campaign] = scans.with_verdict(scanned[1].campaigns, "distillation")
    assert campaign["campaign_id"] in text
    assert "harvest-000" in text


def test_the_run_tells_versions_inputs_counts_seconds_and_memory(scanned: Done, world: Path) -> None:
    run = json.loads((scanned[0] / "run.json").read_text(encoding="utf-8"))
    sent = planted.exchanges()
    assert run == scanned[1].run
    assert run["libraries"].keys() >= {"duckdb", "numpy", "pyarrow"}
    assert {entry["file"] for entry in run["inputs"]} == {str(path) for path in (world / "logs").iterdir()}
    assert sum(entry["rows"] for entry in run["inputs"]) == run["counts"]["exchanges"] == len(sent)
    assert run["counts"]["accounts"] == len({row["account_id"] for row in sent})
    assert run["counts"]["campaigns_by_verdict"] == {"distillation": 1, "explained": 1}
    assert set(run["seconds"]) >= {"ingest", "linkage", "campaigns", "report", "total"}
    assert run["peak_memory_bytes"] > 50e6
    assert run["not_judged"] == ["No exchange sends back a reasoning artefact: replays could not be judged."]
    assert run["minimum_detectable_campaign"]["accounts"] <= planted.HARVEST


def test_nothing_but_the_results_is_left_in_the_folder(scanned: Done) -> None:
    results = {
        "campaigns.json",
        "known_campaigns.json",
        "accounts.parquet",
        "links.parquet",
        "seen.parquet",
        "rejected.parquet",
        "vocabulary.parquet",
        "lead_matches.parquet",
        "recognised.json",
    }
    results |= {"bundle.json", "report.html", "run.json", ".lock"}
    assert {path.name for path in scanned[0].iterdir()} == results
