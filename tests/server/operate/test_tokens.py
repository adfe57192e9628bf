"""Tokens of an identity provider: a real one over loopback HTTP, and what nobody gets away with."""

import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from stillwatch.errors import SettingsError
from stillwatch.server import ServerSettings, Service, application, load_server_settings, opened, tokens
from stillwatch.server.settings import SigningIn, Storing
from stillwatch.server.tokens import is_safe

AUDIENCE = "stillwatch"
Key = RSAKey | ECKey | OctKey


@dataclass
class Provider:
    """An identity provider: its keys, and how often each of its pages was asked for."""

    url: str = ""
    keys: list[Key] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    issuer: str | None = None  # what its document says, when that is not the truth

    def page(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.issuer or self.url, "jwks_uri": f"{self.url}/keys"}
        return {"keys": [key.as_dict(private=isinstance(key, OctKey)) for key in self.keys]}

    def token(self, key: Key, now: float, algorithm: str = "ES256", **claims: Any) -> str:
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "ana", "exp": now + 300, "roles": ["analyst"], **claims}
        header = {"alg": algorithm, "kid": key.kid}
        return jwt.encode(header, {k: v for k, v in told.items() if v is not None}, key, algorithms=[algorithm])


@pytest.fixture(scope="module")
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "rsa"})


@pytest.fixture
def elliptic() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "ec"})


@pytest.fixture
def provider(rsa: RSAKey, elliptic: ECKey) -> Iterator[Provider]:
    held = Provider(keys=[rsa, elliptic])

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.asked.append(self.path)
            body = json.dumps(held.page(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def signed_in(provider: Provider, folder: Path, clock: Any, **told: str) -> Iterator[tuple[Service, TestClient]]:
    settings = ServerSettings(
        storage=Storing(state=folder), oidc=SigningIn(issuer=provider.url, audience=AUDIENCE, **told)
    )
    with opened(settings, now=clock) as service, TestClient(application(service)) as client:
        yield service, client


@pytest.fixture
def signs_in(provider: Provider, tmp_path: Path, clock: Any) -> Iterator[Callable[[str], Any]]:
    """Who a token is, by `Authorization: Bearer`."""
    with signed_in(provider, tmp_path, clock) as (service, _):
        yield lambda token: service.principal(f"Bearer {token}", "")


def now_of(clock: Any) -> float:
    return clock().timestamp()


def test_tokens_of_both_kinds_of_key_sign_in_with_their_roles(
    provider: Provider, signs_in: Callable[[str], Any], rsa: RSAKey, elliptic: ECKey, clock: Any
) -> None:
    for key, algorithm in ((rsa, "RS256"), (elliptic, "ES256")):
        principal = signs_in(provider.token(key, now_of(clock), algorithm, roles=["approver", "god", "ingest"]))
        assert principal.name == "oidc:ana"
        assert principal.roles == {"approver"}
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another"]},
        {"exp": 0},
        {"exp": None},
        {"exp": "never"},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_a_claim_that_does_not_hold_lets_nobody_in(
    claims: dict[str, Any], provider: Provider, signs_in: Callable[[str], Any], elliptic: ECKey, clock: Any
) -> None:
    assert signs_in(provider.token(elliptic, now_of(clock))) is not None
    assert signs_in(provider.token(elliptic, now_of(clock), **claims)) is None


def test_clocks_may_differ_a_little(
    provider: Provider, signs_in: Callable[[str], Any], elliptic: ECKey, clock: Any
) -> None:
    now = now_of(clock)
    assert signs_in(provider.token(elliptic, now, exp=now - 29, nbf=now + 29, aud=["a", AUDIENCE])) is not None
    assert signs_in(provider.token(elliptic, now, exp=now - 31)) is None
    assert signs_in(provider.token(elliptic, now, nbf=now + 31)) is None


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_no_signature_and_no_shared_secret_is_ever_taken(
    provider: Provider, signs_in: Callable[[str], Any], rsa: RSAKey, elliptic: ECKey, clock: Any
) -> None:
    now = now_of(clock)
    payload = provider.token(elliptic, now).split(".")[1]
    for algorithm in ("none", "None", "nOnE"):
        assert signs_in(f"{encoded({'alg': algorithm, 'kid': 'ec'})}.{payload}.") is None
    signed = f"{encoded({'alg': 'HS256', 'kid': 'rsa'})}.{payload}"  # the old trick: a public key as a secret
    digest = hmac.digest(rsa.as_pem(private=False), signed.encode(), "sha256")
    assert signs_in(f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}") is None
    shared = OctKey.generate_key(256, {"kid": "shared"})
    provider.keys.append(shared)
    assert signs_in(provider.token(shared, now, "HS256")) is None


def test_a_token_of_another_key_or_changed_on_its_way_is_refused(
    provider: Provider, signs_in: Callable[[str], Any], elliptic: ECKey, clock: Any
) -> None:
    now = now_of(clock)
    other = ECKey.generate_key("P-256", {"kid": "ec"})
    assert signs_in(provider.token(other, now)) is None
    head, _, signature = provider.token(elliptic, now).split(".")
    changed = encoded({"iss": provider.url, "aud": AUDIENCE, "sub": "ana", "exp": now + 300, "roles": ["admin"]})
    assert signs_in(f"{head}.{changed}.{signature}") is None
    for nonsense in (
        "a.b.c",
        "....",
        "a" * 20_000 + ".b.c",
        "é.ü.ö",
        f"{encoded({'alg': 'ES256', 'kid': []})}.{changed}.x",
    ):
        assert signs_in(nonsense) is None


def test_weak_keys_and_other_algorithms_of_the_provider_are_not_trusted(
    provider: Provider, signs_in: Callable[[str], Any], clock: Any
) -> None:
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, {"kid": "weak"})
    large = ECKey.generate_key("P-384", {"kid": "large"})
    encrypts = ECKey.generate_key("P-256", {"kid": "enc"})
    told = ECKey.import_key({**encrypts.as_dict(private=True), "use": "enc"})
    provider.keys += [weak, large, told]
    now = now_of(clock)
    for key, algorithm in ((weak, "RS256"), (large, "ES384"), (encrypts, "ES256")):
        header = {"alg": algorithm, "kid": key.kid}
        claims = {"iss": provider.url, "aud": AUDIENCE, "sub": "ana", "exp": now + 300}
        assert signs_in(jwt.encode(header, claims, key, algorithms=[algorithm])) is None


def test_keys_that_change_are_fetched_again_but_not_for_every_stranger(
    provider: Provider, signs_in: Callable[[str], Any], elliptic: ECKey, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = now_of(clock)
    assert signs_in(provider.token(elliptic, now)) is not None
    new = ECKey.generate_key("P-256", {"kid": "new"})
    provider.keys = [new]
    assert signs_in(provider.token(new, now)) is None  # asked a moment ago
    assert provider.asked.count("/keys") == 1
    monkeypatch.setattr(tokens, "FETCH_AGAIN_S", 0.0)
    assert signs_in(provider.token(new, now)) is not None
    assert signs_in(provider.token(elliptic, now)) is None  # and the old one is gone
    assert provider.asked.count("/keys") >= 2


def test_a_provider_that_says_it_is_another_or_does_not_answer_is_told_of(
    provider: Provider, tmp_path: Path, elliptic: ECKey, clock: Any
) -> None:
    provider.issuer = "https://elsewhere.example"
    with signed_in(provider, tmp_path, clock) as (_, client):
        headers = {"Authorization": f"Bearer {provider.token(elliptic, now_of(clock))}"}
        reply = client.get("/metrics", headers=headers)
    assert reply.status_code == 503
    assert "does not answer" in reply.json()["detail"]
    assert provider.asked == ["/.well-known/openid-configuration"]


def test_roles_may_lie_deeper_and_come_as_one_text(
    provider: Provider, tmp_path: Path, elliptic: ECKey, clock: Any
) -> None:
    with signed_in(provider, tmp_path, clock, roles_claim="realm_access.roles") as (_, client):
        for roles, status in (("admin other", 200), (["admin"], 200), ("analyst", 403), (7, 403), (None, 403)):
            token = provider.token(elliptic, now_of(clock), realm_access={"roles": roles})
            assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == status
        assert client.get("/metrics", headers={"Authorization": "Bearer x.y.z"}).status_code == 401


def test_keys_are_fetched_over_tls_unless_the_issuer_has_none() -> None:
    assert is_safe("https://keys.example/k", "https://id.example")
    assert not is_safe("http://id.example/k", "https://id.example")
    assert not is_safe("http://127.0.0.1:2/k", "http://127.0.0.1:1")
    assert not is_safe("file:///etc/passwd", "http://127.0.0.1:1")


@pytest.mark.parametrize("issuer", ["http://id.example", "http://127.0.0.1.example/", "id.example", "ftp://id.example"])
def test_an_issuer_without_tls_is_refused_unless_it_is_this_machine(issuer: str) -> None:
    with pytest.raises(SettingsError, match="give an https:// address"):
        load_server_settings(None, {"STILLWATCH_OIDC_ISSUER": issuer})
