"""What goes over the wire between a real client and a really served service: nothing that names an identifier."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence

import pytest
import sqlalchemy as sa
from tests.server.decisions.serving import served
from tests.server.psi.conftest import Held, Holding
from tests.server.psi.recording import Recording, recorded

from stillwatch.partners.psi import Match, Side, matched
from stillwatch.server.psi import sessions
from stillwatch.server.tables import audit, metadata, psi_inputs, psi_sessions, psi_sets
from stillwatch.sharing import psi

SHARED = 7
FOREIGN_KEY = b"the key of the other deployment."


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def match(side: Side, tokens: Sequence[str], kind: str = "device") -> Match:
    return matched(side, kind, [psi.digest(kind, token) for token in tokens])


def made_of(identifier: str, keys: Iterable[bytes]) -> Iterator[bytes]:
    """What could be made of an identifier without the session's secrets: itself and hashes of it, keyed or not."""
    spellings = {identifier, identifier.lower(), identifier.upper()}
    for plain in (text.encode() for text in spellings):
        yield plain
        for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
            yield hashlib.new(name, plain).digest()
        for key in keys:
            yield from (hmac.digest(key, plain, "sha256"), hmac.digest(key, b"device\0" + plain, "sha256"))
    yield psi.digest("device", identifier)


def spelt(held: bytes) -> Iterator[bytes]:
    """Ways to write bytes down; of a hash its first half alone would do."""
    for part in {held, held[:16]} if len(held) > 16 else {held}:
        yield from (part, part.hex().encode(), part.hex().upper().encode())
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode):
            yield encode(part).rstrip(b"=")[:-1]  # the last letter depends on what follows


def told(held: bytes, identifiers: Iterable[str], keys: Sequence[bytes], session_id: str) -> set[str]:
    """The identifiers that the bytes give away to somebody who has a list of them."""
    found = set()
    for identifier in identifiers:
        point = psi.hashed_point(psi.digest("device", identifier), session_id)
        if any(text in held for made in (*made_of(identifier, keys), point) for text in spelt(made)):
            found.add(identifier)
    return found


def session_in(recording: Recording) -> str:
    found = re.search(rb"sessions/([0-9a-f]{32})/", bytes(recording.sent))
    assert found
    return found[1].decode()


def test_the_wire_carries_no_identifier_in_whatever_form(held: Held, address: str, tokens: list[str]) -> None:
    theirs = [*tokens[:SHARED], *(secrets.token_hex(16) for _ in range(25))]
    held.offer(theirs)
    with recorded(port_of(address)) as recording:
        found = match(Side(f"http://127.0.0.1:{recording.port}", held.key("north")), tokens)
    assert found.positions == list(range(SHARED))
    wire, keys = bytes(recording.sent + recording.received), (held.service.key.secret, FOREIGN_KEY)
    assert len(wire) > 3 * psi.LEAST_BUCKET * psi.POINT_BYTES
    session_id = session_in(recording)
    assert told(wire, {*tokens, *theirs}, keys, session_id) == set()
    for planted in (*made_of(tokens[0], keys), psi.hashed_point(psi.digest("device", tokens[0]), session_id)):
        for text in spelt(planted):  # the search itself sees each of these
            assert told(wire[:1000] + text + wire[1000:], tokens[:1], keys, session_id) == {tokens[0]}


def test_two_runs_over_the_same_sets_have_nothing_in_common(held: Held, address: str, tokens: list[str]) -> None:
    held.offer(tokens)
    side, runs = held.key("north"), list[set[bytes]]()
    for _ in range(2):
        with recorded(port_of(address)) as recording:
            assert len(match(Side(f"http://127.0.0.1:{recording.port}", side), tokens).positions) == len(tokens)
        wire = bytes(recording.sent + recording.received)
        runs.append({wire[i : i + 16] for i in range(len(wire) - 16) if is_random(wire[i : i + 16])})
    assert len(runs[0]) > psi.LEAST_BUCKET * psi.POINT_BYTES
    assert runs[0] & runs[1] == set()


def is_random(held: bytes) -> bool:
    """Whether the bytes are of points: what HTTP says is ASCII, and the same in every run."""
    return sum(byte > 127 for byte in held) >= 5


def test_the_order_of_our_set_is_not_that_of_the_file(held: Held, tokens: list[str]) -> None:
    """Positions of our own points in the session are drawn anew each time, and filled up among them."""
    held.offer(tokens)
    orders = []
    for _ in range(2):
        draw = sessions._shuffled([psi.digest("device", token) for token in tokens])
        assert len(draw) == psi.LEAST_BUCKET
        orders.append([draw.index(psi.digest("device", token)) for token in tokens])
    assert orders[0] != orders[1]
    assert all(order != sorted(order) for order in orders)


def test_the_partner_learns_sizes_only_rounded_up(held: Held, address: str, tokens: list[str]) -> None:
    held.offer(tokens)
    found = match(Side(address, held.key("north")), [secrets.token_hex(16) for _ in range(150)])
    assert (found.positions, found.own_size, found.inputs_left) == ([], 100, 9_800)


def test_pages_are_put_together_again(
    held: Held, address: str, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PAGE_POINTS", 30)
    held.offer(tokens)
    shuffled = [secrets.token_hex(16), *tokens[10:20], secrets.token_hex(16), *tokens[:3]]
    assert match(Side(address, held.key("north")), shuffled).positions == [*range(1, 11), 12, 13, 14]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_works_over_either_database_and_leaves_counts_only(
    database: str, holding: Holding, request: pytest.FixtureRequest, tokens: list[str]
) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    with holding(url) as held, served(held.service, is_fast=False) as port:
        held.offer(tokens[:20])
        assert match(Side(f"http://127.0.0.1:{port}", held.key("north")), tokens[10:]).positions == list(range(10))
        assert at_rest(held) == {
            "psi_sessions": 0,
            "psi_sets": 1,
            "psi_inputs": [("north", "2026-03-01", "received", 100, 1)],
        }
        assert [line["action"] for line in audited(held)] == ["psi.offered", "psi.opened", "psi.finished"]
        assert audited(held)[-1]["after"] == {"kind": "device", "answered": 100, "own_reads": 1}
        kept = everything_kept(held)
        digests = [psi.digest("device", token) for token in tokens]
        assert not any(text in kept for token in tokens for text in spelt(token.encode()))
        assert not any(text in kept for one in digests for text in spelt(one))


def at_rest(held: Held) -> dict[str, object]:
    with held.service.database.read() as connection:
        counts = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (psi_sessions, psi_sets)
        }
        return counts | {"psi_inputs": [tuple(row) for row in connection.execute(sa.select(psi_inputs))]}


def audited(held: Held) -> list[dict[str, object]]:
    with held.service.database.read() as connection:
        wanted = sa.select(audit).where(audit.c.action.startswith("psi.")).order_by(audit.c.sequence)
        return [dict(row) for row in connection.execute(wanted).mappings()]


def everything_kept(held: Held) -> bytes:
    """Every value of every table, as bytes."""
    with held.service.database.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(sa.select(table))]
    return b"\n".join(bytes(cell) if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)
