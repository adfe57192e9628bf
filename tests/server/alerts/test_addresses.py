"""Where a webhook may go: the public internet, and by the very address that was checked."""

from typing import Any

import pytest

from stillwatch.server.alerts.addresses import AddressError, checked_address, is_public
from stillwatch.server.alerts.posting import PostError, post

INSIDE = (
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "no address",
    "",
)
OUTSIDE = ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::")


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str, resolves: Any) -> None:
    assert not is_public(address)
    resolves([address])
    with pytest.raises(AddressError, match="not public"):
        checked_address("receiver.example", 443)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_outside_is_public(address: str, resolves: Any) -> None:
    assert is_public(address)
    resolves([address])
    assert checked_address("receiver.example", 443) == address


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "::1", "0"]
)
def test_no_spelling_of_this_machine_gets_through(host: str) -> None:
    with pytest.raises(AddressError):
        checked_address(host, 443)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "x..y", "\udcff"])
def test_a_host_without_an_address_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match="no address"):
        checked_address(host, 443)


def test_one_private_address_among_public_ones_is_enough_to_refuse(resolves: Any) -> None:
    resolves(["1.1.1.1", "10.0.0.1"])
    with pytest.raises(AddressError):
        checked_address("receiver.example", 443)
    assert checked_address("receiver.example", 443, allow_private=True) == "1.1.1.1"


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    resolves: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name's owner answers with a public address first and with ours the second time."""
    asked = resolves(["93.184.216.34"], ["127.0.0.1"])
    connected: list[Any] = []

    def connect(address: Any, **_: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("stillwatch.server.alerts.posting.socket.create_connection", connect)
    with pytest.raises(PostError):
        post("https://receiver.example/", b"{}", {}, allow_private=False)
    assert (asked, connected) == (["receiver.example"], [("93.184.216.34", 443)])
