"""The peers file is read whole and strictly, and says what is wrong with it."""

import json
from pathlib import Path

import pytest
from tests.partners.world import COLLECTION, NORTH, SOUTH

from stillwatch.errors import SettingsError
from stillwatch.partners import Peer, read_peers
from stillwatch.partners.peers import peer_of

WHOLE = f"""
[[peers]]
name = "north"
url = "https://taxii.north.example/taxii2/api/"
pull = ["indicators", "{COLLECTION}"]
push = "incoming"
credentials = "env:NORTH"
ca = "north.pem"
senders = ["{NORTH}"]
groups = ["g-one"]
takes_extension_definitions = false

[[peers]]
name = "south"
"""


def written(path: Path, text: str) -> Path:
    file = path / "peers.toml"
    file.write_text(text)
    return file


def test_a_peers_file_is_read(tmp_path: Path) -> None:
    peers = read_peers(written(tmp_path, WHOLE))
    assert peers[0] == Peer(
        name="north",
        url="https://taxii.north.example/taxii2/api/",
        pull=("indicators", COLLECTION),
        push="incoming",
        credentials="env:NORTH",
        ca=Path("north.pem"),
        senders=(NORTH,),
        groups=("g-one",),
        takes_extension_definitions=False,
    )
    assert peer_of(peers, "south") == Peer("south")
    with pytest.raises(SettingsError, match="There are: north, south"):
        peer_of(peers, "east")


def one(**values: object) -> str:
    rows = {"name": "north", "url": "https://north.example/api/", **values}
    return "[[peers]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in rows.items())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write one"),
        ("[peers]\nname = 'a'", "write one"),
        ("peers = [5]", "write"),
        ("x = 1\n" + one(), "nothing else"),
        ("[[peers]", "not TOML"),
        (one(nmae="a"), "no such setting: nmae"),
        (one(name="../north"), "name: give one of small letters"),
        (one(name=5), "name: give a text"),
        (one(pull="indicators"), "pull: give a list"),
        (one(pull=[5]), "pull: give a list"),
        (one(url="http://north.example/api/"), "http:// only on this machine"),
        (one(url="https://user:password@north.example/"), "without a user"),
        (one(url="https://north.example/?key=1"), "without a user"),
        (one(url="file:///etc/passwd"), "write https"),
        (one(url="https://north.example:port/"), "this is no address"),
        (one(url="https://nörd.example/"), "characters that no URL"),
        (one(url="", pull=["a"]), "write https"),
        (one(senders=["north"]), "senders: give ids"),
        (one(groups=["a group"]), "groups: give ids"),
        (one(takes_extension_definitions="no"), "true or false"),
        (one() + one(), "two peers have the name north"),
        (one(senders=[NORTH]) + one(name="south", senders=[SOUTH, NORTH]), "two peers have the sender"),
    ],
)
def test_a_peers_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        read_peers(written(tmp_path, text))


def test_a_peers_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*peers\.toml"):
        read_peers(tmp_path / "peers.toml")


def test_http_is_allowed_on_this_machine(tmp_path: Path) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        (peer,) = read_peers(written(tmp_path, one(url=f"http://{host}:8080/api/")))
        assert peer.url == f"http://{host}:8080/api/"
