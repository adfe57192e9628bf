"""What private matching keeps, encrypted under the deployment's key: a database alone tells nobody whom we look for.

Misses: whoever has the key file as well can test guesses against a set that is offered.
"""

import hmac

from nacl.exceptions import CryptoError
from nacl.secret import Aead

from stillwatch import ingest
from stillwatch.errors import StoreError

_LABEL = b"stillwatch psi at rest 1"


def sealed(key: ingest.Key, name: str, held: bytes) -> bytes:
    """The bytes encrypted; they open under the same name only."""
    return bytes(_box(key).encrypt(held, name.encode()))


def opened(key: ingest.Key, name: str, held: bytes) -> bytes:
    """The bytes that were sealed.

    Raises:
        StoreError: they were sealed under another key, or are damaged.
    """
    try:
        return bytes(_box(key).decrypt(held, name.encode()))
    except CryptoError as error:
        raise StoreError("what private matching keeps was sealed under another key. Offer the set again.") from error


def _box(key: ingest.Key) -> Aead:
    return Aead(hmac.digest(key.secret, _LABEL, "sha256"))
