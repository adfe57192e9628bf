"""What the service counts about itself, as Prometheus objects that every part imports."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DETECTIONS_S = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

# Requests: the route as it is declared, never the path, which may hold the id of an account.
requests = Counter("stillwatch_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY)
request_seconds = Histogram(
    "stillwatch_request_seconds", "Time to answer a request.", ["route"], buckets=_LATENCIES_S, registry=REGISTRY
)
closed_connections = Counter(
    "stillwatch_closed_connections",
    "Connections that were ended: slow_headers, slow_reader, too_many, too_many_of_address.",
    ["why"],
    registry=REGISTRY,
)
refused_keys = Counter("stillwatch_refused_keys", "Requests with a key or token that is not valid.", registry=REGISTRY)

# Intake. `source` is the form of what came in (spans, litellm, lines, watched ...), never who sent it.
intake_exchanges = Counter("stillwatch_intake_exchanges", "Exchanges taken in.", ["source"], registry=REGISTRY)
intake_bytes = Counter("stillwatch_intake_bytes", "Bytes of bodies and files taken in.", ["source"], registry=REGISTRY)
intake_rejected = Counter("stillwatch_intake_rejected", "Rows that could not be read.", ["source"], registry=REGISTRY)
intake_duplicates = Counter("stillwatch_intake_duplicates", "Batches that were known already.", registry=REGISTRY)
intake_pending_bytes = Gauge(
    "stillwatch_intake_pending_bytes", "Bytes acknowledged and not yet in the state.", registry=REGISTRY
)
fold_lag_seconds = Gauge(
    "stillwatch_fold_lag_seconds", "How long the oldest traffic waits to be in the state.", registry=REGISTRY
)

# Detection.
detection_seconds = Histogram(
    "stillwatch_detection_seconds", "Time a detection took.", buckets=_DETECTIONS_S, registry=REGISTRY
)
detection_failures = Counter("stillwatch_detection_failures", "Detections that failed.", registry=REGISTRY)
detected_at = Gauge("stillwatch_detected_at_seconds", "When detection last ended well, Unix time.", registry=REGISTRY)
campaigns = Gauge("stillwatch_campaigns", "Campaigns now known, by verdict.", ["verdict"], registry=REGISTRY)

# Decisions. `mode` is live or shadow; `outcome` is an action that was served, the code of a refusal, or why nothing
# could be looked up: no_account, unknown_key, failed.
decisions = Gauge(
    "stillwatch_decisions", "Accounts that gateways are told to act on.", ["action", "mode"], registry=REGISTRY
)
gateway_answers = Counter("stillwatch_gateway_answers", "Answers to gateways that ask.", ["outcome"], registry=REGISTRY)
gateway_seconds = Histogram(
    "stillwatch_gateway_seconds", "Time to answer a gateway that asks.", buckets=_LATENCIES_S, registry=REGISTRY
)
fail_opens = Counter(
    "stillwatch_fail_opens", "Answers that gateways gave without a fresh snapshot, as they tell.", registry=REGISTRY
)

# Partners, by the names that the operator gave them. `outcome` is kept, known, unused or refused.
partner_objects = Counter(
    "stillwatch_partner_objects", "Objects that partners sent.", ["partner", "outcome"], registry=REGISTRY
)
pull_failures = Counter(
    "stillwatch_pull_failures", "Pulls that failed, wholly or in part.", ["partner"], registry=REGISTRY
)
leads = Gauge("stillwatch_leads", "Values from partners that detection looks for.", ["partner"], registry=REGISTRY)

# Work that waits.
queued = Gauge("stillwatch_queued", "What waits to be done.", ["queue"], registry=REGISTRY)
job_failures = Counter("stillwatch_job_failures", "Turns of a job that failed.", ["job"], registry=REGISTRY)

# What is looked up when metrics are read.
holds = Gauge("stillwatch_holds", "Legal holds in force.", registry=REGISTRY)
disk_free_bytes = Gauge("stillwatch_disk_free_bytes", "Room left where the state is.", registry=REGISTRY)
