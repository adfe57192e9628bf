from typing import Any

import pytest

from stillwatch.report import wording

Campaigns = list[dict[str, Any]]


@pytest.mark.parametrize(
    ("said", "number", "text"),
    [
        (wording.compact, 63_902_118, "63.9\u202fM"),
        (wording.compact, 999, "999"),
        (wording.compact, 2_500_000_000, "2.5\u202fbn"),
        (wording.compact, None, "–"),
        (wording.share, 0.0004, "<\u202f0.1\u202f%"),
        (wording.share, 0.994, "99.4\u202f%"),
        (wording.share, 0.5, "50\u202f%"),
        (wording.share, 0.0, "0.0\u202f%"),
        (wording.share, 1.0, "100\u202f%"),
        (wording.bits, -0.04, "0.0"),
        (wording.bits, -10.04, "-10.0"),
        (wording.whole, 4_120_312, "4,120,312"),
        (wording.size, 3 * 2**30, "3.0\u202fGiB"),
        (wording.day, "2026-02-02T23:12:00Z", "2 Feb 2026"),
        (wording.day, "no day", "no day"),
        (wording.minute, "2026-02-02T23:12:00+01:00", "2 Feb 2026, 22:12 UTC"),
        (wording.sentence, "nothing is shared", "Nothing is shared."),
        (wording.sentence, "Done.", "Done."),
        (wording.sentence, "", ""),
    ],
)
def test_numbers_and_times_read_as_a_person_says_them(said: Any, number: object, text: str) -> None:
    assert said(number) == text


def test_the_headline_counts_distillation_only(campaigns: Campaigns) -> None:
    assert wording.headline(campaigns) == "One distillation campaign found"
    assert wording.headline(campaigns[1:]) == "No distillation campaigns found"
    assert wording.headline(campaigns[:1] * 12) == "12 distillation campaigns found"


def test_every_verdict_is_told_in_plain_words(campaigns: Campaigns) -> None:
    told = [wording.plainly(campaign) for campaign in campaigns]
    assert told[0].startswith("64 accounts under common control harvested 63.9\u202fM output tokens, 62\u202f% of the")
    assert "an innocent explanation holds: verified organisation, public harness" in told[1]
    assert told[2].endswith("That they harvest is not proven.")
    assert told[3].endswith("too little is known about them to judge.")


def test_without_token_counts_exchanges_are_what_was_taken(campaigns: Campaigns) -> None:
    exposure = {**campaigns[0]["exposure"], "output_tokens": 0, "by_capability": {}}
    assert "harvested the answers to 41,820 exchanges." in wording.plainly({**campaigns[0], "exposure": exposure})
