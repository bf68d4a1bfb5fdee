"""The reasons for sending a lead back that an installation starts with."""

from typing import Any

from django.utils.translation import gettext_noop as _

from leads.models import RejectionReason

STARTERS = (
    # name, whether such a lead can never buy
    (_("Wrong person"), False),
    (_("No budget"), False),
    (_("Not now"), False),
    (_("No answer"), False),
    (_("No need"), False),
    (_("Chose another product"), False),
    (_("Contact data is wrong"), False),
    (_("Student"), True),
    (_("Competitor"), True),
)


def add_rejection_reasons(**_: Any) -> None:
    """Add them where there are none at all: names that somebody changed or deleted do not come back."""
    if not RejectionReason.objects.exists():
        RejectionReason.objects.bulk_create(
            [
                RejectionReason(name=name, disqualifies=disqualifies, order=10 * place)
                for place, (name, disqualifies) in enumerate(STARTERS, 1)
            ],
            ignore_conflicts=True,
        )
