"""Newcomers: caught on their first requests by two kinds of evidence, and left alone on one, whichever it is."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.flow import planted
from tests.server.detection import worlds
from tests.server.detection.conftest import Detected
from tests.server.detection.worlds import Recorded, exchange, sentence

from stillwatch import store
from stillwatch.server import Service
from stillwatch.server.accounts.rows import known_rows
from stillwatch.server.accounts.traits import signup_traits
from stillwatch.server.detection import recognition
from stillwatch.server.detection.arrivals import Arrivals
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.detection.newcomers import Newcomers
from stillwatch.server.tables import analyst_verdicts, campaigns, detections

OWN, PUBLIC = planted.HARVEST_WORDINGS[0], planted.HARVEST_WORDINGS[worlds.PUBLIC]
EXIT = "198.18.3.1"  # an address of the harvest
HOME = "203.0.113.250"  # an address nobody else has
NOTHING_IN_COMMON: dict[str, str] = {"payment_fingerprint": "card-new", "device_fingerprint": "device-new"}
CARD_OF_THE_HARVEST = {**NOTHING_IN_COMMON, "payment_fingerprint": "card-h1"}


class Watched:
    """The newcomers of a service, and who was attached."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder, self.recorded = service, folder, Recorded()
        self.newcomers = Newcomers()
        self.arrivals = Arrivals(service, self.newcomers, self.recorded.hands.attach)
        self.arrivals.turn()

    def registered(self, account_id: str, **more: Any) -> None:
        """Have an account sign up."""
        row = {"account_id": account_id, "email_domain": "mail-1.example", "access_program": "paid", **more}
        planted.write_accounts(self.folder, [row])
        worlds.know(self.service.database, worlds.hashed(self.folder))

    def sent(self, *rows: worlds.Row) -> list[str]:
        """Have traffic come in; who is attached by now."""
        self.newcomers.observe(worlds.derived(rows, self.folder))
        self.arrivals.turn()
        return [told["account_id"] for told in self.recorded.attached]


@pytest.fixture
def watched(service: Service, tmp_path: Path) -> Watched:
    (tmp_path / "rows").mkdir()
    return Watched(service, tmp_path / "rows")


def asking(account_id: str, wording: str, address: str = HOME, *, seed: int = 1) -> worlds.Row:
    return exchange(account_id, wording.format(item=sentence(random.Random(seed))), address)


def often(account_id: str, wording: str, address: str = HOME) -> list[worlds.Row]:
    """Several requests: which fingerprints a sketch keeps hangs on the item, so that one may be a rewording."""
    return [asking(account_id, wording, address, seed=seed) for seed in range(20)]


def test_the_next_account_of_a_known_campaign_is_attached_on_its_first_request(watched: Watched) -> None:
    for account_id in worlds.LATER:
        first = next(
            row for row in planted.exchanges() if row["account_id"] == account_id and OWN[:20] in row["prompt"]
        )
        assert account_id in watched.sent(first)
    told = watched.recorded.attached[0]
    kinds = {trait["kind"]: trait for trait in told["evidence"]}
    assert {trait["family"] for trait in told["evidence"] if trait["durability"] == "high"} == {"content"}
    assert {"payment", "device"} & set(kinds)
    assert "harvest-" not in told["because"]
    assert told["campaign_id"] in told["because"]
    every_s = watched.service.settings.detection.every_s
    assert every_s < (told["expires_at"] - told["now"]).total_seconds() <= 2 * every_s + 60


def test_a_card_and_a_wording_are_enough_whatever_the_address(watched: Watched) -> None:
    watched.registered("new", **CARD_OF_THE_HARVEST)
    assert watched.sent(asking("new", OWN)) == ["new"]
    assert watched.sent(asking("new", OWN, seed=2)) == ["new"], "once is enough"


def test_an_address_and_a_wording_are_enough_when_its_holders_share_cards(watched: Watched) -> None:
    assert watched.sent(*often("new", OWN, EXIT)) == ["new"]


def test_evidence_adds_up_over_requests(watched: Watched) -> None:
    assert watched.sent(asking("new", "Tell me about {item}", EXIT)) == []
    assert watched.sent(*often("new", OWN)) == ["new"]


@pytest.mark.parametrize(
    ("wording", "address", "registration"),
    [
        (OWN, HOME, NOTHING_IN_COMMON),
        ("Tell me about {item}", EXIT, NOTHING_IN_COMMON),
        ("Tell me about {item}", HOME, CARD_OF_THE_HARVEST),
        ("Tell me about {item}", EXIT, CARD_OF_THE_HARVEST),
        (PUBLIC, EXIT, NOTHING_IN_COMMON),
        (PUBLIC, HOME, CARD_OF_THE_HARVEST),
    ],
    ids=["a wording", "an address", "a card", "no wording", "a public wording", "a public wording and a card"],
)
def test_one_kind_of_evidence_or_a_public_one_touches_nobody(
    watched: Watched, wording: str, address: str, registration: dict[str, str]
) -> None:
    watched.registered("new", **registration)
    assert watched.sent(*(asking("new", wording, address, seed=seed) for seed in range(5))) == []


def test_a_class_behind_one_address_with_one_sheet_is_left_alone(watched: Watched) -> None:
    sheet = [row for row in planted.exchanges() if row["account_id"].startswith("class")]
    new = [{**row, "account_id": f"pupil-{n % 9}"} for n, row in enumerate(sheet[:90])]
    assert watched.sent(*new) == []


def test_accounts_that_the_detection_saw_wait_for_the_next_one(watched: Watched) -> None:
    assert watched.sent(*often("people-001", OWN, EXIT), *often("harvest-001", OWN, EXIT)) == []


def test_who_was_cleared_or_has_a_contract_is_left_alone(watched: Watched) -> None:
    watched.registered("firm", **CARD_OF_THE_HARVEST, organization_id="firm-z", verification_level="contract")
    watched.registered("cleared", **CARD_OF_THE_HARVEST)
    watched.registered("new", **CARD_OF_THE_HARVEST)
    _say(watched.service, "cleared", "account")
    assert watched.sent(*(asking(account_id, OWN) for account_id in ("firm", "cleared", "new"))) == ["new"]


def test_nobody_is_attached_to_a_campaign_that_was_cleared(watched: Watched, detected: Detected) -> None:
    _say(watched.service, detected.recorded.told[0][1], "campaign")
    assert watched.sent(*often("new", OWN, EXIT)) == []


def test_nobody_is_attached_to_a_campaign_that_is_dormant(watched: Watched) -> None:
    with watched.service.database.write() as connection:
        connection.execute(campaigns.update().values(state="dormant"))
    assert watched.sent(*often("new", OWN, EXIT)) == [], "the index is older than what SQL says"


def test_the_index_holds_campaigns_of_its_own_detection_alone(watched: Watched) -> None:
    """Those are what decisions are brought in line with: an attachment to any other would not last a detection."""
    out = output_folder(watched.service.settings)
    found = store.read_campaigns(out)
    index = recognition.built(out, number=2)
    assert set(index.campaign_ids) == {one["campaign_id"] for one in found if one["verdict"] == recognition.VERDICT}
    with watched.service.database.read() as connection:
        chosen = sa.select(campaigns.c.campaign_id).where(campaigns.c.state == "open")
        assert set(index.campaign_ids) <= set(connection.execute(chosen).scalars())
    (out / store.CAMPAIGNS).write_text("[]")
    assert len(recognition.built(out, number=3).campaign_ids) == 0


def test_what_could_not_be_attached_is_tried_again(watched: Watched) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the database is gone")

    refusing = Arrivals(watched.service, watched.newcomers, refuse)
    watched.newcomers.observe(worlds.derived(often("new", OWN, EXIT), watched.folder))
    with pytest.raises(OSError, match="the database is gone"):
        refusing.turn()
    watched.arrivals.turn()
    assert [told["account_id"] for told in watched.recorded.attached] == ["new"]


def test_a_newer_detection_is_loaded_and_what_was_shown_before_still_counts(watched: Watched) -> None:
    assert watched.sent(asking("new", "Tell me about {item}", EXIT)) == []
    recognition.write_index(output_folder(watched.service.settings), number=2)
    watched.arrivals.turn()
    assert watched.newcomers.number == 1, "SQL does not know of it yet"
    with watched.service.database.write() as connection:
        connection.execute(detections.insert().values(number=2, outcome="done"))
    watched.arrivals.turn()
    assert watched.newcomers.number == 2
    assert watched.sent(*often("new", OWN)) == ["new"]
    with watched.service.database.write() as connection:
        connection.execute(detections.insert().values(number=3, outcome="done"))
    recognition.write_index(output_folder(watched.service.settings), number=3)
    watched.arrivals.turn()
    assert len(watched.recorded.attached) == 2, "the third detection has not seen it either: its time is renewed"


def test_what_comes_too_fast_is_left_out_and_told(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillwatch.server.detection.newcomers.MAX_WAITING_ROWS", 2)
    for name in ("a", "b"):
        watched.registered(name, **CARD_OF_THE_HARVEST)
    rows = worlds.derived([asking(name, OWN, EXIT) for name in ("a", "b")], watched.folder)
    watched.newcomers.observe(rows)
    watched.newcomers.observe(rows.slice(0, 1))
    with capture_logs() as logs:
        watched.arrivals.turn()
    assert sorted(told["account_id"] for told in watched.recorded.attached) == ["a", "b"]
    assert [line["rows"] for line in logs if line["event"] == "newcomers_not_looked_at"] == [1]
    watched.newcomers.observe(rows)


def test_the_index_holds_no_account_and_says_the_same_read_again(watched: Watched, detected: Detected) -> None:
    out = output_folder(watched.service.settings)
    built, read = recognition.built(out, number=1), recognition.read_index(out)
    assert read is not None
    for name in recognition.Index.__slots__:
        assert list(map(str, _listed(getattr(built, name)))) == list(map(str, _listed(getattr(read, name))))
    assert b"harvest-0" not in (out / recognition.INDEX).read_bytes()
    assert recognition.read_index(detected.world) is None


def test_texts_as_dictionaries_and_missing_columns_are_read_alike(watched: Watched) -> None:
    rows = worlds.derived([*often("new", OWN, EXIT), asking("other", "Tell me about {item}", HOME)], watched.folder)
    encoded = rows
    for name in ("account_id", "client_ip", "client_ip_prefix"):
        encoded = encoded.set_column(encoded.column_names.index(name), name, rows[name].dictionary_encode())
    recogniser = recognition.Recogniser(recognition.built(output_folder(watched.service.settings), number=1))
    assert recogniser.sightings(recognition.plain(encoded)) == recogniser.sightings(rows) != []
    watched.newcomers.observe(encoded)
    watched.newcomers.observe(worlds.derived(often("third", OWN, EXIT), watched.folder))
    watched.arrivals.turn()
    assert sorted(told["account_id"] for told in watched.recorded.attached) == ["new", "third"]
    empty = rows
    for name in ("sketch", "client_ip", "client_ip_prefix", "system_prompt_id"):
        nulls = pa.nulls(len(rows), rows.schema.field(name).type)
        empty = empty.set_column(empty.column_names.index(name), name, nulls)
    assert recogniser.sightings(empty) == []
    assert recogniser.sightings(rows.slice(0, 0)) == []


def test_registrations_show_the_traits_that_detection_reads(detected: Detected, service: Service) -> None:
    with service.database.read() as connection:
        row = known_rows(connection, ["harvest-001"])["harvest-001"]
        assert known_rows(connection, ["no-such", "nul\0"]) == {}
    shown = list(signup_traits(row, worlds.key()).items())
    assert {kind for kind, _ in shown} == {"payment", "device", "email_domain", "signup_cohort"}
    links = store.read_table(detected.state / "detections", "links.parquet").to_pylist()
    held = {(link["kind"], link["value"]) for link in links if link["account_id"] == "harvest-001"}
    assert {kind for kind, value in shown if (kind, value) in held} >= {"payment", "device"}


def _say(service: Service, subject: str, kind: str) -> None:
    row = {"subject": subject, "subject_kind": kind, "verdict": "innocent", "because": "known", "author": "tests"}
    with service.database.write() as connection:
        connection.execute(sa.insert(analyst_verdicts).values(**row, decided_at=worlds.CHANGED_AT))


def _listed(value: Any) -> Iterable[Any]:
    return value.tolist() if hasattr(value, "tolist") else [value]
