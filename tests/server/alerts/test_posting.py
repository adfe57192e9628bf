"""One request: to the checked address, under the host's name and certificate, and never longer than its deadline."""

import threading
import time
from typing import Any

import pytest

from stillwatch.server.alerts.posting import MOST_REPLY_BYTES, PostError, post


def test_a_request_arrives_as_it_was_sent(hooks: Any) -> None:
    assert post(hooks.url, b'{"a":1}', {"webhook-id": "m"}, allow_private=True) == 204
    came = hooks.received[0]
    assert (came.path, came.body, came.headers["webhook-id"]) == ("/hook?at=1", b'{"a":1}', "m")
    assert came.headers["host"] == f"127.0.0.1:{hooks.port}"


def test_a_redirect_is_an_answer_and_is_not_followed(hooks: Any) -> None:
    hooks.answers = [(302, {"Location": hooks.url}, b"")]
    assert post(hooks.url, b"", {}, allow_private=True) == 302
    assert len(hooks.received) == 1


def test_no_proxy_of_the_environment_is_asked(hooks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(hooks.url, b"", {}, allow_private=True) == 204


def test_a_long_answer_is_not_read_to_its_end(hooks: Any) -> None:
    hooks.answers = [(200, {}, b"x" * (MOST_REPLY_BYTES * 4000))]
    assert post(hooks.url, b"", {}, allow_private=True) == 200


def test_an_answer_that_trickles_is_cut_off(hooks: Any) -> None:
    hooks.trickle = threading.Event()
    began = time.monotonic()
    with pytest.raises(PostError):
        post(hooks.url, b"", {}, allow_private=True, deadline_s=0.5)
    assert time.monotonic() - began < 60  # it would go on until the receiver stops, at the end of this test


def test_a_certificate_is_held_against_the_name_not_the_address(
    secure_hooks: Any, trusted: None, resolves: Any
) -> None:
    resolves(["127.0.0.1"])
    url = f"https://receiver.example:{secure_hooks.port}/"
    assert post(url, b"", {}, allow_private=True) == 204
    assert secure_hooks.received[0].headers["host"] == f"receiver.example:{secure_hooks.port}"
    with pytest.raises(PostError, match="TLS failed"):
        post(url.replace("receiver", "another"), b"", {}, allow_private=True)


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_hooks: Any) -> None:
    with pytest.raises(PostError, match="TLS failed"):
        post(f"https://127.0.0.1:{secure_hooks.port}/", b"", {}, allow_private=True)
    assert secure_hooks.received == []


def test_nobody_there_is_told_in_a_word_that_holds_no_address(hooks: Any) -> None:
    with pytest.raises(PostError) as caught:
        post("http://127.0.0.1:1/secret-path", b"", {}, allow_private=True)
    assert str(caught.value) == "no answer (ConnectionRefusedError)"
