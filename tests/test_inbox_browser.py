"""The inbox in a real browser: by keys alone, at three widths, without JavaScript, for whoever cannot see it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from leads.decisions import accept, reject
from leads.models import Contact, Handoff, Hold, Identity, Interaction, RejectionReason, User
from leads.views.inbox_queue import VIEWS
from tests.browser import log_in
from tests.conftest import make_user
from tests.test_inbox import make_waiting

pytestmark = pytest.mark.django_db(transaction=True)

WIDTHS = {"desk": (1440, 900), "tablet": (900, 900), "phone": (390, 844)}


@pytest.fixture
def leads(rita, hanbit) -> dict[str, Contact]:
    leads = {
        "A": make_waiting("A", 90, company=hanbit, job_title="Operations lead", phone="+821048210093"),
        "B": make_waiting("B", 80, minutes=600),
        "C": make_waiting("C", 70, owner=rita),
        "D": make_waiting("D", 60),
    }
    Handoff.objects.filter(contact=leads["C"]).update(respond_by=timezone.now(), contacted_at=timezone.now())
    Handoff.objects.filter(contact=leads["D"]).update(respond_by=timezone.now())
    for day in range(3):
        Interaction.objects.create(
            contact=leads["A"], kind_id="directions_viewed", target="/directions", duration_s=200,
            occurred_at=timezone.now() - timezone.timedelta(days=day),
        )  # fmt: skip
    Identity.objects.filter(contact=leads["A"]).update(verification="confirmed")
    reject(make_waiting("E", 50).pk, rita, RejectionReason.objects.get(name="Not now"), "next year", None)
    return leads


def resize(page: Page, width: str) -> Page:
    page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    return page


def note(page: Page):
    return page.locator("#notes .note")


def test_a_lead_is_claimed_called_accepted_and_the_decision_undone_by_keys_alone(open_page, rita, leads):
    page = open_page("/inbox/", person="rita")
    name = page.locator("#lead-name")
    expect(name).to_have_text("A Waits")
    page.keyboard.press("j")  # into the list
    page.keyboard.press("j")
    expect(name).to_have_text("B Waits")
    expect(page).to_have_url(re.compile(rf"lead={leads['B'].pk}"))
    page.keyboard.press("k")
    expect(name).to_have_text("A Waits")

    page.keyboard.press("m")
    expect(note(page)).to_contain_text("A Waits is yours now.")
    expect(page.locator("#lead-facts")).to_contain_text("you")

    page.keyboard.press("c")
    expect(page.locator("input[value=reached]")).to_be_focused()
    page.keyboard.press("ArrowDown")  # no answer
    page.keyboard.press("Tab")
    page.keyboard.type("rings through")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(note(page)).to_contain_text("Call to A Waits noted: No answer.")
    expect(page.locator("#lead-timeline")).to_contain_text("rings through")
    expect(page.locator("#queue tr[aria-current] .due")).to_contain_text("just now")

    page.keyboard.press("a")
    expect(note(page)).to_contain_text("Accepted A Waits.")
    expect(name).to_have_text("B Waits")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(3)
    expect(page.locator("#waiting-leads")).to_have_text("3")
    expect(page.locator("#queue tr[aria-current] .row-link")).to_be_focused()

    page.keyboard.press("z")
    expect(note(page)).to_contain_text("A Waits is as before.")
    expect(name).to_have_text("A Waits")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(4)
    assert Contact.objects.get(pk=leads["A"].pk).owner == rita
    assert not Hold.objects.filter(contact=leads["A"], released_at=None).exists()


def test_a_browser_that_tells_late_that_a_form_opened_takes_nobody_out_of_a_field(open_page, rita, leads):
    page = open_page("/inbox/", person="rita")
    expect(page.locator("#lead-name")).to_have_text("A Waits")
    page.keyboard.press("c")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.locator("#call-note")).to_be_focused()
    page.locator("details.act[open]").dispatch_event("toggle")
    expect(page.locator("#call-note")).to_be_focused()


def test_a_rejection_asks_for_its_reason_and_day(open_page, rita, leads):
    page = open_page("/inbox/", person="rita")
    page.keyboard.press("r")
    expect(page.locator("#rejection")).to_be_focused()
    page.keyboard.press("Enter")  # the browser holds back a form without its reason
    page.keyboard.press("Escape")
    page.select_option("#rejection", label="No budget")
    page.fill("#recycle-on", "2027-02-01")
    page.press("#reject-note", "Tab")
    page.click("text=Reject the lead")
    expect(note(page)).to_contain_text("Rejected A Waits: No budget.")
    hold = Hold.objects.get(contact=leads["A"])
    assert (hold.rejection.name, str(hold.recycle_on)) == ("No budget", "2027-02-01")
    page.click(".tabs >> text=Recycled")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(1)
    expect(page.locator("#queue tr[data-lead]")).to_contain_text("A Waits")


def test_escape_closes_a_form_and_then_leads_back_to_the_row(open_page, rita, leads):
    page = open_page("/inbox/", person="rita")
    page.keyboard.press("n")
    expect(page.locator("#note-text")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("details.act[open]")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#queue tr[aria-current] .row-link")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("Reject, with the reason")


def test_who_was_faster_is_said_on_the_page(open_page, rita, seoul, leads):
    sujin = make_user("Sujin", "rep", seoul)
    page, other = open_page("/inbox/", person="rita"), open_page("/inbox/", person="sujin")
    expect(other.locator("#lead-name")).to_have_text("A Waits")
    page.keyboard.press("m")
    expect(note(page)).to_contain_text("A Waits is yours now.")
    other.keyboard.press("a")
    expect(note(other)).to_contain_text("Rita has claimed A Waits already. Nothing was changed.")
    assert Contact.objects.get(pk=leads["A"].pk).owner == rita
    assert not Hold.objects.filter(by=sujin).exists()


def test_search_and_filters_are_in_the_address_and_back_works(open_page, rita, leads):
    page = open_page("/inbox/", person="rita")
    page.fill("#search", "b")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/inbox/\?q=b$"))
    page.fill("#search", "")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(4)
    page.locator("#search").blur()
    page.keyboard.press("f")
    page.select_option("#filter-owner", "mine")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(1)
    expect(page.locator(".filtered")).to_contain_text("Mine")
    expect(page).to_have_url(re.compile(r"owner=mine"))
    page.go_back()
    expect(page.locator("#queue tr[data-lead]")).to_have_count(4)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("chosen", [False, True])
def test_nothing_is_wider_than_the_window_and_every_target_is_large_enough(
    open_page, rita, leads, width, chosen
):
    touch = width == "phone"
    page = resize(open_page("/inbox/", person="rita", has_touch=touch, is_mobile=touch), width)
    address = f"/inbox/?lead={leads['A'].pk}" if chosen else "/inbox/"
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    least = 44 if touch else 32
    small = page.evaluate(
        """least => [...document.querySelectorAll(
            '.inbox :is(a, button, summary, select, input:not([type=hidden], [type=radio]), textarea, label.option)')]
            .filter(e => e.checkVisibility() && !e.closest('p, dd, h2, .timeline, .parts'))
            .filter(e => !e.matches('.row-link'))
            .map(e => [e.textContent.trim().slice(0, 30), e.getBoundingClientRect().height])
            .filter(([, height]) => height > 0 && height < least)""",
        least,
    )
    assert small == []
    rows = page.locator("#queue tr[data-lead]:visible").all()
    assert all(row.bounding_box()["height"] >= least for row in rows)
    panes = {name: page.locator(name).is_visible() for name in ("#queue", "#lead")}
    if touch:
        assert panes == {"#queue": not chosen, "#lead": chosen}
    else:
        assert panes == {"#queue": True, "#lead": True}


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [1440, 1280, 1000, 900, 899, 390, 360])
def test_every_view_can_be_reached_however_many_leads_it_has(open_page, rita, leads, width, language):
    User.objects.filter(pk=rita.pk).update(language=language)
    page = open_page("/inbox/", person="rita")
    page.set_viewport_size({"width": width, "height": 800})
    for count in page.locator(".tabs .count").all():
        count.evaluate("count => { count.textContent = '99+' }")
    tabs = page.locator(".queue-head .tabs")
    edge = page.locator(".filter-menu").bounding_box()["x"]
    assert tabs.locator("a").count() == len(VIEWS)
    assert [
        tab.inner_text()
        for tab in tabs.locator("a").all()
        if tab.bounding_box()["x"] + tab.bounding_box()["width"] > edge + 1
    ] == []
    tabs.locator("a").last.click()
    expect(page).to_have_url(re.compile("view=rejected"))


def test_an_accepted_lead_is_won_and_that_is_undone_by_keys(open_page, rita, leads):
    accept(leads["A"].pk, rita)
    page = open_page("/inbox/?view=mine", person="rita")
    expect(page.locator("#lead-name")).to_have_text("A Waits")
    page.keyboard.press("o")
    expect(note(page)).to_contain_text("A Waits is won and a customer now.")
    expect(page.locator("#lead-name")).to_have_text("C Waits")
    assert Contact.objects.get(pk=leads["A"].pk).outcome == "won"
    page.keyboard.press("z")
    expect(note(page)).to_contain_text("A Waits is as before.")
    expect(page.locator("#lead-name")).to_have_text("A Waits")
    page.keyboard.press("l")
    page.keyboard.type("bought another make")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(note(page)).to_contain_text("A Waits is lost for now")
    page.goto("/inbox/?view=rejected")
    expect(page.locator("#queue")).to_contain_text("Lost: bought another make")


def test_on_a_phone_a_lead_is_a_page_with_the_way_back(open_page, rita, leads):
    page = open_page("/inbox/", "phone", person="rita", has_touch=True, is_mobile=True)
    page.locator("#queue .row-link").nth(1).click()
    expect(page.locator("#lead-name")).to_have_text("B Waits")
    expect(page.locator("#queue")).to_be_hidden()
    page.click(".lead-back")
    expect(page.locator("#queue")).to_be_visible()
    expect(page.locator("#lead")).to_be_hidden()


def test_without_javascript_everything_can_be_done(open_page, chromium, live_server, rita, leads):
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/inbox/")
    log_in(page, "rita")
    expect(page.locator("#lead-name")).to_have_text("A Waits")
    page.click("#queue .row-link >> text=B Waits")
    expect(page.locator("#lead-name")).to_have_text("B Waits")
    page.click("summary >> text=Call")
    page.check("input[value=call_back]")
    page.fill("#call-back-at", "2027-02-01T10:00")
    page.click("text=Note the call")
    expect(note(page)).to_contain_text("Call to B Waits noted: Asked to be called back.")
    expect(page.locator(".lead-facts .advice")).to_contain_text("Call back at February 1, 10:00")
    page.click("button:has-text('Accept')")
    expect(note(page)).to_contain_text("Accepted B Waits.")
    page.click("button:has-text('Undo')")
    expect(note(page)).to_contain_text("B Waits is as before.")
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious(open_page, rita, leads, width):
    page = resize(open_page("/inbox/", person="rita"), width)
    views = ["", f"?lead={leads['A'].pk}", "?view=recycled", "?view=rising", "?view=rejected", "?q=nobody"]
    for view in views:
        page.goto(f"/inbox/{view}")
        page.wait_for_load_state("networkidle")
        if view.startswith("?lead"):
            page.keyboard.press("r")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            serious = [
                (rule["id"], [node["html"][:160] for node in rule["nodes"]])
                for rule in Axe().run(page).response["violations"]
                if rule["impact"] in ("serious", "critical")
            ]
            assert serious == [], (view, scheme)
