"""Objects as a partner sends them, and a clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import extension, pattern

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NORTH = "identity--5f9d3c1e-1111-4a44-9d55-6f1a1c1d7a20"
SOUTH = "identity--5f9d3c1e-2222-4a44-9d55-6f1a1c1d7a20"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
OTHER = "5ac2b0d3-6c0a-4b76-8d5f-1b9e7c1d2f30"
VALUES = ("00000000000000a1", "00000000000000b2")
Object = dict[str, Any]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **units: float) -> None:
        self.moment += timedelta(**units)


def stix_moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def uid(kind: str, number: int) -> str:
    return f"{kind}--{number:08x}-aaaa-4aaa-8aaa-aaaaaaaaaaaa"


def object_of(kind: str, number: int, *, by: str = NORTH, modified: datetime = NOON, **more: Any) -> Object:
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": uid(kind, number),
        "created_by_ref": by,
        "created": stix_moment(NOON - timedelta(days=10)),
        "modified": stix_moment(modified),
        "object_marking_refs": [TLP_MARKINGS["amber"]],
        **more,
    }


def indicator(
    number: int = 1,
    *,
    values: tuple[str, ...] = VALUES,
    kind: str = "wording",
    days: float = 30,
    key: dict[str, Any] | None = None,
    **more: Any,
) -> Object:
    under = {"group_id": "g-one", "epoch": 3} if key is None else key
    told = [{"value": value, "account_count": 12} for value in values]
    return object_of(
        "indicator",
        number,
        **{
            "name": "Traits of campaign c-0123456789ab: wording",
            "indicator_types": ["anomalous-activity"],
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "pattern": pattern(kind, list(values)),
            "valid_from": stix_moment(NOON - timedelta(days=2)),
            "valid_until": stix_moment(NOON + timedelta(days=days)),
            "extensions": extension(kind=kind, values=told, **under),
            **more,
        },
    )


def campaign(number: int = 1, **more: Any) -> Object:
    return object_of("campaign", number, **{"name": "Distillation campaign c-0123456789ab", **more})


def indicates(number: int = 1, *, target: int | None = None, **more: Any) -> Object:
    """Indicator `number` indicates campaign `target`, of the same number when left out."""
    return object_of(
        "relationship",
        number,
        **{
            "relationship_type": "indicates",
            "source_ref": uid("indicator", number),
            "target_ref": uid("campaign", number if target is None else target),
            **more,
        },
    )


def lead(number: int = 1, **more: Any) -> list[Object]:
    """A campaign, its indicator and the tie between them."""
    by = {"by": more.get("by", NORTH)}
    return [campaign(number, **by), indicator(number, **more), indicates(number, **by)]
