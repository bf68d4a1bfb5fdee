"""The lists and rows of the API.

Everything that belongs to a contact is limited to the contacts the caller may see: another team's contact is
not found.
"""

from typing import Any, TypeVar

from django.db import models
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from leads.models import (
    Campaign,
    Company,
    Contact,
    Interaction,
    InteractionKind,
    Segment,
    Source,
    StageChange,
)

from .filters import CompanyFilters, ContactFilters, InteractionFilters, StageChangeFilters, StrictFilters
from .paging import BySlug, Timeline
from .serializers import (
    CampaignSerializer,
    CompanySerializer,
    ContactDetailSerializer,
    ContactSerializer,
    InteractionSerializer,
    KindSerializer,
    SegmentDetailSerializer,
    SegmentSerializer,
    SourceSerializer,
    StageChangeSerializer,
)

Row = TypeVar("Row", bound=models.Model)


class Viewable(viewsets.GenericViewSet[Row]):
    """What all lists share: filters on lists only, so that an id is found whatever the filters' defaults."""

    filter_backends = (StrictFilters,)

    def filter_queryset(self, queryset: Any) -> Any:
        return super().filter_queryset(queryset) if self.action == "list" else queryset

    @property
    def visible(self) -> QuerySet[Contact]:
        """The contacts that the caller may see; none while the schema is drawn, which has no caller."""
        user = self.request.user if self.request else None
        return Contact.objects.visible_to(user) if user and user.is_authenticated else Contact.objects.none()


class ReadOnly(mixins.ListModelMixin, mixins.RetrieveModelMixin, Viewable[Row]):
    pass


class OfContacts(ReadOnly[Row]):
    """Rows of contacts: of one with `?contact=`, else of all that the caller may see."""

    def get_queryset(self) -> QuerySet[Row]:
        rows = super().get_queryset()
        user = self.request.user if self.request else None
        if user is None or not user.is_authenticated:
            return rows
        return rows.filter(user.sight.sees("contact__"))

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        contact = request.query_params.get("contact", "")
        if contact.isascii() and contact.isdigit():
            get_object_or_404(self.visible.only("pk"), pk=contact)
        return super().list(request, *args, **kwargs)


class ContactViewSet(mixins.UpdateModelMixin, ReadOnly[Contact]):
    """People, newest first. PATCH sets columns and declared attributes; null removes an attribute."""

    queryset = Contact.objects.select_related("company", "owner", "source", "campaign")
    filterset_class = ContactFilters
    http_method_names = ["get", "patch", "head", "options"]

    def get_queryset(self) -> QuerySet[Contact]:
        contacts = super().get_queryset() & self.visible
        return contacts if self.action == "list" else contacts.prefetch_related("identities")

    def get_serializer_class(self) -> type[ContactSerializer]:
        return ContactSerializer if self.action == "list" else ContactDetailSerializer


class CompanyViewSet(ReadOnly[Company]):
    queryset = Company.objects.select_related("source")
    serializer_class = CompanySerializer
    filterset_class = CompanyFilters


class InteractionViewSet(OfContacts[Interaction]):
    """What happened, newest first: by when it was stored; with `contact` or `occurred_since` by when it happened."""

    # Prefetched: joined, all interactions of a week would be sorted to the end, and not only a page of them.
    queryset = Interaction.objects.prefetch_related("source", "campaign")
    serializer_class = InteractionSerializer
    filterset_class = InteractionFilters
    pagination_class = Timeline


class StageChangeViewSet(OfContacts[StageChange]):
    """Each step from a stage to a neighbouring one, with its cause and reason."""

    queryset = StageChange.objects.all()
    serializer_class = StageChangeSerializer
    filterset_class = StageChangeFilters


class KindViewSet(ReadOnly[InteractionKind]):
    """The kinds of interaction: those that ship and the company's own."""

    queryset = InteractionKind.objects.all()
    serializer_class = KindSerializer
    pagination_class = BySlug


class SourceViewSet(ReadOnly[Source]):
    queryset = Source.objects.all()
    serializer_class = SourceSerializer
    pagination_class = BySlug
    lookup_field = "slug"


class CampaignViewSet(ReadOnly[Campaign]):
    queryset = Campaign.objects.select_related("source")
    serializer_class = CampaignSerializer
    pagination_class = BySlug
    lookup_field = "slug"


class SegmentViewSet(ReadOnly[Segment]):
    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    pagination_class = BySlug
    lookup_field = "slug"

    def get_serializer_class(self) -> type[SegmentSerializer]:
        return SegmentSerializer if self.action == "list" else SegmentDetailSerializer
