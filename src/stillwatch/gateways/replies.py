"""A reply without reasoning and log-probabilities: as a whole or as a stream, in the three forms that gateways speak.

    chat        choices[].message or .delta: reasoning_content, thinking_blocks, ...; choices[].logprobs
    responses   output[] of type reasoning; events response.reasoning_*; logprobs in the parts of messages
    messages    content[] of type thinking; events content_block_*, which are counted anew

Parts are dictionaries, or objects of the gateway that are read and changed by name.

Misses: reasoning that the model writes into its answer; how many tokens it took, which the usage still says; signatures
        that a provider hides in the ids of tool calls.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from stillwatch.client import Limits

Summariser = Callable[[str], str | Awaitable[str]]

_IN_CHAT = ("reasoning_content", "reasoning", "thinking_blocks", "reasoning_details", "reasoning_items", "thinking")
_THINKING = ("thinking", "redacted_thinking")
_MOST_CHARACTERS = 1 << 20  # of reasoning that is kept for a summariser


@dataclass(slots=True)
class _Thought:
    """The reasoning of one answer as it comes in: its length, and its text where somebody summarises it."""

    characters: int = 0
    text: str = ""
    is_told: bool = False

    def add(self, text: str, *, keeps: bool) -> None:
        self.characters += len(text)
        if keeps and len(self.text) < _MOST_CHARACTERS:
            self.text += text


@dataclass(slots=True)
class Shaping:
    """One reply being shaped."""

    limits: Limits
    summariser: Summariser | None = None
    _thoughts: dict[Any, _Thought] = field(default_factory=dict)
    _dropped: set[int] = field(default_factory=set)  # blocks of a stream of messages that the client never sees
    _buffer: bytes = b""

    async def whole(self, reply: Any) -> Any:
        """The reply, changed in place."""
        if _get(reply, "choices") is not None:
            await self._chat(reply)
        elif isinstance(_get(reply, "output"), list):
            await self._output(reply)
        elif isinstance(_get(reply, "content"), list):
            await self._messages(reply)
        return reply

    async def stream(self, chunks: AsyncIterator[Any], failed: Callable[[Exception], None]) -> AsyncIterator[Any]:
        """Each chunk, changed or left out; one that we fail on passes as it is, and `failed` is told."""
        async for chunk in chunks:
            try:
                told = await self._frames(chunk) if isinstance(chunk, bytes | str) else await self.events(chunk)
            except Exception as error:
                failed(error)
                told = [chunk]
            for each in told:
                yield each
        if self._buffer:
            for each in await self._frames(b"\n\n"):
                yield each

    async def events(self, event: Any) -> list[Any]:
        """What is passed on of one event of a stream."""
        kind = _get(event, "type")
        if _get(event, "choices") is not None:
            await self._chat(event)
        elif isinstance(kind, str) and _text_of(kind).startswith("response."):
            return await self._response_event(event, _text_of(kind))
        elif isinstance(event, dict) and isinstance(kind, str) and kind.startswith("content_block_"):
            return await self._block_event(event, kind)
        return [event]

    async def _chat(self, reply: Any) -> None:
        for choice in _get(reply, "choices") or []:
            if self.limits.strip_logprobs:
                _drop(choice, "logprobs")
            for part in (_get(choice, "message"), _get(choice, "delta")):
                if part is not None and self.limits.reasoning:
                    await self._chat_part(part, choice)

    async def _chat_part(self, part: Any, choice: Any) -> None:
        thought = self._thought(_get(choice, "index"))
        thought.add(_reasoning_in(part), keeps=self.summariser is not None)
        for place in (part, _get(part, "provider_specific_fields")):
            for name in _IN_CHAT if place is not None else ():
                _drop(place, name)
        has_begun = any(_get(part, name) for name in ("content", "tool_calls", "refusal"))
        if (has_begun or _get(choice, "finish_reason")) and thought.characters and not thought.is_told:
            note = await self._note(thought)
            if note:
                _put(part, "reasoning_content", note)

    async def _output(self, response: Any) -> None:
        for item in _get(response, "output") or []:
            await self._item(item)

    async def _item(self, item: Any) -> None:
        """An item of a response. One of reasoning stays, empty, so that what follows keeps its place."""
        if _get(item, "type") == "reasoning" and self.limits.reasoning:
            parts = [*(_get(item, "summary") or []), *(_get(item, "content") or [])]
            thought = _Thought()
            thought.add("".join(_get(part, "text") or "" for part in parts), keeps=self.summariser is not None)
            note = await self._note(thought)
            _drop(item, "content")
            _drop(item, "encrypted_content")
            _put(item, "summary", [{"type": "summary_text", "text": note}] if note else [])
        for part in _get(item, "content") or []:
            self._without_logprobs(part)

    async def _response_event(self, event: Any, kind: str) -> list[Any]:
        if self.limits.reasoning and kind.startswith("response.reasoning"):
            return []
        self._without_logprobs(event)
        self._without_logprobs(_get(event, "part"))
        if _get(event, "item") is not None:
            await self._item(_get(event, "item"))
        if _get(event, "response") is not None:
            await self._output(_get(event, "response"))
        return [event]

    def _without_logprobs(self, part: Any) -> None:
        if self.limits.strip_logprobs and part is not None and _get(part, "logprobs"):
            _put(part, "logprobs", [])

    async def _messages(self, reply: Any) -> None:
        if not self.limits.reasoning:
            return
        blocks: list[Any] = []
        for block in _get(reply, "content"):
            if _get(block, "type") not in _THINKING:
                blocks.append(block)
                continue
            thought = _Thought()
            thought.add(_get(block, "thinking") or "", keeps=self.summariser is not None)
            note = await self._note(thought)
            if note:
                blocks.append({"type": "thinking", "thinking": note, "signature": ""})
        _put(reply, "content", blocks)

    async def _block_event(self, event: dict[str, Any], kind: str) -> list[Any]:
        if not self.limits.reasoning:
            return [event]
        index = event.get("index", 0)
        block, delta = event.get("content_block") or {}, event.get("delta") or {}
        if kind == "content_block_start" and block.get("type") in _THINKING:
            self._dropped.add(index)
        if index not in self._dropped:
            return [{**event, "index": index - sum(1 for each in self._dropped if each < index)}]
        thought = self._thought(index)
        thought.add(delta.get("thinking") or "", keeps=self.summariser is not None)
        if kind != "content_block_stop":
            return []
        note = await self._note(thought)
        if not note:
            return []
        self._dropped.discard(index)
        place = index - sum(1 for each in self._dropped if each < index)
        empty, told = (
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": note},
        )
        return [
            {"type": "content_block_start", "index": place, "content_block": empty},
            {"type": "content_block_delta", "index": place, "delta": told},
            {"type": "content_block_stop", "index": place},
        ]

    async def _frames(self, chunk: bytes | str) -> list[bytes]:
        """Server-sent events that came as bytes, whole ones only; the rest waits for what follows."""
        self._buffer += chunk.encode() if isinstance(chunk, str) else chunk
        *frames, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n\n")
        told: list[bytes] = []
        for frame in frames:
            told += await self._frame(frame)
        return told

    async def _frame(self, frame: bytes) -> list[bytes]:
        data = b"\n".join(line[5:].strip() for line in frame.split(b"\n") if line.startswith(b"data:"))
        event: Any = None
        with suppress(ValueError):
            event = json.loads(data)
        if not isinstance(event, dict):
            return [frame + b"\n\n"]
        named = b"\nevent:" in b"\n" + frame
        return [_frame_of(each, is_named=named) for each in await self.events(event)]

    def _thought(self, key: Any) -> _Thought:
        return self._thoughts.setdefault(key, _Thought())

    async def _note(self, thought: _Thought) -> str | None:
        """What stands in the place of reasoning: nothing, what the summariser says, or how long it was."""
        thought.is_told = True
        if self.limits.reasoning != "summarise" or not thought.characters:
            return None
        note = f"[Reasoning is not shown. It has {thought.characters} characters.]"
        if self.summariser is not None:
            with suppress(Exception):  # the operator's code; the note is what there is without it
                said = self.summariser(thought.text)
                note = await said if isawaitable(said) else str(said)
        return note


def _reasoning_in(part: Any) -> str:
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(_get(part, name), str):
            return str(_get(part, name))
    return "".join(str(_get(block, "thinking") or "") for block in _get(part, "thinking_blocks") or [])


def _frame_of(event: Mapping[str, Any], *, is_named: bool) -> bytes:
    name = f"event: {event.get('type')}\n" if is_named else ""
    return f"{name}data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def _text_of(kind: str) -> str:
    """An enumeration's value, or the text itself."""
    return str(getattr(kind, "value", kind))


def _get(part: Any, name: str) -> Any:
    return part.get(name) if isinstance(part, dict) else getattr(part, name, None)


def _put(part: Any, name: str, value: Any) -> None:
    if isinstance(part, dict):
        part[name] = value
    else:
        setattr(part, name, value)


def _drop(part: Any, name: str) -> None:
    if isinstance(part, dict):
        part.pop(name, None)
    elif getattr(part, name, None) is not None:
        try:
            delattr(part, name)
        except AttributeError:
            setattr(part, name, None)
