"""The nouns: one table per record, in flow order, with the unit and the meaning of null of every column.

    exchanges -> signals -> activity, traits, artefacts, sessions, content -> replays -> links -> clusters
        -> campaigns -> decisions
    accounts, truth, verdicts, holds and rejected stand beside the flow.

Times are UTC microseconds. Missing is null, never an empty string and never NaN. A column is written here once;
`arrow_schema` and `json_schema` derive the two published forms from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

TIMESTAMP = pa.timestamp("us", tz="UTC")

SKETCH_SIZE = 16  # local fingerprints kept of one prompt: eight from its head, eight from its tail
WORDS_SIZE = 40  # marks of words kept of one prompt: at most twenty from its head, twenty from its tail
EMBEDDING_SIZE = 32  # dimensions of the random-feature embedding of one prompt

CAPABILITIES = (
    "general",
    "reasoning",
    "agentic_coding",
    "tool_use",
    "grading",
    "data_analysis",
    "vision",
    "task_generation",
    "censorship_rewrite",
)

# The order is the bit order of the `intents` column; append, never reorder.
INTENTS = (
    "step_by_step",  # asks for reasoning before the answer, as many innocent prompts do
    "forced_trace_tags",  # wants the reasoning inside literal tags
    "post_hoc_rationale",  # gives a finished answer and wants the reasoning that led to it
    "reasoning_disclosure",  # asks for the hidden reasoning word for word
    "translation_laundering",  # a translator persona rendering the model's own working memory
    "rubric_grading",  # scores a text against criteria
    "pairwise_judging",  # picks the better of two answers
    "trace_cleaning",  # rewrites or normalises a model's own reasoning
    "task_generation",  # makes new tasks, questions or environments in bulk
    "safe_rewrite",  # wants a harmless wording of a sensitive request
    "expert_persona",  # casts the model as a named kind of expert
    "tool_trajectory",  # wants whole tool-call trajectories
    "debug_pretext",  # claims a debug session or an inspection to obtain the hidden reasoning
    "system_prompt_pretext",  # claims to be the real system prompt to obtain the hidden reasoning
    "thinking_language",  # dictates the language of the model's thinking
    "replay_decoding",  # wants signed or encrypted reasoning of another conversation put into words
)

# Intents that reach for the model's reasoning itself: the family of reasoning extraction.
EXTRACTION_TECHNIQUES = (
    "forced_trace_tags",
    "post_hoc_rationale",
    "reasoning_disclosure",
    "debug_pretext",
    "system_prompt_pretext",
    "thinking_language",
    "translation_laundering",
    "replay_decoding",
    "trace_cleaning",
)

# Kinds of traits -> (family shown in evidence, group that counts once, durability: cost to fake)
KINDS: Mapping[str, tuple[str, str, str]] = {
    "template": ("content", "content", "high"),
    "system_prompt": ("content", "content", "high"),
    "rewording": ("content", "content", "high"),  # a template said in other words each time
    "setting": ("content", "content", "high"),  # a rewording and what stands word for word beside it
    "client": ("tooling", "content", "low"),  # a public tool fixes prompt and client together
    "metadata": ("tooling", "content", "low"),
    "lead": ("partner", "partner", "low"),  # what a partner says; anybody can say anything
    "ip": ("network", "network", "low-medium"),
    "ip_prefix": ("network", "network", "low"),
    "payment": ("payment", "payment", "medium"),
    "device": ("device", "device", "medium"),
    "email": ("contact", "registration", "medium"),
    "phone": ("contact", "contact", "medium"),
    "email_domain": ("registration", "registration", "low"),
    "email_pattern": ("registration", "registration", "low"),
    "signup_cohort": ("registration", "registration", "low"),
    "artefact": ("artefact", "artefact", "very high"),
    "session_starts": ("timing", "timing", "high"),  # nobody holds it: lockstep is tested account by account
}
TEMPLATE_KINDS = ("template", "rewording")  # kinds whose values are template ids
LEAD_KIND = "lead"  # what a partner sent; its value is the partner's campaign
ACCESS_PROGRAMS = ("free", "paid", "education", "startup", "research", "enterprise", "partner")
VERIFICATION_LEVELS = ("none", "email", "phone", "payment", "identity", "business", "contract")
ROLES = ("operator", "compromised", "relay", "customer")
OF_CAMPAIGNS = "Some campaigns: "  # begins what a run could not judge of some campaigns, which say so too
VERDICTS = ("distillation", "coordinated", "explained", "insufficient_data")
ACCUSING = VERDICTS[:2]  # those that accuse, the graver first
DURABILITIES = ("low", "low-medium", "medium", "high", "very high")
REPLAY_READINGS = ("carried", "occasional", "published")
ACTIONS = ("observe", "verify", "throttle", "shape", "suspend")
CHECKS = ("email", "phone", "payment", "identity", "programme_documents")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, Arrow type, whether it may be null, and what it means (with its unit)."""

    name: str
    type: pa.DataType
    meaning: str
    required: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name, its grain, the columns that identify a row, and its columns in order."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


def arrow_schema(table: Table) -> pa.Schema:
    """The table as an Arrow schema; a required column is not nullable."""
    return pa.schema([pa.field(c.name, c.type, nullable=not c.required) for c in table.columns])


def json_schema(table: Table) -> dict[str, object]:
    """One row of the table as JSON Schema 2020-12; times are RFC 3339 strings."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.name,
        "description": f"One row per {table.grain}. Key: {', '.join(table.key)}.",
        "type": "object",
        "properties": {column.name: _json_property(column) for column in table.columns},
        "required": [column.name for column in table.columns if column.required],
        "additionalProperties": False,
    }


def _json_property(column: Column) -> Mapping[str, object]:
    shape = dict(_json_type(column.type))
    if column.values:
        shape["enum"] = [*column.values, *([] if column.required else [None])]
    if not column.required:
        shape["type"] = [shape["type"], "null"]
    return {**shape, "description": column.meaning}


def _json_type(kind: pa.DataType) -> Mapping[str, object]:
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        return {"type": "array", "items": _json_type(kind.value_type), "minItems": size, "maxItems": size}
    if pa.types.is_list(kind):
        return {"type": "array", "items": _json_type(kind.value_type)}
    if pa.types.is_timestamp(kind):
        return {"type": "string", "format": "date-time"}
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    if pa.types.is_floating(kind):
        return {"type": "number"}
    return {"type": "string"}


EXCHANGES = Table(
    "exchanges",
    "request and its response",
    ("exchange_id",),
    (
        Column("exchange_id", pa.string(), "unique id of the request; made from the row when the log has none", True),
        Column("started_at", TIMESTAMP, "when the request arrived", True),
        Column("account_id", pa.string(), "the principal that made and pays for it; passes unchanged", True),
        Column("organization_id", pa.string(), "organisation the account says it belongs to; passes unchanged"),
        Column("api_key_id", pa.string(), "key that signed the request; passes unchanged"),
        Column("end_user_id", pa.string(), "the account's own end user; HMAC at rest"),
        Column("session_id", pa.string(), "conversation the request belongs to"),
        Column("access_path", pa.string(), "api, web, bedrock, vertex, azure, ..."),
        Column("model", pa.string(), "model asked for", True),
        Column("client_ip", pa.string(), "address of the client; HMAC at rest"),
        Column("client_ip_prefix", pa.string(), "its /24 (IPv4) or /48 (IPv6); derived before hashing; HMAC at rest"),
        Column("user_agent", pa.string(), "client software as it names itself"),
        Column("tls_fingerprint", pa.string(), "JA4 of the client"),
        Column("system_prompt", pa.string(), "system prompt; never kept"),
        Column("prompt", pa.string(), "newest user turn; never kept"),
        Column("completion", pa.string(), "the model's answer; never kept"),
        Column("turn_count", pa.int32(), "messages in the request"),
        Column("tool_count", pa.int32(), "tools offered"),
        Column("image_count", pa.int32(), "images sent"),
        Column("input_tokens", pa.int64(), "tokens in"),
        Column("output_tokens", pa.int64(), "tokens out, reasoning included"),
        Column("reasoning_tokens", pa.int64(), "reasoning tokens out"),
        Column("finish_reason", pa.string(), "stop, length, tool_calls, content_filter, ..."),
        Column("status", pa.string(), "HTTP status, or success / failure"),
        Column("metadata", pa.string(), "free JSON the client sent; only its key names are kept"),
        Column("reasoning_issued", pa.list_(pa.string()), "opaque reasoning artefacts returned; HMAC at rest"),
        Column("reasoning_replayed", pa.list_(pa.string()), "opaque reasoning artefacts sent back; HMAC at rest"),
    ),
)

ACCOUNTS = Table(
    "accounts",
    "account",
    ("account_id",),
    (
        Column("account_id", pa.string(), "as in exchanges", True),
        Column("created_at", TIMESTAMP, "when it signed up"),
        Column("organization_id", pa.string(), "organisation it says it belongs to"),
        Column("email_domain", pa.string(), "domain of its e-mail address"),
        Column("email_pattern", pa.string(), "shape of the local part, as in a6d4; derived before hashing"),
        Column("email_hash", pa.string(), "its e-mail address; HMAC at rest"),
        Column("phone_hash", pa.string(), "its phone number; HMAC at rest"),
        Column("payment_fingerprint", pa.string(), "its payment instrument; HMAC at rest"),
        Column("device_fingerprint", pa.string(), "device it signed up from; HMAC at rest"),
        Column("signup_ip", pa.string(), "address it signed up from; HMAC at rest"),
        Column("signup_ip_prefix", pa.string(), "its /24 or /48; derived before hashing; HMAC at rest"),
        Column("signup_country", pa.string(), "carries no weight, ever; kept for fairness reports"),
        Column("access_program", pa.string(), "how it got in", values=ACCESS_PROGRAMS),
        Column("verification_level", pa.string(), "strongest check passed", values=VERIFICATION_LEVELS),
        Column("verified_at", TIMESTAMP, "when it passed that check"),
        Column("plan", pa.string(), "what it pays for"),
    ),
)

TRUTH = Table(
    "truth",
    "account of a simulated or labelled world",
    ("account_id",),
    (
        Column("account_id", pa.string(), "as in accounts", True),
        Column("is_hostile", pa.bool_(), "takes part in a distillation campaign", True),
        Column("campaign", pa.string(), "which one; null for legitimate accounts"),
        Column("role", pa.string(), "part it plays in the campaign", values=ROLES),
        Column("segment", pa.string(), "population it was drawn from", True),
        Column("controller", pa.string(), "who runs it among accounts that pose as strangers; null where nobody does"),
    ),
)

REJECTED = Table(
    "rejected",
    "input row that could not be read",
    ("file", "line"),
    (
        Column("file", pa.string(), "file it stood in", True),
        Column("line", pa.int64(), "line or row number, from 1; null when the whole file is unreadable"),
        Column("reason", pa.string(), "what was wrong, without the row's content", True),
    ),
)

# The columns of an exchange that outlive ingest: those that a later stage reads. Text is gone; identifiers are HMACs.
_KEPT = (
    "exchange_id",
    "started_at",
    "account_id",
    "organization_id",
    "session_id",
    "model",
    "client_ip",
    "client_ip_prefix",
    "user_agent",
    "tls_fingerprint",
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "finish_reason",
    "status",
    "reasoning_issued",
    "reasoning_replayed",
)

SIGNALS = Table(
    "signals",
    "exchange (wide: what is kept of the exchange, then one or more columns per signal)",
    ("exchange_id",),
    (
        *(EXCHANGES.column(name) for name in _KEPT),
        Column(
            "sketch", pa.list_(pa.int64(), SKETCH_SIZE), "local fingerprints of the prompt, 0 where there are fewer"
        ),
        Column("words", pa.list_(pa.int16(), WORDS_SIZE), "marks of words near its ends, 0 where there are fewer"),
        Column("text_id", pa.int64(), "hash of the whole normalised prompt"),
        Column("system_prompt_id", pa.int64(), "hash of the normalised system prompt"),
        Column("metadata_keys_id", pa.int64(), "hash of the sorted key names of the client's metadata"),
        Column("script", pa.string(), "writing system most of the prompt is in: latin, han, kana, ..."),
        Column("capability", pa.string(), "what the prompt would harvest", values=CAPABILITIES),
        Column("intents", pa.int64(), "bit set over INTENTS"),
        Column("embedding", pa.list_(pa.int8(), EMBEDDING_SIZE), "random features of the prompt, scaled to length 127"),
        Column("prompt_words", pa.int32(), "tokens of the prompt (words; single characters in unspaced scripts)"),
    ),
)

# What a state keeps of the exchanges: partial rollups, one per batch, that merge by GROUP BY. Traits and artefacts in
# them have a column `day` (days since 1970, UTC), so that a window of days can be cut out.
CONTENT = Table(
    "content",
    "exchange, as a state keeps it",
    ("exchange_id",),
    (
        Column("exchange_id", pa.int64(), "number of the exchange under the key; the id cannot be had back", True),
        EXCHANGES.column("account_id"),
        EXCHANGES.column("started_at"),
        EXCHANGES.column("model"),
        *(
            SIGNALS.column(name)
            for name in ("sketch", "words", "text_id", "system_prompt_id", "capability", "script", "intents")
        ),
        *(EXCHANGES.column(name) for name in ("input_tokens", "output_tokens", "reasoning_tokens")),
        *(EXCHANGES.column(name) for name in ("finish_reason", "status")),
        Column("place", pa.string(), "address range of the client, else its address; HMAC"),
        Column(
            "embedding",
            pa.list_(pa.int8(), EMBEDDING_SIZE),
            "of the prompt; null for all but eight exchanges of an account and day, chosen by number",
        ),
    ),
)

SESSIONS = Table(
    "sessions",
    "account, UTC day, and stretch of exchanges without ten minutes of silence",
    ("account_id", "first_s"),
    (
        Column("account_id", pa.string(), "as in exchanges", True),
        Column("first_s", pa.int64(), "its first exchange [s since 1970]", True),
        Column("last_s", pa.int64(), "its last exchange, on the same day [s since 1970]", True),
    ),
)

ACTIVITY = Table(
    "activity",
    "account, hour, model and capability",
    ("account_id", "hour_at", "model", "capability"),
    (
        Column("account_id", pa.string(), "as in exchanges", True),
        Column("hour_at", TIMESTAMP, "start of the hour [hour_at, +1 h)", True),
        Column("model", pa.string(), "model asked for", True),
        Column("capability", pa.string(), "null when the exchange had no prompt", values=CAPABILITIES),
        Column("exchanges", pa.int64(), "exchanges", True),
        Column("input_tokens", pa.int64(), "tokens in", True),
        Column("output_tokens", pa.int64(), "tokens out", True),
        Column("reasoning_tokens", pa.int64(), "reasoning tokens out", True),
    ),
)

TRAITS = Table(
    "traits",
    "account, kind and value",
    ("account_id", "kind", "value"),
    (
        Column("account_id", pa.string(), "who holds it", True),
        Column("kind", pa.string(), "template, system_prompt, ip, ip_prefix, client, payment, device, ...", True),
        Column("value", pa.string(), "hashed value, the same for all holders", True),
        Column("exchanges", pa.int64(), "exchanges that show it; 0 for a trait of the account itself", True),
        Column("first_seen_at", TIMESTAMP, "earliest of them"),
        Column("last_seen_at", TIMESTAMP, "latest of them"),
    ),
)

ARTEFACTS = Table(
    "artefacts",
    "artefact, account, and whether it was issued or sent back",
    ("artefact", "account_id", "is_issued"),
    (
        Column("artefact", pa.string(), "opaque reasoning artefact; HMAC", True),
        Column("account_id", pa.string(), "who was handed it, or sent it back", True),
        Column("is_issued", pa.bool_(), "the model handed it out; false: the account sent it back", True),
        Column("organization_id", pa.string(), "organisation the exchanges name; the first by name of several"),
        Column("exchanges", pa.int64(), "exchanges", True),
        Column("first_at", TIMESTAMP, "earliest of them", True),
        Column("last_at", TIMESTAMP, "latest of them", True),
    ),
)

REPLAYS = Table(
    "replays",
    "artefact and account that sent it back without its owner ever having been issued it",
    ("artefact", "account_id"),
    (
        Column("artefact", pa.string(), "opaque reasoning artefact; HMAC", True),
        Column("origin_account_id", pa.string(), "who was issued it; else who sent it back first", True),
        Column("was_issued", pa.bool_(), "false: it was issued before these logs begin", True),
        Column("account_id", pa.string(), "account of another owner that sent it back", True),
        Column("exchanges", pa.int64(), "exchanges in which it did", True),
        Column("first_at", TIMESTAMP, "earliest of them", True),
        Column("last_at", TIMESTAMP, "latest of them", True),
        Column(
            "reading",
            pa.string(),
            "carried: evidence; occasional: a conversation somebody showed to it; published: a transcript that went "
            "round",
            True,
            REPLAY_READINGS,
        ),
    ),
)

LINKS = Table(
    "links",
    "account and trait that passed validation",
    ("account_id", "kind", "value"),
    (
        Column("account_id", pa.string(), "who holds it", True),
        Column("kind", pa.string(), "kind of trait", True),
        Column("family", pa.string(), "kinds that move together and share one weight", True),
        Column("value", pa.string(), "hashed value", True),
        Column("account_count", pa.int64(), "accounts that hold the value", True),
        Column("weight_bits", pa.float64(), "log2 of how far sharing it speaks for common control", True),
        Column("durability", pa.string(), "cost to fake", True, DURABILITIES),
    ),
)

CLUSTERS = Table(
    "clusters",
    "account that is a member of a cluster",
    ("account_id",),
    (
        Column("account_id", pa.string(), "member", True),
        Column("cluster_id", pa.int64(), "cluster, numbered from 0 in this run only", True),
        Column("membership_bits", pa.float64(), "evidence that ties it to the rest, summed over families", True),
        Column("families", pa.int32(), "independent families among that evidence", True),
    ),
)

ACCOUNT_VERDICTS = Table(
    "account_verdicts",
    "account in a campaign",
    ("account_id",),
    (
        Column("account_id", pa.string(), "the account", True),
        Column("campaign_id", pa.string(), "campaign it belongs to", True),
        Column("verdict", pa.string(), "verdict of the campaign, not of the account", True, VERDICTS),
        Column("probability", pa.float64(), "of the campaign; null when nothing calibrates it"),
        Column("decision", pa.string(), "recommended, in shadow; null when the policy says nothing", values=ACTIONS),
        Column("check", pa.string(), "which verification, when the decision is verify", values=CHECKS),
        Column("reason", pa.string(), "why, in words"),
    ),
)

SEEN = Table(
    "seen",
    "account in the logs of a scan",
    ("account_id",),
    (
        Column("account_id", pa.string(), "the account", True),
        Column("exchanges", pa.int64(), "exchanges it made", True),
        Column("first_seen_at", TIMESTAMP, "start of the hour of the earliest", True),
        Column("last_seen_at", TIMESTAMP, "start of the hour of the latest", True),
        Column(
            "bearing_exchanges",
            pa.int64(),
            "those with a template or system prompt that more members of its campaign than strangers send; "
            "null outside campaigns, and in one that has none",
        ),
        Column("is_verified_organisation", pa.bool_(), "a verified organisation answers for it", True),
    ),
)

VERDICT_RECORDS = Table(
    "verdicts",
    "analyst's verdict; the newest of a subject counts",
    ("subject", "decided_at"),
    (
        Column("subject", pa.string(), "account_id or campaign_id", True),
        Column("subject_kind", pa.string(), "what the subject is", True, ("account", "campaign")),
        Column("verdict", pa.string(), "what the analyst found", True, ("guilty", "innocent")),
        Column("because", pa.string(), "grounds, in words", True),
        Column("author", pa.string(), "who decided", True),
        Column("decided_at", TIMESTAMP, "when", True),
    ),
)

HOLDS = Table(
    "holds",
    "account under legal hold",
    ("account_id",),
    (
        Column("account_id", pa.string(), "whose data may not be erased", True),
        Column("reason", pa.string(), "matter that requires it", True),
        Column("until", pa.string(), "last day of the hold, YYYY-MM-DD; null is open-ended"),
    ),
)

LEADS = Table(
    "leads",
    "value that a partner says a campaign of its own bears: a lead, never proof",
    ("lead_id", "value"),
    (
        Column("lead_id", pa.string(), "STIX id of the indicator", True),
        Column("sender", pa.string(), "STIX id of the identity that made it", True),
        Column("campaign_ref", pa.string(), "STIX id of the campaign it indicates", True),
        Column("sender_verdict", pa.string(), "what the sender says of that campaign; null: nothing", values=VERDICTS),
        Column("kind", pa.string(), "wording or item (keyed by the group), else a kind of trait", True),
        Column("value", pa.string(), "the value, keyed or hashed: 16 to 64 hexadecimal digits, or a JA4", True),
        Column("group_id", pa.string(), "sharing group whose key it is under; null for other values"),
        Column("epoch", pa.int64(), "epoch of that key; null for other values"),
        Column("key_id", pa.string(), "deployment key of an HMAC; null for other values"),
        Column(
            "precision",
            pa.float64(),
            "share of this sender's leads that proved right here, (right + 1) / (n + 2)",
            True,
        ),
        Column("valid_from", TIMESTAMP, "from when it may be used", True),
        Column("valid_until", TIMESTAMP, "from when it may not be used any more", True),
        Column("received_at", TIMESTAMP, "when it came in", True),
    ),
)

LEAD_MATCHES = Table(
    "lead_matches",
    "lead and campaign of ours that bears it",
    ("lead_id", "campaign_id"),
    (
        Column("lead_id", pa.string(), "STIX id of the indicator", True),
        Column("sender", pa.string(), "STIX id of the identity that made it", True),
        Column("campaign_id", pa.string(), "campaign of ours; null for accounts in none"),
        Column("verdict", pa.string(), "its verdict; null for accounts in none", values=VERDICTS),
        Column("accounts", pa.int64(), "accounts that bear it", True),
        Column("exchanges", pa.int64(), "their exchanges that do", True),
        Column("first_seen_at", TIMESTAMP, "start of the hour of the earliest", True),
        Column("last_seen_at", TIMESTAMP, "start of the hour of the latest", True),
    ),
)

TABLES = (
    EXCHANGES,
    ACCOUNTS,
    TRUTH,
    REJECTED,
    SIGNALS,
    CONTENT,
    SESSIONS,
    ACTIVITY,
    TRAITS,
    ARTEFACTS,
    REPLAYS,
    LINKS,
    CLUSTERS,
    ACCOUNT_VERDICTS,
    SEEN,
    VERDICT_RECORDS,
    HOLDS,
    LEADS,
    LEAD_MATCHES,
)
