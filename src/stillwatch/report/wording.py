"""Numbers, times and verdicts as a reader says them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

VERDICT_NAMES: Final = {
    "distillation": "Distillation",
    "coordinated": "Coordinated",
    "explained": "Explained",
    "insufficient_data": "Not enough data",
}
SUPPORT_NAMES: Final = {
    "confirmed": "Confirmed here",
    "supported": "Supported here",
    "unsupported": "Only the partner's word",
    "contradicted": "Contradicted here",
}
RESULT_NAMES: Final = {"proven": "Proven", "not_proven": "Not proven", "not_tested": "Not tested"}
_SCALES = ((1e12, "T"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))
_SMALL_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
THIN = "\u202f"  # narrow no-break space between number and unit


def words(name: object) -> str:
    """A name of the tables as words: agentic_coding is agentic coding."""
    return str(name).replace("_", " ")


def whole(number: float | None) -> str:
    """The number with thousands apart; a dash for null."""
    return "–" if number is None else f"{number:,.0f}"


def compact(number: float | None) -> str:
    """The number to three digits with its scale: 63.9 M."""
    if number is None:
        return "–"
    for scale, unit in _SCALES:
        if abs(number) >= scale:
            return f"{number / scale:.3g}{THIN}{unit}"
    return f"{number:.0f}"


def share(number: float | None) -> str:
    """A share as a percentage with the digits it deserves."""
    if number is None:
        return "–"
    percent = 100 * number
    if 0 < percent < 0.1:
        return f"<{THIN}0.1{THIN}%"
    return f"{percent:.1f}{THIN}%" if percent < 10 or 99 < percent < 100 else f"{percent:.0f}{THIN}%"


def measured(number: float | None) -> str:
    """A measure of unknown scale, to three significant digits."""
    return "–" if number is None else f"{number:.3g}"


def bits(number: float | None) -> str:
    """Bits to one decimal; adding zero takes the sign off a rounded -0.04."""
    return "–" if number is None else f"{round(number, 1) + 0.0:.1f}"


def day(time: str | None) -> str:
    """The day of an RFC 3339 time or date, as 2 Feb 2026; the text itself when it is neither."""
    if not time:
        return "–"
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment.day} {moment:%b %Y}"


def minute(time: str | None) -> str:
    """An RFC 3339 time to the minute, in UTC."""
    try:
        moment = datetime.fromisoformat(time or "").astimezone(UTC)
    except ValueError:
        return time or "–"
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def sentence(text: str) -> str:
    """The text as a sentence: a capital in front, a stop at the end."""
    told = text.strip()
    return f"{told[:1].upper()}{told[1:]}{'' if told.endswith(('.', '!', '?', '…')) or not told else '.'}"


def counted(number: int, noun: str) -> str:
    """The number and its noun: 1 account, 2 accounts."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(number: float | None) -> str:
    """Bytes as mebi- or gibibytes."""
    if number is None:
        return "–"
    return f"{number / 2**30:.1f}{THIN}GiB" if number >= 2**30 else f"{number / 2**20:.0f}{THIN}MiB"


def headline(campaigns: list[Mapping[str, Any]]) -> str:
    """The finding of the whole run in one line."""
    number = sum(campaign["verdict"] == "distillation" for campaign in campaigns)
    spelled = _SMALL_NUMBERS[number] if number < len(_SMALL_NUMBERS) else f"{number:,}"
    return f"{spelled} distillation campaign{'' if number == 1 else 's'} found"


def plainly(campaign: Mapping[str, Any]) -> str:
    """What the verdict of this campaign means, in a sentence or two."""
    accounts = counted(len(campaign["account_ids"]), "account")
    if campaign.get("declared"):
        return str(campaign["declared"]["because"])
    if campaign["verdict"] == "distillation":
        return f"{accounts} under common control harvested {_taken(campaign)}. No innocent explanation holds."
    if campaign["verdict"] == "coordinated":
        return f"{accounts} are under common control. That they harvest is not proven."
    if campaign["verdict"] == "explained":
        held = [words(h["name"]) for h in campaign["benign_hypotheses"] if h["survives"]]
        because = f": {', '.join(held)}" if held else ""
        return f"{accounts} belong together, and an innocent explanation holds{because}."
    return f"{accounts} look alike, but too little is known about them to judge."


def _taken(campaign: Mapping[str, Any]) -> str:
    exposure = campaign["exposure"]
    if exposure["output_tokens"]:
        taken = f"{compact(exposure['output_tokens'])} output tokens"
    else:
        taken = f"the answers to {counted(exposure['exchanges'], 'exchange')}"
    mix = exposure["by_capability"]
    total = sum(mix.values())
    if not total:
        return taken
    focus = max(sorted(mix), key=lambda name: mix[name])
    return f"{taken}, {share(mix[focus] / total)} of the exchanges for {words(focus)}"


def displaced(move: Mapping[str, Any], campaign_id: str) -> str:
    """A stop of many accounts and who made good for them, in a sentence."""
    own = move["from_campaign_id"] == campaign_id
    whose = "of its accounts" if own else f"accounts of {move['from_campaign_id']}"
    regained = move["regained_share"]
    volume = "" if regained is None else f", with {regained:.0%} of the exchanges per day"
    return (
        f"By {minute(move['stopped_at'])}, {whole(move['accounts_stopped'])} {whose} had stopped together; "
        f"{whole(move['accounts_that_took_over'])} began {counted(round(move['delay_hours']), 'hour')} later{volume}."
    )


def probability(campaign: Mapping[str, Any]) -> str:
    """The campaign's probability with what it rests on, or why there is none."""
    if campaign["probability"] is None:
        return "No probability is stated: nothing calibrates it here."
    basis = {"simulated": "simulated worlds", "analyst": "analysts' verdicts"}.get(campaign["probability_basis"])
    rests = f", calibrated on {basis}" if basis else ""
    prior = "" if campaign["prior"] is None else f", from a prior of {share(campaign['prior'])}"
    return f"Probability {share(campaign['probability'])}{rests}{prior}."
