"""The funnel page in a real browser: on a desk, on a phone, by keys, without JavaScript, and for everybody."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from leads.funnel import count_everybody
from leads.models import Contact, Source, StageChange

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = pytest.mark.parametrize("size", ["desk", "phone"])


@pytest.fixture
def funnel(transactional_db):
    """Sixty people of two sources over as many days; every second got to MQL, every fourth to SQL."""
    sources = [
        Source.objects.create(slug=slug, name=name)
        for slug, name in (("web", "Web site"), ("fair", "Fleet fair"))
    ]
    now = timezone.now()
    for number in range(60):
        at = now - timedelta(days=number)
        contact = Contact.objects.create(
            first_name="Person", last_name=str(number), email=f"p{number}@example.com", known_at=at, updated_at=at,
            stage_at=at, source=sources[number % 3 != 0],
        )  # fmt: skip
        for step, stage in ((2, "mql"), (4, "sql")):
            if number % step == 0:
                StageChange.objects.create(
                    contact=contact, after=stage, cause="score", at=at + timedelta(hours=step)
                )
    count_everybody()


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@SIZES
def test_a_manager_reads_the_funnel_narrows_it_and_goes_down_to_the_people(open_page, max_, funnel, size):
    page = open_page("/kpis/", size, person="max")
    expect(page).to_have_title(re.compile("KPIs"))
    expect(page.locator(".kpi-value").nth(3)).to_have_text("30")
    assert overflow(page) <= 0
    page.select_option("#kpi-source", label="Web site")
    expect(page.locator(".kpi-value").first).to_have_text("20")
    expect(page).to_have_url(re.compile(r"source=\d+"))
    assert overflow(page) <= 0
    page.go_back()
    expect(page.locator(".kpi-value").first).to_have_text("60")
    page.locator(".funnel a").nth(4).click()
    expect(page).to_have_url(re.compile("reached=sql"))
    expect(page.locator(".filters .count")).to_have_text("15 people")
    expect(page.locator("tbody tr")).to_have_count(15)
    assert overflow(page) <= 0
    page.click(".filter-chip")
    expect(page.locator("tbody tr")).to_have_count(60)


@SIZES
def test_days_of_ones_own(open_page, max_, funnel, size):
    page = open_page("/kpis/", size, person="max")
    page.select_option("#kpi-period", "custom")
    day = (timezone.now() - timedelta(days=9)).date().isoformat()
    page.fill("#kpi-from", day)
    page.dispatch_event("#kpi-from", "change")
    expect(page.locator(".kpi-value").first).to_have_text("10")
    expect(page).to_have_url(re.compile(f"from={day}"))
    assert overflow(page) <= 0


def test_what_a_figure_means_opens_and_closes_by_keys(open_page, max_, funnel):
    page = open_page("/kpis/", person="max")
    about = page.locator(".about").nth(3)
    about.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(about.locator("p")).to_be_visible()
    expect(about.locator("p")).to_contain_text("People who have become MQL")
    page.keyboard.press("Escape")
    expect(about.locator("p")).to_be_hidden()
    expect(about.locator("summary")).to_be_focused()


@SIZES
def test_explanations_stay_on_the_screen(open_page, max_, funnel, size):
    page = open_page("/kpis/", size, person="max")
    for about in page.locator(".about").all():
        about.locator("summary").click()
        box = about.locator("p").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]
        page.keyboard.press("Escape")


def test_without_javascript_the_page_reads_and_its_form_works(open_page, max_, funnel):
    page = open_page("/kpis/", person="max", java_script_enabled=False)
    page.locator(".about summary").first.click()
    expect(page.locator(".about p").first).to_be_visible()
    page.select_option("#kpi-source", label="Fleet fair")
    page.click("text=Show >> nth=0")
    expect(page.locator(".kpi-value").first).to_have_text("40")
    page.click("text=As a table")
    expect(page.locator(".kpi-table tbody tr")).to_have_count(7)


@SIZES
def test_every_target_is_large_enough_for_its_pointer(open_page, max_, funnel, size):
    page = open_page("/kpis/", size, person="max", has_touch=size == "phone")
    least = 44 if size == "phone" else 32
    small = page.eval_on_selector_all(
        "#kpis a, #kpis button, #kpis select, #kpis summary",
        """(all, least) => all.map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect().height])
            .filter(([html, height]) => height > 0 && height < least)""",
        least,
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@SIZES
def test_axe_finds_nothing_serious(open_page, max_, funnel, size, scheme):
    page = open_page("/kpis/", size, person="max", color_scheme=scheme)
    page.click("text=As a table")
    page.locator(".about summary").nth(1).click()
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
