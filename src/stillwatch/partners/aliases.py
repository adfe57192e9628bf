"""Names that people gave to whoever is behind a campaign, kept beside the campaigns: the software gives none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from stillwatch import store
from stillwatch.errors import SharingError, StoreError
from stillwatch.sharing import Alias, check_alias

ALIASES: Final = "aliases.json"


def read_aliases(folder: Path) -> list[Alias]:
    """Every name that was given; none when nobody gave one.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / ALIASES
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Alias(**{**row, "given_at": datetime.fromisoformat(row["given_at"])}) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is damaged. Correct or remove it; without it no alias is shared.") from error


def give(folder: Path, alias: Alias) -> None:
    """Keep a name; the same name for the same campaign replaces the one before.

    Raises:
        SharingError: it has not the shape of one, its author no handle, its grounds are none of ours, or there is no
            such campaign.
    """
    check_alias(alias)
    if alias.campaign_id not in {campaign["campaign_id"] for campaign in store.read_campaigns(folder)}:
        raise SharingError(f"there is no such campaign in {folder}; see `stillwatch campaigns list --out {folder}`")
    _write(folder, [*_others(read_aliases(folder), alias.campaign_id, alias.name), alias])


def take(folder: Path, campaign_id: str, name: str) -> None:
    """Drop a name.

    Raises:
        SharingError: nobody gave it.
    """
    known = read_aliases(folder)
    left = _others(known, campaign_id, name)
    if len(left) == len(known):
        raise SharingError("nobody gave that campaign this alias")
    _write(folder, left)


def sent_aliases(held: Mapping[str, Mapping[str, Any]]) -> list[Alias]:
    """Names and authors in what a recipient holds, so that they can be taken back after they were dropped here."""
    names = [name for one in held.values() for name in one.get("aliases", ())]
    authors = [author for one in held.values() for author in one.get("authors", ())]
    pairs = zip_longest(names, authors, fillvalue="")
    return [Alias("", name, author, "partner", datetime.min.replace(tzinfo=UTC)) for name, author in pairs]


def _others(known: Sequence[Alias], campaign_id: str, name: str) -> list[Alias]:
    return [one for one in known if (one.campaign_id, one.name) != (campaign_id, name)]


def _write(folder: Path, aliases: Sequence[Alias]) -> None:
    rows = [{**asdict(one), "given_at": one.given_at.isoformat()} for one in aliases]
    store.write_json(folder / ALIASES, rows)
