"""The accounts table an operator would hold: plain e-mail, phone, card, device and address of every account."""

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stillwatch.evaluation.days import dotted
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.parts import hex_ids, mix
from stillwatch.evaluation.people import COUNTRIES, PLANS, Columns
from stillwatch.records import ACCOUNTS, TIMESTAMP, TRUTH, arrow_schema

_CODES = np.array([row[0] for row in COUNTRIES], object)
_SURNAMES = (
    "moreau",
    "tanaka",
    "silva",
    "novak",
    "okafor",
    "lindgren",
    "rossi",
    "haddad",
    "kim",
    "ferrer",
    "walsh",
    "bauer",
    "chen",
    "dubois",
    "iyer",
    "marsh",
)


def accounts_table(people: Columns, ids: pa.Array, addresses: npt.NDArray[np.uint32], starts_us: int) -> pa.Table:
    """`people` in the published columns, with identifiers in the clear."""
    created_us = starts_us + (people["created_s"] * 1e6).astype(np.int64)
    number = mix(np.arange(len(created_us)), 61) ^ mix(people["created_s"].view(np.int64), 67)
    verified = np.array([level not in {"none", "email"} for level in people["level"]])
    delay_us = (number % np.uint64(40 * 3600)).astype(np.int64) * 1_000_000
    columns = {
        "account_id": ids,
        "created_at": pa.array(created_us).cast(TIMESTAMP),
        "organization_id": _text(people["organization"]),
        "email_domain": _text(people["mail_domain"]),
        "email_hash": _text(_addresses_of(people, number)),
        "phone_hash": pa.array([f"+{p}" if p >= 0 else None for p in people["phone"].tolist()], pa.string()),
        "payment_fingerprint": hex_ids("card_", people["card"].astype(np.uint64), people["card"] < 0),
        "device_fingerprint": hex_ids("device_", people["device"].astype(np.uint64), people["device"] < 0),
        "signup_ip": dotted(addresses[people["signup"].astype(np.int64)]),
        "signup_country": _text(_CODES[people["country"].astype(np.int64)]),
        "access_program": _text(people["program"]),
        "verification_level": _text(people["level"]),
        "verified_at": pa.array(created_us + delay_us, mask=~verified).cast(TIMESTAMP),
        "plan": _text(people["plan"]),
    }
    schema = arrow_schema(ACCOUNTS)
    filled = [columns.get(field.name, pa.nulls(len(number), field.type)) for field in schema]
    return pa.Table.from_arrays(filled, schema=schema).sort_by("account_id")


def truth_table(people: Columns, ids: pa.Array) -> pa.Table:
    """Who is who. A campaign controls its accounts but for those whose key it stole."""
    hostile = pa.array([campaign is not None for campaign in people["campaign"]])
    controlled = np.array([c is not None for c in people["campaign"]]) & (people["role"] != "compromised")
    controller = np.where(controlled, people["campaign"], people["controller"])
    named = [_text(values) for values in (people["campaign"], people["role"], people["segment"], controller)]
    columns = [ids, hostile, *named]
    return pa.Table.from_arrays(columns, schema=arrow_schema(TRUTH)).sort_by("account_id")


def _text(values: npt.NDArray[Any]) -> pa.Array:
    return pa.array(values.tolist(), pa.string())


def _addresses_of(people: Columns, number: npt.NDArray[np.uint64]) -> npt.NDArray[np.object_]:
    """An e-mail address per account in one of five habits; numbers keep them apart."""
    first_names = [name.lower() for name in grammar().slots["name"]]
    words = [word.split()[-1] for word in grammar().slots["goods"]]
    out = np.empty(len(number), object)
    for i, (n, style, domain) in enumerate(
        zip(number.tolist(), people["mail_style"].tolist(), people["mail_domain"].tolist(), strict=True)
    ):
        first, last = first_names[n % 40], _SURNAMES[n // 40 % 16]
        tail = n // 640 % 10**6
        local = (
            f"{first}.{last}{tail % 9973 if tail % 3 else ''}",
            f"{first}{last}{tail % 9999}",
            f"{first[0]}.{last}{tail % 997}",
            f"{words[n // 7 % 30]}{tail % 10**4:04d}",
            "".join(chr(97 + (n >> shift) % 26) for shift in range(8, 56, 6)) + str(tail % 100),
        )[style]
        out[i] = f"{local}@{domain}"
    return out


def instant_us(at: datetime) -> int:
    """A moment as UTC microseconds."""
    return int(at.timestamp()) * 1_000_000


__all__ = ["PLANS", "accounts_table", "instant_us", "truth_table"]
