"""Bodies of every kind that say the same, and what became of them."""

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from tests.ingest import otlp_bytes
from tests.server.conftest import NOON

from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.server import Service
from stillwatch.server.journal import Frame, frames

Row = dict[str, Any]
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


def rows(count: int, *, first: int = 0, at: datetime = NOON) -> list[Row]:
    """Exchanges in our own columns."""
    return [
        {
            "exchange_id": f"{number:032x}:{number:016x}",
            "started_at": (at - timedelta(seconds=count - number)).isoformat(),
            "account_id": f"acct-{number % 7}",
            "model": "large",
            "client_ip": f"198.51.100.{number % 9}",
            "prompt": f"Say step by step how thing {number} of the list is done, and why it is done like that.",
            "input_tokens": number % 50,
        }
        for number in range(first, first + count)
    ]


def lines(told: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in told)


def arrow(told: list[Row], **options: Any) -> bytes:
    schema = arrow_schema(EXCHANGES)
    columns = {name: [row.get(name) for row in told] for name in told[0]}
    columns["started_at"] = [datetime.fromisoformat(cell) for cell in columns["started_at"]]
    table = pa.table(columns, schema=pa.schema([schema.field(name).with_nullable(True) for name in columns]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _attribute(name: str, cell: Any) -> Row:
    kind = "intValue" if isinstance(cell, int) else "stringValue"
    return {"key": name, "value": {kind: str(cell)}}


def _attributes(row: Row) -> list[Row]:
    prompt = [{"role": "user", "parts": [{"type": "text", "content": row["prompt"]}]}]
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": row["model"],
        "llm.account.id": row["account_id"],
        "client.address": row["client_ip"],
        "gen_ai.usage.input_tokens": row["input_tokens"],
        "gen_ai.input.messages": json.dumps(prompt),
    }
    return [_attribute(name, cell) for name, cell in told.items() if cell is not None]


def _nanos(row: Row) -> str:
    return str(int(datetime.fromisoformat(row["started_at"]).timestamp() * 1_000_000) * 1_000)


def _ids(row: Row) -> Row:
    trace, _, span = row["exchange_id"].partition(":")
    return {"traceId": trace, "spanId": span}


def spans(told: list[Row]) -> Row:
    made = [{**_ids(row), "startTimeUnixNano": _nanos(row), "attributes": _attributes(row)} for row in told]
    return {"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}


def log_records(told: list[Row]) -> Row:
    made = [{**_ids(row), "timeUnixNano": _nanos(row), "attributes": _attributes(row)} for row in told]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": made}]}]}


def payloads(told: list[Row]) -> list[Row]:
    """The same as LiteLLM posts them."""
    return [
        {
            "id": row["exchange_id"],
            "call_type": "acompletion",
            "startTime": datetime.fromisoformat(row["started_at"]).timestamp(),
            "model": row["model"],
            "messages": [{"role": "user", "content": row["prompt"]}],
            "prompt_tokens": row["input_tokens"],
            "metadata": {"user_api_key_hash": row["account_id"]},
            "requester_ip_address": row["client_ip"],
        }
        for row in told
    ]


def every_kind(told: list[Row]) -> dict[str, tuple[str, dict[str, str], bytes]]:
    """Route, headers and body of every kind of body that says this."""
    return {
        "spans in protobuf": ("/v1/traces", PROTOBUF, otlp_bytes.request(spans(told))),
        "spans in JSON": ("/v1/traces", JSON, json.dumps(spans(told)).encode()),
        "log records in protobuf": ("/v1/logs", PROTOBUF, otlp_bytes.request(log_records(told))),
        "log records in JSON": ("/v1/logs", JSON, json.dumps(log_records(told)).encode()),
        "LiteLLM array": ("/v1/litellm", JSON, json.dumps(payloads(told)).encode()),
        "LiteLLM lines": ("/v1/litellm", JSON, lines(payloads(told))),
        "lines": ("/v1/exchanges", {"Content-Type": "application/x-ndjson"}, lines(told)),
        "Arrow": ("/v1/exchanges", ARROW, arrow(told)),
    }


def journaled(service: Service) -> list[Frame]:
    """What the journal holds, in order."""
    return [frame for path in sorted(service.journal.folder.glob("*.segment")) for frame in frames(path)]


def signals(service: Service) -> list[Row]:
    """The rows of the journal."""
    return [row for frame in journaled(service) for row in frame.signals.to_pylist()]
