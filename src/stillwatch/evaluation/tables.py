"""An evaluation as titled rows of text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LINKED = (
    ("distillation_or_large", "or coordinated and large"),
    ("distillation_or_coordinated", "or coordinated"),
)
ABSENT = "-"
NO_ACCOUNTS = "no accounts beside the truth: not measured"


@dataclass(frozen=True, slots=True)
class Table:
    """A title, column heads and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(numbers: Mapping[str, Any]) -> list[Table]:
    """Lay out the JSON of an evaluation."""
    wronged = numbers["wronged"]
    found = [_accounts(numbers), _control(numbers["control"]), _campaigns(numbers["campaigns"]), _segments(wronged)]
    if numbers["senders"] is not None:
        found.insert(1, _senders(numbers["senders"]))
    for name, title in (("scripts", "script"), ("countries", "sign-up country")):
        if wronged["distillation"][name] is not None:
            found.append(_slices(wronged, name, title))
    return [*found, _rest(numbers)]


def _accounts(numbers: Mapping[str, Any]) -> Table:
    rows = []
    for name, label in (("distillation", "distillation"), *LINKED):
        measured = numbers[name]
        rows.append((label, _interval(measured["precision"]), _interval(measured["recall"]), _decimal(measured["f1"])))
    return Table("Accounts", ("accused of", "precision (95 %)", "recall (95 %)", "F1"), tuple(rows))


def _senders(senders: Mapping[str, Any]) -> Table:
    """Of those who sent anything: nobody else is seen in traffic, and the other tables count them all."""
    labels = {
        "distillation": "hostile, called distillation",
        "distillation_or_coordinated": "hostile, or coordinated",
        "wronged": "legitimate, called distillation",
    }
    rows = [(label, _count(senders[name]), _interval(senders[name])) for name, label in labels.items()]
    return Table("Accounts that sent anything", ("accounts", "called so", "share (95 %)"), tuple(rows))


def _control(claims: Mapping[str, Any]) -> Table:
    rows = []
    for name, label in (("coordinated", "coordinated alone"), *LINKED):
        claim = claims[name]
        wrong = ", ".join(f"{count} {segment}" for segment, count in claim["wrong"].items())
        parts = (_interval(claim["accounts"]), _count(claim["campaigns"]), _interval(claim["harvesting"]))
        rows.append((label, *parts, wrong or "none"))
    columns = ("called", "run by one hand (95 %)", "campaigns mostly so", "harvesting (95 %)", "wrong")
    return Table("Common control: is the claim right?", columns, tuple(rows))


def _campaigns(numbers: Mapping[str, Any]) -> Table:
    rows = [
        (
            each["campaign"],
            "yes" if each["is_found"] else "no",
            _count(each["accused"]),
            _percent(each["accused"]["share"]),
            _percent(each["linked"]["share"]),
            str(each["spread_over"]),
        )
        for each in numbers["each"]
    ]
    return Table("Campaigns", ("campaign", "found", "accused", "recall", "linked", "in campaigns"), tuple(rows))


def _segments(wronged: Mapping[str, Any]) -> Table:
    owners = wronged["distillation"]["owners_by_segment"]
    rows = [
        (
            name,
            _count(share),
            _interval(share),
            _count(wronged["segments_linked"][name]),
            ABSENT if owners is None else _count(owners[name]),
        )
        for name, share in wronged["segments"].items()
    ]
    every = wronged["distillation"]["owners"]
    rows.append(
        (
            "all",
            _count(wronged["all"]),
            _interval(wronged["all"]),
            _sum(wronged["segments_linked"].values()),
            ABSENT if every is None else _count(every),
        )
    )
    columns = ("population", "accused", "share (95 %)", "or coordinated", "owners accused")
    return Table("Legitimate accounts accused", columns, tuple(rows))


def _slices(wronged: Mapping[str, Any], name: str, title: str) -> Table:
    linked = wronged["distillation_or_coordinated"][name]
    rows = [
        (value, _count(share), _interval(share), _count(linked[value]))
        for value, share in wronged["distillation"][name].items()
    ]
    columns = (title, "accused", "share (95 %)", "or coordinated")
    return Table(f"Legitimate accounts accused, by {title}", columns, tuple(rows))


def _rest(numbers: Mapping[str, Any]) -> Table:
    campaigns, exposure = numbers["campaigns"], numbers["exposure"]
    million = numbers["wronged"]["per_million"]
    leaked = "; ".join(f"{name} {_percent(share)}" for name, share in exposure["before_detection"].items())
    rows = (
        ("campaign recall", _count(campaigns["recall"])),
        ("campaign precision", _count(campaigns["precision"])),
        ("campaigns of legitimate accounts only", _count(campaigns["legitimate_only"])),
        ("purity", _decimal(campaigns["purity"])),
        ("B-cubed precision", _decimal(campaigns["b_cubed_precision"])),
        ("B-cubed recall", _decimal(campaigns["b_cubed_recall"])),
        ("wrongly accused per million", f"{_whole(million['observed'])} (at most {_whole(million['high'])})"),
        ("independent customers accused", _owners(numbers["wronged"]["distillation"]["owners"])),
        ("accounts with stolen keys found", _count(numbers["compromised"])),
        ("exposure accounted for", exposure["accounted_note"] or _percent(exposure["accounted"])),
        ("exposure before detection", exposure["before_detection_note"] or leaked),
        ("campaigns returned", ", ".join(f"{n} {verdict}" for verdict, n in campaigns["verdicts"].items()) or "none"),
        ("accounts unknown to the truth", str(numbers["unknown_accounts"])),
    )
    return Table("Summary", ("measure", "value"), rows)


def _count(share: Mapping[str, Any]) -> str:
    return f"{share['hits']} of {share['total']}"


def _sum(shares: Iterable[Mapping[str, Any]]) -> str:
    counted = list(shares)
    return f"{sum(share['hits'] for share in counted)} of {sum(share['total'] for share in counted)}"


def _owners(share: Mapping[str, Any] | None) -> str:
    return NO_ACCOUNTS if share is None else f"{_count(share)}, {_interval(share)}"


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.1%}"


def _decimal(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3f}"


def _whole(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f}"


def _interval(share: Mapping[str, Any]) -> str:
    if share["share"] is None:
        return ABSENT
    return f"{share['share']:.2%} ({share['low']:.2%} to {share['high']:.2%})"
