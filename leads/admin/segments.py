"""Segments: a condition, what it says and how many contacts meet it now."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from leads.models import Segment

from .bases import ModelAdmin, condition_in_words, contacts_matching


@admin.register(Segment)
class SegmentAdmin(ModelAdmin):
    list_display = ("name", "slug", "created_at")
    search_fields = ("name", "slug")
    fields = ("name", "slug", "condition", "in_words", "size")
    readonly_fields = ("in_words", "size")
    fixed_once_saved = ("slug",)  # conditions refer to it
    sources_of_slug = {"slug": ("name",)}

    @admin.display(description=_("contacts where"))
    def in_words(self, segment: Segment) -> str:
        return condition_in_words(segment.condition) if segment.pk else "–"

    @admin.display(description=_("contacts in it now"))
    def size(self, segment: Segment) -> str:
        return contacts_matching(segment.condition) if segment.pk else "–"
