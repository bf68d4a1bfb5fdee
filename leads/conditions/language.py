"""Which trees are conditions. A wrong one is refused when it is saved, with its place and the remedy."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from leads.models import Consent, InteractionKind, Segment

from .fields import (
    BOOLEAN,
    CHOICE,
    DATE,
    INTERACTION_FIELDS,
    NUMBER,
    OPERATORS,
    PROPERTY,
    WITHOUT_VALUE,
    ConditionField,
    contact_fields,
    property_field,
)

Tree = Mapping[str, Any]

DEEPEST = 8
MOST_LEAVES = 100
DAYS_MOST = 3650
TEXT_LONGEST = 500
COUNT_OPERATORS = ("at_least", "at_most", "is")


class ConditionError(ValueError):
    """The condition is wrong; the message names the place and the remedy."""


def validate(tree: Any, segment: str = "") -> None:
    """Raise `ConditionError` unless `tree` is a condition over contacts; `segment` is the slug whose it is to be."""
    _Validator().tree(tree, _("condition"), 1, (segment,) if segment else ())


def validate_where(leaves: Any) -> None:
    """Raise `ConditionError` unless `leaves` is a list of questions about an interaction, all to be met."""
    _Validator().where(leaves, _("filter"))


def leaves(tree: Tree) -> Iterator[Tree]:
    """The questions of a valid condition, without looking into the segments that it names."""
    if "not" in tree:
        yield from leaves(tree["not"])
    elif "all" in tree or "any" in tree:
        for child in tree.get("all", tree.get("any", [])):
            yield from leaves(child)
    elif tree:
        yield tree


class _Validator:
    def __init__(self) -> None:
        self.fields = contact_fields()
        self.kinds = set(InteractionKind.objects.values_list("slug", flat=True))
        self.leaves = 0

    def tree(self, tree: Any, place: str, depth: int, inside: tuple[str, ...] = ()) -> None:
        if not isinstance(tree, Mapping):
            raise ConditionError(_('%(place)s: must be an object such as {"field": …}') % {"place": place})
        if not tree:
            return
        if depth > DEEPEST:
            raise ConditionError(
                _("%(place)s: nested deeper than %(most)d levels") % {"place": place, "most": DEEPEST}
            )
        kinds = [key for key in ("all", "any", "not", "field", "count", "consent", "segment") if key in tree]
        if len(kinds) != 1:
            raise ConditionError(
                _("%(place)s: needs exactly one of all, any, not, field, count, consent, segment")
                % {"place": place}
            )
        kind = kinds[0]
        if kind in ("all", "any"):
            self._only(tree, {kind}, place)
            if not isinstance(tree[kind], Sequence) or isinstance(tree[kind], str):
                raise ConditionError(
                    _("%(place)s: must be a list of conditions") % {"place": f"{place}.{kind}"}
                )
            for index, child in enumerate(tree[kind]):
                self.tree(child, f"{place}.{kind}[{index}]", depth + 1, inside)
            return
        if kind == "not":
            self._only(tree, {"not"}, place)
            self.tree(tree["not"], f"{place}.not", depth + 1, inside)
            return
        self.leaves += 1
        if self.leaves > MOST_LEAVES:
            raise ConditionError(
                _("%(place)s: more than %(most)d questions") % {"place": place, "most": MOST_LEAVES}
            )
        if kind == "field":
            self.leaf(tree, place, self.fields)
        elif kind == "count":
            self.count(tree, place)
        elif kind == "consent":
            self.consent(tree, place)
        else:
            self.segment(tree, place, depth, inside)

    def leaf(self, tree: Tree, place: str, fields: Mapping[str, ConditionField]) -> None:
        self._only(tree, {"field", "op", "value"}, place)
        name = tree["field"]
        field = fields.get(name) if isinstance(name, str) else None
        if field is None:
            raise ConditionError(
                _("%(place)s: there is no field “%(name)s”; attributes are written attributes.name")
                % {"place": place, "name": str(name)[:80]}
            )
        operator = tree.get("op")
        if operator not in OPERATORS[field.type]:
            raise ConditionError(
                _("%(place)s: “%(field)s” cannot be asked “%(op)s”; use one of %(known)s")
                % {
                    "place": place,
                    "field": name,
                    "op": str(operator)[:40],
                    "known": ", ".join(OPERATORS[field.type]),
                }
            )
        if operator in WITHOUT_VALUE:
            self._only(tree, {"field", "op"}, place)
            return
        if "value" not in tree:
            raise ConditionError(_("%(place)s: needs a value") % {"place": place})
        self.value(tree["value"], operator, field, f"{place}.value")

    def value(self, value: Any, operator: str, field: ConditionField, place: str) -> None:
        if operator == "is_any_of":
            if not isinstance(value, list) or not 1 <= len(value) <= 1000:
                raise ConditionError(_("%(place)s: must be a list of 1 to 1,000 values") % {"place": place})
            for item in value:
                self.value(item, "is", field, place)
        elif operator == "in_last_days":
            self._whole(value, 1, DAYS_MOST, place)
        elif field.type == NUMBER:
            if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
                raise ConditionError(_("%(place)s: must be a number") % {"place": place})
        elif field.type == BOOLEAN:
            if not isinstance(value, bool):
                raise ConditionError(_("%(place)s: must be true or false") % {"place": place})
        elif field.type == DATE:
            try:
                date.fromisoformat(value)
            except (TypeError, ValueError) as error:
                raise ConditionError(
                    _("%(place)s: must be a day such as 2026-11-22") % {"place": place}
                ) from error
        elif not isinstance(value, str) or not value.strip() or len(value) > TEXT_LONGEST or "\0" in value:
            raise ConditionError(
                _("%(place)s: must be a text of 1 to %(most)d characters")
                % {"place": place, "most": TEXT_LONGEST}
            )
        elif field.type == CHOICE and value not in dict(field.choices):
            raise ConditionError(
                _("%(place)s: must be one of %(known)s")
                % {"place": place, "known": ", ".join(choice for choice, _label in field.choices)}
            )

    def count(self, tree: Tree, place: str) -> None:
        self._only(tree, {"count", "op", "value"}, place)
        count = tree["count"]
        if not isinstance(count, Mapping):
            raise ConditionError(
                _('%(place)s: must be an object such as {"kind": …}') % {"place": f"{place}.count"}
            )
        self._only(count, {"kind", "where", "within_days"}, f"{place}.count")
        if count.get("kind") not in self.kinds:
            raise ConditionError(
                _("%(place)s: there is no interaction kind “%(kind)s”; Admin › Interaction kinds lists them")
                % {"place": f"{place}.count.kind", "kind": str(count.get("kind"))[:80]}
            )
        if "within_days" in count:
            self._whole(count["within_days"], 1, DAYS_MOST, f"{place}.count.within_days")
        self.where(count.get("where", []), f"{place}.count.where")
        if tree.get("op") not in COUNT_OPERATORS:
            raise ConditionError(
                _("%(place)s: must be one of %(known)s")
                % {"place": f"{place}.op", "known": ", ".join(COUNT_OPERATORS)}
            )
        self._whole(tree.get("value"), 0, 1_000_000, f"{place}.value")

    def where(self, leaves: Any, place: str) -> None:
        if not isinstance(leaves, list):
            raise ConditionError(_("%(place)s: must be a list of conditions") % {"place": place})
        for index, leaf in enumerate(leaves):
            here = f"{place}[{index}]"
            if not isinstance(leaf, Mapping) or "field" not in leaf:
                raise ConditionError(_('%(place)s: must be an object such as {"field": …}') % {"place": here})
            name = leaf["field"]
            if isinstance(name, str) and name.startswith(PROPERTY) and len(name) > len(PROPERTY):
                value = leaf.get("value")
                sample = value[0] if isinstance(value, list) and value else value
                self.leaf(leaf, here, {name: property_field(name, sample)})
            else:
                self.leaf(leaf, here, INTERACTION_FIELDS)

    def consent(self, tree: Tree, place: str) -> None:
        self._only(tree, {"consent", "op", "value"}, place)
        consent = tree["consent"]
        if not isinstance(consent, Mapping) or not isinstance(consent.get("purpose"), str):
            raise ConditionError(
                _("%(place)s: needs a purpose and a channel") % {"place": f"{place}.consent"}
            )
        self._only(consent, {"purpose", "channel"}, f"{place}.consent")
        self._among(consent.get("channel"), Consent.Channel.values, f"{place}.consent.channel")
        self._among(tree.get("op"), ["is", "is_not"], f"{place}.op")
        self._among(tree.get("value"), Consent.State.values, f"{place}.value")

    def segment(self, tree: Tree, place: str, depth: int, inside: tuple[str, ...]) -> None:
        self._only(tree, {"segment"}, place)
        slug = tree["segment"]
        segment = Segment.objects.filter(slug=slug).first() if isinstance(slug, str) else None
        if segment is None:
            raise ConditionError(
                _("%(place)s: there is no segment “%(slug)s”") % {"place": place, "slug": str(slug)[:80]}
            )
        if segment.slug in inside:
            raise ConditionError(
                _("%(place)s: segment “%(slug)s” contains itself") % {"place": place, "slug": slug}
            )
        self.tree(segment.condition, place, depth + 1, (*inside, segment.slug))

    @staticmethod
    def _only(tree: Tree, allowed: set[str], place: str) -> None:
        unknown = sorted(str(key) for key in set(tree) - allowed)
        if unknown:
            raise ConditionError(
                _("%(place)s: “%(key)s” does not belong here") % {"place": place, "key": unknown[0][:80]}
            )

    @staticmethod
    def _among(value: Any, known: Sequence[str], place: str) -> None:
        if value not in known:
            raise ConditionError(
                _("%(place)s: must be one of %(known)s") % {"place": place, "known": ", ".join(known)}
            )

    @staticmethod
    def _whole(value: Any, least: int, most: int, place: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConditionError(
                _("%(place)s: must be a whole number from %(least)d to %(most)d")
                % {"place": place, "least": least, "most": most}
            )
