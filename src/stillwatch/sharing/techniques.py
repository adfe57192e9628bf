"""Which MITRE ATLAS techniques a campaign shows, and why we say so.

Misses: techniques that leave no mark in a log, such as how accounts were bought, or what was trained afterwards and
        whom it harmed: the last three steps of case study AML.CS0056 are never claimed.
Source: MITRE ATLAS, data release 5.6 (2026): techniques by id; case study AML.CS0056 describes such campaigns.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stillwatch.sharing.objects import Stamp, Subject, stix_id
from stillwatch.sharing.traits import NETWORK_KINDS
from stillwatch.sharing.words import CASE_STUDY, TECHNIQUES

# A proxy network carries other people's traffic on the same accounts. Below this share of template-bearing exchanges
# we call the traffic mixed; accounts of a harvest that is not mixed carry little else.
MIXED_BELOW_SHARE: Final = 0.7


def has_network(campaign: Mapping[str, Any]) -> bool:
    """Whether network traits are among the evidence."""
    return any(evidence["kind"] in NETWORK_KINDS for evidence in campaign["evidence"])


def is_mixed(campaign: Mapping[str, Any]) -> bool:
    """Whether the accounts carry much traffic besides the campaign's templates; unknown without prompts."""
    share = campaign["exposure"]["template_share"]
    return share is not None and 0 < share < MIXED_BELOW_SHARE


def techniques(campaign: Mapping[str, Any]) -> list[str]:
    """The ATLAS ids of the techniques this campaign shows, in order."""
    shown = ["AML.T0021", "AML.T0040"]
    if campaign["verdict"] == "distillation":
        shown.append("AML.T0024.002")
    if campaign["templates"]:
        shown.append("AML.T0065")
    if has_network(campaign):
        shown.append("AML.T0008.005" if is_mixed(campaign) else "AML.T0008")
    if campaign.get("compromised"):
        shown.append("AML.T0012")
    if _got_past_refusals(campaign["extraction"]):
        shown.append("AML.T0054")
    return sorted(shown)


def _got_past_refusals(extraction: Mapping[str, Any]) -> bool:
    sweep = extraction["sweep"]
    return extraction["result"] == "proven" and sweep is not None and sweep["winner"] is not None


def technique_objects(subject: Subject) -> Iterator[dict[str, Any]]:
    """The techniques, and that the campaign uses them."""
    for atlas_id in techniques(subject.campaign):
        technique = attack_pattern(atlas_id, subject.stamp)
        yield technique
        yield subject.relationship(subject.id, "uses", technique["id"])


def attack_pattern(atlas_id: str, stamp: Stamp) -> dict[str, Any]:
    """The technique as a STIX object; the case study is cited where extraction is claimed."""
    name, grounds = TECHNIQUES[atlas_id]
    return stamp.unchanging(
        "attack-pattern",
        attack_pattern_id(atlas_id, stamp),
        name=name,
        description=grounds,
        external_references=cited(atlas_id, *([CASE_STUDY] if atlas_id == "AML.T0024.002" else [])),
    )


def attack_pattern_id(atlas_id: str, stamp: Stamp) -> str:
    """The id of the technique's object under this marking."""
    return stix_id("attack-pattern", stamp.producer_id, stamp.marking_id, atlas_id)


def cited(*atlas_ids: str) -> list[dict[str, str]]:
    """References to the catalogue."""
    return [{"source_name": "mitre-atlas", "external_id": atlas_id} for atlas_id in atlas_ids]
