"""What `leads` keeps, by subject: users, people, what they do, where they came from, where they stand."""

from .capture import Campaign, CampaignCost, CaptureKey, SeenMessage, Source
from .funnel import (
    FunnelCell,
    FunnelStale,
    FunnelState,
    FunnelStep,
    FunnelTime,
    FunnelTouch,
    KpiExport,
    Milestones,
)
from .identities import Consent, Identity
from .interactions import Direction, Interaction, InteractionKind, Touch
from .people import Attribute, Company, Contact, ContactSearch, Outcome, Stage
from .segments import Segment
from .stages import Assignment, Handoff, Hold, MergeRecord, RejectionReason, StageChange
from .users import Team, User

__all__ = [
    "Assignment",
    "Attribute",
    "Campaign",
    "CampaignCost",
    "CaptureKey",
    "Company",
    "Consent",
    "Contact",
    "ContactSearch",
    "Direction",
    "FunnelCell",
    "FunnelStale",
    "FunnelState",
    "FunnelStep",
    "FunnelTime",
    "FunnelTouch",
    "Handoff",
    "Hold",
    "Identity",
    "Interaction",
    "InteractionKind",
    "KpiExport",
    "MergeRecord",
    "Milestones",
    "Outcome",
    "RejectionReason",
    "SeenMessage",
    "Segment",
    "Source",
    "Stage",
    "StageChange",
    "Team",
    "Touch",
    "User",
]
