"""The pages that people work with all day: the inbox and the outbox."""

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from leads.views.inbox import opens_inbox
from leads.views.inbox_queue import ORDERS, VIEWS
from nurture.models import Message, Template

from .ask import Ask, Asker, address, choices, some_contacts, source_id


def working(asker: Asker) -> Iterator[Ask]:
    if opens_inbox(asker.user):
        yield from _inbox(asker)
    if asker.user.has_perm("nurture.view_message"):
        yield from _outbox(asker)


def _inbox(asker: Asker) -> Iterator[Ask]:
    page = reverse("inbox")
    filters = {
        "q": ("kim", "e", "person777", "nosuchword"),
        "stage": ("cold", "sql"),
        "owner": ("mine", "nobody"),
        "source": tuple(map(source_id, ("bench", "rare", "unused"))),
    }
    today, now = timezone.localdate(), timezone.now()
    places = {
        "score": ("60", "3"),
        "rise": ("40", "2"),
        "decided__recycle_on": tuple((today + timedelta(days=days)).isoformat() for days in (-20, 40)),
        "decided__at": tuple((now - timedelta(days=days)).isoformat() for days in (1, 300)),
    }
    for view in VIEWS:
        for chosen in choices(filters, asker):
            if len(chosen) < 2 or chosen.get("q") in ("kim", "e"):
                yield Ask(address(page, {"view": view, **chosen}))
        for place in places[ORDERS[view][0].lstrip("-")]:
            for direction in ("after", "before"):
                yield Ask(address(page, {"view": view, direction: f"{place},400"}))
    for contact in some_contacts(asker.user):
        yield Ask(address(page, {"lead": str(contact)}))


def _outbox(asker: Asker) -> Iterator[Ask]:
    page = reverse("outbox")
    filters = {
        "q": ("kim", "e", "person777", "nosuchword"),
        "status": tuple(Message.Status.values),
        "template": tuple(map(str, Template.objects.order_by("pk").values_list("pk", flat=True))),
    }
    for chosen in choices(filters, asker):
        yield Ask(address(page, chosen))
    last = Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    for before in (last - 5000, last // 2, 100):
        for chosen in ({}, {"status": "skipped"}, {"status": "sent"}, {"q": "kim"}, {"q": "person777"}):
            yield Ask(address(page, {**chosen, "before": str(before)}))
    for message in Message.objects.visible_to(asker.user).order_by("pk").values_list("pk", flat=True)[:1]:
        yield Ask(reverse("outbox-message", args=[message]))
        yield Ask(reverse("outbox-message-html", args=[message]))
    if asker.user.has_perms(("nurture.view_template", "leads.view_contact")):
        preview = reverse("template-preview", args=[Template.objects.latest("pk").pk])
        for email in ("", "person5@company5.example", "nobody@company5.example"):
            yield Ask(address(preview, {"email": email}))
