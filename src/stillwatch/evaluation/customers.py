"""Whose the legitimate accounts are, where they come from and in which script they write.

Why:    a class or a company of a hundred accounts that is accused is one mistake about one customer; an interval that
        counts its accounts as independent is too narrow. Mistakes must also not fall on one country or one language.
Misses: owners whose accounts share nothing that an accounts table shows.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.evaluation.measures import Share
from stillwatch.records import TIMESTAMP
from stillwatch.signals import signals

OWNING = ("organization_id", "payment_fingerprint", "device_fingerprint", "phone_hash")
INSTITUTION_SHARE = 0.9  # of a domain's accounts in education, from which the domain is one institution
EXCHANGES_READ = 5  # the first of each account, by time
UNKNOWN = "unknown"
_NEVER_US = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Customers:
    """What is known of each legitimate account: its owner, sign-up country and script; null where nothing is."""

    owner: Mapping[str, str] | None  # null without a table of accounts
    country: Mapping[str, str] | None
    script: Mapping[str, str] | None  # null without prompts


@dataclass(frozen=True, slots=True)
class Wronged:
    """Legitimate accounts that are accused, per slice; a slice is null when its data are missing.

    `owners` counts independent customers in place of accounts: one accused account makes its owner accused.
    """

    segments: Mapping[str, Share]
    owners: Share | None
    owners_by_segment: Mapping[str, Share] | None
    countries: Mapping[str, Share] | None
    scripts: Mapping[str, Share] | None

    def as_json(self) -> dict[str, object]:
        """The numbers as they are published."""
        return {
            "segments": _named(self.segments),
            "owners": None if self.owners is None else self.owners.as_json(),
            "owners_by_segment": _named(self.owners_by_segment),
            "countries": _named(self.countries),
            "scripts": _named(self.scripts),
        }


def customers(folder: Path, legitimate: Collection[str]) -> Customers:
    """The legitimate accounts of a world: read from `accounts.parquet` and `exchanges` in its folder."""
    path = folder / "accounts.parquet"
    if not path.is_file():
        return Customers(None, None, _scripts(folder / "exchanges", legitimate))
    wanted = [name for name in pq.read_schema(path).names if name in _COLUMNS]
    table = pq.read_table(path, columns=wanted)
    table = table.filter(pc.is_in(table["account_id"], pa.array(sorted(legitimate), pa.string())))
    table = table.sort_by("account_id")
    country = dict(zip(table["account_id"].to_pylist(), _column(table, "signup_country").to_pylist(), strict=True))
    return Customers(
        owner={**{account: account for account in legitimate}, **owners(table)},
        country={account: country.get(account) or UNKNOWN for account in legitimate},
        script=_scripts(folder / "exchanges", legitimate),
    )


def owners(accounts: pa.Table) -> dict[str, str]:
    """Account to owner, named by the first of its accounts.

    Accounts that share an organisation, card, device, telephone or the domain of an institution have one owner, and so
    has whoever is joined to them by others.
    """
    names = accounts["account_id"].to_pylist()
    shared = [_column(accounts, name) for name in OWNING]
    shared.append(_institutions(accounts))
    rows, columns, width = [], [], 0
    for values in shared:
        codes = values.combine_chunks().dictionary_encode().indices
        held = np.asarray(codes.is_valid())
        rows.append(np.flatnonzero(held))
        columns.append(np.asarray(codes.drop_null(), dtype=np.int64) + width + len(names))
        width += len(values)
    ends = (np.concatenate(rows), np.concatenate(columns))
    size = len(names) + width
    _, label = csgraph.connected_components(sparse.coo_array((np.ones(len(ends[0])), ends), shape=(size, size)), False)
    _, first, inverse = np.unique(label[: len(names)], return_index=True, return_inverse=True)
    return {name: names[first[place]] for name, place in zip(names, inverse.tolist(), strict=True)}


def wronged(of: Customers, segment: Mapping[str, str], accused: Collection[str]) -> Wronged:
    """Slice the accused legitimate accounts; `segment` names the population of every legitimate account."""
    return Wronged(
        segments=_accused_by(segment, accused),
        owners=None if of.owner is None else _owners_accused(of.owner, accused),
        owners_by_segment=None if of.owner is None else _owners_by_segment(of.owner, segment, accused),
        countries=None if of.country is None else _accused_by(of.country, accused),
        scripts=None if of.script is None else _accused_by(of.script, accused),
    )


def _accused_by(group: Mapping[str, str], accused: Collection[str]) -> dict[str, Share]:
    totals = Counter(group.values())
    hits = Counter(group[account] for account in accused if account in group)
    return {name: Share(hits[name], totals[name]) for name in sorted(totals)}


def _owners_accused(owner: Mapping[str, str], accused: Collection[str]) -> Share:
    """Owners of whom at least one account is accused, among all owners."""
    return Share(len({owner[account] for account in accused if account in owner}), len(set(owner.values())))


def _owners_by_segment(
    owner: Mapping[str, str], segment: Mapping[str, str], accused: Collection[str]
) -> dict[str, Share]:
    """The same per population; an owner with accounts in two counts in both."""
    inside: dict[str, dict[str, str]] = {}
    for account, name in segment.items():
        inside.setdefault(name, {})[account] = owner[account]
    return {name: _owners_accused(inside[name], accused) for name in sorted(inside)}


_COLUMNS = frozenset(("account_id", *OWNING, "email_domain", "access_program", "signup_country"))


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table[name]
    return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])


def _institutions(accounts: pa.Table) -> pa.ChunkedArray:
    """The e-mail domain where nearly all accounts at it are in education, else null."""
    domain, program = _column(accounts, "email_domain"), _column(accounts, "access_program")
    educated = pc.fill_null(pc.equal(program, "education"), False)
    rows = pa.table({"domain": domain, "educated": educated.cast(pa.float64())})
    shares = rows.group_by("domain").aggregate([("educated", "mean")])
    schools = shares.filter(pc.greater_equal(shares["educated_mean"], INSTITUTION_SHARE))["domain"].drop_null()
    is_school = pc.is_in(domain, schools.combine_chunks())
    return pc.if_else(is_school, domain, pa.scalar(None, domain.type))


def _named(shares: Mapping[str, Share] | None) -> dict[str, object] | None:
    return None if shares is None else {name: share.as_json() for name, share in shares.items()}


def _scripts(folder: Path, legitimate: Collection[str]) -> dict[str, str] | None:
    """The commonest script of each account's first prompts; null when there are no prompts at all."""
    if not folder.is_dir():
        return None
    exchanges = ds.dataset(folder, format="parquet")
    if not {"prompt", "started_at"} <= set(exchanges.schema.names):
        return None
    until_us = _early_until_us(exchanges)
    found: dict[str, Counter[str]] = {}
    for batch in exchanges.to_batches(columns=["account_id", "started_at", "prompt"]):
        names = batch["account_id"].to_pylist()
        limits = np.array([until_us[name] if name in legitimate else _NEVER_US for name in names])
        chosen = np.flatnonzero((_microseconds(batch["started_at"]) <= limits) & np.asarray(batch["prompt"].is_valid()))
        if len(chosen):
            scripts = signals(batch.take(pa.array(chosen)))["script"].to_pylist()
            for place, script in zip(chosen.tolist(), scripts, strict=True):
                found.setdefault(names[place], Counter()).update([script or UNKNOWN])
    if not found:
        return None
    return {name: _commonest(found[name]) if name in found else UNKNOWN for name in legitimate}


def _early_until_us(exchanges: ds.Dataset) -> dict[str, int]:
    """When each account had sent its first EXCHANGES_READ exchanges: a moment, so that the order of rows is nothing."""
    table = exchanges.to_table(columns=["account_id", "started_at"]).combine_chunks()
    coded = table["account_id"].combine_chunks().dictionary_encode()
    account = np.asarray(coded.indices, dtype=np.int64)
    started_us = _microseconds(table["started_at"].combine_chunks())
    order = np.lexsort((started_us, account))
    count = np.bincount(account, minlength=len(coded.dictionary))
    last = np.cumsum(count) - count + np.minimum(count, EXCHANGES_READ) - 1
    return dict(zip(coded.dictionary.to_pylist(), started_us[order][last].tolist(), strict=True))


def _microseconds(times: pa.Array) -> NDArray[np.int64]:
    return np.asarray(times.cast(TIMESTAMP, safe=False).cast(pa.int64()), dtype=np.int64)


def _commonest(scripts: Counter[str]) -> str:
    """The most frequent; of equals the first by name, so that the order of rows does not matter."""
    return min(scripts, key=lambda script: (-scripts[script], script))
