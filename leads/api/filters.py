"""What lists can be asked for; a parameter that does not exist is refused."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from leads.identity import IdentityError, normal_email
from leads.models import Contact, Identity, Outcome, Stage, StageChange
from leads.models.people import ContactQuerySet


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
    owner = IdFilter(field_name="owner_id")
    company = IdFilter(field_name="company_id")
    source = filters.CharFilter(field_name="source__slug")
    outcome = filters.ChoiceFilter(
        choices=[*Outcome.choices, ("open", gettext_lazy("Open"))], method="of_outcome"
    )
    email = filters.CharFilter(method="of_email")
    search = filters.CharFilter(method="of_search")
    created_since = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
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

    def of_outcome(self, queryset: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        return queryset.filter(outcome="" if value == "open" else value)

    def of_email(self, queryset: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        try:
            address = normal_email(value)
        except IdentityError as error:
            raise ValidationError({"email": [str(error)]}) from error
        named = Identity.objects.filter(kind=Identity.Kind.EMAIL, namespace="", value=address)
        return queryset.filter(pk__in=named.values("contact_id"))

    def of_search(self, queryset: ContactQuerySet, name: str, value: str) -> QuerySet[Contact]:
        return queryset.search(value)


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


class StageChangeFilters(filters.FilterSet):  # type: ignore[misc]
    contact = IdFilter(field_name="contact_id")
    before = filters.ChoiceFilter(choices=Stage.choices)
    after = filters.ChoiceFilter(choices=Stage.choices)
    cause = filters.ChoiceFilter(choices=StageChange.Cause.choices)
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
