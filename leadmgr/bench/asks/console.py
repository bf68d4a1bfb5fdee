"""The admin: every list with each of its filters, orders and searches, and the rows that lead to large tables."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.db.models import Max
from django.urls import reverse

from leadmgr.bench.furnishing import BIG
from leads.models import Campaign, InteractionKind, Segment, Source, User
from nurture.models import Enrolment, Message, Workflow
from scoring.models import ScoreSheet, Threshold

from .ask import Ask, request_as, some_contacts, source_id


def console(user: User) -> Iterator[Ask]:
    somebody = some_contacts(user)[0]
    for model, page_class in admin.site._registry.items():
        app, name = model._meta.app_label, model._meta.model_name
        if not user.has_perm(f"{app}.view_{name}"):
            continue
        page = reverse(f"admin:{app}_{name}_changelist")
        yield Ask(page) if user.is_superuser else Ask(page, model=model)
        if model not in BIG.values():
            continue
        changes: Any = page_class.get_changelist_instance(request_as(user, page))
        queries = [
            choice["query_string"]
            for spec in changes.filter_specs
            for choice in spec.choices(changes)
            if choice["query_string"] != "?"
        ]
        queries += [
            f"?o={number}"
            for number, column in enumerate(changes.list_display, 1)
            if column in changes.sortable_by
        ]
        queries += [f"?p={number}" for number in (2, 200)]
        queries.append("?_facets=True")
        if changes.list_display[0] == "contact":
            queries.append(f"?contact__id__exact={somebody}")
        if page_class.search_fields:
            words = ("kim", "e", "person777", "person5@company5.example", "nosuchword")
            queries += [f"?q={quote(word)}" for word in words]
        yield from (Ask(page + query, model=model) for query in queries)
    if user.is_superuser:
        yield from _administration()


def _administration() -> Iterator[Ask]:
    """Single rows in the admin, where they lead to large tables."""
    yield Ask(reverse("admin:leads_contact_change", args=[5]))
    yield Ask(reverse("admin:leads_contact_delete", args=[5]))
    yield Ask(reverse("admin:leads_company_change", args=[2]))
    yield Ask(reverse("admin:leads_company_delete", args=[2]))
    for history in (Enrolment, Message):
        name = f"admin:nurture_{history._meta.model_name}_change"
        yield Ask(reverse(name, args=[history._default_manager.aggregate(last=Max("pk"))["last"]]))
    for text in ("", "company 5", "nosuchword"):
        names = {"term": text, "app_label": "leads", "model_name": "contact", "field_name": "company"}
        yield Ask(reverse("admin:autocomplete") + "?" + urlencode(names))
    # Rare, and only by reading every row can it be known that none refers to what is to be deleted.
    proof = "nothing may refer to what is deleted, and no index on so large a table is worth keeping for this"
    for used in (Source, Campaign, InteractionKind):
        name = f"admin:leads_{used._meta.model_name}_delete"
        yield Ask(reverse(name, args=[used.objects.get(slug="unused").pk]), exempt=proof)
    yield Ask(reverse("admin:leads_source_delete", args=[source_id("bench")]))
    yield Ask(reverse("admin:leads_interactionkind_delete", args=["visit"]))
    for sheet in ("bench", "unused"):
        row = ScoreSheet.objects.get(slug=sheet)
        yield Ask(reverse("admin:scoring_scoresheet_delete", args=[row.pk]))
    yield Ask(reverse("admin:nurture_workflow_delete", args=[Workflow.objects.earliest("pk").pk]))
    # A marketer asks how many contacts meet a condition, which can be about anything.
    size = "counts those that meet any condition that somebody wrote"
    for counted in (ScoreSheet, Threshold, Workflow, Segment):
        name = f"admin:{counted._meta.app_label}_{counted._meta.model_name}_change"
        yield Ask(reverse(name, args=[counted._default_manager.latest("pk").pk]), exempt=size)
