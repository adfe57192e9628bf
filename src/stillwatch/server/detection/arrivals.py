"""The job that looks at newcomers every second: loads the newest index, and attaches whom two kinds of evidence tie.

Each process has its own: it keeps what it saw itself, and reads the index again when SQL has a newer detection.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta

import sqlalchemy as sa

from stillwatch.decisions.limits import VERIFIED
from stillwatch.server.accounts.rows import known_rows
from stillwatch.server.accounts.traits import signup_traits
from stillwatch.server.detection import findings, runs
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.detection.hands import Attach
from stillwatch.server.detection.newcomers import Newcomer, Newcomers
from stillwatch.server.detection.recognition import read_index
from stillwatch.server.service import Service
from stillwatch.server.tables import campaigns

SLACK_S = 60.0  # beyond two rounds of detection, until an attachment lapses by itself


class Arrivals:
    """Newcomers of this process, and what it takes to attach them."""

    def __init__(self, service: Service, newcomers: Newcomers, attach: Attach) -> None:
        """Nothing happens before `turn`."""
        self._service, self._newcomers, self._attach = service, newcomers, attach

    def turn(self) -> None:
        """Load what is newer, and attach whom the evidence ties."""
        self._load()
        with self._service.database.read() as connection:
            found = self._newcomers.found(lambda ids: self._registrations(connection, ids))
            found = _spared(connection, found)
        dropped = self._newcomers.dropped_rows()
        if dropped:
            self._service.log.warning("newcomers_not_looked_at", rows=dropped)
        if found:
            self._attached(found)

    def _load(self) -> None:
        with self._service.database.read() as connection:
            newest = runs.newest_done(connection)
        if newest is None or newest == self._newcomers.number:
            return
        index = read_index(output_folder(self._service.settings))
        if index is not None and index.number == newest:
            self._newcomers.load(index)

    def _registrations(
        self, connection: sa.Connection, account_ids: Collection[str]
    ) -> dict[str, list[tuple[str, str]]]:
        rows, key = known_rows(connection, sorted(account_ids)), self._service.key
        return {account_id: list(signup_traits(row, key).items()) for account_id, row in rows.items()}

    def _attached(self, found: list[Newcomer]) -> None:
        now = self._service.now()
        until = now + timedelta(seconds=2 * self._service.settings.detection.every_s + SLACK_S)
        try:
            with self._service.database.write() as connection:
                for newcomer in found:
                    self._attach(
                        connection,
                        account_id=newcomer.account_id,
                        campaign_id=newcomer.attachment.campaign_id,
                        because=newcomer.attachment.because,
                        evidence=newcomer.attachment.evidence,
                        now=now,
                        expires_at=until,
                    )
        except Exception:
            self._newcomers.look_again(newcomer.account_id for newcomer in found)
            raise
        self._newcomers.settle(found)
        self._service.log.info("newcomers_attached", accounts=len(found))


def _spared(connection: sa.Connection, found: Iterable[Newcomer]) -> list[Newcomer]:
    """Those whom nobody cleared and for whom no verified organisation answers, of campaigns open and not cleared."""
    found = list(found)
    if not found:
        return found
    ids = {newcomer.account_id for newcomer in found}
    cleared = findings.cleared_subjects(connection, "account", ids)
    open_now = _open_campaigns(connection, {one.attachment.campaign_id for one in found})
    standing = open_now - findings.cleared_subjects(connection, "campaign", open_now)
    rows = known_rows(connection, sorted(ids))
    verified = {account_id for account_id, row in rows.items() if row["verification_level"] in VERIFIED}
    spared = cleared | verified
    return [one for one in found if one.account_id not in spared and one.attachment.campaign_id in standing]


def _open_campaigns(connection: sa.Connection, among: Collection[str]) -> set[str]:
    """Those that the newest detection found: this process may still hold the index of the one before."""
    chosen = campaigns.c.campaign_id.in_(sorted(among)) & (campaigns.c.state == "open")
    return set(connection.execute(sa.select(campaigns.c.campaign_id).where(chosen)).scalars())
