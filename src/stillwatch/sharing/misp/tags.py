"""The tags of an event: marking, techniques, likelihood and confidence, in MISP's own vocabularies.

Source: MISP taxonomies `tlp`, `estimative-language`, `misp` and `false-positive`, galaxy `mitre-atlas-attack-pattern`;
        the bounds of likelihood are those of Intelligence Community Directive 203 (2015).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stillwatch.sharing.marking import TLP_MARKINGS, tlp_of
from stillwatch.sharing.outside import strictest

TLP_PREFIX: Final = "tlp:"

# A JA4 is the one value that a sensor can compute, and everybody who uses the library shows it. It is meant for
# detection only where at most one ordinary account in a hundred does.
LEAST_BITS_TO_DETECT: Final = 6.7

# Whom a MISP server passes the event on to: 0 nobody, 1 its community, 2 connected communities, 3 all. A marking that
# binds the recipient's own organisation must not be passed on by a machine.
DISTRIBUTIONS: Final = {"clear": "3", "green": "2", "amber": "1", "amber+strict": "0", "red": "0"}

# Upper bound in percent, then the word; what MISP calls confidence is our probability, in its five steps.
_LIKELIHOODS: Final = (
    (5, "almost-no-chance"),
    (20, "very-unlikely"),
    (45, "unlikely"),
    (55, "roughly-even-chance"),
    (80, "likely"),
    (95, "very-likely"),
    (100, "almost-certain"),
)
_CONFIDENCES: Final = (
    (12, "unconfident"),
    (37, "rarely-confident"),
    (62, "fairly-confident"),
    (87, "usually-confident"),
    (100, "completely-confident"),
)
_OLD_NAMES: Final = {"white": "clear"}  # of TLP 1


def tags(objects: Sequence[Mapping[str, Any]], tlp: str | None) -> Iterator[str]:
    """The tags of an event of these objects."""
    if tlp:
        yield TLP_PREFIX + tlp
    names = {str(one["name"]) for one in objects if one["type"] == "attack-pattern"}
    yield from (f'misp-galaxy:mitre-atlas-attack-pattern="{name}"' for name in sorted(names))
    confidence = next((one["confidence"] for one in objects if one["type"] == "campaign" and "confidence" in one), None)
    if confidence is not None:
        yield f'estimative-language:likelihood-probability="{_word(confidence, _LIKELIHOODS)}"'
        yield f'misp:confidence-level="{_word(confidence, _CONFIDENCES)}"'


def _word(confidence: int, words: Sequence[tuple[int, str]]) -> str:
    return next(word for most, word in words if confidence <= most)


def false_positives(*, to_ids: bool) -> str:
    """The tag that says how often a JA4 will be wrong."""
    return f'false-positive:risk="{"medium" if to_ids else "high"}"'


def marking_of(objects: Sequence[Mapping[str, Any]]) -> str | None:
    """The strictest marking among the objects."""
    return strictest(tlp for one in objects if (tlp := tlp_of(one)) is not None)


def marking_tag(names: Sequence[str]) -> str | None:
    """The strictest TLP marking that tags name, or None when they name none."""
    named = [name.lower().removeprefix(TLP_PREFIX) for name in names if name.lower().startswith(TLP_PREFIX)]
    told = [_OLD_NAMES.get(name, name) for name in named]
    return strictest(tlp for tlp in told if tlp in TLP_MARKINGS)
