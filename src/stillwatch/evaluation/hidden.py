"""The world `hidden`: four campaigns behind innocent explanations, among the customers they pose as.

Source: what hides behind what follows the disclosures of 10 September 2026; sizes and rates are ours.
"""

from datetime import UTC, datetime

from stillwatch.evaluation.disguises import among_colleagues, behind_a_contract, behind_a_harness, with_stolen_keys
from stillwatch.evaluation.hostile import Campaign

STARTS_AT = datetime(2026, 7, 6, tzinfo=UTC)
DAYS = 14
SENTENCE = (
    "A harvest on stolen keys, the same one through a verified reseller, another behind a public coding harness, and a "
    "company whose own staff harvest."
)
MORE_CUSTOMERS = {"products": 0.04, "anchored_resellers": 0.03}  # shares, beside those of the other worlds

CAMPAIGNS = (
    Campaign(
        "stolen",
        accounts=3_000,
        exchanges=450_000,
        recipes=("reasoning_tags", "agentic_code", "rubric_grade", "task_generation"),
        timing=(0.4, 0.2, 0.4),
        camouflage=(0.0, 0.2),
        compromised=0.25,
        corpus="hydra",
        disguise=with_stolen_keys,
    ),
    Campaign(
        "shell",
        accounts=2_000,
        exchanges=300_000,
        recipes=("reasoning_tags", "agentic_code", "rubric_grade", "task_generation"),
        timing=(0.4, 0.2, 0.4),
        camouflage=(0.4, 0.7),
        relays=True,
        compromised=0.0,
        churn=0.0,
        corpus="hydra",
        disguise=behind_a_contract,
    ),
    Campaign(
        "harness",
        accounts=2_000,
        exchanges=300_000,
        recipes=("reasoning", "tool_use", "trace_clean", "data_analysis"),
        camouflage=(0.2, 0.6),
        relays=True,
        compromised=0.0,
        disguise=behind_a_harness,
    ),
    Campaign(
        "staff",
        accounts=2_000,
        exchanges=300_000,
        recipes=("rationale", "reasoning", "pairwise", "task_generation", "reasoning_tags"),
        camouflage=(0.3, 0.6),
        compromised=0.0,
        churn=0.0,
        disguise=among_colleagues,
    ),
)
