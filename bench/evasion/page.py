"""The curves as Markdown tables and SVG charts, and both put into a page of the docs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
import vl_convert

from stillwatch.evaluation.measures import Share

from .curves import Interval, Point
from .dimensions import BY_NAME, Dimension

BEGIN, END = "<!-- evasion: begin; written by python -m bench.evasion --write -->", "<!-- evasion: end -->"
HEADER = (
    "{title}",
    "recall",
    "recall, `coordinated` too",
    "precision",
    "customers accused",
    "customers in either",
    "exposure accounted for",
)
LINES = (("called distillation", "recall", "#a35f2c"), ("or coordinated", "linked_recall", "#4d6f8f"))
WIDTH, HEIGHT = 430, 190  # of the plot [px]


def table(dimension: Dimension, points: Sequence[Point]) -> str:
    """One row per dose."""
    title = dimension.title.lower()
    rows = ["| " + " | ".join(HEADER).format(title=title) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
    for p in points:
        cells = (p.label, _interval(p.recall), _interval(p.linked_recall), _interval(p.precision))
        rest = (_most(p.wronged), _most(p.linked_wronged), _interval(p.exposure))
        rows.append("| " + " | ".join((*cells, *rest)) + " |")
    return "\n".join(rows)


def svg(dimension: Dimension, points: Sequence[Point]) -> str:
    """Recall over the doses, with its interval: one line for `distillation`, one that counts `coordinated` too."""
    rows = [
        {"dose": p.label, "line": line, "share": at.share, "low": at.low, "high": at.high}
        for p in points
        for line, name, _ in LINES
        if (at := getattr(p, name)) is not None
    ]
    colour = alt.Color(
        "line:N",
        scale=alt.Scale(domain=[line for line, _, _ in LINES], range=[tone for _, _, tone in LINES]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    x = alt.X(
        "dose:N", sort=None, title=dimension.title.lower(), axis=alt.Axis(labelAngle=0), scale=alt.Scale(padding=0.5)
    )
    share = alt.Axis(format="%", tickCount=5)
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, color=colour)
    y = alt.Y("share:Q", title="recall", scale=alt.Scale(domain=[0, 1]), axis=share)
    drawn = base.mark_line(strokeWidth=2) if dimension.name != "language" else base.mark_point(opacity=0)
    chart = alt.layer(
        base.mark_rule(strokeWidth=5, opacity=0.25).encode(y=alt.Y("low:Q", title="recall"), y2="high:Q"),
        drawn.encode(y=y),
        base.mark_point(filled=True, size=45, opacity=1).encode(y=y),
    ).properties(width=WIDTH, height=HEIGHT, background="white")
    return str(vl_convert.vegalite_to_svg(chart.to_json()))


def markdown(curves: Mapping[str, Sequence[Point]], about: str, *, images: str | None = None) -> str:
    """All tables, each under its heading and what was turned; with its chart where `images` says where charts are."""
    parts = [about]
    for name, points in curves.items():
        dimension = BY_NAME[name]
        parts += [f"### {dimension.title}", dimension.sentence]
        parts += [f"![Recall over doses of {dimension.title.lower()}]({images}/evasion-{name}.svg)"] if images else []
        parts.append(table(dimension, points))
    return "\n\n".join(parts) + "\n"


def write_charts(curves: Mapping[str, Sequence[Point]], folder: Path) -> None:
    """evasion-<dimension>.svg for each curve."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, points in curves.items():
        (folder / f"evasion-{name}.svg").write_text(svg(BY_NAME[name], points), encoding="utf-8")


def write_page(page: Path, text: str) -> None:
    """Put the text between the marks of a page.

    Raises:
        ValueError: the page does not hold each mark once, in order.
    """
    old = page.read_text("utf-8")
    if not re.fullmatch(f".*{re.escape(BEGIN)}.*{re.escape(END)}.*", old, re.DOTALL) or old.count(BEGIN) != 1:
        raise ValueError(
            f"{page} does not hold the marks {BEGIN!r} and {END!r} once each; put them where the tables go"
        )
    head, _, rest = old.partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _interval(at: Interval | None) -> str:
    if at is None:
        return "-"
    if at.low is None or at.high is None:
        return f"{at.share:.1%}"
    return f"{at.share:.1%} ({at.low:.1%} to {at.high:.1%})"


def _most(share: Share) -> str:
    """Hits of a total and the upper end of the exact interval; customers of different worlds are independent."""
    return f"{share.hits:,} of {share.total:,} (at most {share.high or 0:.2%})"
