"""The score sheets as they stand: read in four queries, whatever their number of rules."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch, Q
from django.forms.models import model_to_dict

from leads.conditions import ConditionField, Scope, Tree, compile_condition, contact_fields
from scoring.models import Rule, RuleGroup, ScoreSheet, Threshold


@dataclass(frozen=True)
class Group:
    row: RuleGroup
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Sheet:
    row: ScoreSheet
    groups: tuple[Group, ...]

    @property
    def event_rules(self) -> list[Rule]:
        return [rule for group in self.groups for rule in group.rules if rule.kind == Rule.Kind.EVENT]


@dataclass(frozen=True)
class Definitions:
    """Everything that decides scores and stages, in the order in which it counts."""

    sheets: tuple[Sheet, ...]
    thresholds: tuple[Threshold, ...]
    fields: Mapping[str, ConditionField]
    """what their conditions may ask about"""

    def compile(self, tree: Tree, scope: Scope, as_of: date) -> Q:
        """A condition as a filter that can stand anywhere; the empty one is true for everybody."""
        return compile_condition(tree, scope, as_of, self.fields) or Q(pk__isnull=False)

    @property
    def fingerprint(self) -> str:
        """Changes whenever a sheet, group, rule or threshold does; tells whether the base was scored by them."""
        rows: list[Any] = [*self.thresholds]
        for sheet in self.sheets:
            rows += [sheet.row, *(group.row for group in sheet.groups)]
            rows += [rule for group in sheet.groups for rule in group.rules]
        content = [[row._meta.model_name, model_to_dict(row)] for row in rows]
        return hashlib.sha256(json.dumps(content, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()


def load_definitions() -> Definitions:
    """The active sheets with their active rules, and the thresholds."""
    rules = Prefetch("rules", Rule.objects.filter(active=True).select_related("interaction"))
    groups = Prefetch("groups", RuleGroup.objects.prefetch_related(rules))
    sheets = ScoreSheet.objects.filter(active=True).prefetch_related(groups)
    return Definitions(
        sheets=tuple(
            Sheet(sheet, tuple(Group(group, tuple(group.rules.all())) for group in sheet.groups.all()))
            for sheet in sheets
        ),
        thresholds=tuple(Threshold.objects.all()),
        fields=contact_fields(),
    )
