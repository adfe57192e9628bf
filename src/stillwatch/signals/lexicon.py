"""Phrases of one to twelve tokens found in one pass, and rules over what was found.

A lexicon is a TOML file of `[terms]`, each a list of phrases in any language that mean one thing, and `[rules]`: per
label a list of alternatives, each a list of terms that must all occur. Phrases are normalised like prompts, so case,
width and punctuation do not matter, and any number stands for every number. At most 62 terms, as they are bits.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from stillwatch.records import CAPABILITIES, INTENTS
from stillwatch.signals import oracle
from stillwatch.signals.hashing import SEED, chain, chain_reference
from stillwatch.signals.text import EXCERPT_HEAD, EXCERPT_TAIL, NUMBER, Tokens, excerpt, word

LONGEST_PHRASE = 12  # tokens; a Chinese phrase takes one per character
MOST_TERMS = 62

_OPENING_BITS = 1 << 18  # 32 KB, of which one bit in a hundred is set: stays in the first-level cache
_START_SLOTS = 1 << 15
_MOST_CANDIDATES = EXCERPT_HEAD + EXCERPT_TAIL + 1  # the place after the last is written too
_ONE = np.uint8(1)  # lowest bit of a byte of `starts`: this token is a phrase by itself
_KEY_SHIFT = 20  # the lowest bits choose a slot of `starts`, those above choose one of `keys`

_Rule = tuple[int, int]  # index of the label, and the terms that must all occur, as bits


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases by hash, a filter that rules out nearly every place where none begins, and rules over their terms."""

    phrases: Mapping[tuple[int, ...], int]  # tokens of a phrase -> bits of the terms that list it
    rules: tuple[_Rule, ...]
    openings: npt.NDArray[np.uint64]  # (2^12,) a bit by hash of a token, or of two: whether a phrase may begin so
    starts: npt.NDArray[np.uint8]  # (2^15,) by the same hash: whether it is a phrase, and how long one gets
    keys: npt.NDArray[np.uint64]  # (2^m,) hash of a phrase, 0 where empty
    bits: npt.NDArray[np.int64]  # (2^m,) terms that list it
    first_bit: int = 0  # of its terms, in tables that it shares with other lexicons
    terms_mask: int = -1  # its terms, from that bit on


@cache
def shipped() -> tuple[Lexicon, ...]:
    """The lexicons of this package in one pair of tables: capabilities, intents."""
    return together(load("capability.toml", CAPABILITIES), load("intents.toml", INTENTS))


def together(*parts: Lexicon) -> tuple[Lexicon, ...]:
    """The lexicons with their phrases in one table, so that one pass finds the terms of all.

    Raises: ValueError for more terms than there are bits.
    """
    phrases: dict[tuple[int, ...], int] = {}
    places, first = [], 0
    for part in parts:
        for phrase, bits in part.phrases.items():
            phrases[phrase] = phrases.get(phrase, 0) | bits << first
        count = max(part.phrases.values(), default=0).bit_length()
        places.append((first, (1 << count) - 1))
        first += count
    if first > MOST_TERMS:
        raise ValueError(f"lexicons in one table have at most {MOST_TERMS} terms, these have {first}: merge some")
    keys, values = _table({_hash_reference(phrase): bits for phrase, bits in phrases.items()})
    shared = Lexicon({}, (), _openings(phrases), _starts(phrases), keys, values)
    return tuple(
        replace(shared, phrases=part.phrases, rules=part.rules, first_bit=first, terms_mask=mask)
        for part, (first, mask) in zip(parts, places, strict=True)
    )


def load(filename: str, labels: Sequence[str]) -> Lexicon:
    """The lexicon in a TOML file of this package; labels of rules must be among `labels`."""
    text = resources.files(__package__).joinpath(filename).read_text(encoding="utf-8")
    return lexicon(tomllib.loads(text), labels)


def lexicon(content: Mapping[str, Any], labels: Sequence[str]) -> Lexicon:
    """A lexicon from its terms and rules.

    Raises: ValueError for a phrase that is empty, too long or all numbers, unknown names in a rule, or too many terms.
    """
    names = list(content["terms"])
    if len(names) > MOST_TERMS:
        raise ValueError(f"a lexicon has at most {MOST_TERMS} terms, this one has {len(names)}: merge some")
    phrases: dict[tuple[int, ...], int] = {}
    for bit, name in enumerate(names):
        for phrase in content["terms"][name]:
            found = _phrase(phrase, name)
            phrases[found] = phrases.get(found, 0) | 1 << bit
    keys, bits = _table({_hash_reference(found): bits for found, bits in phrases.items()})
    return Lexicon(phrases, _rules(content["rules"], names, labels), _openings(phrases), _starts(phrases), keys, bits)


def _phrase(text: str, term: str) -> tuple[int, ...]:
    found = tuple(oracle.without_numbers(oracle.tokens(text)))
    if not 1 <= len(found) <= LONGEST_PHRASE:
        raise ValueError(f"phrase {text!r} of term {term} must have 1 to {LONGEST_PHRASE} tokens")
    if set(found) == {int(NUMBER)}:
        raise ValueError(f"phrase {text!r} of term {term} would match every number: add a word")
    return found


def _rules(content: Mapping[str, list[list[str]]], names: list[str], labels: Sequence[str]) -> tuple[_Rule, ...]:
    rules = []
    for label, alternatives in content.items():
        for alternative in alternatives:
            if unknown := [name for name in alternative if name not in names]:
                raise ValueError(f"a rule of {label} names unknown terms: {', '.join(unknown)}")
            if label not in labels:
                raise ValueError(f"rules are for an unknown label: {label}")
            rules.append((labels.index(label), sum(1 << names.index(name) for name in set(alternative))))
    return tuple(rules)


def _openings(phrases: Iterable[tuple[int, ...]]) -> npt.NDArray[np.uint64]:
    """A bit per hash of the first token, or two, of a phrase."""
    bits = np.zeros(_OPENING_BITS, np.bool_)
    bits[[_hash_reference(phrase[:2]) & (_OPENING_BITS - 1) for phrase in phrases]] = True
    return np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


def _starts(phrases: Iterable[tuple[int, ...]]) -> npt.NDArray[np.uint8]:
    """Per hash of one token whether it is a phrase (lowest bit), of two how long the longest phrase is (the others)."""
    is_one = np.zeros(_START_SLOTS, np.uint8)
    longest = np.zeros(_START_SLOTS, np.uint8)
    for phrase in phrases:
        slot = _hash_reference(phrase[:2]) & (_START_SLOTS - 1)
        if len(phrase) == 1:
            is_one[slot] = _ONE
        else:
            longest[slot] = max(longest[slot], len(phrase))
    return longest << _ONE | is_one


def terms(tokens: Tokens, words: Lexicon) -> npt.NDArray[np.int64]:
    """Bits of the terms that occur in each text's head and tail."""
    found = tokens.once(
        f"terms of {id(words.keys)}",
        lambda: (words, _terms(tokens.hashes, tokens.bounds, words.openings, words.starts, words.keys, words.bits)),
    )[1]
    return np.asarray((found >> words.first_bit) & words.terms_mask)


def terms_reference(text: str | None, words: Lexicon) -> int:
    """The same for one text."""
    found = 0
    for span in oracle.excerpt(oracle.without_numbers(oracle.tokens(text))):
        for start in range(len(span)):
            for size in range(1, min(LONGEST_PHRASE, len(span) - start) + 1):
                found |= words.phrases.get(tuple(span[start : start + size]), 0)
    return found


def labels(found: npt.NDArray[np.int64], words: Lexicon) -> npt.NDArray[np.int64]:
    """Bits of the labels of which some rule holds."""
    return _labels(found, np.array(words.rules, np.int64).reshape(-1, 2))


def _hash_reference(tokens: Sequence[int]) -> int:
    state = int(SEED)
    for token in tokens:
        state = chain_reference(state, token)
    return state


def _table(entries: Mapping[int, int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Open addressing with linear probing, at most a quarter full, so that most misses cost one look."""
    size = 1 << max(4, (4 * len(entries)).bit_length())
    keys = np.zeros(size, np.uint64)
    values = np.zeros(size, np.int64)
    for key, value in entries.items():
        slot = (key >> _KEY_SHIFT) & (size - 1)
        while keys[slot]:
            slot = (slot + 1) % size
        keys[slot], values[slot] = key, value
    return keys, values


@njit(nogil=True, cache=True)
def _labels(found: npt.NDArray[np.int64], rules: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bits of the labels."""
    bits = np.zeros(len(found), np.int64)
    for k in range(len(rules)):
        label, needed = rules[k, 0], rules[k, 1]
        for row in range(len(found)):
            bits[row] |= np.int64(found[row] & needed == needed) << label
    return bits


@njit(nogil=True, cache=True)
def _find(key: np.uint64, keys: npt.NDArray[np.uint64], values: npt.NDArray[np.int64]) -> np.int64:
    """The value stored under `key`; 0 when it is not there."""
    mask = np.uint64(len(keys) - 1)
    slot = (key >> np.uint64(_KEY_SHIFT)) & mask
    while keys[slot] != np.uint64(0):
        if keys[slot] == key:
            return values[slot]
        slot = (slot + np.uint64(1)) & mask
    return np.int64(0)


@njit(nogil=True, cache=True)
def _extended(
    state: np.uint64,
    following: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    bits: npt.NDArray[np.int64],
) -> np.int64:
    """Terms of the phrases that begin with the hashed tokens and go on with the following ones."""
    found = np.int64(0)
    for i in range(len(following)):
        state = chain(state, word(following[i]))
        found |= _find(state, keys, bits)
    return found


@njit(nogil=True, cache=True)
def _may_open(place: np.uint32, openings: npt.NDArray[np.uint64]) -> np.uint64:
    """1 when a phrase may begin so."""
    return (openings[np.intp(place >> 6)] >> np.uint64(place & 63)) & np.uint64(1)


@njit(nogil=True, cache=True)
def _terms(
    hashes: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    openings: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.uint8],
    keys: npt.NDArray[np.uint64],
    bits: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Bits of the terms in every text."""
    found, mask = np.zeros(len(bounds) - 1, np.int64), np.uint64(len(starts) - 1)
    places, candidates = np.empty((2, EXCERPT_HEAD + EXCERPT_TAIL), np.uint32), np.empty(_MOST_CANDIDATES, np.int64)
    for row in range(len(found)):
        head, head_end, tail, tail_end = excerpt(bounds, row)
        for first, last in ((head, head_end), (tail, tail_end)):
            count = _candidates(hashes[first:last], openings, places, candidates)
            for k in range(count):
                i = first + candidates[k]
                state = chain(SEED, word(hashes[i]))
                if starts[state & mask] & _ONE:
                    found[row] |= _find(state, keys, bits)
                longest = starts[chain(state, word(hashes[i + 1])) & mask] >> _ONE if i + 1 < last else np.uint8(0)
                if longest:
                    found[row] |= _extended(state, hashes[i + 1 : min(i + longest, last)], keys, bits)
    return found


@njit(nogil=True, cache=True)
def _candidates(
    span: npt.NDArray[np.uint64],
    openings: npt.NDArray[np.uint64],
    places: npt.NDArray[np.uint32],
    candidates: npt.NDArray[np.int64],
) -> int:
    """Write the tokens of a span that may begin a phrase; how many.

    1. Hash every token, and it with the next, side by side; 2. look both up in `openings`: few are there.
    """
    size, used = len(span), 0
    for i in range(size - 1):
        state = chain(SEED, word(span[i]))
        places[0, i] = state & np.uint64(_OPENING_BITS - 1)
        places[1, i] = chain(state, word(span[i + 1])) & np.uint64(_OPENING_BITS - 1)
    if size:
        places[0, size - 1] = chain(SEED, word(span[size - 1])) & np.uint64(_OPENING_BITS - 1)
        places[1, size - 1] = places[0, size - 1]
    for i in range(size):
        candidates[used] = i
        used += int(_may_open(places[0, i], openings) | _may_open(places[1, i], openings))
    return used
