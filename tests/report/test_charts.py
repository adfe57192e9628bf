from typing import Any
from xml.etree import ElementTree

import pytest

from stillwatch.report import charts

Campaigns = list[dict[str, Any]]
STEPS = [
    {"name": "content", "bits": 12.8, "durability": "high"},
    {"name": "payment", "bits": 7.3, "durability": "medium"},
]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own drawing


def drawn(svg: str) -> tuple[set[str], str]:
    root = parsed(svg)
    return {element.tag for element in root.iter()}, " ".join(text for text in root.itertext())


def test_charts_are_plain_shapes_with_their_numbers(campaigns: Campaigns) -> None:
    for svg, words in (
        (charts.timeline(campaigns[0]), ["2 Feb", "→ opal-4", "exchanges a day"]),
        (charts.capability_mix(campaigns[0]), ["agentic coding", "62\u202f%"]),
        (charts.evidence_waterfall(STEPS), ["content", "+12.8", "payment", "+7.3", "bits"]),
    ):
        tags, text = drawn(svg)
        assert tags <= {"svg", "g", "path", "line", "rect", "text"}
        assert [word for word in words if word not in text] == []


def test_the_same_campaign_gives_the_same_chart(campaigns: Campaigns) -> None:
    assert charts.timeline(campaigns[0]) == charts.timeline(campaigns[0])


def test_every_colour_of_a_chart_has_a_tone_for_the_dark(campaigns: Campaigns) -> None:
    rules = charts.dark_rules()
    svgs = (charts.timeline(campaigns[0]), charts.capability_mix(campaigns[0]), charts.evidence_waterfall(STEPS))
    for svg in svgs:
        for element in parsed(svg).iter():
            for name in ("fill", "stroke"):
                colour = element.get(name)
                if colour not in (None, "none", "transparent") and element.tag != "svg":
                    assert f'[{name}="{colour}"]' in rules, (element.tag, name, colour)


def test_the_largest_turns_are_shown_in_the_order_they_came(campaigns: Campaigns) -> None:
    turns = [
        {"model": f"m{day}", "at": f"2026-02-{day:02d}T00:00:00Z", "share_before": 0.1, "share_after": after}
        for day, after in ((9, 0.9), (4, 0.2), (7, 0.5), (5, 0.6))
    ]
    shown = charts.main_pivots({**campaigns[0], "pivots": turns})
    assert [turn["model"] for turn in shown] == ["m5", "m7", "m9"]
    text = drawn(charts.timeline({**campaigns[0], "pivots": turns}))[1]
    assert [name in text for name in ("m4", "m5", "m7", "m9")] == [False, True, True, True]


def test_a_hostile_model_name_is_only_text(campaigns: Campaigns) -> None:
    name = "</text><script>x()</script>"
    turned = [{**campaigns[0]["pivots"][0], "model": name}]
    tags, text = drawn(charts.timeline({**campaigns[0], "pivots": turned}))
    assert "script" not in tags
    assert name[:20] in text


def test_a_long_campaign_is_drawn_by_weeks(campaigns: Campaigns) -> None:
    days = [
        {"on": f"2026-{month:02d}-{day:02d}", "exchanges": 10, "accounts": 2}
        for month in range(1, 7)
        for day in range(1, 29)
    ]
    rows, unit = charts._periods(days)
    assert unit == "week"
    assert sum(row["exchanges"] for row in rows) == 1680
    assert "exchanges a week" in drawn(charts.timeline({**campaigns[0], "timeline": days}))[1]


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b", "\x1b[31mab", "a\u202eb", "ab" * 10_000])
def test_no_name_can_abort_the_renderer(campaigns: Campaigns, name: str) -> None:
    turned = [{**campaigns[0]["pivots"][0], "model": name}]
    exposure = {**campaigns[0]["exposure"], "by_capability": {name: 3}}
    changed = {**campaigns[0], "pivots": turned, "exposure": exposure}
    assert "ab" in drawn(charts.timeline(changed))[1]
    assert "ab" in drawn(charts.capability_mix(changed))[1]
    assert "ab" in drawn(charts.evidence_waterfall([{**STEPS[0], "name": name}]))[1]


@pytest.mark.parametrize("days", [1, 2, 92])
def test_bars_cover_every_day_once(days: int) -> None:
    from datetime import date, timedelta

    entries = [
        {"on": str(date(2026, 1, 1) + timedelta(days=d)), "exchanges": d + 1, "accounts": 1} for d in range(days)
    ]
    rows, unit = charts._periods(entries)
    assert unit == "day"
    assert [row["exchanges"] for row in rows] == list(range(1, days + 1))
    assert all(row["from"] < row["to"] for row in rows)
