"""What one account shows at its sign-up, named and hashed as the traits of a detection are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stillwatch.ingest import Key

_HASHED = {
    "ip": "signup_ip",
    "ip_prefix": "signup_ip_prefix",
    "payment": "payment_fingerprint",
    "device": "device_fingerprint",
    "email": "email_hash",
    "phone": "phone_hash",
}
KINDS = (*_HASHED, "email_domain", "email_pattern", "signup_cohort")


def signup_traits(row: Mapping[str, Any], key: Key) -> dict[str, str]:
    """Value by kind of trait; kinds that the row does not tell are left out. Equal to what a detection makes of it."""
    shown = {kind: row[column] for kind, column in _HASHED.items()}
    domain, created_at = row["email_domain"], row["created_at"]
    if domain is not None:
        shown["email_domain"] = key.identifier("email_domain", domain)
        if row["email_pattern"] is not None:
            shown["email_pattern"] = key.identifier("email_pattern", f"{row['email_pattern']}@{domain}")
        if created_at is not None:
            shown["signup_cohort"] = key.identifier("signup_cohort", f"{domain}@{_hour(created_at)}")
    return {kind: value for kind, value in shown.items() if value is not None}


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // 3600)
