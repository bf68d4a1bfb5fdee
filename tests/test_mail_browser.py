"""Outbox, message, unsubscribe page, the workflows of a contact and of the admin, in a real browser: for whoever cannot
see them, in both themes, on a desk and on a phone."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from leads.models import Consent
from nurture.links import unsubscribe_url
from nurture.models import Enrolment, Message, MessageEvent, Step, Template, Track, Workflow
from nurture.outbox import Recipient, queue_messages
from tests.browser import SIZES

pytestmark = pytest.mark.django_db(transaction=True)

HTML = '<p>Hello <b>{{ contact.first_name }}</b></p><p><a href="{{ unsubscribe_url }}">No more such e-mails</a></p>'


@pytest.fixture
def workflow(mina) -> Workflow:
    """A mail that fails for everybody, a wait, a branch."""
    track = Track.objects.create(name="Car")
    mail = Template.objects.create(name="See it, drive it", subject="See the car, drive it", html=HTML)
    workflow = Workflow.objects.create(name="Book a test drive", track=track, stages=["sql"])
    step = Step(workflow=workflow, position=1, kind="send_email", template=mail)
    step.error = "TemplateError: unknown filter “shout”"
    step.save()
    Step.objects.create(workflow=workflow, position=2, kind="wait", wait_minutes=1440)
    condition = {"field": "country", "op": "is", "value": "KR"}
    Step.objects.create(workflow=workflow, position=3, kind="branch", condition=condition)
    return workflow


@pytest.fixture
def message(workflow, sql_lead, cold_lead) -> Message:
    """Opened and clicked, beside one that was not sent; the lead waits in one workflow, another one stopped."""
    now = timezone.now()
    Consent.objects.create(contact=sql_lead, channel="email", state="granted", at=now - timedelta(days=9))
    template = Template.objects.get()
    queue_messages(template.pk, [Recipient(sql_lead.pk), Recipient(cold_lead.pk)], now)
    message = Message.objects.get(contact=sql_lead)
    Message.objects.filter(pk=message.pk).update(status="sent", sent_at=now, first_opened_at=now)
    for kind in ("opened", "clicked"):
        MessageEvent.objects.create(message=message, kind=kind, key=kind, occurred_at=now)
    told = {"contact": sql_lead, "step": workflow.steps.first()}
    Enrolment.objects.create(workflow=workflow, track=workflow.track, due_at=now, **told)
    other = Track.objects.create(name="Club")
    club = Workflow.objects.create(name="The club", track=other, stages=["sql"])
    Enrolment.objects.create(workflow=club, track=other, status="failed", error="DataError: by zero", **told)
    Enrolment.objects.create(
        contact=sql_lead, workflow=club, track=other, status="left", left_by="person", left_at=now
    )
    return message


PAGES: dict[str, Callable[[Message], str]] = {
    "outbox": lambda message: reverse("outbox"),
    "nothing-found": lambda message: reverse("outbox") + "?q=nosuchbody",
    "message": lambda message: reverse("outbox-message", args=[message.pk]),
    "never-written": lambda message: reverse(
        "outbox-message", args=[Message.objects.get(status="skipped").pk]
    ),
    "preview": lambda message: reverse("template-preview", args=[message.template_id]),
    "unsubscribe": lambda message: "/m/" + unsubscribe_url(message.pk).partition("/m/")[2],
    "contact": lambda message: reverse("contact-detail", args=[message.contact_id]),
    "workflows": lambda message: reverse("admin:nurture_workflow_changelist"),
    "workflow": lambda message: reverse(
        "admin:nurture_workflow_change", args=[Workflow.objects.get(name="Book a test drive").pk]
    ),
}


def show(open_page, message: Message, name: str, size: str, **options) -> Page:
    page = open_page("/outbox/", size, person="ada", **options)
    page.goto(PAGES[name](message))
    page.wait_for_load_state("networkidle")
    if name == "contact":
        page.get_by_text("Waits at step 1, which fails for everybody").wait_for()
        page.get_by_text("DataError: by zero").wait_for()
    if name == "workflow":
        page.get_by_text("Step 1 fails for everybody. 1 contact waits there.").wait_for()
    return page


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_window(open_page, ada, message, name, size):
    page = show(open_page, message, name, size)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        serious = [
            (rule["id"], [node["html"][:200] for node in rule["nodes"]])
            for rule in Axe().run(page).response["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == [], scheme
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if name in ("workflows", "workflow"):  # a list of the admin scrolls in itself
        return
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("a, button, select, input:not([type=hidden])")]
            .filter(e => e.checkVisibility() && !e.closest("details:not([open]) > :not(summary)"))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert beyond == []


def test_on_a_phone_the_outbox_says_to_whom_it_wrote_and_why_not(open_page, ada, message):
    page = show(open_page, message, "outbox", "phone", has_touch=True, is_mobile=True)
    for cell in page.locator(".outbox td.who").all():
        assert cell.bounding_box()["width"] > 140
    assert page.get_by_text("The contact never agreed to such e-mails.").is_visible()
    small = [
        control.inner_text()
        for control in page.locator(".filters :is(input, select, button):visible, .rail a:visible").all()
        if control.bounding_box()["height"] < 44
    ]
    assert small == []


def test_unsubscribing_works_without_javascript_and_can_be_taken_back(chromium, live_server, message):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False, locale="en")
    page = context.new_page()
    page.goto(PAGES["unsubscribe"](message))
    page.click("button:has-text('Unsubscribe')")
    assert page.get_by_role("heading", name="You are unsubscribed").is_visible()
    assert Consent.objects.order_by("-pk").first().state == "denied"
    page.click("button:has-text('Subscribe again')")
    assert Consent.objects.order_by("-pk").first().state == "granted"
    context.close()
