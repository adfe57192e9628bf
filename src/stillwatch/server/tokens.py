"""Tokens of an identity provider (OpenID Connect): who signed in, and with which roles.

The provider's document and keys are fetched once and kept; a token with a key id that is not among them has them
fetched again, at most every 30 seconds, so that a provider may change its keys. Only RS256 and ES256 count, whatever
the token asks for. A token has no namespace, so it may not bring traffic in.
"""

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from stillwatch.errors import ServiceError
from stillwatch.server.settings import SigningIn

ALGORITHMS = ("RS256", "ES256")
ROLES = frozenset({"enforcer", "analyst", "approver", "admin"})
LEEWAY_S = 30  # clocks differ
MAX_TOKEN_CHARS = 16_384
KEEP_S, FETCH_AGAIN_S = 3600.0, 30.0
_TIMEOUT_S, _MAX_BYTES = 5.0, 1 << 20
_MODULUS_CHARS = 342  # of 2048 bits in base64url; shorter RSA keys are weak


class Tokens:
    """The tokens of one issuer."""

    def __init__(self, settings: SigningIn) -> None:
        """Nothing is fetched before the first token comes."""
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: dict[str | None, RSAKey | ECKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._client = httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False)

    def close(self) -> None:
        """Close connections to the provider."""
        self._client.close()

    def claims_of(self, token: str, now: datetime) -> dict[str, Any] | None:
        """What a valid token says; None when it is not valid for us, now.

        Raises:
            ServiceError: the provider does not answer and its keys are not known.
        """
        if len(token) > MAX_TOKEN_CHARS:
            return None
        try:
            found = jwt.decode(token, self._key_for, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, TypeError, KeyError):
            return None
        claims = dict(found.claims)
        return claims if self._holds(claims, now.timestamp()) else None

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Roles in the claim that the settings name, which may lie deeper: `realm_access.roles`."""
        held: Any = claims
        for name in self._settings.roles_claim.split("."):
            held = held.get(name) if isinstance(held, Mapping) else None
        given = held.split() if isinstance(held, str) else held if isinstance(held, list) else []
        return ROLES & {role for role in given if isinstance(role, str)}

    def _holds(self, claims: Mapping[str, Any], now: float) -> bool:
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        subject, ends, begins = claims.get("sub"), claims.get("exp"), claims.get("nbf", 0)
        return (
            claims.get("iss") == self._settings.issuer
            and self._settings.audience in audiences
            and isinstance(subject, str)
            and subject != ""
            and isinstance(ends, int | float)
            and isinstance(begins, int | float)
            and begins - LEEWAY_S <= now < ends + LEEWAY_S
        )

    def _key_for(self, signed: Any) -> Any:
        """The provider's key that a token names."""
        key_id = signed.headers().get("kid")
        with self._lock:
            is_old = time.monotonic() - self._fetched_at > KEEP_S
            if (key_id not in self._keys or is_old) and time.monotonic() - self._tried_at > FETCH_AGAIN_S:
                self._tried_at = time.monotonic()
                self._fetch()
            if not self._keys:
                raise ServiceError(f"the identity provider {self._settings.issuer} does not answer; an API key works")
            if key_id not in self._keys:
                raise ValueError("no such key")
            return self._keys[key_id]

    def _fetch(self) -> None:
        """The provider's keys; when it does not answer, those we have go on."""
        issuer = self._settings.issuer
        try:
            document = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            place = document["jwks_uri"]
            if document["issuer"] != issuer or not isinstance(place, str) or not is_safe(place, issuer):
                return
            keys = self._get(place)["keys"]
            self._keys = {row.get("kid"): key for row in keys if (key := _key(row)) is not None}
            self._fetched_at = time.monotonic()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, AttributeError):
            return

    def _get(self, url: str) -> Any:
        with self._client.stream("GET", url) as reply:
            reply.raise_for_status()
            body = bytearray()
            for piece in reply.iter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    raise ValueError("too long")
        return httpx2.Response(200, content=bytes(body)).json()


def is_safe(url: str, issuer: str) -> bool:
    """Whether keys may be fetched from there: over TLS, or from an issuer that has none itself."""
    return url.startswith("https://") or (issuer.startswith("http://") and url.startswith(issuer.rstrip("/") + "/"))


def _key(row: Any) -> RSAKey | ECKey | None:
    """A public key we would trust; null for others, and never a shared secret."""
    if not isinstance(row, dict) or row.get("use", "sig") != "sig" or row.get("alg", ALGORITHMS[0]) not in ALGORITHMS:
        return None
    is_strong = row.get("kty") == "EC" and row.get("crv") == "P-256"
    is_strong |= row.get("kty") == "RSA" and len(str(row.get("n", ""))) >= _MODULUS_CHARS
    try:
        found = KeySet.import_key_set({"keys": [row]}).keys[0] if is_strong else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return found if isinstance(found, RSAKey | ECKey) else None
