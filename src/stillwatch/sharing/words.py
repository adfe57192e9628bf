"""Every sentence and name a bundle may hold: text that is not here does not leave.

Why:    a closed list is the only check of free text that cannot be talked round.
"""

from typing import Final

CAMPAIGN_DESCRIPTIONS: Final = {
    "distillation": "Accounts under common control harvest model outputs; no benign explanation holds.",
    "coordinated": "Accounts under common control; that they harvest model outputs is not proven.",
}
NETWORK_DESCRIPTION: Final = "Addresses that several accounts of the campaign share; hashed in its indicators."
INDICATOR_DESCRIPTION: Final = "Hashed values that several accounts of the campaign share."

DEPLOYMENT: Final = "stillwatch deployment"
PROJECT: Final = "stillwatch project"
EXTENSION_NAME: Final = "stillwatch property extension"
EXTENSION_DESCRIPTION: Final = "Measures of a campaign, and hashed traits of an indicator."

# ATLAS id: name there, and our grounds for it.
TECHNIQUES: Final = {
    "AML.T0008": ("Acquire Infrastructure", "The accounts share network infrastructure."),
    "AML.T0008.005": ("AI Service Proxies", "Shared network infrastructure mixes the harvest with other traffic."),
    "AML.T0021": ("Establish Accounts", "Accounts under common control carried the traffic."),
    "AML.T0024.002": ("Extract AI Model", "Coordination and harvesting of outputs are both proven."),
    "AML.T0040": ("AI Model Inference API Access", "Every exchange went through an inference API."),
    "AML.T0065": ("LLM Prompt Crafting", "Templates with changing slots recur over many accounts."),
}
CASE_STUDY: Final = "AML.CS0056"

DESCRIPTIONS: Final = frozenset(
    {
        *CAMPAIGN_DESCRIPTIONS.values(),
        NETWORK_DESCRIPTION,
        INDICATOR_DESCRIPTION,
        EXTENSION_DESCRIPTION,
        *(grounds for _, grounds in TECHNIQUES.values()),
    }
)
