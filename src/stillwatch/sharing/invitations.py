"""Invitations to a sharing group: its secrets in a file that only its reader can open.

Why:    a group's secret has to reach the other member without anybody on the way reading it.
Misses: who made the file. Anybody can lock something for a public key; so a fingerprint is compared over another way
        before a group is taken in.
Source: libsodium's sealed boxes (X25519, XSalsa20-Poly1305) and Argon2id (Biryukov, Dinu & Khovratovich, 2016).
"""

import base64
import json
from pathlib import Path
from typing import Any, Final

from nacl import pwhash, secret, utils
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from stillwatch.errors import SettingsError, SharingError
from stillwatch.sharing.files import write_private
from stillwatch.sharing.groups import Group, group_of, text_of

LEAST_PASSPHRASE: Final = 16  # characters: the file may be kept by whoever carries it, and tried for years
MOST_BYTES: Final = 1 << 20
_KIND: Final = "stillwatch-invitation"
_OTHERS_MAY_READ: Final = 0o077
_OPS, _MEMORY = pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE


def own_key(path: Path) -> PrivateKey:
    """This deployment's key for invitations; made once, readable by its owner only, when there is none.

    Raises:
        SettingsError: the file is no such key, or others may read it.
        StoreError: it cannot be written.
    """
    if not path.exists():
        write_private(path, PrivateKey.generate().encode().hex().encode() + b"\n")
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise SettingsError(f"{path} can be read by others than its owner. Remove it to have a new key made.")
    try:
        return PrivateKey(bytes.fromhex(path.read_text(encoding="ascii").strip()))
    except (ValueError, CryptoError, TypeError):
        raise SettingsError(f"{path} is no key. Remove it to have a new one made.") from None


def public_text(key: PrivateKey) -> str:
    """The public half, as it is given to others."""
    return bytes(key.public_key).hex()


def sealed(group: Group, public: str) -> str:
    """An invitation for the holder of a public key, as `stillwatch share identity` prints it there.

    Raises:
        SharingError: it is no public key.
    """
    try:
        box = SealedBox(PublicKey(bytes.fromhex(public.strip())))
    except (ValueError, CryptoError, TypeError):
        raise SharingError("That is no public key: 64 digits that `stillwatch share identity` prints.") from None
    return _text({"for": "key", "box": _plain(box.encrypt(text_of(group).encode()))})


def locked(group: Group, passphrase: str) -> str:
    """An invitation for whoever knows the passphrase.

    Raises:
        SharingError: the passphrase is too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise SharingError(f"Give a passphrase of at least {LEAST_PASSPHRASE} characters; send it another way.")
    salt = utils.random(pwhash.argon2id.SALTBYTES)
    box = secret.SecretBox(_stretched(passphrase, salt))
    return _text({"for": "passphrase", "salt": _plain(salt), "box": _plain(box.encrypt(text_of(group).encode()))})


def opened(text: str, *, key: PrivateKey | None = None, passphrase: str | None = None) -> Group:
    """The group in an invitation.

    Raises:
        SharingError: it is none, it was made for somebody else, or the passphrase is another.
    """
    told = _read(text)
    if told["for"] == "passphrase" and passphrase is None:
        raise SharingError("This invitation is locked with a passphrase: give it.")
    try:
        if told["for"] == "key":
            held = SealedBox(key).decrypt(_bytes(told["box"])) if key else b""
        else:
            held = secret.SecretBox(_stretched(passphrase or "", _bytes(told["salt"]))).decrypt(_bytes(told["box"]))
        return group_of(held.decode(), "the invitation")
    except (CryptoError, ValueError, TypeError, KeyError):
        raise SharingError("This invitation cannot be opened: it is for somebody else, or damaged.") from None
    except SettingsError as error:
        raise SharingError("The invitation holds no sharing group. Ask for another.") from error


def is_for_passphrase(text: str) -> bool:
    """Whether an invitation wants a passphrase.

    Raises:
        SharingError: it is none.
    """
    return bool(_read(text)["for"] == "passphrase")


def _stretched(passphrase: str, salt: bytes) -> bytes:
    size = secret.SecretBox.KEY_SIZE
    return bytes(pwhash.argon2id.kdf(size, passphrase.encode(), salt, opslimit=_OPS, memlimit=_MEMORY))


def _text(body: dict[str, str]) -> str:
    return json.dumps({"type": _KIND, **body}, indent=1) + "\n"


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or told.get("type") != _KIND or told.get("for") not in ("key", "passphrase"):
        raise SharingError("This is no invitation to a sharing group.")
    return told


def _plain(held: bytes) -> str:
    return base64.b64encode(held).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
