"""Doses: how hard the campaigns of a world try to hide, one habit at a time, over what the scenario says of them.

Why:    how far each evasion lowers recall is a curve; one scenario is one point of it.
Misses: a campaign that gives up one thing usually gives up others with it; here each is turned alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from stillwatch.errors import SettingsError
from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.languages import SPOKEN, languages
from stillwatch.evaluation.people import DAY_S

MOST_PARAPHRASE, MOST_CAMOUFLAGE = 0.6, 0.9
FEWEST, MOST = 5, 5_000  # accounts of a campaign


@dataclass(frozen=True, slots=True)
class Doses:
    """What overrides every campaign of a scenario; None leaves the scenario's own."""

    paraphrase: float | None = None  # share of the words of an instruction replaced on each call, 0 to 0.6
    hygiene: float | None = None  # share of accounts with a card, device, address and sign-up of their own, 0 to 1
    camouflage: float | None = None  # share of each account's exchanges that is unrelated traffic, 0 to 0.9
    jitter: float | None = None  # mean delay of a session behind its schedule [s]; from a day on there is no schedule
    language: str | None = None  # of the campaign's instructions
    accounts: int | None = None  # of each campaign, at the same rate per account, 5 to 5,000

    def as_json(self) -> dict[str, float | int | str]:
        """The doses that were given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


NO_DOSES = Doses()


def doses(given: Iterable[str]) -> Doses:
    """Doses from texts such as `paraphrase=0.25`.

    Raises:
        SettingsError: a name or a value is not one of those offered, or the doses cannot go together.
    """
    read: dict[str, float | int | str] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in {field.name for field in fields(Doses)}:
            names = ", ".join(field.name for field in fields(Doses))
            raise SettingsError(f"no dose {name!r}; write NAME=VALUE with one of {names}")
        read[name] = value if name == "language" else _number(name, value)
    return checked(Doses(**read))  # type: ignore[arg-type]


def checked(wanted: Doses) -> Doses:
    """The doses, after refusing those that cannot be made.

    Raises:
        SettingsError: a dose is outside its range, or two cannot go together.
    """
    _within("paraphrase", wanted.paraphrase, 0, MOST_PARAPHRASE)
    _within("hygiene", wanted.hygiene, 0, 1)
    _within("camouflage", wanted.camouflage, 0, MOST_CAMOUFLAGE)
    _within("jitter", wanted.jitter, 0, DAY_S)
    _within("accounts", wanted.accounts, FEWEST, MOST)
    if wanted.language is not None and wanted.language not in languages():
        raise SettingsError(f"dose language={wanted.language}: choose one of {', '.join(languages())}")
    if wanted.paraphrase and wanted.language not in (None, "en"):
        raise SettingsError("doses paraphrase and language: words can be replaced in English only; give one of the two")
    return wanted


def overridden(campaign: Campaign, wanted: Doses) -> Campaign:
    """The campaign with its habits as the doses say; how many accounts it has is for `simulate`."""
    if wanted.paraphrase is not None:
        campaign = replace(campaign, paraphrase=wanted.paraphrase)
    if wanted.hygiene is not None:
        campaign = replace(campaign, hygiene=replace(campaign.hygiene, careful=wanted.hygiene))
    if wanted.camouflage is not None:
        campaign = replace(campaign, camouflage=(wanted.camouflage, wanted.camouflage), mixes_alone=True)
    if wanted.jitter is not None:
        timing = (0.0, 0.0, 1.0) if wanted.jitter >= DAY_S else campaign.timing
        campaign = replace(campaign, timing=timing, jitter_s=wanted.jitter)
    if wanted.language is not None:
        campaign = replace(campaign, recipes=SPOKEN, late_recipes=())
    return campaign


def _number(name: str, text: str) -> float | int:
    try:
        return int(text) if name == "accounts" else float(text)
    except ValueError:
        raise SettingsError(f"dose {name}={text}: give a {'whole ' if name == 'accounts' else ''}number") from None


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise SettingsError(f"dose {name}={value:g} is outside {low:g} to {high:,g}")
