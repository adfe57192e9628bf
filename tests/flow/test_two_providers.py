"""A campaign moves from one provider to another: told of it, the second sees it on its first requests, reworded.

Two real deployments with keys of their own: a sharing group between them, the gate, TAXII over a socket, an inbox.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.sharing.planted import KEY
from bench.sharing.planted import planted as lies
from bench.sharing.providers import Provider, api_root, form_group, hand_over
from jsonschema import Draft202012Validator
from tests import processes
from tests.flow import planted, scans

from stillwatch import store
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.ingest import Key
from stillwatch.intake import intake
from stillwatch.recognised import sentence
from stillwatch.schemas.published import schema
from stillwatch.settings import Settings
from stillwatch.sharing.groups import group, write_group

Row = dict[str, Any]
NEWCOMERS, EACH = 9, 7  # accounts of the second pool, and what each has sent so far
REWORDED = 0.25  # of the words of the instruction, anew on every call
OTHER_WORDS = ("please", "kindly", "now", "here", "again", "fully", "just", "really", "surely", "indeed", "thereby")


@dataclass(frozen=True, slots=True)
class Forked(Provider):
    """A provider whose commands are forked from a process that has imported everything."""

    def started(self, words: Sequence[object], variables: Mapping[str, str]) -> "CompletedProcess[str]":
        return processes.run(*words, **variables)

    @contextmanager
    def serving(self, state: Path) -> Iterator[str]:
        words = ("serve", "--port", "0", "--state", state)
        with processes.started(*words, errors=self.home / "serve.log", **self.variables({})) as process:
            yield api_root(process.stdout.readline())


def moved(rows: list[Row]) -> list[Row]:
    """The rows as of now: what is shared expires."""
    by = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - planted.STARTS_AT - timedelta(days=planted.DAYS)
    return [{**row, **{name: row[name] + by for name in ("started_at", "created_at") if name in row}} for row in rows]


def reworded(text: str, rng: random.Random) -> str:
    """The text with some of its words replaced."""
    return " ".join(rng.choice(OTHER_WORDS) if rng.random() < REWORDED else word for word in text.split())


def second_pool() -> tuple[list[Row], list[Row]]:
    """Accounts and exchanges of the pool that goes on elsewhere: other cards, devices and addresses, other words."""
    rng = random.Random(3)
    pool = [row for row in planted.accounts() if planted.segment_of(row["account_id"]) == "harvest"][:NEWCOMERS]
    accounts = [
        {
            **row,
            "account_id": f"newcomer-{n:03}",
            "payment_fingerprint": f"card-n{n % 3}",
            "device_fingerprint": f"device-n{n}",
        }
        for n, row in enumerate(pool)
    ]
    sent = [row for row in planted.exchanges(seed=9) if planted.segment_of(row["account_id"]) == "harvest"]
    rows = []
    for n, account in enumerate(accounts):
        for k in range(EACH):
            row, (head, item) = sent[n * EACH + k], sent[n * EACH + k]["prompt"].split(": ", 1)
            at = planted.STARTS_AT + timedelta(days=planted.DAYS, hours=-6, minutes=30 * k + n)
            told = {"account_id": account["account_id"], "started_at": at, "exchange_id": f"n-{n}-{k}"}
            rows.append({**row, **told, "prompt": f"{reworded(head, rng)}: {item}", "client_ip": f"198.51.{n % 3}.9"})
    return accounts, rows


def world(folder: Path, accounts: list[Row], rows: list[Row]) -> Path:
    """A world on disk, as of now."""
    planted.write(folder, moved(sorted(rows, key=lambda row: row["started_at"])))
    planted.write_accounts(folder, moved(accounts))
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    """The provider that found the campaign."""
    provider = Forked("first", tmp_path_factory.mktemp("first"))
    folder = world(provider.home / "world", planted.accounts(), planted.exchanges())
    provider.run("scan", folder / "logs", "--accounts", folder / "accounts.parquet", "--out", provider.out)
    return provider


@pytest.fixture(scope="module")
def second(first: Provider, tmp_path_factory: pytest.TempPathFactory) -> Provider:
    """The provider that the campaign moves to; what the first sent has been pulled."""
    provider = Forked("second", tmp_path_factory.mktemp("second"))
    form_group(first, provider)
    assert hand_over(first, provider).num_rows > 20
    accounts, rows = second_pool()
    people = [row for row in planted.accounts() if planted.segment_of(row["account_id"]) != "harvest"]
    others = [row for row in planted.exchanges(seed=6) if planted.segment_of(row["account_id"]) != "harvest"]
    world(provider.home / "world", people + accounts, others + rows)
    return provider


def scanned(provider: Provider, out: Path) -> list[scans.Campaign]:
    folder = provider.home / "world"
    provider.run("scan", folder / "logs", "--accounts", folder / "accounts.parquet", "--out", out)
    return store.read_campaigns(out)


@pytest.fixture(scope="module")
def alone(second: Provider, tmp_path_factory: pytest.TempPathFactory) -> list[scans.Campaign]:
    """What the second provider finds when nobody tells it anything."""
    return scanned(second, tmp_path_factory.mktemp("alone") / "out")


def test_told_of_it_the_second_provider_sees_the_campaign_that_it_cannot_see_alone(
    second: Provider, alone: list[scans.Campaign]
) -> None:
    accusing = ("distillation", "coordinated")
    assert not any(scans.verdicts(alone).get(verdict) for verdict in accusing)
    campaigns = scanned(second, second.out)
    told = [campaign for campaign in campaigns if campaign["verdict"] in accusing]
    assert [campaign["account_ids"] for campaign in told] == [[f"newcomer-{n:03}" for n in range(NEWCOMERS)]]
    [lead] = [row for row in told[0]["evidence"] if row["kind"] == "lead"]
    assert (lead["family"], lead["durability"], lead["account_count"]) == ("partner", "low", NEWCOMERS)
    matches = store.read_table(second.out, store.LEAD_MATCHES).to_pylist()
    assert {row["campaign_id"] for row in matches} == {told[0]["campaign_id"]}
    assert max(row["accounts"] for row in matches) == NEWCOMERS
    [recognised] = store.read_recognised(second.out)
    Draft202012Validator(schema("recognised")).validate([recognised])
    assert recognised["account_ids"] == told[0]["account_ids"]
    assert recognised["in_campaigns"][0] == {
        "campaign_id": told[0]["campaign_id"],
        "verdict": told[0]["verdict"],
        "accounts": NEWCOMERS,
    }
    assert (recognised["support"], recognised["outside"], recognised["if_public"]["passers_by"]) == ("confirmed", 0, 0)
    assert "Recognised from partners" in (second.out / store.REPORT).read_text(encoding="utf-8")


def test_what_came_of_it_goes_back_to_the_sender(first: Provider, second: Provider) -> None:
    if not (second.out / store.LEAD_MATCHES).is_file():
        scanned(second, second.out)
    (second.home / "recipients.toml").write_text('[recipients.first]\nclearance = "amber"\n', encoding="utf-8")
    feedback = second.home / "feedback.json"
    second.run("share", "feedback", second.out, "--to", "first", "--approver", "A. Analyst", "--out", feedback)
    objects = json.loads(feedback.read_text(encoding="utf-8"))["objects"]
    sightings = [one for one in objects if one["type"] == "sighting"]
    sent = json.loads((first.home / "bundle.json").read_text(encoding="utf-8"))["objects"]
    theirs = {one["id"] for one in sent if one["type"] == "indicator"}
    assert {one["sighting_of_ref"] for one in sightings} <= theirs
    assert any(one.get("count", 0) > 0 for one in sightings)
    assert "newcomer" not in feedback.read_text(encoding="utf-8")


def test_lies_about_every_innocent_population_accuse_nobody(
    second: Provider, alone: list[scans.Campaign], tmp_path: Path
) -> None:
    """A partner that was always right says that the class, the company and the people are campaigns."""
    folder, out = second.home / "world", tmp_path / "out"
    settings = Settings(logs=(str(folder / "logs"),), out=out, accounts=folder / "accounts.parquet", threads=2)
    truth = [
        {"account_id": row["account_id"], "segment": planted.segment_of(row["account_id"]), "is_hostile": False}
        for row in planted.accounts()
    ]
    pq.write_table(pa.Table.from_pylist(truth), tmp_path / "truth.parquet")
    with EmbeddedEngine(tmp_path / "tables", memory_limit="1GB", threads=2) as engine:
        taken = intake(settings, engine, key=Key(bytes(32)), work=tmp_path / "tables", progress=lambda *_: None)
        sent = lies(taken.signals, tmp_path / "truth.parquet")
    assert {"campaign--class", "campaign--company"} <= set(sent.leads.campaigns)
    out.mkdir()
    store.write_table(out / store.LEADS, sent.rows)

    write_group(tmp_path / "groups", group(KEY.group_id, KEY.secret, since=planted.STARTS_AT))
    done = scans.scan(folder, out, groups=tmp_path / "groups")
    found = scans.verdicts(done.campaigns)
    matches = store.read_table(out, store.LEAD_MATCHES).to_pylist()
    assert {row["campaign_id"] for row in matches} > {None}
    recognised = store.read_recognised(out)
    Draft202012Validator(schema("recognised")).validate(recognised)
    assert {one["campaign_ref"] for one in recognised} >= {"campaign--class"}  # a lie is recognised like the truth
    assert not {"confirmed"} & {one["support"] for one in recognised}
    assert done.run["recognised"] == [sentence(one) for one in recognised]
    assert set(found) <= {"explained", "coordinated"}
    assert set(found.get("coordinated", ())) <= {"newcomer"}
    explained = [sorted(one["account_ids"]) for one in alone if one["verdict"] == "explained"]
    assert explained
    assert explained == [sorted(one["account_ids"]) for one in done.campaigns if one["verdict"] == "explained"]
