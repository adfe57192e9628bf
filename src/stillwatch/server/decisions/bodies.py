"""What bodies of requests must hold, and what replies do."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from stillwatch.records import CHECKS
from stillwatch.server.tables.decisions import ACCOUNT_ID_CHARACTERS

MOST_ACCOUNTS = 10_000  # of one bulk question

Action = Literal["observe", "verify", "throttle", "shape", "suspend"]


def _text(given: str) -> str:
    """The text, if it is one: JSON can spell halves of characters.

    Raises:
        ValueError: it cannot be written as UTF-8.
    """
    given.encode()
    return given


AccountId = Annotated[
    str, StringConstraints(min_length=1, max_length=ACCOUNT_ID_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000, pattern=r"^[^\x00]+$")]
CampaignId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Asked(_Body):
    """Accounts to be told about at once."""

    account_ids: Annotated[list[Annotated[str, AfterValidator(_text)]], Field(max_length=MOST_ACCOUNTS)]


class ByHand(_Body):
    """A decision of a person about an account."""

    account_id: AccountId
    action: Action
    check: str | None = None
    because: Reason
    expires_after_days: Annotated[int, Field(ge=1, le=365)] = 7

    @model_validator(mode="after")
    def _check_belongs_to_verify(self) -> "ByHand":
        if self.check is not None and (self.action != "verify" or self.check not in CHECKS):
            raise ValueError(f"a check belongs to the action verify, and is one of {', '.join(CHECKS)}")
        return self


class Undoing(_Body):
    """Why a decision is undone, or an action stopped or let go on."""

    because: Reason


class UndoingCampaign(Undoing):
    """Why every decision of a campaign is undone."""

    campaign_id: CampaignId


class ApprovingCampaign(_Body):
    """Which proposals of a campaign are approved."""

    campaign_id: CampaignId
    action: Action


class Acting(BaseModel):
    """Whether an action is done, and who stopped it, when and why."""

    action: Action
    is_live: bool
    is_named: bool
    braked_by: str | None
    braked_at: datetime | None
    braked_because: str | None


class Row(BaseModel):
    """What a gateway is told of an account: `action` is what to do now, `shadow` what it would be if it were live."""

    account_id: str
    action: Literal["none", "observe", "verify", "throttle", "shape", "suspend"]
    shadow: Action | None
    check: str | None
    limits: dict[str, Any] | None
    because: str | None
    decision_id: str | None
    campaign_id: str | None
    author: str | None
    decided_at: datetime | None
    expires_at: datetime | None


class Rows(BaseModel):
    """The rows of the accounts that were asked about, in that order."""

    decisions: list[Row]


class Approval(BaseModel):
    """Who approved, and when."""

    principal: str
    at: datetime


class Record(BaseModel):
    """A decision as it is kept."""

    decision_id: str
    account_id: str
    campaign_id: str | None
    action: Action
    check: str | None
    because: str
    evidence: Any
    source: str
    author: str
    created_at: datetime
    expires_at: datetime
    approvals_needed: int
    approvals: list[Approval]
    state: Literal["proposed", "active", "undone", "expired", "withdrawn", "replaced"]
    ended_at: datetime | None
    ended_by: str | None
    ended_because: str | None


class Records(BaseModel):
    """Decisions, newest first, and what to give as `after` for more (null: there are none)."""

    decisions: list[Record]
    next: str | None


class Changed(BaseModel):
    """How many decisions changed, and how many of them became active."""

    changed: int
    active: int
