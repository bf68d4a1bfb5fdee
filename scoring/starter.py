"""The score sheet and the thresholds that an installation starts with: marketers change them, or write their own.

The points are the field's usual ones for consumers who buy after weeks of looking around.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from scoring.models import Rule, RuleGroup, ScoreSheet, Threshold

DECIDERS = ["Owner", "C-level", "VP", "Director", "Head"]


@dataclass(frozen=True)
class Does:
    """Points each time somebody does something."""

    kind: str
    points: int
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Is:
    """Points for who somebody is."""

    name: str
    points: int
    condition: dict[str, Any]


INTEREST = (
    Does("form_submitted", 20, {"half_life_days": 30, "cap": 40}),
    Does("demo_requested", 25, {"half_life_days": 30, "cap": 25}),
    Does("webinar_attended", 20, {"half_life_days": 60, "cap": 40}),
    Does("directions_viewed", 20, {"half_life_days": 30, "cap": 20}),
    Does("subscribed", 15, {"half_life_days": 180, "cap": 15}),
    Does("pricing_viewed", 10, {"half_life_days": 30, "cap": 20}),
    Does("message_clicked", 7, {"window_days": 60, "cap": 21}),
    Does("page_viewed", 5, {"window_days": 30, "cap": 20}),
    Does("message_opened", 3, {"window_days": 60, "cap": 12}),
)
FIT = (
    Is("Decides on buying", 8, {"field": "seniority", "op": "is_any_of", "value": DECIDERS}),
    Is("Works with vehicles", 6, {"field": "job_title", "op": "contains", "value": "fleet"}),
    Is("Company of 50 people or more", 5, {"field": "company.employees", "op": "at_least", "value": 50}),
    Is("Phone number known", 3, {"field": "phone", "op": "is_known"}),
    Is("Country known", 2, {"field": "country", "op": "is_known"}),
)
LOSS = (
    Does("unsubscribed", -15, {"cap": 15}),
    Does("complained", -30, {"cap": 30}),
    Does("careers_viewed", -10, {"window_days": 90, "cap": 20}),
    Does("message_bounced", -10, {"window_days": 180, "cap": 10}),
    Is("Student", -20, {"field": "occupation", "op": "is", "value": "Student"}),
)


@transaction.atomic
def add_starter_sheet() -> None:
    """Add the starter's sheet unless there is any sheet, and its threshold unless there is any threshold."""
    if not ScoreSheet.objects.exists():
        sheet = ScoreSheet.objects.create(
            slug="engagement-and-fit", name="Engagement and fit", least=0, most=100
        )
        _add_group(sheet, 1, "Shows interest", INTEREST, most=85)
        _add_group(sheet, 2, "Fits us", FIT, most=20)
        _add_group(sheet, 3, "Loses interest", LOSS, least=-40)
    if not Threshold.objects.exists():
        _save(Threshold(name="Everybody", mql_up=40, mql_down=30, sql_up=70, sql_down=60))


def _add_group(
    sheet: ScoreSheet,
    order: int,
    name: str,
    rules: tuple[Does | Is, ...],
    *,
    least: int | None = None,
    most: int | None = None,
) -> None:
    group = RuleGroup.objects.create(sheet=sheet, name=name, order=order, least=least, most=most)
    for place, rule in enumerate(rules, 1):
        if isinstance(rule, Does):
            limits: dict[str, Any] = dict(rule.limits)
            row = Rule(group=group, order=place, points=rule.points, interaction_id=rule.kind, **limits)
        else:
            row = Rule(
                group=group, order=place, points=rule.points, name=rule.name, kind=Rule.Kind.ATTRIBUTE,
                condition=rule.condition,
            )  # fmt: skip
        _save(row)


def _save(row: Rule | Threshold) -> None:
    """Save through the checks that the admin makes."""
    row.full_clean()
    row.save()
