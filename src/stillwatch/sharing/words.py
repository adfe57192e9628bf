"""Every sentence, name and word that an object may hold: text that is not here does not leave.

Why:    a closed list is the only check of free text that cannot be talked round.
Source: MITRE ATLAS, data release 5.6 (2026): names and ids of techniques and mitigations; Office of the Director of
        National Intelligence, "Intelligence Community Directive 203: Analytic Standards", 2015: words of estimates.
"""

import re
from typing import Final

CAMPAIGN_DESCRIPTIONS: Final = {
    "distillation": "Accounts under common control harvest model outputs; no benign explanation holds.",
    "coordinated": "Accounts under common control; that they harvest model outputs is not proven.",
}
NETWORK_DESCRIPTION: Final = "Addresses that several accounts of the campaign share; hashed in its indicators."
ACCOUNT_TYPE: Final = "llm-api"  # STIX's own list, which is open, has social networks and operating systems
INDICATOR_DESCRIPTION: Final = "Hashed values that several accounts of the campaign share."
SKETCH_DESCRIPTION: Final = "The smallest keyed values of what several accounts of the campaign sent."
SET_DESCRIPTION: Final = "Campaigns that continue one another; who is behind them is not said."

DEPLOYMENT: Final = "stillwatch deployment"
PROJECT: Final = "stillwatch project"
EXTENSION_NAME: Final = "stillwatch property extension"
EXTENSION_DESCRIPTION: Final = "Measures of a campaign, hashed traits of an indicator, and what became of one."

# ATLAS id: name there, and our grounds for it.
TECHNIQUES: Final = {
    "AML.T0008": ("Acquire Infrastructure", "The accounts share network infrastructure."),
    "AML.T0008.005": ("AI Service Proxies", "Shared network infrastructure mixes the harvest with other traffic."),
    "AML.T0012": ("Valid Accounts", "The keys of some of the accounts look stolen."),
    "AML.T0021": ("Establish Accounts", "Accounts under common control carried the traffic."),
    "AML.T0024.002": ("Extract AI Model", "Coordination and harvesting of outputs are both proven."),
    "AML.T0040": ("AI Model Inference API Access", "Every exchange went through an inference API."),
    "AML.T0054": ("LLM Jailbreak", "Many forms of a request were tried, most refused, and what passed was repeated."),
    "AML.T0065": ("LLM Prompt Crafting", "Templates with changing slots recur over many accounts."),
}
CASE_STUDY: Final = "AML.CS0056"
# The steps of that case, in its order. The last three happen where no log of ours reaches: they are never claimed.
CASE_STEPS: Final = (
    "AML.T0008.005",
    "AML.T0065",
    "AML.T0040",
    "AML.T0024.002",
    "AML.T0048.004",
    "AML.T0048.002",
    "AML.T0048.003",
)

# Step of the ladder: name, what is done, the ATLAS mitigation it is a case of, and techniques it works against.
COUNTERMEASURES: Final = {
    "verify": (
        "Verify accounts",
        "Accounts are asked to prove who they are before they go on.",
        "AML.M0019",
        ("AML.T0012", "AML.T0021"),
    ),
    "throttle": (
        "Throttle accounts",
        "Fewer exchanges an hour are admitted from the accounts.",
        "AML.M0004",
        ("AML.T0024.002", "AML.T0040"),
    ),
    "shape": (
        "Shape outputs",
        "Outputs carry less of what a harvest wants: reasoning, log-probabilities, length.",
        "AML.M0002",
        ("AML.T0024.002",),
    ),
    "suspend": ("Suspend accounts", "The accounts are admitted no more.", "AML.M0019", ("AML.T0021", "AML.T0040")),
}
STANDINGS: Final = ("recommended", "taken")

# Innocent explanations by the names that campaigns give them.
HYPOTHESES: Final = (
    "analyst verdict",
    "batch product",
    "ci fleet",
    "class assignment",
    "common prompt",
    "declared organisation",
    "evaluation suite",
    "judge user",
    "migration",
    "multiple accounts",
    "public harness",
    "public template",
    "reseller",
    "same items",
    "several owners",
    "shared network",
    "small team",
    "verified organisation",
    "workplace",
)
OUTCOMES_OF_TESTS: Final = ("refuted", "holds", "not tested")

# Words for a probability of so many percent, from the lower bound on.
ESTIMATE_SCALE: Final = "ICD 203"
ESTIMATES: Final = (
    ("almost no chance", 1, 5),
    ("very unlikely", 5, 20),
    ("unlikely", 20, 45),
    ("roughly even chance", 45, 55),
    ("likely", 55, 80),
    ("very likely", 80, 95),
    ("almost certain", 95, 99),
)

# What became of an indicator, in the extension of a sighting.
OUTCOMES: Final = ("hit", "miss", "wrong", "open")
WRONG_EXPLANATION: Final = "What bears the indicator here has an innocent explanation."

# Why a person gives an alias.
ALIAS_GROUNDS: Final = {
    "public report": "A published report uses the name.",
    "partner": "A partner uses the name.",
    "own investigation": "An investigation of the deployment's own led to the name.",
    "court record": "A court's record uses the name.",
    "admission": "Whoever is behind it uses the name.",
}
ALIAS_SENTENCE: Final = "A person gave the alias, not the software."
ALIAS: Final = r"[A-Z][A-Za-z]{1,19}(?:[ -]?[A-Z][A-Za-z]{1,19}){0,2}(?:[ -]?[0-9]{1,4})?"
AUTHOR: Final = r"[a-z][a-z0-9-]{1,31}"

# Why objects are taken back.
REVOCATIONS: Final = {
    "wrong": "Taken back: it was wrong.",
    "innocent": "Taken back: an innocent explanation holds.",
    "erased": "Taken back: what it rests on has been erased.",
    "expired": "Taken back: it is out of date.",
    "rotated": "Taken back: the key of its values is no longer used.",
    "misdirected": "Taken back: it should not have been sent.",
}

TESTED: Final = "Innocent explanations tested: "
NOTHING_TESTED: Final = "No innocent explanation was tested."
UNCALIBRATED: Final = "Nothing calibrates a probability."


def estimate_sentence(words: str, low: int, high: int) -> str:
    """The sentence that states a probability in words, with the scale."""
    return f"In words: {words} ({low} to {high} percent, {ESTIMATE_SCALE})."


ESTIMATE_SENTENCES: Final = (UNCALIBRATED, *(estimate_sentence(*estimate) for estimate in ESTIMATES))

_ALIAS = re.compile(ALIAS)
_AUTHOR = re.compile(AUTHOR)


def is_alias(name: str) -> bool:
    """Whether it has the shape of a name that a person may give to an intrusion set."""
    return _ALIAS.fullmatch(name) is not None


def is_author(author_id: str) -> bool:
    """Whether it is a handle: letters, digits and dashes, so no e-mail address."""
    return _AUTHOR.fullmatch(author_id) is not None
