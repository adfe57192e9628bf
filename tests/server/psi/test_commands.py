"""Private matching from the command line, against a really served service."""

import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.decisions.serving import served
from tests.server.psi.conftest import Held, Holding

from stillwatch import cli
from stillwatch.cli.psi import KEY_VARIABLE as PEER_KEY
from stillwatch.server import ServerSettings, opened
from stillwatch.server.access import made_key
from stillwatch.server.service import utc_now
from stillwatch.server.settings import Storing
from stillwatch.settings import KEY_VARIABLE


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Our own state, not the partner's."""
    return tmp_path / "ours"


@pytest.fixture
def run(ours: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of private matching in this process, over our own state."""

    def run(*words: object) -> Ended:
        monkeypatch.setenv(KEY_VARIABLE, str(ours.with_name("our-key")))
        monkeypatch.setattr(sys, "argv", ["stillwatch", "share", "psi", *map(str, words), "--state", str(ours)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def peer(holding: Holding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Held, str]]:
    """The partner's service, and where it is."""
    with holding() as held, served(held.service, is_fast=False) as port:
        monkeypatch.setenv(PEER_KEY, held.key("us"))
        yield held, f"http://127.0.0.1:{port}"


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def last_line(done: Ended) -> str:
    """What the command printed; the lines before are the log of the service, which is served in this process."""
    return done.out.splitlines()[-1]


def test_what_is_shared_is_written_to_a_file_for_our_eyes_only(
    peer: tuple[Held, str], run: Run, tmp_path: Path, tokens: list[str]
) -> None:
    held, url = peer
    held.offer(tokens[:20])
    lines = [*tokens[15:], "", tokens[16].upper()]
    file, out = written(tmp_path, "devices.txt", *lines), tmp_path / "matched.txt"
    done = run("match", file, "--kind", "device", "--peer", url, "--partner", "north", "--out", out)
    assert (done.code, last_line(done)) == (0, "5")
    assert "5 of 15 identifiers" in done.err
    assert "9,900 more may be put in today" in done.err
    assert out.read_text(encoding="utf-8").splitlines() == [*tokens[15:20], tokens[16].upper()]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not any(token in done.out + done.err for token in tokens)


def test_our_own_cap_holds_before_anything_moves(
    peer: tuple[Held, str], run: Run, tmp_path: Path, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, url = peer
    held.offer(tokens)
    monkeypatch.setenv("STILLWATCH_MATCHING_INPUTS_A_DAY", "150")
    words = ("--kind", "device", "--peer", url, "--partner", "north", "--out", tmp_path / "matched.txt")
    file = written(tmp_path, "devices.txt", *tokens)
    assert run("match", file, *words).code == 0
    done = run("match", file, *words)
    assert (done.code, "150 identifiers a day" in done.err, "100 were" in done.err) == (1, True, True)


def test_refusals_of_the_partner_are_told(
    peer: tuple[Held, str], run: Run, tmp_path: Path, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = peer
    file = written(tmp_path, "devices.txt", *tokens)
    words = ("--kind", "device", "--peer", url, "--partner", "north", "--out", tmp_path / "matched.txt")
    done = run("match", file, *words)
    assert (done.code, "(404): Nothing of that kind is offered" in done.err) == (1, True)
    monkeypatch.setenv(PEER_KEY, "sw_wrong")
    done = run("match", file, *words)
    assert (done.code, "refuses (401)" in done.err) == (1, True)
    done = run("match", file, *words[:2], "--peer", "http://north.example", *words[4:])
    assert (done.code, "write https://HOST" in done.err) == (2, True)
    done = run("match", file, *words[:2], "--peer", "http://127.0.0.1:9", *words[4:])
    assert (done.code, "does not answer" in done.err) == (1, True)
    assert not (tmp_path / "matched.txt").exists()


def test_what_could_be_tried_never_gets_to_the_network(run: Run, tmp_path: Path, tokens: list[str]) -> None:
    words = ("--peer", "http://127.0.0.1:9", "--partner", "north", "--key-file", written(tmp_path, "key", "sw_x"))
    addresses = written(tmp_path, "addresses.txt", tokens[0], "192.0.2.1", "192.0.2.2")
    done = run("match", addresses, "--kind", "ip", *words)
    assert (done.code, "fewer than 2^32" in done.err) == (1, True)
    done = run("match", addresses, "--kind", "device", *words)
    assert (done.code, "2 of 3 identifiers are refused" in done.err, "number 2, 3" in done.err) == (1, True, True)
    assert "192.0.2" not in done.err
    done = run("match", addresses, "--kind", "device", "--skip-refused", *words)
    assert (done.code, "2 identifiers are refused and left out" in done.err) == (1, True)
    assert "does not answer" in done.err


def test_files_and_keys_that_cannot_be_used_are_told(
    run: Run, tmp_path: Path, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PEER_KEY, raising=False)
    words = ("--kind", "device", "--peer", "http://127.0.0.1:9", "--partner", "north")
    file = written(tmp_path, "devices.txt", *tokens)
    assert run("match", file, *words).code == 2
    monkeypatch.setenv(PEER_KEY, "sw_x")
    table = written(tmp_path, "devices.csv", "account,device", f"a,{tokens[0]}")
    done = run("match", table, *words)
    assert (done.code, "--column: account, device" in done.err) == (1, True)
    assert run("match", file, *words[:-1], "n" * 201).code == 2
    done = run("match", written(tmp_path, "empty.txt", "", ""), *words)
    assert (done.code, "holds no identifier" in done.err) == (1, True)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    done = run("match", tmp_path / "binary", *words)
    assert (done.code, "UTF-8" in done.err) == (1, True)


def test_a_set_is_offered_listed_and_withdrawn(run: Run, tmp_path: Path, tokens: list[str]) -> None:
    table = written(tmp_path, "cards.csv", "account,card", *(f"a,{token}" for token in tokens), "b,4111111111111111")
    words = ("offer", table, "--column", "card", "--kind", "payment", "--partner", "north")
    done = run(*words)
    assert (done.code, "1 of 31 identifiers are refused" in done.err) == (1, True)
    made = run(*words, "--skip-refused")
    assert (made.code, "30 identifiers are offered until" in made.err) == (0, True)
    assert re.fullmatch(r"[0-9a-f]{32}\n", made.out)
    listed = run("sets", "--format", "csv").out.splitlines()
    assert listed[0] == "set id,kind,size,partners,offered by,expires at"
    assert listed[1].startswith(f"{made.out.strip()},payment,30,north,cli:")
    assert run("withdraw", made.out.strip()).code == 0
    assert run("withdraw", made.out.strip()).code == 1
    assert run("sets", "--format", "csv").out.splitlines() == listed[:1]


def test_what_the_command_line_offers_a_partner_finds(
    run: Run, ours: Path, tmp_path: Path, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way round: offered by a command, served, and matched by a command, the key file between them."""
    assert run("offer", written(tmp_path, "ours.txt", *tokens[:9]), "--kind", "account").code == 0
    with opened(ServerSettings(storage=Storing(state=ours))) as service, served(service, is_fast=False) as port:
        key = made_key(service.database, name="south", roles=["partner"], by="tests", now=utc_now())
        monkeypatch.setenv(PEER_KEY, key)
        file = written(tmp_path, "theirs.txt", *tokens[5:], secrets.token_hex(16))
        words = ("--kind", "account", "--peer", f"http://127.0.0.1:{port}", "--partner", "us")
        done = run("match", file, *words, "--out", tmp_path / "found", "--threads", 1)
    assert last_line(done) == "4"
    assert (tmp_path / "found").read_text(encoding="utf-8").splitlines() == tokens[5:9]


def test_a_list_of_hashes_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, words in (("ip", "fewer than 2^32"), ("payment", "Whoever gets it can test every guess")):
        monkeypatch.setattr(sys, "argv", ["stillwatch", "share", "psi", "hash-list", "--kind", kind])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        assert words in capsys.readouterr().err
