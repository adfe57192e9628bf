"""An explanation as text: plain words, numbers that can be checked, nothing that another customer owns."""

import textwrap
from collections.abc import Iterator, Sequence

from stillwatch.explanations.facts import (
    Activity,
    Borne,
    Explanation,
    Membership,
    Nearest,
    Opinion,
    Reading,
    Recommended,
    SharedTrait,
    Test,
    Tie,
)
from stillwatch.explanations.words import (
    ACTION_WORDS,
    CHECK_WORDS,
    CONTINUES_WORDS,
    GROUP_WORDS,
    VERDICT_WORDS,
    counted,
    day_words,
    has,
    kind_words,
    plain,
    spelled,
)
from stillwatch.membership import MIN_GROUPS
from stillwatch.neutral import terminal

WIDTH = 100  # columns
CONTENT = "content"  # the group of prompts and software
BORNE = "What another provider says"

Section = tuple[str, list[str]]


def text(of: Explanation) -> str:
    """The whole explanation, wrapped, with everything that strangers wrote made harmless for a terminal."""
    sections = list(_member(of, of.membership) if of.membership else _outsider(of))
    lines = [line for title, rows in sections if rows for line in ("", title, *(f"  {row}" for row in rows))]
    return "\n".join(wrapped for line in lines[1:] for wrapped in _wrapped(terminal(line)))


def _wrapped(line: str) -> list[str]:
    hang = len(line) - len(line.lstrip())
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * (hang + 2 if hang else 0), break_on_hyphens=False) or [""]


def _member(of: Explanation, campaign: Membership) -> Iterator[Section]:
    yield f"Account {of.account_id}", [*_where(campaign), *_active(of.activity)]
    yield "What it shares with the other accounts of the campaign", _tie_rows(campaign.ties, campaign.bits)
    yield "What was found about the campaign as a whole", _whole(campaign)
    yield "Innocent readings", _reading_rows(campaign.readings)
    yield BORNE, _borne_rows(of.borne)
    yield "What analysts found", _opinion_rows(of.opinions)
    yield "What is recommended for this account", _recommended(campaign)
    yield "What would change this", _changes(campaign, of.opinions)
    yield "What could not be judged", list(of.not_judged)


def _where(campaign: Membership) -> list[str]:
    return [
        f"It is one of {campaign.accounts:,} accounts in campaign {campaign.campaign_id}, active from "
        f"{day_words(campaign.first_seen_on)} to {day_words(campaign.last_seen_on)}.",
        f"Verdict on the campaign: {campaign.verdict.replace('_', ' ')}. That is: {VERDICT_WORDS[campaign.verdict]}.",
        *([campaign.part] if campaign.part else []),
        "No decision rests on this account alone: what counts is what all accounts of the campaign share and did.",
    ]


def _active(activity: Activity) -> list[str]:
    made = counted(activity.exchanges, "request")
    days = f"from {day_words(activity.first_seen_on)} to {day_words(activity.last_seen_on)}"
    if activity.first_seen_on == activity.last_seen_on:
        days = f"on {day_words(activity.first_seen_on)}"
    rows = [f"The account made {made} {days}."]
    if activity.bearing_share is not None:
        rows.append(f"{activity.bearing_share:.0%} of them bear prompts that mainly accounts of this campaign send.")
    return rows


def _tie_rows(ties: Sequence[Tie], bits: float) -> list[str]:
    width = max((len(_group(tie.group)) for tie in ties), default=0)
    rows = [f"{_group(tie.group):{width}} {tie.bits:5.1f} bits  {tie_sentence(tie)}" for tie in ties]
    if len(ties) > 1:
        rows.append(f"{'together':{width}} {bits:5.1f} bits  in {spelled(len(ties))} independent groups")
    if not any(tie.group == CONTENT for tie in ties) and len(ties) < MIN_GROUPS:
        rows.append("It is in for prompts of the campaign's own; they passed no test by themselves and carry no bits.")
    return [*rows, "", _bits_sentence(ties[0])] if ties else rows


def _bits_sentence(tie: Tie) -> str:
    return (
        "Bits say how much commoner the shared thing is among the campaign's other accounts than among all other "
        f"customers: 10 bits are about a thousand times, the {tie.bits:.1f} bits above about {2**tie.bits:,.0f} times. "
        "In each group the most telling thing counts, and nothing else."
    )


def tie_sentence(tie: Tie) -> str:
    """What is shared with how many of the campaign's other accounts, and how many strangers have it too."""
    many = f"{tie.members:,} of" if tie.members < tie.others else "all"
    inside = f"{kind_words(tie.kind)} as {many} the {tie.others:,} other accounts"
    if tie.strangers == 0:
        return f"{inside}; nobody else has it"
    return f"{inside}; {counted(tie.strangers, 'account')} outside the campaign {has(tie.strangers)} it too"


def _whole(campaign: Membership) -> list[str]:
    missing = [f"Not judged: {plain(told)}." for told in campaign.missing]
    earlier = [
        f"{CONTINUES_WORDS[kin.relation]} {kin.campaign_id}: {plain(kin.because)}." for kin in campaign.continues
    ]
    volume = [] if campaign.volume is None else [_volume(campaign.volume)]
    return [_coordination(campaign.coordination), _harvest(campaign.harvest), *volume, *earlier, *missing]


def _coordination(test: Test) -> str:
    meaning = "one hand is behind the accounts"
    return f"Common control ({meaning}): {test.result.replace('_', ' ')}. {_sentence(test.because)}"


def _harvest(test: Test) -> str:
    because = _sentence(test.because)
    if test.result == "proven" and test.p_value:
        because = f"At most one ordinary customer in {1 / test.p_value:,.0f} is as unusual as their pooled traffic."
    meaning = "the model's answers are collected on a large scale, as for training another model"
    return f"Harvest ({meaning}): {test.result.replace('_', ' ')}. {because}"


def _volume(test: Test) -> str:
    meaning = "they take far more than as many ordinary customers; by itself that proves no harvest"
    return f"Volume ({meaning}): {test.result.replace('_', ' ')}. {_sentence(test.because)}"


def _sentence(because: str) -> str:
    told = plain(because)
    return f"{told[:1].upper()}{told[1:]}."


def _reading_rows(readings: Sequence[Reading]) -> list[str]:
    if not readings:
        return ["None was tested."]
    first = readings[0]
    if not first.survives and not first.nearness:
        return [f"{len(readings)} were tested, and none came close.", *map(_reading_row, readings)]
    which = "strongest, which holds" if first.survives else "one that came closest, and fell"
    rows = [f'{len(readings)} were tested. The {which}: {first.name}. "{first.meaning}"', _sentence(first.because)]
    if not first.explains_control:
        rows.append("It denies the harvest, not the common control.")
    if not first.survives and first.nearness is not None and first.nearness < 1:
        rows.append(f"That is {first.nearness:.0%} of what this reading needs.")
    return [*rows, *map(_reading_row, readings[1:])]


def _reading_row(reading: Reading) -> str:
    return f"- {reading.name}: {'holds' if reading.survives else 'fell'}, {plain(reading.because)}"


def _borne_rows(borne: Sequence[Borne]) -> list[str]:
    """What is recognised, with how sure and what would be innocent; that it decides nothing comes first."""
    if not borne:
        return []
    rows = [
        "Another provider may be mistaken. Nothing is held against the account for this, and nothing follows from it."
    ]
    for one in borne:
        rows += [
            f"It sends wordings that another provider saw in a campaign of its own, as "
            f"{counted(one.others, 'other account')} here; the first did on {day_words(one.first_seen_on)}.",
            f"How sure: {one.because} {one.precision:.0%} of that provider's leads are taken to prove right.",
            one.innocent,
        ]
    return rows


def _opinion_rows(opinions: Sequence[Opinion]) -> list[str]:
    return [f"On {day_words(o.decided_on)} the {o.about} was found {o.verdict}: {o.because}" for o in opinions]


def _recommended(campaign: Membership) -> list[str]:
    decision = campaign.recommended
    if decision is None:
        return ["Nothing."]
    return [
        f"{decision.action}: {ACTION_WORDS[decision.action]}"
        f"{', ' + CHECK_WORDS[decision.check] if decision.check else ''}.",
        f"Why: {decision.because}",
        _approvals(decision),
    ]


def _approvals(decision: Recommended) -> str:
    number = decision.approvals
    needs = (
        "no approval" if number == 0 else f"the approval of {spelled(number)} {'person' if number == 1 else 'people'}"
    )
    return f"It needs {needs}, and it ends after {counted(decision.expires_after_days, 'day')}."


def _changes(campaign: Membership, opinions: Sequence[Opinion]) -> list[str]:
    rows = []
    if campaign.verdict == "explained":
        rows.append("An innocent reading holds, so nothing has to change.")
    else:
        rows += _would_clear(campaign, opinions)
    if opinions:
        rows.append("A newer verdict of an analyst: it replaces the one above.")
    return rows


def _would_clear(campaign: Membership, opinions: Sequence[Opinion]) -> Iterator[str]:
    if campaign.ties and not any(opinion.about == "account" for opinion in opinions):
        things = " and ".join(kind_words(tie.kind).partition(" (")[0] for tie in campaign.ties[:2])
        yield (
            f"A reason for sharing {things} that somebody can check. When an analyst has checked it and records the "
            "account as innocent, the next scan recommends nothing for it."
        )
    yield (
        "Verification of the business or the contract, if the account belongs to an organisation: the accounts of a "
        "verified organisation are judged as one customer, and listed only where a harvest runs through them."
    )
    closest = next((reading for reading in campaign.readings if not reading.survives), None)
    if closest is not None and 0 < (closest.nearness or 0) < 1:
        yield f'Facts that complete the innocent reading "{closest.name}" for most accounts of the campaign.'
    if not any(opinion.about == "campaign" for opinion in opinions):
        yield "An analyst's finding that the campaign as a whole is innocent: the next scan then calls it explained."


def _outsider(of: Explanation) -> Iterator[Section]:
    yield (
        f"Account {of.account_id}",
        ["It is in no campaign, and nothing is recommended for it.", *_active(of.activity)],
    )
    if of.activity.is_verified_organisation:
        yield (
            "Why",
            [
                "It belongs to an organisation that was verified. What such accounts share counts as their "
                "organisation's own. They are listed only where a harvest runs through them."
            ],
        )
    else:
        yield "What it shares with other accounts, beyond what chance explains", _shared_rows(of.shared)
        yield "How far it is from being in a campaign", _distance(of.nearest)
    yield BORNE, _borne_rows(of.borne)
    yield "What analysts found", _opinion_rows(of.opinions)
    yield "What could not be judged", list(of.not_judged)


def _shared_rows(shared: Sequence[SharedTrait]) -> list[str]:
    if not shared:
        return ["Nothing."]
    width = max(len(_group(trait.group)) for trait in shared)
    return [f"{_group(trait.group):{width}}  {_shared_sentence(trait)}" for trait in shared]


def _shared_sentence(trait: SharedTrait) -> str:
    inside = "none of them in a campaign" if trait.in_campaigns == 0 else f"{trait.in_campaigns:,} of them in campaigns"
    if trait.holders == 1:
        inside = "which is in no campaign" if trait.in_campaigns == 0 else "which is in a campaign"
    return f"{kind_words(trait.kind)} as {counted(trait.holders, 'other account')}, {inside}"


def _distance(near: Nearest | None) -> list[str]:
    if near is None:
        return ["As far as can be: nothing ties it to the accounts of any campaign."]
    counting = [_group(group) for group in near.counting]
    groups = f"{spelled(len(counting))} group{'' if len(counting) == 1 else 's'}"
    named = f" ({', '.join(counting)})" if counting else ""
    rows = [
        "An account is in a campaign when it sends prompts that hardly anybody but the campaign's accounts sends, or "
        f"when things of {spelled(near.needed)} independent groups, held mostly by them, tie it to them, one of which "
        "costs something to share, as cards and devices do.",
        f"To the nearest campaign, {near.campaign_id} ({near.verdict.replace('_', ' ')}), {groups}{named} where "
        f"{spelled(near.needed)} are needed:",
    ]
    rows += [f"- {tie.bits:.1f} bits  {tie_sentence(tie)}" for tie in near.ties]
    if len(counting) >= near.needed:
        rows.append("That is not enough by itself: the groups are cheap to share, or a later step parted them again.")
    return rows


def _group(name: str) -> str:
    return GROUP_WORDS.get(name, name)
