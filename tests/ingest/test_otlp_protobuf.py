"""Protobuf and JSON of one export request are the same exchanges, and damaged protobuf is told with its place."""

import random
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingest import otlp_bytes
from tests.ingest.formats import test_otlp as json_form

from stillwatch.errors import InputError
from stillwatch.ingest import Key, wire
from stillwatch.ingest.bodies import sent_documents, sent_exchanges, sent_log_records, sent_spans
from stillwatch.ingest.documents import parsed
from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.signals import inputs

KEY = Key(b"a key of the tests, 32 bytes long")
LATEST = datetime(2026, 4, 1, tzinfo=UTC)
SCHEMA = arrow_schema(EXCHANGES)
KEPT = pa.schema([SCHEMA.field(name) for name in inputs()])  # what a service needs; read column by column
Rows = tuple[list[dict[str, Any]], list[str]]


def rows_of(slices: Any, schema: pa.Schema = SCHEMA) -> Rows:
    """Exchanges in the order of their ids, and reasons of rejected rows."""
    sent = list(sent_exchanges(slices, "otlp", key=KEY, schema=schema, latest=LATEST))
    rows = [row for batch, _, _ in sent for row in batch.to_pylist()]
    reasons = [one.reason for _, rejections, _ in sent for one in rejections]
    return sorted(rows, key=lambda row: (row["exchange_id"], str(row))), sorted(reasons)


def both(document: str, schema: pa.Schema = SCHEMA) -> tuple[Rows, Rows]:
    """From protobuf and from JSON, these columns."""
    content = otlp_bytes.request(parsed(document.encode()))
    read = sent_log_records if "resourceLogs" in document else sent_spans
    from_json = rows_of(sent_documents(document.encode(), "otlp"), schema)
    return rows_of(read(content, schema.names), schema), from_json


EVENT = {
    "name": "gen_ai.choice",
    "timeUnixNano": json_form.NANOS,
    "attributes": json_form.attributes({"finish_reason": "stop", "message": {"content": "hi"}}),
}
OLD = {
    "user.id": "a1",
    "gen_ai.usage.prompt_tokens": 9,
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "hello",
    "gen_ai.completion.0.content": "hi",
}
ENVOY = {
    "start_time": "2026-03-02T12:00:00.250Z",
    "x-account-id": "a1",
    "x-request-id": "r1",
    "response_code": 200,
    "response_flags": "-",
    "route_name": "chat",
    "upstream_cluster": "models",
    "downstream_remote_address": "203.0.113.9:4711",
    "user-agent": "sdk/1",
    "x-ja4": "t13d",
    "gen_ai.request.model": "m",
}
DOCUMENTS = {
    "new names": json_form.spans({"attributes": json_form.NEW}),
    "old names": json_form.spans({"attributes": OLD}),
    "events": json_form.spans({"attributes": {"user.id": "a1", "gen_ai.request.model": "m"}, "events": [EVENT]}),
    "odd prompt": json_form.spans(
        {"attributes": {"user.id": "a1", "gen_ai.request.model": "m", "gen_ai.completion": 5}, "events": [EVENT]}
    ),
    "failure": json_form.spans({"attributes": OLD, "status": {"code": 2}}),
    "resource": json_form.spans({"attributes": {"gen_ai.request.model": "m"}}, resource={"llm.account.id": "a1"}),
    "no account": json_form.spans({"attributes": {"gen_ai.request.model": "m"}}),
    "negative": json_form.spans({"attributes": {**OLD, "gen_ai.usage.input_tokens": -4}}),
    "details": json_form.logs({"eventName": "gen_ai.client.inference.operation.details", "attributes": json_form.NEW}),
    "messages": json_form.logs(
        {"eventName": "gen_ai.user.message", "attributes": {"user.id": "a1"}, "body": json_form.value("hello")},
        {"eventName": "gen_ai.choice", "body": json_form.value({"message": {"content": "hi"}})},
    ),
    "observed": json_form.logs({"timeUnixNano": "0", "observedTimeUnixNano": json_form.NANOS, "attributes": OLD}),
    "envoy attributes": json_form.logs({"attributes": ENVOY}),
    "envoy body": json_form.logs({"body": json_form.value(ENVOY)}),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize("schema", [SCHEMA, KEPT], ids=["all columns", "kept columns"])
def test_protobuf_gives_the_exchanges_of_json(document: str, schema: pa.Schema) -> None:
    from_protobuf, from_json = both(document, schema)
    assert from_protobuf == from_json
    assert from_json != ([], [])


def test_an_access_log_of_envoy_reaches_its_columns() -> None:
    for name in ("envoy attributes", "envoy body"):
        (row,), _ = both(DOCUMENTS[name])[0]
        assert (row["account_id"], row["exchange_id"], row["status"], row["model"]) == ("a1", "r1", "200", "m")
        assert row["client_ip"] == KEY.identifier("ip", "203.0.113.9")
        assert (row["user_agent"], row["tls_fingerprint"]) == ("sdk/1", "t13d")
        assert row["started_at"] == json_form.MOMENT


PLAIN = st.one_of(
    st.text(max_size=6),
    st.integers(-5, 2**40),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.text(max_size=3), max_size=2),
)
MESSAGES = st.sampled_from(
    [
        '[{"role": "user", "parts": [{"type": "text", "content": "hello \\u00e9"}]}]',
        '[{"role": "system", "content": "sys"}, {"role": "user", "content": "hello"}]',
        '[{"role": "user", "parts": [{"type": "text", "content": "a"}, {"type": "image", "content": "b"}]}]',
        '[{"role": "assistant", "thinking_blocks": [{"type": "thinking", "signature": "s1"}], "content": "x"}]',
        '[{"role": "user"}, {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "d"}]}]',
        '[{"role": "assistant", "parts": [{"type": "reasoning", "encrypted_content": "e"}], "finish_reason": "stop"}]',
        "plain words",
        "[1, 2]",
        "{broken",
        "",
    ]
)
SPANS = st.fixed_dictionaries(
    {"gen_ai.request.model": PLAIN | st.just("m")},
    optional={
        "llm.account.id": PLAIN | st.sampled_from(("a1", "a2")),
        "user.id": PLAIN,
        "gen_ai.operation.name": st.sampled_from(("chat", "invoke_agent", "")),
        "gen_ai.input.messages": MESSAGES | PLAIN,
        "gen_ai.prompt": MESSAGES,
        "gen_ai.output.messages": MESSAGES | PLAIN,
        "gen_ai.system_instructions": MESSAGES | PLAIN,
        "gen_ai.response.finish_reasons": st.lists(st.text(max_size=3), max_size=2) | PLAIN,
        "gen_ai.usage.input_tokens": PLAIN,
        "gen_ai.usage.output_tokens": PLAIN,
        "client.address": PLAIN | st.just("203.0.113.9"),
        "http.response.status_code": PLAIN,
        "gen_ai.provider.name": PLAIN | st.just("aws.bedrock"),
        "other": PLAIN,
    },
)


@given(
    plain=st.lists(SPANS, min_size=1, max_size=5),
    shared=st.dictionaries(st.sampled_from(("user.id", "llm.account.id")), PLAIN, max_size=2),
)
def test_any_span_is_the_same_exchange_in_both_forms(plain: list[dict[str, Any]], shared: dict[str, Any]) -> None:
    document = json_form.spans(*({"attributes": one} for one in plain), resource=shared)
    for schema in (SCHEMA, KEPT):
        from_protobuf, from_json = both(document, schema)
        assert from_protobuf == from_json


def test_a_request_cut_anywhere_is_told_with_its_place_and_never_half_read() -> None:
    content = otlp_bytes.request(parsed(DOCUMENTS["new names"].encode()))
    for end in range(1, len(content)):
        with pytest.raises(InputError, match="no sense at byte"):
            list(sent_spans(content[:end], SCHEMA.names))


def test_damaged_bytes_are_refused_or_read_and_never_worse() -> None:
    content = otlp_bytes.request(parsed(json_form.spans({"attributes": json_form.NEW}, {"attributes": OLD}).encode()))
    rng, refused = random.Random(3), 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            rows_of(sent_spans(bytes(damaged), KEPT.names), KEPT)
        except InputError:
            refused += 1
    assert refused > 100


def test_a_body_of_nothing_but_empty_records_is_refused_before_it_is_large() -> None:
    scope = b"\x12\x00" * 10_000
    inner = b"\x12" + _size(scope) + scope
    with pytest.raises(InputError):
        list(sent_spans(b"\x0a" + _size(inner) + inner, KEPT.names))


def test_bytes_that_are_no_utf_8_become_replacement_characters() -> None:
    document = json_form.spans({"attributes": {**OLD, "gen_ai.request.model": "modelX"}})
    content = otlp_bytes.request(parsed(document.encode())).replace(b"modelX", b"model\xff")
    assert rows_of(sent_spans(content, KEPT.names), KEPT)[0][0]["model"] == "model\ufffd"


def test_tables_that_were_too_small_are_made_again() -> None:
    names = wire.Names.of(["a"])
    pair = b"\x0a\x01a\x12\x02\x08\x00"
    attribute = b"\x4a" + _size(pair) + pair
    span = b"\x0a\x10" + b"\1" * 16 + attribute * 40
    scope = (b"\x12" + _size(span) + span) * 60
    inner = b"\x12" + _size(scope) + scope
    found = wire.walked(b"\x0a" + _size(inner) + inner, names, is_log=False)
    assert (len(found.records), len(found.pairs)) == (60, 2_400)
    assert np.array_equal(np.unique(found.pairs[:, wire.OWNER]), np.arange(60))


def _size(content: bytes) -> bytes:
    made, number = bytearray(), len(content)
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])
