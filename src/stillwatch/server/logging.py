"""Structured logs that can hold no secret: only known fields pass, and what libraries say loses its values.

One JSON object a line, or coloured text on a terminal. A field that is not in FIELDS is left out and its name is told
in `left_out`, so that prompt text, keys and headers need somebody to allow them before they can reach a log.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from stillwatch.errors import StillwatchError

# Names of fields that may stand in a log line. Counts, times, ids of our own and words of our own; never what a
# request held, and no account id.
FIELDS = frozenset(
    re.findall(
        r"\w+",
        """event level logger timestamp left_out kind where reason job seconds method route status principal count bytes
        source batch_id exchanges accounts campaigns decisions rejected duplicates pending campaign_id decision_id
        verification_id action mode state policy_name revision was database host port version settings queue attempts
        check window_days rows table days url_host key_id hold_id age_s folder connections
        number outcome peer segment segments file was_known message_id target""",
    )
)
MAX_CHARS = 500  # of one value
SECRETS = re.compile(
    r"sw_[0-9a-f]{12}_[\w-]+|whsec_[\w+/=-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:bearer|basic)\s+[\w.~+/=-]{8,}"
    r"|(?<=://)[^/@\s]+:[^/@\s]+(?=@)"
)
_OWN_OUTPUT = ("uvicorn", "uvicorn.error", "uvicorn.access")  # print by themselves wherever somebody configured uvicorn
# Tells of itself whenever somebody asks for the revision, as every look at /readyz does; we tell of a step ourselves.
_TOO_LOUD = "alembic.runtime.migration"
_KEPT_LIBRARIES = ("uvicorn", "alembic", "grpc")  # their messages name no request; of others only the logger is told


def set_up(stream: TextIO | None = None, *, as_json: bool | None = None) -> None:
    """Send every log line of this process, of libraries too, to the stream (standard error) in one form."""
    stream = stream or sys.stderr
    as_json = not stream.isatty() if as_json is None else as_json
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, library_line],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, known_only, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger(_TOO_LOUD).setLevel(logging.WARNING)
    for name in _OWN_OUTPUT:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )


def known_only(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line with the fields of FIELDS, short and without anything that looks like a secret."""
    told = {name: _harmless(value) for name, value in line.items() if name in FIELDS}
    unknown = sorted(name for name in line if name not in FIELDS and not name.startswith("_"))
    return {**told, "left_out": " ".join(unknown)} if unknown else told


def library_line(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a library logs, without what an exception says or the message of one that may quote a request."""
    told: dict[str, Any] = {name: line[name] for name in ("level", "timestamp", "logger", "_record", "_from_structlog")}
    told["logger"] = told["logger"].removesuffix(".error")  # uvicorn's name for what it says about itself
    record: logging.LogRecord = line["_record"]
    keeps = record.name.split(".")[0] in _KEPT_LIBRARIES
    told["event"] = line["event"] if keeps else f"message of {record.name}"
    error = record.exc_info[1] if record.exc_info else None
    record.exc_info = record.exc_text = None  # a formatter would print the stack, and with it what was said
    return {**told, **(failure(error) if error is not None else {})}


def failure(error: BaseException) -> dict[str, str]:
    """An exception as fields of a log line: its kind and place; what it says only when the words are ours."""
    told = {"kind": type(error).__name__, "where": _place(error.__traceback__)}
    return {**told, "reason": str(error)} if isinstance(error, StillwatchError) else told


def _place(trace: TracebackType | None) -> str:
    """The file and line that raised it."""
    place = "unknown"
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _harmless(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = SECRETS.sub("***", str(value))
    return text if len(text) <= MAX_CHARS else text[:MAX_CHARS] + "…"
