"""The score sheets as they stand: read in four queries, whatever their number of rules."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch, Q
from django.forms.models import model_to_dict

from leads.conditions import ConditionField, Scope, Tree, compile_condition, contact_fields, leaves
from leads.conditions.fields import ATTRIBUTE
from leads.models import Segment
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
    segments: Mapping[str, Tree]
    """conditions of the segments that they name, and of those that these name"""

    def _types_of_attributes(self) -> dict[str, str]:
        asked = {leaf.get("field", "") for tree in self._trees() for leaf in leaves(tree)}
        return {
            name: self.fields[name].type
            for name in asked
            if name.startswith(ATTRIBUTE) and name in self.fields
        }

    def _trees(self) -> Iterator[Tree]:
        yield from _trees(self.sheets, self.thresholds)
        yield from self.segments.values()

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
        content: list[Any] = [[row._meta.model_name, row.pk, model_to_dict(row)] for row in rows]
        content += [dict(self.segments), self._types_of_attributes()]
        return hashlib.sha256(json.dumps(content, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()


def load_definitions() -> Definitions:
    """The active sheets with their active rules, and the thresholds."""
    rules = Prefetch("rules", Rule.objects.filter(active=True).select_related("interaction"))
    groups = Prefetch("groups", RuleGroup.objects.prefetch_related(rules))
    sheets = ScoreSheet.objects.filter(active=True).prefetch_related(groups)
    loaded = tuple(
        Sheet(sheet, tuple(Group(group, tuple(group.rules.all())) for group in sheet.groups.all()))
        for sheet in sheets
    )
    thresholds = tuple(Threshold.objects.all())
    return Definitions(
        sheets=loaded,
        thresholds=thresholds,
        fields=contact_fields(),
        segments=_named_segments(_trees(loaded, thresholds)),
    )


def _trees(sheets: Iterable[Sheet], thresholds: Iterable[Threshold]) -> Iterator[Tree]:
    for sheet in sheets:
        yield sheet.row.audience
        for group in sheet.groups:
            yield from (rule.condition for rule in group.rules)
    yield from (threshold.audience for threshold in thresholds)


def _named_segments(trees: Iterable[Tree]) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    wanted = {leaf["segment"] for tree in trees for leaf in leaves(tree) if "segment" in leaf}
    while wanted:
        new = dict(Segment.objects.filter(slug__in=wanted).values_list("slug", "condition"))
        found |= new
        wanted = {
            leaf["segment"] for tree in new.values() for leaf in leaves(tree) if "segment" in leaf
        } - set(found)
    return found
