import copy
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from tests.report.conftest import samples
from tests.test_recognised import EVERYBODY, found

from stillwatch.records import ACCOUNT_VERDICTS, LINKS, OF_CAMPAIGNS, arrow_schema
from stillwatch.report import report
from stillwatch.report.view import MOST_ACCOUNTS, MOST_DETAILED, unjudged

Campaigns = list[dict[str, Any]]
Tables = Callable[[Campaigns], pa.Table]

HOSTILE = (
    "</svg><script>canary()</script>",
    '"><img src=https://canary.example/x onerror=canary()>',
    "' onmouseover='canary()",
    "]]><svg onload=canary()>",
    "&lt;script&gt;canary()&lt;/script&gt;<script>",
    "{{ 7 * 191 }}{% raw %}",
    "<!--<style>*{display:none}</style>",
    "javascript:canary()",
    "\x1b[31m\u202ecanary\u200b\x00",
    "url(https://canary.example/x)",
)


class Page(HTMLParser):
    """What a browser would see: elements, attributes, and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "link", "img", "input", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def attribute(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


def assert_inert(html: str) -> Page:
    page = Page(html)
    names = {tag for tag, _ in page.tags}
    assert not names & {
        "script",
        "iframe",
        "object",
        "embed",
        "img",
        "image",
        "link",
        "form",
        "base",
        "use",
        "foreignobject",
        "a:",
    }
    assert sum(tag == "style" for tag, _ in page.tags) == 1
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "xlink:href", "action", "formaction", "poster", "data", "srcset", "background"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, name)
    assert not re.search(r"url\(|@import|expression\(", "".join(re.findall(r"<style>(.*?)</style>", html, re.S)))
    assert not any("(" in value for value in page.attribute("style"))
    assert page.unbalanced == []
    assert page.open == []
    return page


@pytest.fixture
def html(campaigns: Campaigns, links: Tables, accounts: Tables, run: dict[str, Any]) -> str:
    return report(campaigns, links=links(campaigns), accounts=accounts(campaigns), run=run)


def test_the_page_is_inert(html: str) -> None:
    assert_inert(html)


def test_the_page_forbids_itself_everything_but_its_own_style(html: str) -> None:
    metas = [attributes for tag, attributes in Page(html).tags if tag == "meta"]
    policy = next(meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert html.index("Content-Security-Policy") < html.index("<title>")


def test_the_page_tells_what_the_campaigns_hold(html: str, campaigns: Campaigns, run: dict[str, Any]) -> None:
    text = Page(html).text
    assert "One distillation campaign found" in text
    first = campaigns[0]
    expected = [
        *(campaign["campaign_id"] for campaign in campaigns),
        *(hypothesis["because"] for campaign in campaigns for hypothesis in campaign["benign_hypotheses"]),
        *(campaign[test]["because"] for campaign in campaigns for test in ("coordination", "harvest")),
        *(template["skeleton"] for template in first["templates"] if template["skeleton"]),
        *(text for campaign in campaigns for text in campaign["missing"]),
        *(model for model in first["exposure"]["by_model"]),
        *run["not_judged"],
        "opal-4 on 14 Feb 2026: from 0.0\u202f% to 47\u202f%",
        "shadow: nothing acts",
        "No probability is stated",
        "Probability 99.4\u202f%, calibrated on simulated worlds, from a prior of 0.2\u202f%",
        "exchanges/2026-02-02.parquet",
        "36 of 64 accounts, drawn evenly",
    ]
    said = text.lower()
    missing = [wanted for wanted in expected if re.sub(r"\s+", " ", wanted).lower() not in said]
    assert missing == []


def test_what_campaigns_miss_is_told_once_with_how_many_miss_it() -> None:
    run = {"not_judged": ["The input holds no exchanges.", f"{OF_CAMPAIGNS}no prompts."]}
    gaps = unjudged([{"missing": ["no prompts"]}, {"missing": ["no prompts"]}], run)
    assert gaps == [("The input holds no exchanges.", 0), ("no prompts", 2)]


def test_the_page_tells_how_reasoning_was_extracted_and_replayed(html: str) -> None:
    text = Page(html).text
    for wanted in (
        "After the model's reasoning?",
        "replay decoding",
        "Technique sweep from 3 Feb 2026 to 4 Feb 2026: 140 forms tried, 71\u202f% of 188 exchanges refused.",
        "Then replay decoding was repeated from 5 Feb 2026 on: 3,050 exchanges.",
        "21 accounts sent back 2,904 artefacts that had been handed to somebody else, 2,870 of them to 66 members",
    ):
        assert re.sub(r"\s+", " ", wanted) in text


def test_campaigns_that_may_need_a_decision_come_first_and_then_by_exposure(html: str, campaigns: Campaigns) -> None:
    places = {campaign["verdict"]: html.index(f'<span class="id">{campaign["campaign_id"]}') for campaign in campaigns}
    assert sorted(places, key=lambda verdict: places[verdict]) == [
        "distillation",
        "coordinated",
        "explained",
        "insufficient_data",
    ]


def test_within_a_verdict_what_leaked_most_comes_first(campaigns: Campaigns, links: Tables, accounts: Tables) -> None:
    small = copy.deepcopy(campaigns[0]) | {"campaign_id": "c-000000000001"}
    small["exposure"]["output_tokens"] = 5
    both = [small, campaigns[0]]
    html = report(both, links=links(both), accounts=accounts(both), run={})
    assert html.index(campaigns[0]["campaign_id"]) < html.index("c-000000000001")


def test_the_same_input_gives_the_same_page_in_any_order(
    campaigns: Campaigns, links: Tables, accounts: Tables, run: dict[str, Any]
) -> None:
    table, people = links(campaigns), accounts(campaigns)
    turned = list(reversed(range(table.num_rows)))
    one = report(campaigns, links=table, accounts=people, run=run)
    other = report(
        campaigns[::-1], links=table.take(turned), accounts=people.take(list(reversed(range(people.num_rows)))), run=run
    )
    assert one == other


def test_every_figure_is_named_for_those_who_cannot_see_it(html: str) -> None:
    page = Page(html)
    figures = [attributes for tag, attributes in page.tags if tag == "figure"]
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) > 8
    assert drawings
    for drawing in drawings:
        assert drawing.get("aria-hidden") == "true" or drawing.get("aria-labelledby") in page.attribute("id")
    labelled = [attributes for attributes in figures if attributes.get("aria-label")]
    pictures = [drawing for drawing in drawings if drawing.get("role") == "img"]
    assert len(labelled) + len(pictures) == len(figures)
    identifiers = page.attribute("id")
    assert len(identifiers) == len(set(identifiers))
    for target in page.attribute("href"):
        assert target[1:] in identifiers


def test_headings_never_skip_a_level(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels) if before > 1)


def hostile_world(campaigns: Campaigns, secret: str) -> tuple[Campaigns, pa.Table, pa.Table, dict[str, Any]]:
    """Every text that a stranger, or a careless stage, can write holds the same hostile string."""
    ids = sorted(f"{index}{secret}" for index in range(6))
    made = copy.deepcopy(campaigns)
    for campaign in made:
        campaign["account_ids"] = ids
        campaign["exposure"]["by_model"] = {secret: 5, f"x{secret}": 2}
        campaign["exposure"]["by_capability"] = {secret: 5}
        campaign["intents"] = {secret: 0.5}
        campaign["evidence"] = [
            {**trait, "kind": secret, "family": secret, "value": f"{index}{secret}"}
            for index, trait in enumerate(campaign["evidence"])
        ]
        for test in ("coordination", "harvest"):
            campaign[test]["because"] = secret
            for measure in campaign[test]["measures"]:
                measure["name"] = measure["because"] = secret
        campaign["templates"] = [
            {**template, "template_id": secret, "skeleton": secret, "capability": secret}
            for template in campaign["templates"]
        ]
        campaign["benign_hypotheses"] = [{"name": secret, "survives": True, "because": secret}]
        campaign["pivots"] = [{"model": secret, "at": "2026-02-14T09:00:00Z", "share_before": 0.0, "share_after": 0.5}]
        campaign["missing"] = [secret]
        campaign["lineage"] = [{"campaign_id": secret, "relation": "split_from", "bits": None, "because": secret}]
        campaign["displacement"] = [
            {"from_campaign_id": secret, "stopped_at": secret, "accounts_stopped": 3, "accounts_that_took_over": 3,
             "delay_hours": 1.0, "regained_share": None}
        ]  # fmt: skip
        campaign["recommended_decisions"] = [
            {"action": "verify", "check": "email", "account_ids": ids, "because": secret, "approvals": 0,
             "expires_after_days": 7}
        ]  # fmt: skip
    rows = [
        {"account_id": one, "kind": secret, "family": secret, "value": value, "account_count": 6, "weight_bits": 5.0,
         "durability": "high"}
        for one in ids
        for value in (secret, f"2{secret}")
    ]  # fmt: skip
    people = [
        {"account_id": one, "campaign_id": made[0]["campaign_id"], "verdict": "distillation", "reason": secret}
        for one in ids
    ]
    run = {
        "inputs": [{"file": secret, "rows": 1, "rejected": 0}],
        "not_judged": [secret],
        "version": secret,
        "key_id": secret,
        "finished_at": secret,
        "minimum_detectable_campaign": {secret: secret},
    }
    links = pa.Table.from_pylist(rows, schema=arrow_schema(LINKS))
    return made, links, pa.Table.from_pylist(people, schema=arrow_schema(ACCOUNT_VERDICTS)), run


@pytest.fixture(scope="module")
def calm() -> set[str]:
    """The elements of a page of the same campaigns without anything hostile in them."""
    links = pa.Table.from_pylist([], schema=arrow_schema(LINKS))
    accounts = pa.Table.from_pylist([], schema=arrow_schema(ACCOUNT_VERDICTS))
    return {tag for tag, _ in Page(report(samples(), links=links, accounts=accounts, run={})).tags}


@pytest.mark.parametrize("secret", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(campaigns: Campaigns, secret: str, calm: set[str]) -> None:
    made, links, accounts, run = hostile_world(campaigns, secret)
    html = report(made, links=links, accounts=accounts, run=run)
    page = assert_inert(html)
    assert "1337" not in html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", html)
    assert {tag for tag, _ in page.tags} <= calm | {"circle", "title", "td"}


def test_a_run_that_tells_nothing_about_itself_still_gives_a_page(campaigns: Campaigns, links: Tables) -> None:
    nobody = pa.Table.from_pylist([], schema=arrow_schema(ACCOUNT_VERDICTS))
    for run in ({}, {"counts": None, "inputs": None, "not_judged": None, "seconds": None}):
        page = assert_inert(report(campaigns, links=links([]), accounts=nobody, run=run))
        assert "No two of the accounts shown share a trait" in page.text


def test_no_campaign_is_a_page_that_says_so(links: Tables, accounts: Tables, run: dict[str, Any]) -> None:
    page = assert_inert(report([], links=links([]), accounts=accounts([]), run=run))
    assert "No distillation campaigns found" in page.text
    assert "No accounts were found that belong together" in page.text


def test_a_thousand_large_campaigns_stay_one_readable_page(
    campaigns: Campaigns, links: Tables, accounts: Tables
) -> None:
    def grown(index: int) -> dict[str, Any]:
        base = copy.deepcopy(campaigns[index % 4]) if index < 30 else campaigns[index % 4]
        ids = [f"a-{index}-{one:05d}" for one in range(2_000 if index < 30 else 2)]
        return {**base, "campaign_id": f"c-{index:012x}", "account_ids": ids}

    many = [grown(index) for index in range(1_000)]
    html = report(many, links=links(many[:30]), accounts=accounts(many[:30]), run={})
    page = assert_inert(html)
    assert sum(tag == "article" for tag, _ in page.tags) == MOST_DETAILED
    assert len(html) < 2_500_000
    assert f"The first {MOST_ACCOUNTS} of 2,000. All of them stand in accounts.parquet." in page.text
    assert "And 480 more in campaigns.json" in page.text


def test_what_is_recognised_has_a_section_that_accuses_nobody(
    campaigns: Campaigns, links: Tables, accounts: Tables, run: dict[str, Any]
) -> None:
    [one] = found(EVERYBODY[:6])
    many = [{**one, "campaign_ref": f"campaign--{n}"} for n in range(MOST_DETAILED + 3)]
    html = report(campaigns, links=links(campaigns), accounts=accounts(campaigns), run=run, recognised=many)
    page = " ".join(assert_inert(html).texts)
    assert "Nobody is accused by that, and no decision rests on it" in page
    assert one["because"] in page
    assert one["innocent"] in page
    assert "And 3 more in recognised.json." in page
    hostile = {**one, "account_ids": [*HOSTILE, "a", "b"]}
    assert_inert(report(campaigns, links=links(campaigns), accounts=accounts(campaigns), run=run, recognised=[hostile]))


def test_without_anything_recognised_there_is_no_such_section(html: str) -> None:
    assert "Recognised from partners" not in html
