"""Strangers behind one address: a carrier's NAT, a VPN exit, a campus, an office building.

Why:    addresses are shared by people who have nothing else in common.
Misses: nothing it could miss: a single further group of shared traits refutes it.
Source: own; the null of the coordination test already discounts most of these.
"""

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding
from stillwatch.membership import GROUP_P_VALUE

NEEDS = ("exchanges.client_ip",)


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when the network is the only group of traits shared beyond chance."""
    del harvest  # strangers have no harvest in common, whatever each of them does
    groups = sorted(link.group for link in facts.links if link.p_value <= GROUP_P_VALUE)
    name = "shared network"
    others = [group for group in groups if group != "network"]
    if others:
        return Finding(name, False, f"they also share {', '.join(others)} beyond chance")
    because = "addresses are all they share" if groups else "nothing is shared beyond chance"
    return Finding(name, "network" in groups, because)
