"""The check over gRPC: Envoy's `envoy.service.auth.v3.Authorization`, in a thread with an event loop of its own.

Bounds: connections as over HTTP, but without a share for each address, which gRPC does not offer; a connection says
        hello within `header_timeout_s`, answers pings, and is closed when nothing was asked for `IDLE_S`; questions at
        once and their size. Beyond that a question is refused as RESOURCE_EXHAUSTED: Envoy's failure mode decides.
Source: envoy/service/auth/v3/external_auth.proto, as of Envoy 1.40.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3 import http_status_pb2

from stillwatch.errors import SettingsError
from stillwatch.server.gateways.checks import KEY_HEADER, Answer, Asked, checked

_FOR_CLIENTS = frozenset({"content-type", "retry-after", "x-stillwatch-check"})
_GRACE_S = 5.0  # for answers under way when the service stops
IDLE_S = 300.0  # Envoy connects anew when it asks again
PING_S = 30.0  # after which a silent connection must show that it lives, and as long to do so
MOST_BYTES = 1 << 20  # of a question: headers and metadata; no configuration of ours sends the body
MOST_AT_ONCE = 1_000  # questions under way; each takes milliseconds


class Authorization(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers Envoy."""

    def __init__(self, service: Any) -> None:
        """Over what the service holds."""
        self._service = service

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  # the name in the protocol
        """Whether to serve a request; UNAVAILABLE when we cannot tell, so that Envoy's failure mode decides."""
        told = dict(context.invocation_metadata() or ())
        answer = await checked(self._service, _asked(request), key=str(told.get(KEY_HEADER, "")))
        if answer.status == 503:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "nothing is known: let the request pass")
        return _served(answer) if answer.status == 200 else _refused(answer)


@contextmanager
def running(service: Any) -> Iterator[int]:
    """Answer Envoy over gRPC for as long as this is held, where the settings name a port; the port, 0 for none.

    Raises:
        SettingsError: the port cannot be used.
    """
    settings = service.settings.server
    if settings.grpc_port == 0:
        yield 0
        return
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    with listening(service, f"{host}:{settings.grpc_port}") as port:
        yield port


@contextmanager
def listening(service: Any, address: str) -> Iterator[int]:
    """Answer Envoy at an address, whose port may be 0 for any; the port.

    Raises:
        SettingsError: nothing can listen there.
    """
    bound: Future[int] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(service, address, bound, stop)), name="grpc", daemon=True
    )
    thread.start()
    try:
        yield bound.result()
    finally:
        if not loop.is_closed() and thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join(2 * _GRACE_S)
        loop.close()


async def _serve(service: Any, address: str, bound: "Future[int]", stop: asyncio.Event) -> None:
    try:
        server = grpc.aio.server(options=_options(service.settings.server), maximum_concurrent_rpcs=MOST_AT_ONCE)
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(service), server)
        port = server.add_insecure_port(address)
        await server.start()
    except RuntimeError as error:
        bound.set_exception(SettingsError(f"[server] grpc_port: nothing can listen on {address}: {error}"))
        return
    bound.set_result(port)
    await stop.wait()
    await server.stop(_GRACE_S)


def _options(settings: Any) -> list[tuple[str, int]]:
    """The bounds of a connection, as gRPC names them."""
    return [
        ("grpc.so_reuseport", 0),  # a port in use is told, not shared
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", round(1e3 * settings.header_timeout_s)),
        ("grpc.max_connection_idle_ms", round(1e3 * IDLE_S)),
        ("grpc.keepalive_time_ms", round(1e3 * PING_S)),
        ("grpc.keepalive_timeout_ms", round(1e3 * PING_S)),
        ("grpc.max_concurrent_streams", MOST_AT_ONCE),
        ("grpc.max_receive_message_length", MOST_BYTES),
    ]


def _asked(request: Any) -> Asked:
    """The parts of Envoy's question that say who asks: headers, and what its own filters found out."""
    attributes = request.attributes
    headers: Mapping[str, str] = attributes.request.http.headers
    listed = attributes.request.http.header_map.headers  # in place of `headers`, where Envoy is told to
    several = {each.key: each.value or each.raw_value.decode("latin-1") for each in listed}

    def metadata(name: str, path: str) -> str:
        held = attributes.metadata_context.filter_metadata
        fields = held[name].fields if name in held else {}
        *outer, last = path.split(".")
        for key in outer:
            fields = fields[key].struct_value.fields if key in fields else {}
        return fields[last].string_value if last in fields else ""

    return Asked(lambda name: headers.get(name, "") or several.get(name, ""), metadata)


def _served(answer: Answer) -> Any:
    response = external_auth_pb2.CheckResponse(
        ok_response=external_auth_pb2.OkHttpResponse(headers=_headers(answer.headers))
    )
    response.status.code = grpc.StatusCode.OK.value[0]
    response.dynamic_metadata.update(_metadata(answer))
    return response


def _refused(answer: Answer) -> Any:
    response = external_auth_pb2.CheckResponse(
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=http_status_pb2.HttpStatus(code=answer.status),
            headers=_headers({name: value for name, value in answer.headers.items() if name in _FOR_CLIENTS}),
            body=answer.body.decode(),
        )
    )
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if answer.status == 429 else grpc.StatusCode.PERMISSION_DENIED
    response.status.code = code.value[0]
    response.dynamic_metadata.update(_metadata(answer))
    return response


def _headers(told: Mapping[str, str]) -> list[Any]:
    overwrite = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return [
        base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value), append_action=overwrite)
        for name, value in told.items()
    ]


def _metadata(answer: Answer) -> dict[str, str]:
    """What later filters and the access log may read, under envoy.filters.http.ext_authz."""
    start = "x-stillwatch-"
    return {n.removeprefix(start).replace("-", "_"): v for n, v in answer.headers.items() if n.startswith(start)}
