"""What accounts show in their exchanges: addresses, client software, system prompts, metadata keys.

Why:    accounts under one control share infrastructure and tooling that independent customers do not.
Misses: anything an operator takes care to keep apart; templates, which linkage finds across exchanges; reasoning
        artefacts, which only the replay ledger can read.
Source: the indicator catalogues of providers' 2026 disclosures; see docs/concepts.md, "trait".
"""

import ibis

from stillwatch.engines.base import IbisTable
from stillwatch.rollups.sums import total

DAY_S = 86_400
APPEARANCE = ("client_ip", "client_ip_prefix", "user_agent", "tls_fingerprint")
_SEPARATOR = "\x1f"  # unit separator: cannot occur in a user agent or a JA4 string


def daily_traits(signals: IbisTable) -> IbisTable:
    """One row per account, kind, value and `day` that its exchanges show; other columns as in `records.TRAITS`."""
    return ibis.union(*[_daily(signals, kind, value) for kind, value in {**_shown(signals), **_sent(signals)}.items()])


def appearances(signals: IbisTable) -> IbisTable:
    """One row per account and combination of addresses and client software: how many exchanges, the first, the last.

    Some thirty times fewer than exchanges. Prompts are left out: where each is another, nothing would be saved.
    """
    counted = signals.group_by(["account_id", *APPEARANCE])
    return counted.aggregate(
        exchanges=ibis._.count().cast("int64"),
        first_seen_at=ibis._.started_at.min(),
        last_seen_at=ibis._.started_at.max(),
    )


def exchange_traits(signals: IbisTable, seen: IbisTable) -> IbisTable:
    """What `merged_traits` would make of the daily traits of the signals; `seen` are their appearances."""
    single = signals.mutate(
        exchanges=ibis.literal(1, type="int64"), first_seen_at=signals.started_at, last_seen_at=signals.started_at
    )
    values = [(seen, _shown(seen)), (single, _sent(single))]
    return ibis.union(*[_whole(rows, kind, value) for rows, named in values for kind, value in named.items()])


def _shown(rows: IbisTable) -> dict[str, IbisTable]:
    """Values by kind of what is seen of the other end."""
    client = rows.user_agent.fill_null("") + _SEPARATOR + rows.tls_fingerprint.fill_null("")
    has_client = rows.user_agent.notnull() | rows.tls_fingerprint.notnull()
    return {
        "ip": rows.client_ip,
        "ip_prefix": rows.client_ip_prefix,
        "client": ibis.ifelse(has_client, client, ibis.null("string")),
    }


def _sent(rows: IbisTable) -> dict[str, IbisTable]:
    """Values by kind of what is sent along with a prompt: numbers, which are spelt out once they are counted."""
    return {"system_prompt": rows.system_prompt_id, "metadata": rows.metadata_keys_id}


def merged_traits(partial: IbisTable, *, daily: bool = False) -> IbisTable:
    """Rows of several days and parts under one key each; columns as in `records.TRAITS`, or `daily` as they came."""
    return partial.group_by(["account_id", "kind", "value", *(["day"] if daily else [])]).aggregate(
        exchanges=total(ibis._.exchanges),
        first_seen_at=ibis._.first_seen_at.min(),
        last_seen_at=ibis._.last_seen_at.max(),
    )


def _whole(rows: IbisTable, kind: str, value: IbisTable) -> IbisTable:
    """The exchanges of all days that show a value."""
    named = rows.select("account_id", "exchanges", "first_seen_at", "last_seen_at", value=value)
    counted = named.filter(named.value.notnull()).group_by(["account_id", "value"])
    held = counted.aggregate(
        exchanges=total(ibis._.exchanges),
        first_seen_at=ibis._.first_seen_at.min(),
        last_seen_at=ibis._.last_seen_at.max(),
    )
    return held.select(
        "account_id",
        "exchanges",
        "first_seen_at",
        "last_seen_at",
        kind=ibis.literal(kind),
        value=held.value.cast("string"),
    ).select("account_id", "kind", "value", "exchanges", "first_seen_at", "last_seen_at")


def _daily(signals: IbisTable, kind: str, value: IbisTable) -> IbisTable:
    day = (signals.started_at.epoch_seconds() // DAY_S).cast("int64")
    rows = signals.select("account_id", "started_at", day=day, value=value)
    return _counted(rows.filter(rows.value.notnull()), kind)


def _counted(rows: IbisTable, kind: str) -> IbisTable:
    counted = rows.group_by(["account_id", "value", "day"]).aggregate(
        exchanges=ibis._.count().cast("int64"),
        first_seen_at=ibis._.started_at.min(),
        last_seen_at=ibis._.started_at.max(),
    )
    return counted.mutate(kind=ibis.literal(kind), value=counted.value.cast("string")).select(
        "account_id", "kind", "value", "day", "exchanges", "first_seen_at", "last_seen_at"
    )


def account_traits(accounts: IbisTable) -> IbisTable:
    """One row per account, kind and value that its registration shows; columns as in `records.TRAITS`.

    Sign-up addresses share kind and value with client addresses: signing up from where another account works counts.
    """
    hour = (accounts.created_at.epoch_seconds() // 3600).cast("string")
    domain = accounts.email_domain
    values = {
        "ip": [accounts.signup_ip],
        "ip_prefix": [accounts.signup_ip_prefix],
        "payment": [accounts.payment_fingerprint],
        "device": [accounts.device_fingerprint],
        "email": [accounts.email_hash],
        "phone": [accounts.phone_hash],
        "email_domain": [domain],
        "email_pattern": [accounts.email_pattern + "@" + domain],
        "signup_cohort": [domain + "@" + hour],
    }
    parts = [
        accounts.filter(value.notnull()).select(
            "account_id",
            kind=ibis.literal(kind),
            value=value,
            exchanges=ibis.literal(0, type="int64"),
            first_seen_at=accounts.created_at,
            last_seen_at=accounts.created_at,
        )
        for kind, columns in values.items()
        for value in columns
    ]
    return ibis.union(*parts)
