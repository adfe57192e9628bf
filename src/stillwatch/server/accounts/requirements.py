"""What an access programme still wants of an account: read from the policy, asked for where nobody has asked yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stillwatch.decisions import Policy, Programmes, load_policy, load_programmes
from stillwatch.records import VERIFICATION_LEVELS
from stillwatch.server.accounts.verifications import asked, found
from stillwatch.server.settings import ServerSettings


def policy_and_programmes(settings: ServerSettings) -> tuple[Policy, Programmes]:
    """The policy of the settings and its programmes; read again when the file has changed.

    Raises:
        SettingsError: the file cannot be used.
    """
    if not settings.decisions.policy:
        return _loaded(None, 0)
    path = Path(settings.decisions.policy)
    return _loaded(path, path.stat().st_mtime_ns if path.is_file() else 0)


def default_check(settings: ServerSettings) -> str:
    """What is asked where a decision names no check.

    Raises:
        SettingsError: the policy cannot be used.
    """
    return policy_and_programmes(settings)[0].checks["default"][0]


@lru_cache(maxsize=4)
def _loaded(path: Path | None, _changed_ns: int) -> tuple[Policy, Programmes]:
    return load_policy(path), load_programmes(path)


def required_checks(
    connection: sa.Connection,
    row: Mapping[str, Any],
    earlier: Sequence[Mapping[str, Any]],
    programmes: Programmes,
    *,
    by: str,
    now: datetime,
) -> list[dict[str, Any]]:
    """Every check that the account's programme wants and where each stands; what nobody asked for yet is asked for now.

    A check that was failed, or not taken in time, is not asked for again by another update of the account.
    """
    name = row["access_program"]
    programme = programmes.wanted(name)
    told = []
    for check in programme.required:
        newest = _newest(earlier, check, name)
        if newest is not None:
            told.append(_told(newest))
        elif is_proven(check, row["verification_level"]):
            told.append(
                {"check": check, "programme": name, "state": "passed", "verification_id": None, "deadline_at": None}
            )
        else:
            because = f"The {name} programme asks for this before it is given ({programmes.policy})."
            wanted = (name, programme.renew_after_days)
            asked_id = asked(connection, row["account_id"], check, because=because, by=by, now=now, programme=wanted)
            told.append(_told_by_id(connection, asked_id))
    return told


def is_proven(check: str, level: str | None) -> bool:
    """Whether the account's level says that it passed the check, or a stronger one."""
    if check not in VERIFICATION_LEVELS or level is None:
        return False
    return VERIFICATION_LEVELS.index(level) >= VERIFICATION_LEVELS.index(check)


def _newest(earlier: Sequence[Mapping[str, Any]], check: str, programme: str | None) -> Mapping[str, Any] | None:
    mine = [one for one in earlier if one["check"] == check and one["programme"] == programme]
    return mine[-1] if mine else None


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("check", "programme", "state", "verification_id", "deadline_at")}


def _told_by_id(connection: sa.Connection, verification_id: str) -> dict[str, Any]:
    return _told(found(connection, verification_id))
