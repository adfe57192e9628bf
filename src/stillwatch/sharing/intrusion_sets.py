"""Intrusion sets: campaigns that continue one another, under a neutral name; an alias is a person's to give.

Why:    whoever is behind a campaign is a conclusion no log can draw. The software names nobody: a set's name is drawn
        from its id. A word list would one day spell a company's name.
Misses: campaigns of one operator that share no lineage are sets of their own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stillwatch.errors import SharingError
from stillwatch.sharing.objects import Stamp, Subject, hour, rounded, stix_hour, stix_id
from stillwatch.sharing.words import ALIAS_GROUNDS, ALIAS_SENTENCE, SET_DESCRIPTION, is_alias, is_author


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that a person gave to whoever is behind a campaign: by whom, on what grounds, when.

    `author_id` is a handle under which the author is known outside, `grounds` one of `words.ALIAS_GROUNDS`.
    """

    campaign_id: str
    name: str
    author_id: str
    grounds: str
    given_at: datetime


def intrusion_set_objects(
    subjects: Sequence[Subject], stamp: Stamp, aliases: Sequence[Alias]
) -> Iterator[dict[str, Any]]:
    """The sets of these campaigns, what is attributed to them, how campaigns continue one another, and aliases.

    Raises:
        SharingError: an alias is not one that may leave.
    """
    roots = _roots([subject.campaign for subject in subjects])
    sets: dict[str, list[Subject]] = {}
    for subject in subjects:
        sets.setdefault(roots[subject.campaign_id], []).append(subject)
    for root, members in sorted(sets.items()):
        known = {member.campaign_id for member in members}
        given = [check_alias(alias) for alias in aliases if alias.campaign_id in known]
        whole = _intrusion_set(stamp.id("intrusion-set", root), members, stamp, given)
        yield whole
        yield from (_alias_note(alias, whole["id"], stamp) for alias in given)
        yield from (member.relationship(member.id, "attributed-to", whole["id"]) for member in members)
    yield from _lineage(subjects)


def _roots(campaigns: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The campaign that each one's line began with, also where that one is not among them.

    1. Campaigns that name one another are one line.
    2. Its root is the one that names no earlier one; of several, and in a ring, the smallest by id.
    """
    earlier = {campaign["campaign_id"]: {kin["campaign_id"] for kin in campaign["lineage"]} for campaign in campaigns}
    line: dict[str, str] = {}
    for start in sorted(earlier):
        if start in line:
            continue
        whole = _line(start, earlier)
        first = sorted(one for one in whole if not earlier.get(one)) or sorted(whole)
        line |= dict.fromkeys(whole, first[0])
    return line


def _line(start: str, earlier: Mapping[str, Collection[str]]) -> set[str]:
    whole, edge = {start}, {start}
    while edge:
        named = {kin for one in edge for kin in earlier.get(one, ())}
        naming = {one for one, kin in earlier.items() if edge & set(kin)}
        edge = (named | naming) - whole
        whole |= edge
    return whole


def _intrusion_set(set_id: str, members: Sequence[Subject], stamp: Stamp, aliases: Sequence[Alias]) -> dict[str, Any]:
    since = min(member.since for member in members)
    named = {"aliases": sorted({alias.name for alias in aliases})} if aliases else {}
    return stamp.changing(
        "intrusion-set",
        set_id,
        since,
        name=set_name(set_id),
        description=SET_DESCRIPTION,
        first_seen=stix_hour(since),
        last_seen=stix_hour(max(member.until for member in members)),
        **named,
    )


def set_name(set_id: str) -> str:
    """The name of the set of that id: neutral, and the same everywhere."""
    return f"Intrusion set s-{set_id.replace('-', '')[-12:]}"


def check_alias(alias: Alias) -> Alias:
    """The alias, when it has the shape of one.

    Raises:
        SharingError: naming what is wrong with it, never what it says.
    """
    if not is_alias(alias.name):
        raise SharingError("alias: it must be one to three words with capitals, with a number of at most four digits.")
    if not is_author(alias.author_id):
        raise SharingError("alias: its author must be a handle of a-z, 0-9 and dashes, at most 32: no e-mail address.")
    if alias.grounds not in ALIAS_GROUNDS:
        raise SharingError(f"alias: its grounds must be one of {', '.join(ALIAS_GROUNDS)}.")
    return alias


def _alias_note(alias: Alias, set_id: str, stamp: Stamp) -> dict[str, Any]:
    return stamp.changing(
        "note",
        stix_id("note", set_id, "alias", alias.name),
        hour(alias.given_at),
        content=f"{ALIAS_SENTENCE} {ALIAS_GROUNDS[alias.grounds]}",
        authors=[alias.author_id],
        object_refs=[set_id],
    )


def _lineage(subjects: Sequence[Subject]) -> Iterator[dict[str, Any]]:
    # Only between campaigns of this bundle: a reference to one that stays would dangle.
    ids = {subject.campaign_id: subject.id for subject in subjects}
    for subject in subjects:
        told = {kin["campaign_id"]: kin for kin in subject.campaign["lineage"]}
        for kin_id in sorted((told.keys() & ids.keys()) - {subject.campaign_id}):
            kin = told[kin_id]
            measures = {"relation": kin["relation"], "weight_bits": rounded(kin["bits"], 1)}
            yield subject.relationship(subject.id, "related-to", ids[kin_id], **measures)
