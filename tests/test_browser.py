"""Contact list and contact page in a real browser: on a desk, on a phone, by keys, without JavaScript."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Route, expect

from leads.models import Contact, Interaction, StageChange
from scoring.models import Rule, RuleGroup, ScoreSheet

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = pytest.mark.parametrize("size", ["desk", "phone"])


@pytest.fixture
def leads(cold_lead, mql_lead, sql_lead):
    ScoreSheet.objects.all().delete()
    sheet = ScoreSheet.objects.create(slug="engagement", name="Engagement")
    group = RuleGroup.objects.create(sheet=sheet, name="Shows interest")
    Rule.objects.create(group=group, name="Opens a page", interaction_id="page_viewed", points=2)
    now = timezone.now()
    Interaction.objects.bulk_create(
        Interaction(
            contact=sql_lead,
            kind_id="page_viewed",
            target=f"/page-{number}",
            occurred_at=now - timedelta(hours=number),
        )
        for number in range(70)
    )
    StageChange.objects.create(contact=sql_lead, before="mql", after="sql", cause="score", score=84)
    return [sql_lead, mql_lead, cold_lead]


def overflow(page) -> int:
    """By how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@SIZES
def test_a_rep_finds_a_lead_opens_it_and_sees_why_it_has_its_score(open_page, leads, size):
    page = open_page("/contacts/", size, person="rita")
    expect(page.locator("tbody tr")).to_have_count(3)
    assert overflow(page) <= 0
    page.fill("#search", "hanbit")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=hanbit$"))

    page.locator("tbody tr").first.click(position={"x": 180, "y": 20})  # anywhere on the row
    expect(page).to_have_title(re.compile("Seo-yeon Kim"))
    expect(page.locator(".score-value")).to_have_text("84")
    assert overflow(page) <= 0
    page.click("text=Why this score")
    expect(page.locator(".parts tbody")).to_contain_text("Opens a page")
    expect(page.locator("#panel-contact-workflows")).to_contain_text("In no workflow")
    assert overflow(page) <= 0

    page.click("text=Show older")
    expect(page.locator(".entry")).to_have_count(71)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#search")).to_have_value("hanbit")


@SIZES
def test_every_target_is_large_enough_for_its_pointer(open_page, leads, size):
    touch = size == "phone"
    page = open_page("/contacts/", size, has_touch=touch, is_mobile=touch, person="rita")
    least = 44 if touch else 32
    for address in ("/contacts/", f"/contacts/{leads[0].pk}/", f"/contacts/{leads[0].pk}/edit/"):
        page.goto(address)
        small = page.evaluate(
            """least => [...document.querySelectorAll(
                   '.button, .bar summary, .bar button:not([hidden]), .bar input, select, .rail a, .tabs a, '
                   + 'tbody tr, .score summary')]
                 .filter(element => element.checkVisibility() && !element.closest('.menu-panel')
                                    && element.getBoundingClientRect().height < least - .5)
                 .map(element => element.outerHTML.slice(0, 80))""",
            least,
        )
        assert small == []


def test_filters_live_in_the_address_and_back_works(open_page, leads):
    page = open_page("/contacts/", person="rita")
    page.select_option("#filter-owner", "mine")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/contacts/\?owner=mine$"))
    page.click(".tabs >> text=Cold")
    expect(page.locator(".empty")).to_contain_text("Nobody matches")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("#filter-owner")).to_have_value("mine")
    page.click("text=Clear filters")
    expect(page.locator("tbody tr")).to_have_count(3)


def test_results_that_come_late_leave_the_focus_on_the_row_that_the_keys_reached(open_page, leads):
    page = open_page("/contacts/", person="rita")
    held: list[Route] = []
    page.route("**/contacts/?*", lambda route: held.append(route))
    with page.expect_request("**/contacts/?*"):
        page.select_option("#sort", "lowest")
    page.locator("#sort").blur()
    page.keyboard.press("j")
    first = page.locator(".row-link").first
    expect(first).to_be_focused()
    name = first.inner_text()
    page.evaluate("document.addEventListener('htmx:afterRequest', () => { window.answered = true; })")
    held.pop().continue_()
    page.wait_for_function("window.answered")
    expect(page.locator(".row-link").last).to_have_text(name)
    expect(page.locator(".row-link").last).to_be_focused()


def test_the_keys_do_what_the_help_says(open_page, leads):
    page = open_page("/contacts/", person="rita")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("jk")  # letters, not commands
    expect(page.locator("#search")).to_have_value("jk")
    page.fill("#search", "")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.keyboard.press("Escape")
    for key in "jjk":
        page.keyboard.press(key)
    expect(page.locator(".row-link").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Seo-yeon Kim"))
    page.keyboard.press("w")
    expect(page.locator(".parts")).to_be_visible()
    page.keyboard.press("e")
    expect(page).to_have_url(re.compile("/edit/$"))


def test_the_first_tab_stop_skips_to_the_content(open_page, leads):
    page = open_page("/contacts/", person="rita")
    page.goto("/contacts/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_what_was_typed_survives_an_expired_session(open_page, leads):
    page = open_page(f"/contacts/{leads[0].pk}/edit/", person="rita")
    page.fill("#id_city", "Busan")
    page.context.clear_cookies(name="sessionid")
    with page.expect_navigation():
        page.evaluate("document.querySelector('.sheet').requestSubmit()")
    page.fill("#id_username", "rita")
    page.fill("#id_password", "a long enough password")
    page.click("button")
    expect(page.locator("#id_city")).to_have_value("Busan")
    page.click("text=Save")
    expect(page.locator(".note")).to_have_text("Saved.")
    assert Contact.objects.get(pk=leads[0].pk).city == "Busan"


def test_the_pages_read_and_the_forms_post_without_javascript(open_page, leads):
    page = open_page("/contacts/", java_script_enabled=False, person="rita")
    page.fill("#search", "hanbit")
    page.press("#search", "Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.select_option("#filter-owner", "nobody")
    page.click("text=Show")
    expect(page.locator(".empty")).to_contain_text("Nobody matches")
    page.goto(f"/contacts/{leads[0].pk}/")
    page.click("summary:has-text('Why this score')")
    page.click("text=Show the parts of the score")
    expect(page.locator(".parts")).to_contain_text("Opens a page")
    page.click("text=Back to the contact")
    page.click("text=Show older")
    expect(page.locator(".entries")).to_contain_text(["/page-69"])
    page.click("text=Give back")
    expect(page.locator(".note")).to_contain_text("belongs to nobody now")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_themes(open_page, leads, scheme):
    page = open_page("/contacts/", color_scheme=scheme, person="rita")
    for address in ("/contacts/", f"/contacts/{leads[0].pk}/"):
        page.goto(address)
        faint = page.evaluate(CONTRAST)
        assert faint == []


CONTRAST = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const bytes = colour => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => {
    const linear = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
    const [r, g, b] = bytes(colour).map(byte => linear(byte / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (bytes(colour)[3] === 255) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!words || !element.checkVisibility() || element.matches(".hidden, .skip, option, script")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    const what = `${element.className} ${element.textContent.trim().slice(0, 30)}`;
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${what}`);
  }
  return [...new Set(found)];
}"""
