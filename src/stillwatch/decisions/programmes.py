"""What an access programme wants of an account that asks for it: the checks, and when each is asked for again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stillwatch.decisions.policy import policy_document
from stillwatch.records import CHECKS

# A programme may want more than a decision may ask for: who vouches for the account, and how old its domain is.
PROGRAMME_CHECKS = (*CHECKS, "institution_domain", "domain_age", "sponsor")


@dataclass(frozen=True, slots=True)
class Programme:
    """The checks a programme wants, in order; a pass is asked for again after so many days (null: never)."""

    required: tuple[str, ...] = ()
    renew_after_days: int | None = None


@dataclass(frozen=True, slots=True)
class Programmes:
    """The programmes of a policy, by name, and what the policy calls itself."""

    policy: str
    of: Mapping[str, Programme]

    def wanted(self, name: str | None) -> Programme:
        """What the programme wants; one that the policy does not name wants nothing."""
        return self.of.get(name or "", Programme())


def load_programmes(path: Path | None) -> Programmes:
    """The programmes of a policy file; one that says nothing of programmes has the built-in ones.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or breaks the policy's schema.
    """
    document = policy_document(path)
    told = document["programmes"] if "programmes" in document else policy_document(None)["programmes"]
    of = {name: Programme(tuple(one["required"]), one.get("renew_after_days")) for name, one in told.items()}
    return Programmes(f"policy {document['name']} {document['version']}", of)
