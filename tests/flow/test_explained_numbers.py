"""Every number of an explanation is one that the tables of the scan give to whoever counts them again."""

import re
from collections import Counter
from math import log2
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.flow import planted

from stillwatch import store
from stillwatch.explanations import explain, text
from stillwatch.records import KINDS
from stillwatch.scan import Scanned

Done = tuple[Path, Scanned]
Row = dict[str, Any]


def rows(out: Path, name: str) -> list[Row]:
    return list(pq.read_table(out / name).to_pylist())


def bits_by_group(out: Path, account_id: str, campaign: Row) -> dict[str, float]:
    """The best bits of each group, counted with sets from the links alone."""
    holders: dict[tuple[str, str], set[str]] = {}
    for row in rows(out, store.LINKS):
        holders.setdefault((row["kind"], row["value"]), set()).add(row["account_id"])
    others = set(campaign["account_ids"]) - {account_id}
    strangers = store.read_run(out)["counts"]["accounts"] - len(others)
    best: dict[str, float] = {}
    for (kind, _), who in holders.items():
        inside, outside = len(who & others), len(who - others - {account_id})
        if account_id in who and inside:
            times = ((inside + 0.5) / (len(others) + 1)) / ((outside + 0.5) / strangers)
            best[KINDS[kind][1]] = max(best.get(KINDS[kind][1], 0.0), min(max(log2(times), 0.0), 20.0))
    return {group: bits for group, bits in best.items() if bits > 0}


def test_bits_of_every_member_can_be_counted_again_from_the_links(scanned: Done) -> None:
    out, done = scanned
    for campaign in done.campaigns:
        for account_id in campaign["account_ids"]:
            membership = explain(out, account_id).membership
            assert membership is not None
            told = {tie.group: tie.bits for tie in membership.ties}
            assert told == pytest.approx(bits_by_group(out, account_id, campaign), abs=1e-5)
            assert membership.bits == pytest.approx(sum(told.values()), abs=1e-5)


def test_every_number_told_to_a_member_stands_in_the_tables(scanned: Done) -> None:
    out, done = scanned
    campaign = next(c for c in done.campaigns if "harvest-004" in c["account_ids"])
    explained = explain(out, "harvest-004")
    assert explained.membership is not None
    [seen] = [row for row in rows(out, store.SEEN) if row["account_id"] == "harvest-004"]
    ties = explained.membership.ties
    reasons = [campaign["coordination"]["because"], campaign["harvest"]["because"], campaign["volume"]["because"]]
    reasons += [h["because"] for h in campaign["benign_hypotheses"]]
    reasons += [f"{h['nearness']:.0%}" for h in campaign["benign_hypotheses"] if h["nearness"] is not None]
    reasons += [f"{d['because']} {d['expires_after_days']}" for d in campaign["recommended_decisions"]]
    known = Counter(number for reason in reasons for number in _numbers(reason))
    known.update(_numbers(f"{round(1 / campaign['harvest']['p_value']):,}"))
    known.update(_numbers(f"{seen['exchanges']} {seen['bearing_exchanges'] / seen['exchanges']:.0%}"))
    known.update(_numbers(f"{len(campaign['account_ids'])} {len(campaign['benign_hypotheses'])}"))
    known.update(n for tie in ties for n in _numbers(f"{tie.bits:.1f} {tie.members} {tie.others} {tie.strangers}"))
    known.update(_numbers(f"{sum(tie.bits for tie in ties):.1f} {2 ** round(ties[0].bits, 6):,.0f}"))
    known.update(_numbers("10 bits"))  # the example of the legend: about a thousand times
    told = re.sub(r"\d+ [A-Z][a-z]{2} \d{4}", "", text(explained))  # days are those of the tables, in words
    told = told.replace("harvest-004", "").replace(campaign["campaign_id"], "")
    assert set(_numbers(told)) - set(known) == set()


def test_an_outsider_is_counted_from_the_tables_too(scanned: Done) -> None:
    out, done = scanned
    members = {account_id for campaign in done.campaigns for account_id in campaign["account_ids"]}
    holders: dict[tuple[str, str], set[str]] = {}
    for row in rows(out, store.LINKS):
        holders.setdefault((row["kind"], row["value"]), set()).add(row["account_id"])
    people = [f"people-{number:03}" for number in range(0, planted.PEOPLE, 40)]
    assert not members & set(people)
    for account_id in people:
        explained = explain(out, account_id)
        assert explained.membership is None
        shared = {(kind, len(who) - 1, len(who & members)) for (kind, _), who in holders.items() if account_id in who}
        assert {(trait.kind, trait.holders, trait.in_campaigns) for trait in explained.shared} <= shared


def _numbers(words: str) -> list[str]:
    return re.findall(r"\d[\d,.]*\d|\d", words)
