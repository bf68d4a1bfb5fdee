"""Who took figures out of the product, read-only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from leads.models import KpiExport

from .bases import HistoryAdmin, ModelAdmin


@admin.register(KpiExport)
class KpiExportAdmin(HistoryAdmin):
    list_display = ("at", "by", "page", "query")
    list_select_related = ("by",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[KpiExport]:
        rows: QuerySet[KpiExport] = super(ModelAdmin, self).get_queryset(request)
        return rows  # about nobody's contact
