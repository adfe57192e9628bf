"""The charts of a campaign as inline SVG: timeline, capability mix, evidence waterfall.

Why:    drawn once, on the way out, so that the page needs no script and no network to show them. Charts are written as
        Vega-Lite, which is plain data: classes that check it (altair) take longer than drawing does.
Misses: a reader cannot zoom. The numbers stand beside or below each chart.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Any, Final
from xml.etree import ElementTree

import vl_convert
from markupsafe import Markup

from stillwatch.neutral import terminal
from stillwatch.records import DURABILITIES
from stillwatch.report.wording import compact, share, words

WIDTH: Final = 430  # of the plot [px]; the page shows charts at this size or smaller
MOST_BARS: Final = 10
MOST_PIVOTS: Final = 3
LONGEST_LABEL: Final = 40  # characters of a name that a chart shows
MOST_DAYS: Final = 92  # beyond a quarter, bars are weeks

# Each tone of a chart in daylight and in the dark; the page swaps them.
TONES: Final = {
    "text": ("#5f584d", "#b3ab9c"),
    "ink": ("#211e19", "#ece7dc"),
    "line": ("#ddd6c8", "#3a362e"),
    "bar": ("#b8794a", "#c98a58"),
    "pivot": ("#9b2c1d", "#ff9d8a"),
    "low": ("#d5cabb", "#575044"),
    "low-medium": ("#cbb08f", "#77614a"),
    "medium": ("#bf8d5d", "#a1764e"),
    "high": ("#a35f2c", "#d08f58"),
    "very high": ("#6b3413", "#f6cda6"),
}
_ELEMENTS: Final = frozenset({"g", "path", "line", "rect", "text"})
_ATTRIBUTES: Final = frozenset(
    {"width", "height", "viewBox", "transform", "d", "fill", "stroke", "stroke-width", "stroke-dasharray", "opacity"}
    | {"x", "y", "x1", "x2", "y1", "y2", "dx", "dy", "text-anchor", "font-size", "font-weight", "font-family"}
)
_LIGHT: Final = {name: light for name, (light, _) in TONES.items()}
_CONFIG: Final = {
    "background": "transparent",
    "font": "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    "padding": {"left": 2, "right": 4, "top": 4, "bottom": 2},
    "view": {"continuousWidth": 300, "continuousHeight": 300, "stroke": None},
    "text": {"fontSize": 12},
    "axis": {
        **{"labelColor": _LIGHT["text"], "titleColor": _LIGHT["text"], "domainColor": _LIGHT["line"]},
        **{"tickColor": _LIGHT["line"], "gridColor": _LIGHT["line"], "labelFontSize": 12, "titleFontSize": 12},
        **{"titleFontWeight": "normal", "labelLimit": 160},
    },
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
}

Spec = dict[str, Any]  # a part of a Vega-Lite chart


def timeline(campaign: Mapping[str, Any]) -> Markup:
    """Exchanges per day (per week when long), with the days on which the campaign turned to another model."""
    rows, unit = _periods(campaign["timeline"])
    encoding = {
        "x": {**_moment("from"), "title": None, "axis": {"format": "%-d %b", "tickCount": 6, "grid": False}},
        "x2": {"field": "to"},
        "y": {
            **_number("exchanges"),
            "title": f"exchanges a {unit}",
            "axis": {"tickCount": 4, "format": "~s", "titlePadding": 10},
        },
        "y2": {"datum": 0},
    }
    bars = {"data": _data(rows), "mark": {"type": "bar", "color": _LIGHT["bar"]}, "encoding": encoding}
    turns = main_pivots(campaign)
    layers = [bars, _turns(turns)] if turns else [bars]
    return _svg({"layer": layers, "resolve": {"scale": {"y": "independent"}}}, width=WIDTH, height=150)


def _turns(turns: Sequence[Mapping[str, Any]]) -> Spec:
    """A line for each turn to another model, with its name."""
    # Labels hang one below the other: turns may come close together.
    rows = [{"at": turn["at"], "model": f"→ {turn['model']}", "drop": 2 + 15 * i} for i, turn in enumerate(turns)]
    rule = {"type": "rule", "color": _LIGHT["pivot"], "strokeDash": [3, 3], "strokeWidth": 1.5}
    text = {"type": "text", "align": "right", "dx": -5, "baseline": "top", "color": _LIGHT["pivot"]}
    labels = {
        "x": _moment("at"),
        "y": {**_number("drop"), "scale": None, "title": None, "axis": None},
        "text": _name("model"),
    }
    return {
        "data": _data(rows),
        "layer": [{"mark": rule, "encoding": {"x": _moment("at")}}, {"mark": text, "encoding": labels}],
    }


def main_pivots(campaign: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The MOST_PIVOTS turns that moved the largest share of the traffic, in the order they came."""
    by_size = sorted(campaign["pivots"], key=lambda turn: (turn["share_before"] - turn["share_after"], turn["at"]))
    return sorted(by_size[:MOST_PIVOTS], key=lambda turn: (turn["at"], turn["model"]))


def _periods(days: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    length = 1 if len(days) <= MOST_DAYS else 7
    first = date.fromisoformat(days[0]["on"]) if days else date.min
    sums: dict[int, int] = {}
    for entry in days:
        period = (date.fromisoformat(entry["on"]) - first).days // length
        sums[period] = sums.get(period, 0) + entry["exchanges"]
    rows = []
    for period, exchanges in sorted(sums.items()):
        start = first + timedelta(days=period * length)
        end = start + timedelta(days=length)
        # A sliver of daylight between bars: they end an hour early, or as much earlier as they are longer.
        rows.append(
            {
                "from": f"{start}T00:00:00Z",
                "to": f"{end - timedelta(days=1)}T{22 if length == 1 else 12}:00:00Z",
                "exchanges": exchanges,
            }
        )
    return rows, "day" if length == 1 else "week"


def capability_mix(campaign: Mapping[str, Any]) -> Markup:
    """Share of the exchanges that ask for each capability."""
    mix = campaign["exposure"]["by_capability"]
    total = sum(mix.values()) or 1
    ranked = sorted(mix.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_BARS]
    rows = [
        {"name": words(name), "share": number / total, "label": f"{share(number / total)} · {compact(number)}"}
        for name, number in ranked
    ]
    largest = max((row["share"] for row in rows), default=1.0)  # half as much again is left for the label
    places = {
        "x": {**_number("share"), "title": None, "axis": None, "scale": {"domain": [0, 1.5 * largest]}},
        "y": _names(rows),
    }
    bars = {"mark": {"type": "bar", "color": _LIGHT["bar"], "height": 14}, "encoding": places}
    labels = {"mark": _label(dx=6), "encoding": {**places, "text": _name("label")}}
    return _svg({"data": _data(rows), "layer": [bars, labels]}, width=WIDTH - 110, height=26 * len(rows))


def evidence_waterfall(steps: Sequence[Mapping[str, Any]]) -> Markup:
    """Bits family by family, each starting where the one before ended; darker is harder to fake.

    A step has `name`, `bits` and `durability`.
    """
    ends = list(accumulate(step["bits"] for step in steps))
    rows = [
        {
            "name": step["name"],
            "start": end - step["bits"],
            "end": end,
            "durability": step["durability"],
            "label": f"+{step['bits']:.1f}",
        }
        for step, end in zip(steps, ends, strict=True)
    ]
    colours = {"domain": list(DURABILITIES), "range": [_LIGHT[level] for level in DURABILITIES]}
    highest = max([*ends, 1.0])
    x = {**_number("start"), "title": "bits", "scale": {"domain": [0, highest * 1.12]}, "axis": {"tickCount": 5}}
    colour = {**_name("durability"), "scale": colours, "legend": None}
    bars = {
        "mark": {"type": "bar", "height": 16},
        "encoding": {"x": x, "x2": {"field": "end"}, "y": _names(rows), "color": colour},
    }
    places = {"x": _number("end"), "y": _names(rows), "text": _name("label")}
    labels = {"mark": _label(dx=5), "encoding": places}
    return _svg({"data": _data(rows), "layer": [bars, labels]}, width=WIDTH - 90, height=30 * len(rows))


def _data(rows: Sequence[Mapping[str, Any]]) -> Spec:
    # The renderer is native code: a zero byte or a lone surrogate in a model's name would abort the whole process.
    def safe(value: object) -> object:
        return terminal(value)[:LONGEST_LABEL] if isinstance(value, str) else value

    return {"values": [{name: safe(value) for name, value in row.items()} for row in rows]}


def _moment(field: str) -> Spec:
    return {"field": field, "type": "temporal", "scale": {"type": "utc"}}


def _number(field: str) -> Spec:
    return {"field": field, "type": "quantitative"}


def _name(field: str) -> Spec:
    return {"field": field, "type": "nominal"}


def _label(*, dx: int) -> Spec:
    """What stands to the right of a bar."""
    return {"type": "text", "align": "left", "dx": dx, "color": _LIGHT["ink"]}


def _names(rows: Sequence[Mapping[str, Any]]) -> Spec:
    # The reader's font is not the one the chart was measured in: room for the widest one likely.
    longest = max((len(row["name"]) for row in rows), default=0)
    return {**_name("name"), "sort": None, "title": None, "axis": {"minExtent": 8 + 7.4 * min(longest, 22)}}


def dark_rules() -> str:
    """CSS that swaps the tones of charts for the dark."""
    pairs = sorted(set(TONES.values()))
    fills = "".join(f'.chart [fill="{light}"]{{fill:{dark}}}' for light, dark in pairs)
    return fills + "".join(f'.chart [stroke="{light}"]{{stroke:{dark}}}' for light, dark in pairs)


def _svg(chart: Spec, *, width: int, height: int) -> Markup:
    """The chart, drawn; its size in pixels."""
    schema = "https://vega.github.io/schema/vega-lite/v6.json"
    size = {"width": width, "height": height}
    return _inline(vl_convert.vegalite_to_svg({"$schema": schema, "config": _CONFIG, **size, **chart}))


def _inline(svg: str) -> Markup:
    # Rebuilt from an allow-list rather than searched for what is bad: what a chart may not need, it does not keep.
    root = ElementTree.fromstring(svg)  # noqa: S314 - drawn by us a moment ago; it declares no entities
    kept = _kept(root)
    kept.set("class", "chart")
    kept.set("aria-hidden", "true")  # the figure around it carries the name and the numbers
    return Markup(ElementTree.tostring(kept, encoding="unicode"))  # noqa: S704 - serialised from the allow-list


def _kept(element: ElementTree.Element) -> ElementTree.Element:
    copy = ElementTree.Element(_local(element.tag))
    for name, value in element.attrib.items():
        if name in _ATTRIBUTES and "(" not in value.replace("translate(", "").replace("rotate(", ""):
            copy.set(name, value)
    copy.text = element.text
    copy.extend(_kept(child) for child in element if _local(child.tag) in _ELEMENTS)
    return copy


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
