"""What lists can be asked for; a parameter that does not exist is refused."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from leads.identity import IdentityError, normal_email
from leads.models import Contact, Identity, Interaction, Outcome, Source, Stage, StageChange, User
from leads.models.people import ContactQuerySet
from leads.search import few_matches

SPAN = timedelta(days=7)
"""of interactions of everybody, how much the API looks through: of ten million a year in 50 ms"""


class StrictFilters(filters.DjangoFilterBackend):  # type: ignore[misc]
    """Refuses a parameter that does not exist: a misspelt filter would answer with everybody."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = self.get_filterset_class(view, queryset)
        known = {"cursor", "limit", "format", *(filterset_class.base_filters if filterset_class else ())}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            message = _("There is no such parameter; use %(known)s.") % {"known": ", ".join(sorted(known))}
            raise ValidationError({name: [message] for name in unknown})
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


class IdFilter(filters.NumberFilter):  # type: ignore[misc]
    field_class = forms.IntegerField


class ContactFilters(filters.FilterSet):  # type: ignore[misc]
    stage = filters.MultipleChoiceFilter(choices=Stage.choices, distinct=False)
    score_min = IdFilter(field_name="score", lookup_expr="gte")
    score_max = IdFilter(field_name="score", lookup_expr="lte")
    owner = IdFilter(method="of_owner")
    company = IdFilter(field_name="company_id")
    source = filters.CharFilter(method="of_source")
    outcome = filters.ChoiceFilter(
        choices=[*Outcome.choices, ("open", gettext_lazy("Open"))], method="of_outcome"
    )
    email = filters.CharFilter(method="of_email")
    search = filters.CharFilter(method="of_search")
    created_since = filters.IsoDateTimeFilter(method="of_creation")
    updated_since = filters.IsoDateTimeFilter(field_name="updated_at", lookup_expr="gte")
    known = filters.BooleanFilter(
        method="as_is",
        label=gettext_lazy("true, the default: people; false: visitors who have not said who they are"),
    )

    def filter_queryset(self, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        contacts: ContactQuerySet = super().filter_queryset(queryset)
        if self.form.cleaned_data["known"] is False:
            return contacts.filter(known_at__isnull=True, merged_into__isnull=True, archived_at__isnull=True)
        return contacts.known()

    def as_is(self, queryset: QuerySet[Contact], name: str, value: bool) -> QuerySet[Contact]:
        return queryset

    def of_owner(self, queryset: QuerySet[Contact], name: str, value: int) -> QuerySet[Contact]:
        """Nobody at once, where the caller may not see that owner's: else all of them would be gone through."""
        sight = self.request.user.sight
        colleagues = User.objects.filter(pk=value, team=sight.team_id, team__isnull=False)
        if sight.everybody or value == sight.user_id or colleagues.exists():
            return queryset.filter(owner=value)
        return queryset.none()

    def of_outcome(self, queryset: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        return queryset.filter(outcome="" if value == "open" else value)

    def of_source(self, queryset: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        """By id: from a slug the planner does not learn how few came from it."""
        source = Source.objects.filter(slug=value).values_list("pk", flat=True).first()
        return queryset.none() if source is None else queryset.filter(source=source)

    def of_creation(self, queryset: QuerySet[Contact], name: str, value: datetime) -> QuerySet[Contact]:
        """Nothing is updated before it is created, and the updates have an index."""
        return queryset.filter(created_at__gte=value, updated_at__gte=value)

    def of_email(self, queryset: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        try:
            address = normal_email(value)
        except IdentityError as error:
            raise ValidationError({"email": [str(error)]}) from error
        named = Identity.objects.filter(kind=Identity.Kind.EMAIL, namespace="", value=address)
        return queryset.filter(pk__in=named.values("contact_id"))

    def of_search(self, queryset: ContactQuerySet, name: str, value: str) -> QuerySet[Contact]:
        few = few_matches(value)
        return queryset.search_along(value) if few is None else queryset.filter(pk__any=few)


class CompanyFilters(filters.FilterSet):  # type: ignore[misc]
    name = filters.CharFilter(lookup_expr="istartswith")
    domain = filters.CharFilter(lookup_expr="iexact")
    source = filters.CharFilter(field_name="source__slug")
    updated_since = filters.IsoDateTimeFilter(field_name="updated_at", lookup_expr="gte")


class InteractionFilters(filters.FilterSet):  # type: ignore[misc]
    contact = IdFilter(field_name="contact_id")
    kind = filters.CharFilter(field_name="kind_id")
    occurred_since = filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="gte")
    occurred_before = filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="lt")

    def filter_queryset(self, queryset: QuerySet[Interaction]) -> QuerySet[Interaction]:
        """Kinds and times of everybody are read from a part of the table only, whose end the caller names."""
        asked = self.form.cleaned_data
        since, before = asked["occurred_since"], asked["occurred_before"] or timezone.now()
        narrow = asked["kind"] or since or asked["occurred_before"]
        if narrow and not asked["contact"] and (since is None or before - since > SPAN):
            message = _(
                "Name a contact, or a time at most %(days)d days before occurred_before, which is now unless you say."
            ) % {"days": SPAN.days}
            raise ValidationError({"occurred_since": [message]})
        found: QuerySet[Interaction] = super().filter_queryset(queryset)
        return found


class StageChangeFilters(filters.FilterSet):  # type: ignore[misc]
    contact = IdFilter(field_name="contact_id")
    before = filters.ChoiceFilter(choices=Stage.choices)
    after = filters.ChoiceFilter(choices=Stage.choices)
    cause = filters.ChoiceFilter(choices=StageChange.Cause.choices)
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
