"""Settings of the service: one TOML file, each value of which an environment variable can replace.

A value `every_s` under `[detection]` is replaced by STILLWATCH_DETECTION_EVERY_S. Unknown names are refused, so that a
misspelt switch is never silently off.
"""

import importlib.util
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from stillwatch.errors import SettingsError
from stillwatch.records import ACTIONS

PREFIX = "STILLWATCH_"
DETECTIONS = "detections"  # folder of the state in which detections write, and read what the last one left
MAX_PORT = 65_535
FILES_BESIDE = 500  # that a process has open beside connections: journal, state, database, libraries
TOKEN_CHARS = 20  # of a token that is given in the settings
MOST_OFFERED = 1_000_000  # identifiers of one set: what a session keeps of it fits a value of either database
_PLACE = re.compile(r"(header|bearer_sha256):[A-Za-z0-9_-]+|metadata:[\w.-]+:[\w.-]+")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the service listens; `grpc_port` 0 means no gRPC. `metrics_token` may read /metrics, as an admin may.

    The head of a request has `header_timeout_s` to come, and a client `read_timeout_s` to go on reading its answer.
    More than `max_connections`, or of one address more than `max_connections_per_address`, are turned away.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 0
    metrics_token: str = field(default="", repr=False)
    header_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    max_connections: int = 4_000
    max_connections_per_address: int = 1_000


def files_wanted(listening: Listening) -> int:
    """Files that a process must be allowed to open: a connection is one, of gRPC too, and the rest of it has some."""
    return FILES_BESIDE + listening.max_connections * (2 if listening.grpc_port else 1)


@dataclass(frozen=True, slots=True)
class Storing:
    """Where the service keeps what it knows: rollups in a folder, records in a database (SQLite in it by default)."""

    state: Path = Path("stillwatch-state")
    database: str = field(default="", repr=False)

    @property
    def database_url(self) -> str:
        """The database as SQLAlchemy names it."""
        return self.database or f"sqlite:///{self.state / 'records.db'}"


@dataclass(frozen=True, slots=True)
class Taking:
    """How traffic is taken in: limits in bytes, times in seconds, folders to watch, and a topic of Kafka to follow.

    A place to watch may be a prefix of an object store, `s3://BUCKET/PREFIX`. `kafka_options` are librdkafka's own.
    """

    max_body_bytes: int = 64 << 20
    max_pending_bytes: int = 256 << 20
    fold_every_s: float = 10.0
    body_timeout_s: float = 30.0
    watch: tuple[str, ...] = ()
    kafka_servers: str = ""
    kafka_topic: str = ""
    kafka_group: str = "stillwatch"
    kafka_format: str = ""
    kafka_options: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Detecting:
    """How often and over how many days campaigns are looked for; a detection that takes longer is ended."""

    every_s: float = 300.0
    at_most_s: float = 3600.0
    window_days: int = 30
    memory_limit: str = "4GB"
    threads: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Deciding:
    """Which policy decides, and which actions are live; every action that is not named here is in shadow."""

    policy: str = ""
    live: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checking:
    """How gateways that ask are answered: where a request says its account, and what an unverified account gets.

    `account` is read in order: `header:NAME`, `bearer_sha256:HEADER` (hash of a bearer token),
    `metadata:FILTER:KEY.KEY` (Envoy over gRPC). `verify` is `refuse` or `tell`. So many `processes` of the service
    share the rate of a throttled account.
    """

    account: tuple[str, ...] = ("header:x-account-id",)
    verify: str = "refuse"
    verify_url: str = ""
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told of new and growing campaigns, and of verifications: webhooks (secret after a space) and mail."""

    webhooks: tuple[str, ...] = field(default=(), repr=False)
    smtp: str = ""
    mail_user: str = ""
    mail_password: str = field(default="", repr=False)
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    allow_private_addresses: bool = False


@dataclass(frozen=True, slots=True)
class Verifying:
    """Where customers are sent to be verified, and the secrets of whoever sends the results."""

    start_url: str = ""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SigningIn:
    """The identity provider whose tokens are accepted beside API keys; no issuer means none."""

    issuer: str = ""
    audience: str = "stillwatch"
    roles_claim: str = "roles"


@dataclass(frozen=True, slots=True)
class Releasing:
    """Who may be sent what (a TOML file), and the folder of sharing groups; beside the key when empty."""

    recipients: str = ""
    groups: str = ""


@dataclass(frozen=True, slots=True)
class Pulling:
    """From whom indicators are pulled (a TOML file of peers; empty, from nobody), and how often.

    With `feedback` senders are told what became of their leads; `feedback_approver` answers for all of it, empty: each
    waits for a person.
    """

    peers: str = ""
    every_s: float = 300.0
    feedback: bool = False
    feedback_approver: str = ""


@dataclass(frozen=True, slots=True)
class Matching:
    """Private matching: what a partner may put in a day (UTC), how large our sets may be, how long a session lasts."""

    inputs_a_day: int = 10_000
    sessions_a_day: int = 20
    open_sessions: int = 2
    session_s: int = 900
    most_offered: int = 100_000
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long each class of data is kept, in days; 0 means for ever."""

    rollups_days: int = 180
    decisions_days: int = 730
    accounts_days: int = 730
    sharing_days: int = 180
    audit_days: int = 0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything the service may be told."""

    server: Listening = field(default_factory=Listening)
    storage: Storing = field(default_factory=Storing)
    intake: Taking = field(default_factory=Taking)
    detection: Detecting = field(default_factory=Detecting)
    decisions: Deciding = field(default_factory=Deciding)
    gateways: Checking = field(default_factory=Checking)
    alerts: Telling = field(default_factory=Telling)
    verification: Verifying = field(default_factory=Verifying)
    oidc: SigningIn = field(default_factory=SigningIn)
    sharing: Releasing = field(default_factory=Releasing)
    partners: Pulling = field(default_factory=Pulling)
    retention: Keeping = field(default_factory=Keeping)
    matching: Matching = field(default_factory=Matching)


def load_server_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> ServerSettings:
    """The settings of a file (none: defaults), with what the environment replaces.

    Raises:
        SettingsError: the file cannot be read, a name is unknown, or a value has the wrong type.
    """
    told = _told(path)
    sections = {section.name: section for section in fields(ServerSettings)}
    unknown = sorted(set(told) - set(sections))
    if unknown:
        raise SettingsError(f"{path}: no such section: {', '.join(unknown)}. There are: {', '.join(sections)}.")
    built = {name: _section(name, told.get(name, {}), path, environment) for name in sections}
    return _checked(ServerSettings(**built))


def _told(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}. Name a TOML file with --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def _section(name: str, told: Any, path: Path | None, environment: Mapping[str, str]) -> Any:
    kind = get_type_hints(ServerSettings)[name]
    if not isinstance(told, dict):
        raise SettingsError(f"{path}: {name} is a section: write [{name}] and its values below it.")
    known = {entry.name: entry for entry in fields(kind)}
    unknown = sorted(set(told) - set(known))
    if unknown:
        raise SettingsError(f"{path}, [{name}]: no such setting: {', '.join(unknown)}. There are: {', '.join(known)}.")
    values = {}
    for entry in known.values():
        variable = f"{PREFIX}{name}_{entry.name}".upper()
        wanted = get_type_hints(kind)[entry.name]
        if variable in environment:
            values[entry.name] = _converted(environment[variable], wanted, variable)
        elif entry.name in told:
            values[entry.name] = _converted(told[entry.name], wanted, f"{path}, [{name}] {entry.name}")
        else:
            values[entry.name] = _default(entry)
    return kind(**values)


def _default(entry: "Field[Any]") -> Any:
    return entry.default if entry.default is not MISSING else None


def _converted(value: Any, wanted: Any, where: str) -> Any:
    """The value as the type that is wanted; texts of the environment are read, anything else must fit."""
    if get_origin(wanted) is tuple:
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, get_args(wanted)[0]) for item in items):
            raise SettingsError(f"{where}: give a list of texts")
        return tuple(items)
    if wanted is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, bool):
            raise SettingsError(f"{where}: give true or false")
        return value
    try:
        if isinstance(value, bool) or (wanted is int and isinstance(value, float)):
            raise ValueError
        return wanted(value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {value!r} is no {wanted.__name__}") from error


def _checked(settings: ServerSettings) -> ServerSettings:
    wrong = sorted(set(settings.decisions.live) - set(ACTIONS))
    if wrong:
        raise SettingsError(f"[decisions] live: no such action: {', '.join(wrong)}. There are: {', '.join(ACTIONS)}.")
    _check_gateways(settings.gateways)
    _check_kafka(settings.intake)
    for name, value in (
        ("detection.every_s", settings.detection.every_s),
        ("detection.at_most_s", settings.detection.at_most_s),
        ("intake.fold_every_s", settings.intake.fold_every_s),
        ("partners.every_s", settings.partners.every_s),
        ("server.header_timeout_s", settings.server.header_timeout_s),
        ("server.read_timeout_s", settings.server.read_timeout_s),
    ):
        if value <= 0:
            raise SettingsError(f"{name} {value}: give a number of seconds above 0")
    if settings.partners.feedback_approver and not settings.partners.feedback:
        raise SettingsError("partners.feedback_approver answers for what nobody sends: set partners.feedback too")
    for name in ("max_connections", "max_connections_per_address"):
        if (most := getattr(settings.server, name)) < 1:
            raise SettingsError(f"server.{name} {most}: give at least 1")
    for name, port in (("server.port", settings.server.port), ("server.grpc_port", settings.server.grpc_port)):
        if not 0 <= port <= MAX_PORT:
            raise SettingsError(f"{name} {port}: give a port from 0 to {MAX_PORT}")
    issuer, token = settings.oidc.issuer, settings.server.metrics_token
    if issuer and not re.match(r"https://[^/?#]|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", issuer):
        raise SettingsError(f"oidc.issuer {issuer}: give an https:// address; http:// only on this machine")
    if token and len(token) < TOKEN_CHARS:
        raise SettingsError(f"server.metrics_token: give at least {TOKEN_CHARS} characters, random ones")
    _check_matching(settings.matching)
    if settings.detection.window_days < 1:
        raise SettingsError(f"detection.window_days {settings.detection.window_days}: give at least 1")
    return settings


def _check_matching(matching: Matching) -> None:
    for name in ("inputs_a_day", "sessions_a_day", "open_sessions"):
        if getattr(matching, name) < 0:
            raise SettingsError(f"[matching] {name}: give 0 or more; 0 lets nobody match")
    if min(matching.session_s, matching.threads) < 1 or not 1 <= matching.most_offered <= MOST_OFFERED:
        raise SettingsError(f"[matching] session_s, threads: give 1 or more; most_offered: give 1 to {MOST_OFFERED:,}")


def _check_kafka(intake: Taking) -> None:
    if not intake.kafka_servers and not intake.kafka_topic:
        return
    if not (intake.kafka_servers and intake.kafka_topic and intake.kafka_group):
        raise SettingsError("[intake] Kafka: give kafka_servers, kafka_topic and kafka_group, or none of them")
    if not all(re.match(r"[\w.]+=", option) for option in intake.kafka_options):
        raise SettingsError("[intake] kafka_options: write each as NAME=VALUE, as librdkafka names them")
    if importlib.util.find_spec("confluent_kafka") is None:
        raise SettingsError("[intake] kafka_servers needs confluent-kafka: pip install 'stillwatch[kafka]'")


def _check_gateways(gateways: Checking) -> None:
    wrong = [place for place in gateways.account if not _PLACE.fullmatch(place)]
    if wrong or not gateways.account:
        raise SettingsError(
            f"[gateways] account: {', '.join(wrong) or 'nothing'}: give header:NAME, bearer_sha256:HEADER or"
            " metadata:FILTER:KEY.KEY"
        )
    if gateways.verify not in ("refuse", "tell"):
        raise SettingsError(f"[gateways] verify {gateways.verify!r}: give refuse or tell")
    if gateways.processes < 1:
        raise SettingsError(f"[gateways] processes {gateways.processes}: give at least 1")
