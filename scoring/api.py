"""The REST API of scores, each with the parts that sum to it."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from leads.api.filters import IdFilter
from leads.api.views import OfContacts
from leads.models import Contact, Stage, User
from scoring.evaluate import explain
from scoring.models import Score, ScoreSheet


class ScoreSerializer(serializers.ModelSerializer[Score]):
    sheet = serializers.SlugRelatedField[ScoreSheet](slug_field="slug", read_only=True)

    class Meta:
        model = Score
        fields = ["id", "contact", "sheet", "value", "as_of"]


class ScoreFilters(filters.FilterSet):  # type: ignore[misc]
    contact = IdFilter(field_name="contact_id")
    sheet = filters.CharFilter(method="of_sheet")

    def of_sheet(self, queryset: QuerySet[Score], name: str, value: str) -> QuerySet[Score]:
        """By id: from a slug the planner does not learn how few have it."""
        sheet = ScoreSheet.objects.filter(slug=value).values_list("pk", flat=True).first()
        return queryset.none() if sheet is None else queryset.filter(sheet=sheet)


class ScoreViewSet(OfContacts[Score]):
    """The present score of each contact, on the sheet of its audience."""

    queryset = Score.objects.select_related("sheet")
    serializer_class = ScoreSerializer
    filterset_class = ScoreFilters


class PartSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField()
    points = serializers.FloatField()
    kind = serializers.ChoiceField(choices=["rule", "cap", "range", "rounding"])
    group = serializers.CharField()


class ExplanationSerializer(serializers.Serializer[Any]):
    contact = serializers.IntegerField()
    score = serializers.IntegerField()
    stage = serializers.ChoiceField(choices=Stage.choices)
    sheet = serializers.CharField(allow_null=True)
    as_of = serializers.DateField()
    parts = PartSerializer(many=True)


@extend_schema_view(get=extend_schema(operation_id="contacts_score_retrieve"))
class ContactScoreView(GenericAPIView[Score]):
    """Why a contact has its score: the points of each rule, and what caps and the range took."""

    queryset = Score.objects.all()
    serializer_class = ExplanationSerializer
    filter_backends = ()

    def get(self, request: Request, contact: int) -> Response:
        assert isinstance(request.user, User)  # noqa: S101 - for the type checker: the permission saw to it
        found = get_object_or_404(Contact.objects.visible_to(request.user), pk=contact)
        explanation = explain(found)
        answer = {
            "contact": found.pk,
            "score": explanation.score,
            "stage": found.stage,
            "sheet": explanation.sheet.slug if explanation.sheet else None,
            "as_of": explanation.as_of,
            "parts": explanation.parts,
        }
        return Response(self.get_serializer(answer).data)
