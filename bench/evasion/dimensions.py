"""The ways of hiding that are turned up one at a time, and the doses of each.

A dose of None is the scenario as it is; all dimensions share those worlds.
"""

from dataclasses import dataclass

USUAL_ACCOUNTS = 120  # of the campaign, wherever its size is not what is turned
LARGEST_USUAL = 500  # more accounts than this take --large


@dataclass(frozen=True, slots=True)
class Dose:
    """One place on a curve."""

    label: str
    value: str | None
    accounts: int = USUAL_ACCOUNTS  # of the campaign

    @property
    def customers(self) -> float:
        """Times the usual number: a campaign larger than usual comes among as many more customers."""
        return max(1.0, self.accounts / USUAL_ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Dimension:
    """One curve."""

    name: str  # of the dose of `stillwatch simulate`
    title: str
    sentence: str  # what is turned, in words
    doses: tuple[Dose, ...]


def _shares(*percents: int) -> tuple[Dose, ...]:
    return tuple(Dose(f"{percent} %", f"{percent / 100:g}") for percent in percents)


def _sizes(*accounts: int) -> tuple[Dose, ...]:
    return tuple(Dose(f"{count:,}", str(count), count) for count in accounts)


DIMENSIONS = (
    Dimension(
        "paraphrase",
        "Paraphrase",
        "Share of the words of every instruction, system prompts included, that each call replaces by others.",
        (Dose("0 %", None), *_shares(10, 25, 40, 60)),
    ),
    Dimension(
        "hygiene",
        "Infrastructure hygiene",
        "Share of the campaign's accounts with a card, a device, addresses and a sign-up of their own. The others "
        "share each of them as the scenario says.",
        _shares(0, 25, 50, 75, 100),
    ),
    Dimension(
        "camouflage",
        "Camouflage",
        "Share of every account's exchanges that is traffic unrelated to the campaign and to any other account. "
        "The rate per account stays, so the harvest shrinks.",
        _shares(0, 25, 50, 75, 90),
    ),
    Dimension(
        "jitter",
        "Jitter",
        "Mean delay of a session behind the campaign's schedule of waves and shifts; `none kept` is a campaign without "
        "a schedule, with sessions like anybody's.",
        (
            Dose("0 s", None),
            Dose("10 min", "600"),
            Dose("1 h", "3600"),
            Dose("6 h", "21600"),
            Dose("none kept", "86400"),
        ),
    ),
    Dimension(
        "language",
        "Language",
        "Language of the campaign's instructions, two wordings that say the same in each. Customers who ask for "
        "reasoning or grades use that language as well.",
        tuple(Dose(language, language) for language in ("en", "zh", "ja", "es")),
    ),
    Dimension(
        "accounts",
        "Accounts per campaign",
        "Size of the campaign at the same rate per account. Up to the usual size customers are as many as always; "
        "above it they grow with the campaign.",
        (
            *_sizes(5, 12, 30),
            Dose(f"{USUAL_ACCOUNTS}", None),
            *_sizes(250, 500, 2_000, 5_000),
        ),
    ),
)
BY_NAME = {dimension.name: dimension for dimension in DIMENSIONS}


def doses_of(dimension: Dimension, *, quick: bool, large: bool) -> tuple[Dose, ...]:
    """The doses to measure: of a quick run the two ends, campaigns above LARGEST_USUAL only when asked for."""
    doses = tuple(dose for dose in dimension.doses if large or dose.accounts <= LARGEST_USUAL)
    return (doses[0], doses[-1]) if quick else doses
