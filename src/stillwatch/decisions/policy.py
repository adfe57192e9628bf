"""A policy: rules, read in order, that say which decision to recommend for which account of which campaign."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from stillwatch.errors import SettingsError
from stillwatch.schemas import schema


@dataclass(frozen=True, slots=True)
class CampaignCondition:
    """What a rule asks of the campaign; a minimum of 0 and a null ask nothing."""

    verdicts: tuple[str, ...]
    min_accounts: int = 0
    min_exposure_tokens: int = 0
    min_exposure_exchanges: int = 0
    min_probability: float | None = None
    allow_unknown_probability: bool = False
    min_durability: str | None = None


@dataclass(frozen=True, slots=True)
class AccountCondition:
    """What a rule asks of the account; null asks nothing, and a fact that is not known fits no list."""

    access_programs: tuple[str, ...] | None = None
    verification_levels: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule recommends; `check` is null for every action but verify, where null lets the policy choose."""

    action: str
    check: str | None
    approvals: int
    expires_after_days: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: conditions, outcome, and the reason in words."""

    name: str
    because: str
    campaign: CampaignCondition
    account: AccountCondition
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Throttle:
    """How far a throttled account is slowed down."""

    requests_per_minute: int = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """What a shaped account's answers lose; `reasoning` is withheld or summarised."""

    max_output_tokens: int = 1024
    strip_logprobs: bool = True
    reasoning: str = "withhold"


@dataclass(frozen=True, slots=True)
class Countermeasures:
    """What gateways are told to do for the actions that need numbers."""

    throttle: Throttle = field(default_factory=Throttle)
    shape: Shape = field(default_factory=Shape)

    def limits(self, action: str) -> dict[str, Any] | None:
        """The numbers for an action; None where it has none."""
        told: dict[str, Throttle | Shape] = {"throttle": self.throttle, "shape": self.shape}
        return asdict(told[action]) if action in told else None


@dataclass(frozen=True, slots=True)
class Policy:
    """A named, versioned list of rules, and the checks to ask for by access programme (`default` for the rest)."""

    name: str
    version: int
    checks: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...]
    countermeasures: Countermeasures = field(default_factory=Countermeasures)


def load_policy(path: Path | None) -> Policy:
    """The policy in the TOML file `path`; without one, the policy that ships with stillwatch.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or breaks the policy's schema.
    """
    return _policy(policy_document(path))


def policy_document(path: Path | None) -> dict[str, Any]:
    """The policy file as it stands, held against the schema.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or breaks the policy's schema.
    """
    where = str(path) if path else "the built-in policy"
    try:
        text = path.read_text(encoding="utf-8") if path else _built_in()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: cannot be read as UTF-8 text. Give the path of a policy file.") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where}: is not TOML: {error}. Correct the file at that place.") from error
    _refuse_faults(document, where)
    return document


def _built_in() -> str:
    return resources.files(__package__).joinpath("policy.toml").read_text(encoding="utf-8")


def _refuse_faults(document: Mapping[str, Any], where: str) -> None:
    fault = best_match(Draft202012Validator(schema("policy")).iter_errors(document))
    if fault is not None:
        raise SettingsError(f"{where}: {_key(fault)}: {_advice(fault)} docs/policy.md lists every key.")
    names = [rule["name"] for rule in document["rules"]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{where}: rules: the name {twice[0]!r} is used twice. Give every rule its own name.")


def _key(fault: ValidationError) -> str:
    key = ""
    for part in fault.absolute_path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key or "top level"


def _advice(fault: ValidationError) -> str:
    broken: Any = fault.validator
    bound: Any = fault.validator_value
    if broken is None:  # the schema `false`: a key that its neighbour rules out
        return "a check belongs to the action verify only. Remove it."
    if broken == "enum":
        return f"{fault.instance!r} is not known. Use one of {', '.join(map(str, bound))}."
    if broken == "minimum" and "approvals" in fault.absolute_path:
        return f"{fault.instance} is too few. Shaping and suspending need at least {bound} people."
    return f"{fault.message}. Correct or remove it."


def _policy(document: Mapping[str, Any]) -> Policy:
    checks = {programme: tuple(checks) for programme, checks in document["checks"].items()}
    rules = tuple(_rule(rule) for rule in document["rules"])
    told = document.get("countermeasures", {})
    countermeasures = Countermeasures(Throttle(**told.get("throttle", {})), Shape(**told.get("shape", {})))
    return Policy(document["name"], document["version"], checks, rules, countermeasures)


def _rule(rule: Mapping[str, Any]) -> Rule:
    return Rule(
        rule["name"],
        rule["because"],
        CampaignCondition(**_tuples(rule["campaign"])),
        AccountCondition(**_tuples(rule.get("account", {}))),
        Outcome(**{"check": None, **rule["outcome"]}),
    )


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
