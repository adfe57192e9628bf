"""Hold a scan's campaigns against the truth: who was found, who was wronged, and how much had leaked."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stillwatch.errors import InputError
from stillwatch.evaluation.control import Control, control
from stillwatch.evaluation.customers import Wronged, customers, wronged
from stillwatch.evaluation.measures import Accusation, Share, b_cubed, purity
from stillwatch.evaluation.tables import Table, tables
from stillwatch.records import ACCOUNT_VERDICTS, TRUTH

FOUND_SHARE = 0.5  # of a campaign's accounts that must be accused for the campaign to count as found
ONE_RUN = "one run: not measured"
CONTROLLER = "controller"  # labels without it know of no control but that of campaigns
STRICT, EITHER = {"distillation"}, {"distillation", "coordinated"}
NO_EXCHANGES = "no exchanges beside the truth: not measured"


@dataclass(frozen=True, slots=True)
class TrueCampaign:
    """One true campaign and what became of it; victims with stolen keys are left out."""

    campaign: str
    accused: Share
    linked: Share  # in a `distillation` or `coordinated` campaign
    is_found: bool
    spread_over: int  # accused campaigns that hold some of its accounts


@dataclass(frozen=True, slots=True)
class Senders:
    """Who was found and who was wronged of those accounts that sent anything, as traffic shows nobody else."""

    distillation: Share  # of the hostile ones
    distillation_or_coordinated: Share
    wronged: Share  # of the legitimate ones, accused of distillation

    def as_json(self) -> dict[str, object]:
        """The shares as plain JSON values."""
        return {name: getattr(self, name).as_json() for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything `stillwatch evaluate` prints. A share is null when there was nothing to measure it on."""

    distillation: Accusation
    distillation_or_large: Accusation  # or `coordinated` and taking far more than ordinary customers
    distillation_or_coordinated: Accusation
    campaigns: tuple[TrueCampaign, ...]
    campaign_recall: Share
    campaign_precision: Share  # accused campaigns of which at least half is one true campaign
    purity: float | None
    b_cubed_precision: float | None
    b_cubed_recall: float | None
    wronged: Share  # legitimate accounts accused of distillation
    wronged_by: Wronged  # the same per population, owner, country and script
    large_by: Wronged  # the same for `distillation`, or `coordinated` and large
    linked_by: Wronged  # the same for `distillation` or `coordinated`
    wrong_campaigns: Share  # accused campaigns of legitimate accounts only
    control: Mapping[str, Control]  # how right a claim of common control is, by which campaigns are counted
    compromised: Share  # victims with stolen keys found in an accused campaign
    senders: Senders | None
    exposure_accounted: float | None
    exposure_accounted_note: str | None
    exposure_before_detection: Mapping[str, float | None]
    exposure_before_detection_note: str | None
    verdicts: Mapping[str, int]  # campaigns returned, per verdict
    unknown_accounts: int  # accounts in campaigns that the truth does not know

    @property
    def segments(self) -> Mapping[str, Share]:
        """Legitimate accounts accused of distillation, per population."""
        return self.wronged_by.segments

    @property
    def segments_linked(self) -> Mapping[str, Share]:
        """The same for `distillation` or `coordinated`."""
        return self.linked_by.segments

    @property
    def wronged_per_million(self) -> dict[str, float | None]:
        """Legitimate accounts accused per million, with the ends of the 95 % interval."""
        scaled = {"observed": self.wronged.share, "low": self.wronged.low, "high": self.wronged.high}
        return {name: None if value is None else value * 1e6 for name, value in scaled.items()}

    def as_json(self) -> str:
        """The evaluation as JSON text."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)

    def as_dict(self) -> dict[str, object]:
        """The evaluation as plain JSON values."""
        return {
            "distillation": self.distillation.as_json(),
            "distillation_or_large": self.distillation_or_large.as_json(),
            "distillation_or_coordinated": self.distillation_or_coordinated.as_json(),
            "campaigns": {
                "recall": self.campaign_recall.as_json(),
                "precision": self.campaign_precision.as_json(),
                "legitimate_only": self.wrong_campaigns.as_json(),
                "purity": self.purity,
                "b_cubed_precision": self.b_cubed_precision,
                "b_cubed_recall": self.b_cubed_recall,
                "each": [_campaign_json(campaign) for campaign in self.campaigns],
                "verdicts": dict(self.verdicts),
            },
            "wronged": {
                "all": self.wronged.as_json(),
                "per_million": self.wronged_per_million,
                "segments": {name: share.as_json() for name, share in self.segments.items()},
                "segments_linked": {name: share.as_json() for name, share in self.segments_linked.items()},
                "distillation": self.wronged_by.as_json(),
                "distillation_or_large": self.large_by.as_json(),
                "distillation_or_coordinated": self.linked_by.as_json(),
            },
            "control": {name: claim.as_json() for name, claim in self.control.items()},
            "compromised": self.compromised.as_json(),
            "senders": None if self.senders is None else self.senders.as_json(),
            "exposure": {
                "accounted": self.exposure_accounted,
                "accounted_note": self.exposure_accounted_note,
                "before_detection": dict(self.exposure_before_detection),
                "before_detection_note": self.exposure_before_detection_note,
            },
            "unknown_accounts": self.unknown_accounts,
        }

    def as_tables(self) -> list[Table]:
        """The evaluation as titled rows of text, ready for a terminal."""
        return tables(self.as_dict())


def evaluate(out: Path, truth: Path, *, runs: Sequence[Path] = ()) -> Evaluation:
    """Compare what a scan wrote to OUT with the truth.

    Exchanges are counted from the folder `exchanges` beside the truth, where there is one. `runs` are the outputs of
    successive scans of the same world, oldest first: with them, what had leaked before detection is measured.

    Raises:
        InputError: a file is missing or lacks a column.
    """
    known = _truth(truth)
    found = _verdicts(out)
    exchanges = _exchanges_per_account(truth.parent / "exchanges")
    unknown = [account for account in found if account not in known.origin and account not in known.victims]
    accused, linked = _members(found, known, STRICT), _members(found, known, EITHER)
    large_ids = {one["campaign_id"] for one in _campaigns(out) if one.get("volume", {}).get("result") == "proven"}
    large = {account: one for account, one in linked.items() if account in accused or one in large_ids}
    judged = {account: campaign for account, campaign in accused.items() if account in known.origin}
    precise, recalled = b_cubed(judged, known.origin)
    each = tuple(_true_campaign(name, known, accused, linked) for name in sorted(known.campaigns))
    accounted, accounted_note = _accounted(known, accused, exchanges)
    leaked, leaked_note = _leaked(known, runs, truth.parent / "exchanges")
    people = customers(truth.parent, known.segment)
    return Evaluation(
        distillation=_accusation(known, accused),
        distillation_or_large=_accusation(known, large),
        distillation_or_coordinated=_accusation(known, linked),
        campaigns=each,
        campaign_recall=Share(sum(campaign.is_found for campaign in each), len(each)),
        campaign_precision=_campaign_precision(judged, known.origin),
        purity=purity(judged, known.origin),
        b_cubed_precision=precise,
        b_cubed_recall=recalled,
        wronged_by=wronged(people, known.segment, accused),
        large_by=wronged(people, known.segment, large),
        linked_by=wronged(people, known.segment, linked),
        wrong_campaigns=_wrong_campaigns(judged, known.origin),
        wronged=Share(sum(known.origin.get(a, "") is None for a in accused), len(known.segment)),
        control={
            "coordinated": _control(known, {a: one for a, one in linked.items() if a not in accused}),
            "distillation_or_large": _control(known, large),
            "distillation_or_coordinated": _control(known, linked),
        },
        compromised=Share(sum(account in accused for account in known.victims), len(known.victims)),
        senders=None if exchanges is None else _senders(known, accused, linked, exchanges),
        exposure_accounted=accounted,
        exposure_accounted_note=accounted_note,
        exposure_before_detection=leaked,
        exposure_before_detection_note=leaked_note,
        verdicts=_verdict_counts(out),
        unknown_accounts=len(unknown),
    )


@dataclass(frozen=True, slots=True)
class _Truth:
    """The truth by account; victims with stolen keys stand apart."""

    origin: dict[str, str | None]  # true campaign of every account that is not a victim; None is legitimate
    segment: dict[str, str]  # of every legitimate account
    victims: frozenset[str]
    controller: dict[str, str | None]  # who runs every account that is not a victim; None is nobody but its customer

    @property
    def campaigns(self) -> Counter[str]:
        return Counter(origin for origin in self.origin.values() if origin is not None)


def _truth(path: Path) -> _Truth:
    table = _read(path, [column.name for column in TRUTH.columns if column.name != CONTROLLER])
    if CONTROLLER in pq.read_schema(path).names:
        table = pq.read_table(path, columns=list(TRUTH.names))
    origin: dict[str, str | None] = {}
    controller: dict[str, str | None] = {}
    segment: dict[str, str] = {}
    victims = set()
    for row in table.to_pylist():
        if row["role"] == "compromised":
            victims.add(row["account_id"])
            continue
        origin[row["account_id"]] = (row["campaign"] or "unnamed") if row["is_hostile"] else None
        controller[row["account_id"]] = row.get(CONTROLLER) or origin[row["account_id"]]
        if not row["is_hostile"]:
            segment[row["account_id"]] = row["segment"]
    return _Truth(origin, segment, frozenset(victims), controller)


def _verdicts(out: Path) -> dict[str, tuple[str, str]]:
    table = _read(out / "accounts.parquet", ("account_id", "campaign_id", "verdict"))
    return {row["account_id"]: (row["campaign_id"], row["verdict"]) for row in table.to_pylist()}


def _read(path: Path, columns: Iterable[str]) -> pa.Table:
    if not path.is_file():
        raise InputError(f"{path} does not exist; pass the folder a scan wrote and the truth of the same world")
    missing = set(columns) - set(pq.read_schema(path).names)
    if missing:
        wanted = ACCOUNT_VERDICTS.name if path.name == "accounts.parquet" else TRUTH.name
        raise InputError(f"{path} lacks the columns {', '.join(sorted(missing))}; it is not a table of {wanted}")
    return pq.read_table(path, columns=list(columns))


def _members(found: Mapping[str, tuple[str, str]], known: _Truth, verdicts: set[str]) -> dict[str, str]:
    """Accounts the truth knows, in campaigns with one of these verdicts, to their campaign."""
    return {
        account: campaign
        for account, (campaign, verdict) in found.items()
        if verdict in verdicts and (account in known.origin or account in known.victims)
    }


def _control(known: _Truth, called: Mapping[str, str]) -> Control:
    return control(called, known.controller, known.segment)


def _accusation(known: _Truth, accused: Mapping[str, str]) -> Accusation:
    right = sum(known.origin.get(account) is not None for account in accused)
    wrong = sum(account in known.segment for account in accused)
    return Accusation(right, wrong, known.campaigns.total() - right)


def _senders(
    known: _Truth, accused: Mapping[str, str], linked: Mapping[str, str], exchanges: Mapping[str, int]
) -> Senders:
    hostile = [account for account, origin in known.origin.items() if origin is not None and account in exchanges]
    legitimate = [account for account in known.segment if account in exchanges]
    return Senders(
        distillation=Share(sum(account in accused for account in hostile), len(hostile)),
        distillation_or_coordinated=Share(sum(account in linked for account in hostile), len(hostile)),
        wronged=Share(sum(account in accused for account in legitimate), len(legitimate)),
    )


def _true_campaign(name: str, known: _Truth, accused: Mapping[str, str], linked: Mapping[str, str]) -> TrueCampaign:
    members = [account for account, origin in known.origin.items() if origin == name]
    hits = sum(account in accused for account in members)
    return TrueCampaign(
        campaign=name,
        accused=Share(hits, len(members)),
        linked=Share(sum(account in linked for account in members), len(members)),
        is_found=hits >= FOUND_SHARE * len(members),
        spread_over=len({accused[account] for account in members if account in accused}),
    )


def _campaign_precision(accused: Mapping[str, str], truths: Mapping[str, str | None]) -> Share:
    sizes = Counter(accused.values())
    origins = Counter(
        (campaign, truths[account]) for account, campaign in accused.items() if truths[account] is not None
    )
    right = {campaign for (campaign, _), count in origins.items() if count >= FOUND_SHARE * sizes[campaign]}
    return Share(len(right), len(sizes))


def _wrong_campaigns(accused: Mapping[str, str], truths: Mapping[str, str | None]) -> Share:
    mixed = {campaign for account, campaign in accused.items() if truths[account] is not None}
    named = set(accused.values())
    return Share(len(named - mixed), len(named))


def _exchanges_per_account(folder: Path) -> dict[str, int] | None:
    if not folder.is_dir():
        return None
    counts: Counter[str] = Counter()
    for batch in ds.dataset(folder, format="parquet").to_batches(columns=["account_id"]):
        counted = pc.value_counts(batch.column(0))
        counts.update(dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)))
    return dict(counts)


def _accounted(
    known: _Truth, accused: Mapping[str, str], exchanges: Mapping[str, int] | None
) -> tuple[float | None, str | None]:
    """Share of the hostile accounts' exchanges that were made by accused accounts."""
    if exchanges is None:
        return None, NO_EXCHANGES
    hostile = {account for account, origin in known.origin.items() if origin is not None}
    total = sum(exchanges.get(account, 0) for account in hostile)
    if total == 0:
        return None, "no hostile exchanges: not measured"
    return sum(exchanges.get(account, 0) for account in hostile if account in accused) / total, None


def _leaked(known: _Truth, runs: Sequence[Path], folder: Path) -> tuple[dict[str, float | None], str | None]:
    """Per true campaign, the share of its exchanges made before the end of the first run that found it."""
    if len(runs) < 2:
        return {}, ONE_RUN
    if not folder.is_dir():
        return {}, NO_EXCHANGES
    found_at: dict[str, datetime] = {}
    for run in runs:
        until = _until(run)
        accused = _members(_verdicts(run), known, STRICT)
        for name, size in known.campaigns.items():
            hits = sum(known.origin.get(account) == name for account in accused)
            if until is not None and name not in found_at and hits >= FOUND_SHARE * size:
                found_at[name] = until
    return {name: _share_before(known, name, found_at.get(name), folder) for name in sorted(known.campaigns)}, None


def _until(run: Path) -> datetime | None:
    """Last moment of the traffic behind a run, as its campaigns tell; null when it returned none."""
    campaigns = _campaigns(run)
    return max((datetime.fromisoformat(campaign["last_seen_at"]) for campaign in campaigns), default=None)


def _share_before(known: _Truth, name: str, until: datetime | None, folder: Path) -> float | None:
    if until is None:
        return None
    members = pa.array([account for account, origin in known.origin.items() if origin == name])
    total = before = 0
    for batch in ds.dataset(folder, format="parquet").to_batches(columns=["account_id", "started_at"]):
        times = batch.filter(pc.is_in(batch.column(0), members)).column(1)
        total += len(times)
        before += pc.sum(pc.less_equal(times, pa.scalar(until, times.type))).as_py() or 0
    return before / total if total else None


def _campaigns(out: Path) -> list[dict[str, Any]]:
    path = out / "campaigns.json"
    if not path.is_file():
        raise InputError(f"{path} does not exist; pass the folder a scan wrote")
    campaigns: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return campaigns


def _verdict_counts(out: Path) -> dict[str, int]:
    return dict(Counter(campaign["verdict"] for campaign in _campaigns(out)))


def _campaign_json(campaign: TrueCampaign) -> dict[str, object]:
    return {
        "campaign": campaign.campaign,
        "accused": campaign.accused.as_json(),
        "linked": campaign.linked.as_json(),
        "is_found": campaign.is_found,
        "spread_over": campaign.spread_over,
    }
