"""A model server that thinks aloud, in chat completions, responses and messages, and remembers what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

THOUGHT = "First I notice a secret step. Then I draw the conclusion."
ANSWER = "It is forty-two."
SIGNATURE = "c2lnbmVkIHNlY3JldA=="
PROBABLE = {"content": [{"token": "It", "logprob": -0.01, "bytes": [73, 116], "top_logprobs": []}], "refusal": None}
USAGE = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}
Json = dict[str, Any]


def _chat(body: Json) -> Json:
    message = {"role": "assistant", "content": ANSWER, "reasoning_content": THOUGHT}
    choice = {"index": 0, "message": message, "logprobs": PROBABLE, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**head, "choices": [choice], "usage": USAGE}


def _chat_events(body: Json) -> Iterator[tuple[str, Json]]:
    deltas: list[Json] = [{"role": "assistant", "reasoning_content": THOUGHT[:20]}, {"reasoning_content": THOUGHT[20:]}]
    deltas += [{"content": ANSWER[:5]}, {"content": ANSWER[5:]}, {}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    for delta in deltas:
        ends = None if delta else "stop"
        probable = PROBABLE if "content" in delta else None
        yield "", {**head, "choices": [{"index": 0, "delta": delta, "logprobs": probable, "finish_reason": ends}]}


def _thought_item() -> Json:
    summary = [{"type": "summary_text", "text": THOUGHT}]
    return {
        "id": "rs_1",
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": SIGNATURE,
        "status": "completed",
    }


def _answer_item() -> Json:
    part = {"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": PROBABLE["content"]}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _response(body: Json) -> Json:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"]}
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}, "error": None}
    usage = {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 4}}
    return {**head, **settings, "output": [_thought_item(), _answer_item()], "usage": {**usage, **details}}


def _response_events(body: Json) -> Iterator[tuple[str, Json]]:
    done = _response(body)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    text = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    thought = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**_thought_item(), "summary": []}},
        {"type": "response.reasoning_summary_text.delta", **thought, "delta": THOUGHT},
        {"type": "response.reasoning_summary_text.done", **thought, "text": THOUGHT},
        {"type": "response.output_item.done", "output_index": 0, "item": _thought_item()},
        {"type": "response.output_item.added", "output_index": 1, "item": {**_answer_item(), "content": []}},
        {"type": "response.output_text.delta", **text, "delta": ANSWER, "logprobs": PROBABLE["content"]},
        {"type": "response.output_text.done", **text, "text": ANSWER, "logprobs": PROBABLE["content"]},
        {"type": "response.output_item.done", "output_index": 1, "item": _answer_item()},
        {"type": "response.completed", "response": done},
    ]
    for number, event in enumerate(events):
        yield event["type"], {**event, "sequence_number": number}


def _message(body: Json) -> Json:
    content = [{"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}, {"type": "text", "text": ANSWER}]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    usage = {"input_tokens": 5, "output_tokens": 9}
    return {**head, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def _message_events(body: Json) -> Iterator[tuple[str, Json]]:
    whole = _message(body)
    events: list[Json] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    blocks = (
        ({"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": THOUGHT}),
        ({"type": "text", "text": ""}, {"type": "text_delta", "text": ANSWER}),
    )
    for index, (block, delta) in enumerate(blocks):
        events += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_delta", "index": index, "delta": delta},
        ]
        if index == 0:
            signed = {"type": "signature_delta", "signature": SIGNATURE}
            events.append({"type": "content_block_delta", "index": index, "delta": signed})
        events.append({"type": "content_block_stop", "index": index})
    ends = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": ends, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]
    for event in events:
        yield event["type"], event


_ANSWERS = {
    "/chat/completions": (_chat, _chat_events),
    "/responses": (_response, _response_events),
    "/messages": (_message, _message_events),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sent: list[Json]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.sent.append(body)
        whole, events = next(how for path, how in _ANSWERS.items() if self.path.endswith(path))
        if not body.get("stream"):
            self._reply("application/json", json.dumps(whole(body)).encode())
            return
        frames = [f"event: {name}\n" * bool(name) + f"data: {json.dumps(event)}\n\n" for name, event in events(body)]
        done = "data: [DONE]\n\n" if whole is _chat else ""
        self._reply("text/event-stream", ("".join(frames) + done).encode())

    def _reply(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


@contextmanager
def running() -> Iterator[tuple[int, list[Json]]]:
    """The server's port, and the bodies it is sent."""
    sent: list[Json] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"sent": sent}))
    server.daemon_threads, server.block_on_close = True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port, sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
