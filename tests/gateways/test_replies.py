"""A shaped reply shows no reasoning, whatever its form and however it is cut into pieces, and all of the rest."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways import upstream
from tests.gateways.upstream import ANSWER, SIGNATURE, THOUGHT

from stillwatch.client import Limits
from stillwatch.gateways.replies import Shaping, Summariser

WITHHOLD = Limits(None, None, True, "withhold")
SUMMARISE = Limits(None, None, True, "summarise")
NOTE = f"[Reasoning is not shown. It has {len(THOUGHT)} characters.]"
BODY = {"model": "m"}
WHOLE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "chat": upstream._chat,
    "responses": upstream._response,
    "messages": upstream._message,
}
EVENTS: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, dict[str, Any]]]]] = {
    "chat": upstream._chat_events,
    "responses": upstream._response_events,
    "messages": upstream._message_events,
}
each_form = pytest.mark.parametrize("form", WHOLE)


def as_objects(value: Any) -> Any:
    """The same, as objects with attributes, which is how gateways hold it."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_objects(each) for name, each in value.items()})
    return [as_objects(each) for each in value] if isinstance(value, list) else value


# As gateways hold it: messages only as dictionaries, or as the bytes that came.
HELD = [(form, dict) for form in WHOLE] + [("chat", as_objects), ("responses", as_objects)]


def as_json(value: Any) -> str:
    return json.dumps(value, default=vars)


def streamed(
    chunks: list[Any], limits: Limits, summariser: Summariser | None = None, failed: list[Exception] | None = None
) -> list[Any]:
    async def source() -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    async def run() -> list[Any]:
        shaping = Shaping(limits, summariser)
        return [each async for each in shaping.stream(source(), ([] if failed is None else failed).append)]

    return asyncio.run(run())


def assert_shaped(told: str, note: str | None) -> None:
    for secret in (THOUGHT, THOUGHT[:20], THOUGHT[20:], SIGNATURE, '"logprob"'):
        assert secret not in told
    assert (NOTE in told) == (note == NOTE)
    if note:
        assert note in told


@pytest.mark.parametrize(("form", "made"), HELD)
@pytest.mark.parametrize(("limits", "note"), [(WITHHOLD, None), (SUMMARISE, NOTE)])
def test_a_whole_reply_keeps_its_answer_and_loses_its_reasoning(
    form: str, made: Callable[[Any], Any], limits: Limits, note: str | None
) -> None:
    told = as_json(asyncio.run(Shaping(limits).whole(made(WHOLE[form](BODY)))))
    assert ANSWER in told
    assert_shaped(told, note)


@pytest.mark.parametrize(("form", "made"), HELD)
@pytest.mark.parametrize(("limits", "note"), [(WITHHOLD, None), (SUMMARISE, NOTE)])
def test_a_stream_keeps_its_answer_and_loses_its_reasoning(
    form: str, made: Callable[[Any], Any], limits: Limits, note: str | None
) -> None:
    told = as_json(streamed([made(event) for _, event in EVENTS[form](BODY)], limits))
    assert ANSWER[5:] in told
    assert_shaped(told, note)


@each_form
@pytest.mark.parametrize(("limits", "note"), [(WITHHOLD, None), (SUMMARISE, NOTE)])
@given(cuts=st.lists(st.integers(0, 6000), max_size=12))
def test_a_stream_of_bytes_may_be_cut_anywhere(form: str, limits: Limits, note: str | None, cuts: list[int]) -> None:
    frames = "".join(f"event: {name}\ndata: {json.dumps(event)}\n\n" for name, event in EVENTS[form](BODY)).encode()
    frames += b": a comment\n\ndata: [DONE]\n\n"
    places = sorted({0, len(frames), *(cut for cut in cuts if cut < len(frames))})
    told = b"".join(streamed([frames[a:b] for a, b in pairwise(places)], limits)).decode()
    assert ANSWER[5:] in told
    assert told.endswith(": a comment\n\ndata: [DONE]\n\n")
    assert_shaped(told, note)


@pytest.mark.parametrize("limits", [WITHHOLD, SUMMARISE])
def test_blocks_of_a_stream_of_messages_are_numbered_without_gaps(limits: Limits) -> None:
    events = streamed([event for _, event in EVENTS["messages"](BODY)], limits)
    starts = [event["index"] for event in events if event["type"] == "content_block_start"]
    stops = [event["index"] for event in events if event["type"] == "content_block_stop"]
    assert starts == stops == list(range(1 if limits is WITHHOLD else 2))


def test_items_of_a_response_keep_their_places() -> None:
    events = streamed([event for _, event in EVENTS["responses"](BODY)], WITHHOLD)
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == [0, 1]
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["reasoning", "message"]


async def _slowly(text: str) -> str:
    await asyncio.sleep(0)
    return f"in short: {len(text)}"


def _wrongly(text: str) -> str:
    raise ValueError(text)


@each_form
@pytest.mark.parametrize(
    ("summariser", "note"),
    [(_slowly, f"in short: {len(THOUGHT)}"), (lambda text: text[:5].upper(), "FIRST"), (_wrongly, NOTE)],
)
def test_a_summariser_says_what_stands_in_its_place_or_else_its_length_does(
    form: str, summariser: Summariser, note: str
) -> None:
    told = as_json(asyncio.run(Shaping(SUMMARISE, summariser).whole(WHOLE[form](BODY))))
    assert_shaped(told, note)
    told = as_json(streamed([event for _, event in EVENTS[form](BODY)], SUMMARISE, summariser))
    assert_shaped(told, note)


@each_form
def test_limits_that_say_nothing_of_it_leave_a_reply_as_it_is(form: str) -> None:
    whole, events = WHOLE[form](BODY), [event for _, event in EVENTS[form](BODY)]
    assert asyncio.run(Shaping(Limits()).whole(WHOLE[form](BODY))) == whole
    assert streamed([event for _, event in EVENTS[form](BODY)], Limits()) == events


class _Hostile:
    @property
    def type(self) -> str:
        raise RuntimeError("planted")


def test_what_we_fail_on_passes_and_is_told() -> None:
    failed: list[Exception] = []
    chunks = [_Hostile(), {"choices": [{"index": 0, "delta": {"reasoning_content": THOUGHT}}]}, None, 7]
    told = streamed(chunks, WITHHOLD, failed=failed)
    assert len(told) == 4
    assert [str(error) for error in failed] == ["planted"]
    assert THOUGHT not in as_json(told[1])


def test_two_answers_of_one_reply_do_not_share_their_reasoning() -> None:
    deltas = [
        (0, {"reasoning_content": "abc"}),
        (1, {"reasoning_content": "defgh"}),
        (1, {"content": "B"}),
        (0, {"content": "A"}),
    ]
    chunks = [{"choices": [{"index": index, "delta": delta}]} for index, delta in deltas]
    told = [event["choices"][0]["delta"] for event in streamed(chunks, SUMMARISE)]
    assert "5 characters" in told[2]["reasoning_content"]
    assert "3 characters" in told[3]["reasoning_content"]
    assert told[:2] == [{}, {}]


def test_the_last_event_of_a_stream_is_shaped_even_if_it_does_not_end() -> None:
    frame = b'data: {"choices": [{"index": 0, "delta": {"content": "A", "reasoning_content": "abc"}}]}'
    assert streamed([frame], WITHHOLD) == [b'data: {"choices":[{"index":0,"delta":{"content":"A"}}]}\n\n']
