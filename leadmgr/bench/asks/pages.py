"""The pages about people and companies, and the funnel with the lists that its figures lead to."""

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from leads.funnel.figures import NO_SOURCE
from leads.funnel.periods import CUSTOM, PRESETS
from leads.models import FunnelStep, User
from leads.registry import registry

from .ask import Ask, Asker, address, choices, some_contacts, source_id


def pages(asker: Asker, middle: int) -> Iterator[Ask]:
    yield from _lists(asker, middle)
    yield from _of_figures()
    yield from _contact(asker.user)
    yield from _companies()
    yield from _funnel(asker.user)


def _lists(asker: Asker, middle: int) -> Iterator[Ask]:
    page = reverse("contact-list")
    for chosen in choices(_filters(), asker):
        for sort in ("", "lowest", "newest"):
            if len(chosen) < 2 or not sort:
                yield Ask(address(page, chosen | {"sort": sort}))
    for chosen in (
        {},
        {"stage": "cold"},
        {"owner": "nobody"},
        {"source": source_id("rare")},
        {"q": "kim"},
    ):
        for direction in ("after", "before"):
            yield Ask(address(page, chosen | {direction: f"20,{middle}"}))
            yield Ask(address(page, chosen | {"sort": "newest", direction: str(middle)}))


def _filters() -> dict[str, tuple[str, ...]]:
    return {
        "q": ("kim", "e", "company", "person7", "person777", "kim seoul", "nosuchword"),
        "stage": ("cold", "sql", "disqualified"),
        "owner": ("mine", "nobody"),
        "source": (*map(source_id, ("bench", "rare", "unused")), NO_SOURCE),
        "outcome": ("open", "won", "lost"),
    }


def _of_figures() -> Iterator[Ask]:
    """The people whom a figure of the funnel counts; the list can be narrowed and sorted from there."""
    page = reverse("contact-list")
    today = timezone.localdate()
    ends = {
        name: {"from": (today - timedelta(days=days)).isoformat(), "to": today.isoformat()}
        for name, days in (("day", 0), ("quarter", 90), ("year", 365))
    }
    for step in FunnelStep:
        for days in ({}, *ends.values()):
            yield Ask(address(page, {"reached": step.slug, **days}))
    for step in (FunnelStep.CONTACT, FunnelStep.SQL, FunnelStep.WON):
        reached = {"reached": step.slug, **ends["quarter"]}
        for narrowing in (
            *({"source": value} for value in _filters()["source"]),
            *({"q": word} for word in ("kim", "nosuchword")),
            {"stage": "sql"},
            {"owner": "mine"},
            {"outcome": "won"},
            {"sort": "newest"},
            {"sort": "lowest"},
        ):
            yield Ask(address(page, reached | narrowing))


def _contact(user: User) -> Iterator[Ask]:
    for contact in some_contacts(user):
        page = reverse("contact-detail", args=[contact])
        yield Ask(page)
        yield Ask(reverse("contact-score", args=[contact]), fragment=True)
        if user.is_superuser:
            yield Ask(reverse("contact-edit", args=[contact]))
        yield Ask(page + "?before=2026-06-01T00:00:00.000000Z,2,5", fragment=True)
        for panel in registry.contact_panels:
            yield Ask(reverse(panel.url_name, args=[contact]), fragment=True)


def _companies() -> Iterator[Ask]:
    page = reverse("company-list")
    yield Ask(page)
    yield Ask(address(page, {"name": "Company 5", "id": "5"}))
    for company in (1, 2):
        yield Ask(reverse("company-detail", args=[company]))


def _funnel(user: User) -> Iterator[Ask]:
    if not user.has_perm("leads.view_kpis"):
        return
    today = timezone.localdate()
    years = {"period": CUSTOM, "from": (today - timedelta(days=5 * 365)).isoformat()}
    sources = ("", *_filters()["source"])
    for period in (*({"period": name} for name in PRESETS), years):
        for source in sources:
            yield Ask(address(reverse("kpi-funnel"), period | {"source": source}))
    if user.has_perm("leads.export_kpis"):
        yield Ask(address(reverse("kpi-funnel-csv"), years))
