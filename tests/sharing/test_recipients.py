import pytest

from stillwatch.errors import SettingsError
from stillwatch.sharing.recipients import Limits, recipients

WHOLE = """
[limits]
least_holders = 8
most_objects = 500
most_bytes = 1000000
two_people = true

[recipients.northern-lab]
clearance = "amber"
audience = "named"
groups = ["g-frontier"]
collection = "9b5c1f38-2c55-4e0c-8f1b-0d5c5a7e2c11"

[recipients.feed]
clearance = "red"
audience = "public"
"""


def test_a_file_says_who_may_see_what_and_the_limits_for_everybody() -> None:
    told = recipients(WHOLE, "recipients.toml")
    assert told.limits == Limits(least_holders=8, most_objects=500, most_bytes=1_000_000, two_people=True)
    lab = told.named("northern-lab")
    assert (lab.clearance, lab.ceiling, lab.groups) == ("amber", "amber", frozenset({"g-frontier"}))
    assert told.named("feed").ceiling == "clear"


def test_an_empty_file_names_nobody() -> None:
    told = recipients("", "recipients.toml")
    assert told.limits == Limits()
    with pytest.raises(SettingsError, match=r"'feed' is not in the file of recipients, which names: nobody"):
        told.named("feed")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits", "is not TOML"),
        ("[people]", "no such setting: people"),
        ("limits = 3", r"write \[limits\]"),
        ("[limits]\nk = 3", "no such setting: k"),
        ("[limits]\nleast_holders = 4", "give 5 to 99"),
        ("[limits]\nleast_holders = 100", "give 5 to 99"),
        ("[limits]\nleast_holders = true", "whole number"),
        ("[limits]\nmost_bytes = 0", "at least 1"),
        ('[limits]\nneeds_approver = "no"', "true or false"),
        ("[limits]\nneeds_approver = false\ntwo_people = true", "it needs needs_approver"),
        ("[recipients]\nfeed = 3", "write a section"),
        ('[recipients."../feed"]\nclearance = "clear"', "a name is"),
        ("[recipients.feed]", "say its clearance"),
        ('[recipients.feed]\nclearance = "white"', "clearance 'white': give one of clear"),
        ("[recipients.feed]\nclearance = []", "give one of clear"),
        ('[recipients.feed]\nclearance = "clear"\naudience = "friends"', "give one of public"),
        ('[recipients.feed]\nclearance = "clear"\ngroups = "g"', "list of ids"),
        ('[recipients.feed]\nclearance = "clear"\ngroups = ["G 1"]', "list of ids"),
        ('[recipients.feed]\nclearance = "clear"\ncollection = "A/B"', "id or the alias"),
        ('[recipients.feed]\nclearance = "clear"\ncolour = "x"', "no such setting: colour"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        recipients(text, "recipients.toml")
    assert "recipients.toml" in str(caught.value)
