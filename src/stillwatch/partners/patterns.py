"""The one pattern we read: an account that bears one of these values, as `sharing.objects.pattern` writes it.

Why:    a full reader of STIX patterns is a language in a stranger's hands. Ours are all of one form; anything else is
        not for us. What the pattern says and what our extension says must be the same, or one of them is there to
        be seen and the other to be matched.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from stillwatch.partners.peers import GROUP
from stillwatch.sharing.objects import EXTENSION_ID
from stillwatch.sharing.traits import CONTENT_KINDS, JA4_KIND, KINDS

WORDING, ITEM = "wording", "item"
KEYED_KINDS: Final = frozenset({WORDING, ITEM}) | CONTENT_KINDS  # only ever under a group's key
LEAD_KINDS: Final = frozenset({WORDING, ITEM, JA4_KIND}) | KINDS
MOST_VALUES: Final = 10_000  # of one indicator
MOST_EPOCH: Final = 1_000_000
_HASH = re.compile(r"[0-9a-f]{16,64}")
_KEYED = re.compile(r"[0-9a-f]{16}")
_JA4 = re.compile(r"[tqd][0-9]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")
_PATH = rf"user-account:extensions\.'{EXTENSION_ID}'"
_HEAD = re.compile(rf"\[{_PATH}\.kind = '([a-z0-9_]{{1,32}})' AND {_PATH}\.value IN \(")
_TAIL: Final = ")]"
_MOST_CHARS: Final = 1_024 + MOST_VALUES * 72
_KEY = re.compile(r"[0-9a-f]{8,64}")


class RefusedError(Exception):
    """The object is not taken; the message is one of our own sentences and holds nothing of the object."""


def values_of(pattern: object, extension: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, values and the key they are under, of an indicator's pattern and our extension on it.

    Raises:
        RefusedError: one of them is in another form, or they disagree.
    """
    kind, values = _parsed(pattern)
    told = extension.get("values")
    if extension.get("kind") != kind or not isinstance(told, list) or len(told) != len(values):
        raise RefusedError("its pattern and its extension disagree")
    if {row.get("value") if isinstance(row, dict) else None for row in told if _has_text(row)} != set(values):
        raise RefusedError("its pattern and its extension disagree")
    return {"kind": kind, "values": sorted(set(values)), **_key(kind, extension)}


def _has_text(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("value"), str)


def _parsed(pattern: object) -> tuple[str, list[str]]:
    if not isinstance(pattern, str) or len(pattern) > _MOST_CHARS:
        raise RefusedError("its pattern is none, or too long")
    head = _HEAD.match(pattern)
    if head is None or not pattern.endswith(_TAIL) or head[1] not in LEAD_KINDS:
        raise RefusedError("its pattern is in another form than ours")
    shape = _JA4 if head[1] == JA4_KIND else _KEYED if head[1] in KEYED_KINDS else _HASH
    literals = pattern[head.end() : -len(_TAIL)].split(", ")
    values = [literal[1:-1] for literal in literals if literal[:1] == literal[-1:] == "'"]
    if len(values) != len(literals) or not 0 < len(values) <= MOST_VALUES or not all(map(shape.fullmatch, values)):
        raise RefusedError("its pattern is in another form than ours")
    return head[1], values


def _key(kind: str, extension: Mapping[str, Any]) -> dict[str, Any]:
    """Under which key the values are: a group's, a deployment's, or none."""
    group_id, epoch, key_id = (extension.get(name) for name in ("group_id", "epoch", "key_id"))
    has_group = isinstance(group_id, str) and GROUP.fullmatch(group_id) is not None and _is_epoch(epoch)
    if (group_id is not None or epoch is not None) and not has_group:
        raise RefusedError("it does not say under which group's key it is")
    if kind in KEYED_KINDS and not has_group:
        raise RefusedError("values of content are under a group's key, or they are not for us")
    if key_id is not None and not (isinstance(key_id, str) and _KEY.fullmatch(key_id)):
        raise RefusedError("it does not say under which key it is")
    return {"group_id": group_id, "epoch": epoch, "key_id": key_id}


def _is_epoch(epoch: object) -> bool:
    return isinstance(epoch, int) and not isinstance(epoch, bool) and 0 <= epoch <= MOST_EPOCH
