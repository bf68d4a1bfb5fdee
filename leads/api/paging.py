"""Pages by cursor, in orders that indexes have."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class NewestFirst(CursorPagination):
    """Pages by cursor: as quick at the end of a long list as at its beginning."""

    ordering = "-id"
    page_size_query_param = "limit"
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> Any:
        self.model: type[models.Model] = queryset.model
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        """The cursor that the client sent back; one that no page handed out is not found, not a fault."""
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        field: Any = self.model._meta.get_field(str(self.ordering[0]).lstrip("-"))
        try:
            position = field.to_python(cursor.position)
        except ValidationError as error:
            raise NotFound(self.invalid_cursor_message) from error
        if "\0" in str(cursor.position) or (isinstance(position, datetime) and timezone.is_naive(position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class Timeline(NewestFirst):
    """By id, or, within one contact or a time, by when it happened: each the order of an index."""

    offset_cutoff = 10_000_000  # within one contact, any number of rows may have happened at one moment

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        by_time = any(request.query_params.get(name) for name in ("contact", "occurred_since"))
        return ("-occurred_at", "-id") if by_time else ("-id",)


class BySlug(NewestFirst):
    ordering = "slug"
