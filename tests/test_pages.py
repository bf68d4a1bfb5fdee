"""The pages: who may open which, what they show, and that they cost the same at any size."""

from datetime import timedelta

import pytest
from django.template import Context, Template
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from leadmgr.shell import initials
from leads.merge import merge_contacts
from leads.models import Consent, Contact, Interaction, Outcome, Source, Stage, StageChange, Touch, User
from leads.views.contact_list import COUNTED_AT_MOST, ContactPage, Filters
from leads.views.keyset import ROWS
from leads.views.timeline import ENTRIES, read_timeline
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Rule, RuleGroup, ScoreSheet
from tests.conftest import make_contact, make_user

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def as_rita(client, rita):
    client.force_login(rita)
    return client


def page_of(contact, name="contact-detail"):
    return reverse(name, args=[contact.pk])


def text_of(response) -> str:
    return response.content.decode()


def shown(response) -> list[int]:
    """The ids of the contacts on the list."""
    return [row.pk for row in response.context["page"].rows]


def visit(contact, target="/pricing", *, ago=timedelta(0), **fields):
    return Interaction.objects.create(
        contact=contact, kind_id="page_viewed", target=target, occurred_at=timezone.now() - ago, **fields
    )


# Who may open which page

OWN_PAGES = ["contact-detail", "contact-edit", "contact-score", "contact-workflows"]
PAGES = ["home", "contact-list", "company-list", "preferences"]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_asks_to_log_in_and_remembers_where_one_was_going(client, db, name):
    response = client.get(reverse(name), follow=True)
    assert response.redirect_chain[-1][0].startswith(reverse("login") + "?next=")


@pytest.mark.parametrize("name", OWN_PAGES)
def test_every_page_of_a_contact_asks_to_log_in(client, sql_lead, name):
    assert client.get(page_of(sql_lead, name)).url.startswith(reverse("login"))


def test_a_fragment_asked_for_after_the_session_expired_sends_the_whole_page_to_the_login(client, db):
    response = client.get(
        reverse("contact-list"), headers={**HTMX, "HX-Current-URL": "http://testserver/contacts/?q=kim"}
    )
    assert response["HX-Redirect"] == "/login/?next=/contacts/%3Fq%3Dkim"


@pytest.mark.parametrize("name", OWN_PAGES)
@pytest.mark.parametrize("person", ["rita", "mina", "max_", "ada"])
def test_own_team_and_people_who_see_all_open_a_contact(client, request, sql_lead, person, name):
    user = request.getfixturevalue(person)
    client.force_login(user)
    status = client.get(page_of(sql_lead, name)).status_code
    assert status == (403 if name == "contact-edit" and person == "max_" else 200)


@pytest.mark.parametrize("name", OWN_PAGES)
def test_a_contact_of_another_team_is_not_found(client, bruno, sql_lead, name):
    client.force_login(bruno)
    response = client.get(page_of(sql_lead, name))
    assert response.status_code == 404
    assert "another" in text_of(response)
    assert sql_lead.first_name not in text_of(response)


def test_somebody_without_a_role_is_told_so(client, db):
    client.force_login(User.objects.create_user("nobody"))
    response = client.get(reverse("contact-list"))
    assert response.status_code == 403
    assert "Your role does not open this page" in text_of(response)
    assert 'href="/contacts/" aria-current' not in text_of(response)


@pytest.mark.parametrize(("person", "offered"), [("rita", False), ("mina", True), ("ada", True)])
def test_the_rail_offers_the_admin_to_staff_only(client, request, person, offered):
    client.force_login(request.getfixturevalue(person))
    assert ('href="/admin/"' in text_of(client.get(reverse("contact-list")))) is offered


def test_log_out_works_by_post_only(as_rita):
    assert as_rita.get(reverse("logout")).status_code == 405
    assert as_rita.post(reverse("logout")).status_code == 302
    assert as_rita.get(reverse("contact-list")).status_code == 302


def test_a_wrong_password_keeps_the_name_and_says_what_to_check(client, rita):
    response = client.post(reverse("login"), {"username": "rita", "password": "wrong"})
    assert 'value="rita"' in text_of(response)
    assert "do not belong together" in text_of(response)


# The contact list


def test_the_list_shows_the_highest_scores_first(as_rita, cold_lead, mql_lead, sql_lead):
    rows = as_rita.get(reverse("contact-list")).context["page"].rows
    assert [contact.score for contact in rows] == [84, 45, 12]


def test_the_list_shows_only_known_contacts_that_one_may_see(client, bruno, sql_lead, cold_lead):
    Contact.objects.create(score=99)  # a visitor
    make_contact("Old", "Record", archived_at=timezone.now())
    client.force_login(bruno)
    assert shown(client.get(reverse("contact-list"))) == [cold_lead.pk]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "hanbit"}, {"Seo-yeon"}),
        ({"q": "박지호"}, {"지호"}),
        ({"q": "noah@fjordly.example"}, {"Noah"}),
        ({"stage": "mql"}, {"지호"}),
        ({"owner": "mine"}, {"Seo-yeon"}),
        ({"owner": "nobody"}, {"지호", "Noah"}),
        ({"outcome": "won"}, {"Noah"}),
        ({"outcome": "open"}, {"Seo-yeon", "지호"}),
        ({"q": "noah", "stage": "mql"}, set()),
        ({"q": "' OR 1=1 --"}, set()),
        ({"q": "&|!:*"}, set()),
        ({"q": "\0noah"}, {"Noah"}),
        ({"stage": "hot", "owner": "x", "source": "-1", "outcome": "?"}, {"Seo-yeon", "지호", "Noah"}),
        ({"sort": "name", "after": "a,b"}, {"Seo-yeon", "지호", "Noah"}),
    ],
)  # fmt: skip
def test_filters_and_search_come_from_the_address(as_rita, cold_lead, mql_lead, sql_lead, query, expected):
    Contact.objects.filter(pk=cold_lead.pk).update(outcome=Outcome.WON)
    rows = as_rita.get(reverse("contact-list"), query).context["page"].rows
    assert {contact.first_name for contact in rows} == expected


def test_the_source_filter_offers_every_source_and_keeps_the_chosen(as_rita, cold_lead, mql_lead):
    fair = Source.objects.create(slug="fair", name="Trade fair <Seoul>")
    Contact.objects.filter(pk=mql_lead.pk).update(source=fair)
    response = as_rita.get(reverse("contact-list"), {"source": fair.pk})
    assert shown(response) == [mql_lead.pk]
    assert f'<option value="{fair.pk}" selected>Trade fair &lt;Seoul&gt;</option>' in text_of(response)


def test_common_words_are_found_like_rare_ones(as_rita, monkeypatch, cold_lead, sql_lead):
    monkeypatch.setattr("leads.search.FEW", 0)
    found = as_rita.get(reverse("contact-list"), {"q": "example"})
    assert shown(found) == [sql_lead.pk, cold_lead.pk]


@pytest.mark.parametrize("sort", ["", "lowest", "newest"])
def test_pages_follow_each_other_without_gap_or_repeat_and_lead_back(rita, sort):
    Contact.objects.bulk_create(
        Contact(first_name=f"P{number}", known_at=timezone.now(), score=number % 7)
        for number in range(2 * ROWS + 5)
    )
    filters = Filters(sort=sort)
    seen, pages, query = [], [], {}
    while True:
        page = ContactPage(rita, filters, **query)
        pages.append([contact.pk for contact in page.rows])
        seen += pages[-1]
        if not page.next:
            break
        query = {"after": page.next.partition("after=")[2]}
    assert [len(ids) for ids in pages] == [ROWS, ROWS, 5]
    assert len(set(seen)) == 2 * ROWS + 5
    back = ContactPage(rita, filters, before=page.previous.partition("before=")[2])
    assert [contact.pk for contact in back.rows] == pages[1]
    first = ContactPage(rita, filters, before=back.previous.partition("before=")[2])
    assert [contact.pk for contact in first.rows] == pages[0]
    assert first.previous == ""


def test_the_count_stops_at_a_thousand(as_rita):
    Contact.objects.bulk_create(Contact(known_at=timezone.now()) for _ in range(COUNTED_AT_MOST + 50))
    assert "1,000+ people" in text_of(as_rita.get(reverse("contact-list")))


def test_an_empty_base_says_how_to_fill_it_and_a_missed_search_offers_to_clear(as_rita):
    assert "No contacts yet" in text_of(as_rita.get(reverse("contact-list")))
    assert "No contacts yet" in text_of(as_rita.get(reverse("contact-list"), {"q": "kim"}))
    make_contact("Noah", "Berg")
    missed = text_of(as_rita.get(reverse("contact-list"), {"q": "<kim>"}))
    assert "Nobody matches “&lt;kim&gt;”" in missed
    assert "Clear filters" in missed


def test_a_filter_chosen_on_the_page_swaps_the_results_and_writes_the_address(as_rita, sql_lead):
    response = as_rita.get(
        reverse("contact-list"), {"q": "", "stage": "sql", "owner": ""},
        headers={**HTMX, "HX-Current-URL": "http://testserver/contacts/"},
    )  # fmt: skip
    assert response["HX-Push-Url"] == "/contacts/?stage=sql"
    assert "<html" not in text_of(response)
    typed = as_rita.get(
        reverse("contact-list"),
        {"q": "kim"},
        headers={**HTMX, "HX-Current-URL": "http://testserver/contacts/?q=ki"},
    )
    assert typed["HX-Replace-Url"] == "/contacts/?q=kim"


@pytest.mark.parametrize("number", [1, ROWS + 1])
def test_the_list_costs_the_same_queries_for_one_row_and_for_a_full_page(
    as_rita, rita, hanbit, django_assert_num_queries, number
):
    source = Source.objects.create(slug="fair", name="Fair")
    Contact.objects.bulk_create(
        Contact(first_name="A", known_at=timezone.now(), owner=rita, company=hanbit, source=source)
        for _ in range(number)
    )
    # session, person, their and their groups' permissions, contacts, sources, the count if there are more; how many
    # leads wait
    with django_assert_num_queries(7 if number == 1 else 8):
        as_rita.get(reverse("contact-list"))


def test_a_search_costs_two_queries_more(as_rita, sql_lead, django_assert_num_queries):
    with django_assert_num_queries(9):
        as_rita.get(reverse("contact-list"), {"q": "kim"})


@pytest.mark.parametrize("address", ["/contacts/{0}/", "/companies/{0}/", "/contacts/?source={0}", "/companies/?id={0}",
                                     "/contacts/?after={0},{0}", "/contacts/?before=1,{0}&sort=newest"])  # fmt: skip
def test_numbers_too_large_for_any_id_find_nothing_and_break_nothing(as_rita, address):
    assert as_rita.get(address.format("9" * 30)).status_code in (200, 404)
    assert as_rita.get(address.format("9" * 18)).status_code in (200, 404)


# The contact page


@pytest.fixture
def busy_lead(sql_lead):
    """A lead with something in every part of the page."""
    visit(sql_lead, duration_s=200, properties={"items": ["<b>"], "title": "Price & terms"})
    visit(sql_lead, "/directions", ago=timedelta(days=1))
    StageChange.objects.create(contact=sql_lead, before=Stage.MQL, after=Stage.SQL, cause="score", score=84)
    Consent.objects.create(
        contact=sql_lead, channel="email", state="denied", at=timezone.now() - timedelta(days=9)
    )
    Consent.objects.create(contact=sql_lead, channel="email", state="granted", proof="form of 19 Nov")
    twin = make_contact("Seoyeon", "Kim", "sy@hanbit.example")
    merge_contacts(sql_lead.pk, twin.pk, evidence="same phone")
    Contact.objects.filter(pk=sql_lead.pk).update(attributes={"budget": "<script>"}, time_zone="Asia/Seoul")
    return sql_lead


def test_the_contact_page_shows_who_what_and_what_is_known(as_rita, busy_lead):
    page = text_of(as_rita.get(page_of(busy_lead)))
    for words in (
        "Seo-yeon Kim", "Operations lead at", "Hanbit Motors", "there now", "/pricing", "3 min 20 s", "Today",
        "Yesterday", "at 84 points", "same phone", "Seoyeon Kim", "form of 19 Nov", "sy@hanbit.example",
        "Price &amp; terms", "&lt;b&gt;", "&lt;script&gt;", "Why this score",
    ):  # fmt: skip
        assert words in page, words
    assert "Denied" not in page  # the newer consent holds
    assert "<script>" not in page
    assert f'hx-get="{page_of(busy_lead, "contact-score")}"' in page
    assert f'hx-get="{page_of(busy_lead, "contact-workflows")}"' in page


def test_the_contact_page_costs_the_same_queries_however_much_happened(
    as_rita, busy_lead, django_assert_num_queries
):
    # session, person, 2 permissions, contact; timeline: stages, merges, interactions, decisions, owners; then
    # identities, hold, attributes, consents, stage changes; how many leads wait
    with django_assert_num_queries(16):
        as_rita.get(page_of(busy_lead))
    for number in range(2 * ENTRIES):
        visit(busy_lead, ago=timedelta(hours=number))
    with django_assert_num_queries(16):
        as_rita.get(page_of(busy_lead))


def test_the_timeline_goes_on_where_the_page_before_ended(as_rita, cold_lead):
    moment = timezone.now()
    for number in range(2 * ENTRIES + 10):  # several of one moment, and of two tables
        at = moment - timedelta(minutes=number // 4)
        if number % 2:
            visit(cold_lead, f"/{number}", ago=timezone.now() - at)
        else:
            StageChange.objects.create(contact=cold_lead, after=Stage.COLD, cause="score", at=at)
    Interaction.objects.filter(contact=cold_lead).update(occurred_at=moment)
    seen, before = [], ""
    while True:
        timeline = read_timeline(cold_lead, before)
        entries = [entry for day in timeline.days for entry in day.entries]
        seen += [(type(entry.row), entry.row.pk) for entry in entries]
        if not (before := timeline.older):
            break
    assert len(seen) == len(set(seen)) == 2 * ENTRIES + 10
    response = as_rita.get(page_of(cold_lead), {"before": read_timeline(cold_lead).older}, headers=HTMX)
    assert "<html" not in text_of(response)
    assert "Today</h3>" not in text_of(response)  # the heading stands on the page before


@pytest.mark.parametrize(
    "before",
    [
        "x",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z,0,x",
        ",,",
        "2026-99-01T00:00:00Z,0,1",
        "0001-01-01T00:00:00+09:00,0,1",
    ],
)
def test_a_mangled_place_in_the_timeline_shows_its_beginning(as_rita, busy_lead, before):
    assert "/pricing" in text_of(as_rita.get(page_of(busy_lead), {"before": before}))


def test_a_merged_contact_leads_to_the_survivor(as_rita, sql_lead, cold_lead):
    merge_contacts(sql_lead.pk, cold_lead.pk, evidence="same phone")
    for name in OWN_PAGES:
        response = as_rita.get(page_of(cold_lead, name))
        assert (response.status_code, response.url) == (302, page_of(sql_lead, name))


def test_a_tombstone_tells_another_team_nothing(client, bruno, sql_lead, cold_lead):
    merge_contacts(sql_lead.pk, cold_lead.pk, evidence="same phone")
    client.force_login(bruno)
    assert client.get(page_of(cold_lead)).status_code == 404


def test_visitors_archived_and_suppressed_contacts_say_what_they_are(as_rita):
    visitor = Contact.objects.create()
    assert "has not said who they are" in text_of(as_rita.get(page_of(visitor)))
    now = timezone.now()
    kept = make_contact("Old", "Record", archived_at=now, suppressed_at=now, suppressed_reason="complaint")
    page = text_of(as_rita.get(page_of(kept)))
    assert "Lists leave this contact out" in page
    assert "complaint. No message is sent." in page


def test_the_score_comes_with_parts_that_sum_to_it(as_rita, mql_lead):
    ScoreSheet.objects.all().delete()
    sheet = ScoreSheet.objects.create(slug="engagement", name="Engagement")
    group = RuleGroup.objects.create(sheet=sheet, name="Shows interest", most=15)
    Rule.objects.create(group=group, name="Opens a page", interaction_id="page_viewed", points=10)
    visit(mql_lead)
    visit(mql_lead)
    response = as_rita.get(page_of(mql_lead, "contact-score"), headers=HTMX)
    explanation = response.context["explanation"]
    assert explanation.score == 15 == sum(part.points for part in explanation.parts)  # 10 + 10, cap −5
    assert "Opens a page" in text_of(response)
    assert "+20" in text_of(response)
    assert "−5" in text_of(response)
    assert "<html" not in text_of(response)


def test_the_workflows_of_a_contact_are_shown(as_rita, sql_lead):
    track = Track.objects.create(name="Sales of cars")
    workflow = Workflow.objects.create(name="Book a test drive", track=track, stages=[Stage.SQL])
    Enrolment.objects.create(contact=sql_lead, workflow=workflow, track=track)
    assert "Book a test drive" in text_of(as_rita.get(page_of(sql_lead, "contact-workflows"), headers=HTMX))


def test_the_timeline_says_who_changed_the_stage_and_lets_no_markup_in(as_rita, rita, sql_lead):
    StageChange.objects.create(
        contact=sql_lead, before=Stage.MQL, after=Stage.SQL, cause="rep", reason="<b>asked 100%</b>", by=rita
    )
    visit(sql_lead, "<i>", keyword="<u>", currency="<s>", value=5)
    page = text_of(as_rita.get(page_of(sql_lead)))
    assert "Decision of a rep · &lt;b&gt;asked 100%&lt;/b&gt; · Rita" in page
    for word in "biu":
        assert f"&lt;{word}&gt;" in page
        assert f"<{word}>" not in page
    assert "5 &lt;s&gt;" in page


def test_an_older_page_of_the_timeline_still_shows_the_newest_stages(as_rita, sql_lead):
    StageChange.objects.create(contact=sql_lead, before=Stage.MQL, after=Stage.SQL, cause="outcome")
    page = text_of(as_rita.get(page_of(sql_lead), {"before": "2020-01-01T00:00:00Z,0,1"}))
    assert "Won or lost" in page
    assert "Nothing happened yet" in page


@pytest.mark.parametrize(("first", "last"), [("Rita", "Park"), ("", "Park"), (" ", ""), ("", "")])
def test_people_are_named_as_everywhere(client, rita, sql_lead, first, last):
    User.objects.filter(pk=rita.pk).update(first_name=first, last_name=last)
    rita.refresh_from_db()
    client.force_login(rita)
    name = f"<dd>{rita}</dd>"
    assert name in text_of(client.get(page_of(sql_lead)))
    assert f'<td class="wide">{rita}</td>' in text_of(client.get(reverse("contact-list")))


def test_what_is_written_once_per_language_follows_the_language_and_knows_nobody():
    words = Template(
        "{% load i18n shell %}{% once_per_language %}{% translate 'Owner' %}{% endonce_per_language %}"
    )
    with override("en"):
        assert words.render(Context()) == "Owner"
    with override("ko"):
        assert words.render(Context()) == "담당자"
    with override("en"):
        assert words.render(Context()) == "Owner"
    leak = Template("{% load shell %}{% once_per_language %}{{ user }}{% endonce_per_language %}")
    with pytest.raises(AttributeError):
        leak.render(Context({"user": "Rita"}))


# What can be changed


def edited(contact, **changes):
    names = (
        "first_name", "last_name", "job_title", "department", "seniority", "occupation",
        "country", "region", "city", "language", "time_zone",
    )  # fmt: skip
    return {name: getattr(contact, name) for name in names} | changes


def test_an_edited_contact_is_found_by_its_new_name_and_scored_again(as_rita, sql_lead):
    response = as_rita.post(
        page_of(sql_lead, "contact-edit"), edited(sql_lead, last_name="Paik", city="Busan")
    )
    assert response.url == page_of(sql_lead)
    sql_lead.refresh_from_db()
    assert (sql_lead.last_name, sql_lead.city) == ("Paik", "Busan")
    assert list(Contact.objects.search("paik")) == [sql_lead]
    assert Touch.objects.get().contact_id == sql_lead.pk


def test_editing_writes_only_what_was_changed(as_rita, sql_lead):
    stale = edited(sql_lead, city="Busan")
    form = as_rita.get(page_of(sql_lead, "contact-edit"))
    assert form.status_code == 200
    as_rita.post(page_of(sql_lead, "contact-edit"), stale)
    Contact.objects.filter(pk=sql_lead.pk).update(score=99)
    as_rita.post(page_of(sql_lead, "contact-edit"), edited(sql_lead, city="Incheon"))
    sql_lead.refresh_from_db()
    assert (sql_lead.city, sql_lead.score) == ("Incheon", 99)


def test_a_wrong_field_is_named_and_what_was_typed_stays(as_rita, sql_lead):
    response = as_rita.post(
        page_of(sql_lead, "contact-edit"), edited(sql_lead, time_zone="Mars/Base", city="Busan")
    )
    page = text_of(response)
    assert "Mars/Base" in page
    assert 'value="Busan"' in page
    assert "One field needs another look" in page
    assert not Touch.objects.exists()


def test_a_rep_takes_a_lead_and_gives_it_back(as_rita, rita, cold_lead):
    as_rita.post(page_of(cold_lead, "contact-owner"), {"owner": "me"})
    cold_lead.refresh_from_db()
    assert cold_lead.owner == rita
    as_rita.post(page_of(cold_lead, "contact-owner"), {"owner": "nobody"})
    cold_lead.refresh_from_db()
    assert cold_lead.owner is None
    assert as_rita.post(page_of(cold_lead, "contact-owner"), {"owner": "7"}).status_code == 400
    assert as_rita.get(page_of(cold_lead, "contact-owner")).status_code == 405


@pytest.mark.parametrize(("person", "status"), [("bruno", 404), ("max_", 403)])
def test_who_may_not_change_a_contact_cannot_post_either(client, request, sql_lead, person, status):
    client.force_login(request.getfixturevalue(person))
    assert client.post(page_of(sql_lead, "contact-owner"), {"owner": "me"}).status_code == status
    assert client.post(page_of(sql_lead, "contact-edit"), edited(sql_lead, city="X")).status_code == status
    sql_lead.refresh_from_db()
    assert sql_lead.city == ""


# Companies and the person's own settings


def test_a_company_page_lists_the_people_one_may_see(client, rita, bruno, hanbit, sql_lead):
    client.force_login(rita)
    assert "Seo-yeon Kim" in text_of(client.get(reverse("company-detail", args=[hanbit.pk])))
    client.force_login(bruno)
    assert "Seo-yeon Kim" not in text_of(client.get(reverse("company-detail", args=[hanbit.pk])))


def test_the_company_list_goes_on_by_name(as_rita, hanbit, django_assert_num_queries):
    type(hanbit).objects.bulk_create(type(hanbit)(name=f"Company {number:03}") for number in range(ROWS + 5))
    with django_assert_num_queries(6):  # session, person, 2 permissions, companies, how many leads wait
        first = as_rita.get(reverse("company-list"))
    second = as_rita.get(reverse("company-list") + first.context["next"])
    names = [company.name for company in (*first.context["companies"], *second.context["companies"])]
    assert names == sorted(names)
    assert len(set(names)) == ROWS + 6
    assert second.context["next"] == ""


def test_the_language_is_kept_and_one_stays_on_the_page(as_rita, rita):
    response = as_rita.post(reverse("choose-language"), {"language": "ko", "next": "/contacts/?stage=sql"})
    assert response.url == "/contacts/?stage=sql"
    rita.refresh_from_db()
    assert rita.language == "ko"
    assert '<html lang="ko">' in text_of(as_rita.get(reverse("contact-list")))
    away = as_rita.post(reverse("choose-language"), {"language": "xx", "next": "https://evil.example/"})
    assert away.url == reverse("preferences")


def test_times_are_shown_in_the_zone_that_the_person_chose(as_rita, rita, cold_lead):
    as_rita.post(reverse("preferences"), {"language": "en", "time_zone": "America/New_York"})
    rita.refresh_from_db()
    assert rita.time_zone == "America/New_York"
    Contact.objects.filter(pk=cold_lead.pk).update(last_active_at="2026-01-01T02:00:00Z")
    assert "2025-12-31 21:00:00 EST" in text_of(as_rita.get(reverse("contact-list")))


def test_the_badge_shows_initials_or_the_korean_given_name(db):
    assert initials(User(username="rita", first_name="Rita", last_name="Park")) == "RP"
    assert initials(User(username="jun", first_name="준호", last_name="최")) == "준호"
    assert initials(User(username="ops")) == "OP"


def test_no_page_holds_scripts_or_styles_that_a_strict_policy_forbids(client, ada, busy_lead, hanbit):
    client.force_login(ada)
    addresses = [
        reverse("contact-list"), reverse("company-list"), reverse("preferences"), "/nowhere/",
        reverse("company-detail", args=[hanbit.pk]), *(page_of(busy_lead, name) for name in OWN_PAGES),
    ]  # fmt: skip
    for address in addresses:
        page = text_of(client.get(address))
        assert "<script>" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert "hx-on" not in page


def test_a_crash_answers_in_words(client, ada, monkeypatch):
    def crash(*_):
        raise RuntimeError

    monkeypatch.setattr("leads.views.contact_list.Filters.read", crash)
    client.force_login(ada)
    client.raise_request_exception = False
    response = client.get(reverse("contact-list"))
    assert response.status_code == 500
    assert "Something broke on our side" in text_of(response)


def test_a_person_without_a_team_sees_own_and_unowned_contacts(client, cold_lead, sql_lead):
    client.force_login(make_user("Solo", "rep"))
    assert shown(client.get(reverse("contact-list"))) == [cold_lead.pk]
    assert client.get(page_of(sql_lead)).status_code == 404


def test_a_korean_rep_is_named_as_they_write_it_on_every_page(client, seoul, mina, cold_lead):
    minho = make_user("Minho", "rep", seoul)
    User.objects.filter(pk=minho.pk).update(first_name="민호", last_name="서")
    Contact.objects.filter(pk=cold_lead.pk).update(owner=minho)
    client.force_login(mina)
    for address in (reverse("contact-list"), reverse("contact-detail", args=[cold_lead.pk])):
        page = client.get(address).content.decode()
        assert "서민호" in page
        assert "민호 서" not in page
