"""What is asked about releases, and what is told."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Because = Literal["wrong", "innocent", "erased", "expired", "rotated", "misdirected"]  # why something is taken back
MOST_IDS = 1_000  # objects taken back in one release, besides what hangs on them


class Asked(BaseModel, extra="forbid"):
    """What is to leave for whom: campaigns of the newest detection, or with `revoke`, what takes those back."""

    recipient: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    tlp: Literal["clear", "green", "amber", "amber+strict", "red"] | None = None
    group_id: Annotated[str | None, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = None
    revoke: Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,120}$")]], Field(max_length=MOST_IDS)] = []
    because: Because = "wrong"


class Release(BaseModel):
    """A release as it is kept; `ended_by` approved or withdrew it, null while it is proposed."""

    release_id: str
    act: str
    state: str
    recipient: str
    collection: str
    marking: str
    group_id: str | None
    object_count: int
    digest: str
    proposer: str
    proposed_at: datetime
    ended_by: str | None
    ended_at: datetime | None


class Releases(BaseModel):
    """Releases, newest first; `next` goes into `after` for those that follow."""

    releases: list[Release]
    next: int | None


class WholeRelease(Release):
    """A release with its ids; while it is proposed also with what is new in it, and the bundle that would leave."""

    object_ids: list[str]
    preview: dict[str, Any] | None
    bundle: str | None
