"""The inbox: who is in which view, what its forms do, who may use them, how much it costs."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from leads.decisions import accept, reject
from leads.models import Contact, Handoff, Hold, Interaction, RejectionReason, Source, Stage, StageChange
from leads.stages import Move, move_to_stage
from leads.views.inbox_queue import COUNTED, RECYCLED, REJECTED, VIEWS
from leads.views.keyset import ROWS
from leads.waiting import Clock, Promptness, choose_next_action, read_clock
from tests.conftest import make_contact, make_user

pytestmark = pytest.mark.django_db

INBOX = "/inbox/"
NOW = timezone.now()


def make_waiting(name: str, score: int = 50, minutes: int = 60, **fields) -> Contact:
    """A lead that waits for sales as SQL since now."""
    lead = make_contact(name, "Waits", f"{name.lower()}@x.example", stage=Stage.MQL, score=score, **fields)
    move = Move(lead.pk, Stage.SQL, with_sales=True, respond_minutes=minutes)
    move_to_stage([move], StageChange.Cause.SCORE)
    lead.refresh_from_db()
    return lead


def reason(name: str = "Not now") -> RejectionReason:
    return RejectionReason.objects.get(name=name)


@pytest.fixture
def as_rita(client, rita):
    client.force_login(rita)
    return client


@pytest.fixture
def as_bruno(client, bruno):
    client.force_login(bruno)
    return client


def text_of(response) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode())


def names(client, query: str = "") -> list[str]:
    page = text_of(client.get(INBOX + query))
    return re.findall(r'class="row-link"[^>]*>([^<]+?) Waits<', page)


def counts(client) -> dict[str, str]:
    page = text_of(client.get(INBOX))
    found = re.findall(r'class="count">([^<]+)<', page)
    return dict(zip(COUNTED, found, strict=True))


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- views


@pytest.fixture
def everybody(rita, bruno, seoul) -> dict[str, Contact]:
    """Leads in every state that a view asks about; all are scored so that the order is that of the letters."""
    sujin = make_user("Sujin", "rep", seoul)
    leads = {
        "A": make_waiting("A", 90),
        "B": make_waiting("B", 80, owner=rita),
        "C": make_waiting("C", 70, owner=sujin),
        "D": make_waiting("D", 60, owner=bruno),
        "E": make_contact("E", "Waits", "e@x.example", score=50, rise=9),
        "F": make_contact("F", "Waits", "f@x.example", score=40, rise=5, owner=sujin),
        "G": make_contact("G", "Waits", "g@x.example", score=30, rise=-5),
        "H": make_waiting("H", 29),
        "I": make_waiting("I", 28),
        "J": make_waiting("J", 27),
        "K": make_waiting("K", 26),
        "L": make_contact("L", "Waits", "l@x.example", score=25, rise=7, stage=Stage.CUSTOMER),
    }
    today = timezone.localdate()
    accept(leads["H"].pk, rita)
    Contact.objects.filter(pk=leads["H"].pk).update(rise=20)
    reject(leads["I"].pk, rita, reason(), recycle_on=today + timedelta(days=30))
    reject(leads["J"].pk, rita, reason())  # without a day
    reject(leads["K"].pk, rita, reason(), recycle_on=today + timedelta(days=3))
    move = Move(leads["J"].pk, Stage.SQL, with_sales=True)  # back by itself
    move_to_stage([move], StageChange.Cause.SCORE)
    return leads


SEEN = {
    "rita": {"call": "ABJ", "mine": "BH", "rising": "EF", "recycled": "JKI", "rejected": "KI"},
    "bruno": {"call": "ADJ", "mine": "D", "rising": "E", "recycled": "JKI", "rejected": ""},
    "max_": {"call": "ABCDJ", "mine": "", "rising": "EF", "recycled": "JKI", "rejected": "KI"},
    "ada": {"call": "ABCDJ", "mine": "", "rising": "EF", "recycled": "JKI", "rejected": "KI"},
}


@pytest.mark.parametrize("who", SEEN)
def test_each_view_shows_its_leads_in_its_order_to_who_may_see_them(request, client, everybody, who):
    client.force_login(request.getfixturevalue(who))
    for view, expected in SEEN[who].items():
        assert "".join(names(client, f"?view={view}")) == expected, view
    assert counts(client) == {view: str(len(SEEN[who][view])) for view in COUNTED}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?q=a", ["A"]),
        ("?q=nobody+of+that+name", []),
        ("?owner=mine", ["B"]),
        ("?owner=nobody", ["A", "J"]),
        ("?stage=mql", []),
        ("?stage=sql", ["A", "B", "J"]),
        ("?view=rising&q=waits", ["E", "F"]),
        ("?view=nonsense&stage=7&owner=x&source=x&after=x&before=,&lead=x", ["A", "B", "J"]),
        ("?after=99999999999999999999999,1", ["A", "B", "J"]),
        ("?view=recycled&after=2026-99-99,1", ["J", "K", "I"]),
    ],
)
def test_the_queue_is_what_the_address_asks_for(as_rita, everybody, query, expected):
    assert names(as_rita, query) == expected


def test_the_queue_is_filtered_by_source(as_rita):
    web = Source.objects.create(slug="web", name="Web site")
    make_waiting("A", source=web)
    make_waiting("B")
    assert names(as_rita, f"?source={web.pk}") == ["A"]
    assert "Web site" in text_of(as_rita.get(f"{INBOX}?source={web.pk}"))


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_is_paged_without_losing_or_repeating_anybody(as_rita, rita, view):
    leads = [make_waiting(f"W{number}", number % 7, owner=rita) for number in range(2 * ROWS + 3)]
    if view == "rising":
        Contact.objects.update(queued_at=None, rise=3)
    if view == RECYCLED:
        day = timezone.localdate() + timedelta(days=5)
        for lead in leads:
            reject(lead.pk, rita, reason(), recycle_on=day)
    if view == REJECTED:
        at = timezone.now()
        for place, lead in enumerate(leads):
            reject(lead.pk, rita, reason(), at=at - timedelta(minutes=place // 3))
    forwards, query = [], f"?view={view}"
    for _page in range(3):
        forwards.append(names(as_rita, query))
        page = text_of(as_rita.get(INBOX + query))
        onwards = re.search(r'href="(\?[^"]+)" rel="next"', page)
        back = re.search(r'href="(\?[^"]+)" rel="prev"', page)
        query = onwards[1] if onwards else ""
    assert not query
    assert [len(page) for page in forwards] == [ROWS, ROWS, 3]
    assert len({name for page in forwards for name in page}) == 2 * ROWS + 3
    assert names(as_rita, back[1]) == forwards[1]


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("call", "Nobody waits for a call"),
        ("mine", "No lead is yours"),
        ("rising", "Nobody is warming up"),
        ("recycled", "Nobody is to be tried again"),
        ("rejected", "You have rejected nobody"),
    ],
)
def test_an_empty_view_says_what_belongs_there(as_rita, view, words):
    assert words in text_of(as_rita.get(f"{INBOX}?view={view}"))


# --- the page


def test_the_hottest_lead_is_shown_beside_the_queue_until_another_is_chosen(as_rita, hanbit):
    make_waiting("A", 90, company=hanbit, job_title="Operations lead", phone="+82 10 4821 0093")
    other = make_waiting("B", 80)
    page = text_of(as_rita.get(INBOX))
    for words in (
        "A Waits</a>", "Operations lead at", "Hanbit Motors", "there now", "Call before", "Seoul · 2 waiting, 2 within",
    ):  # fmt: skip
        assert words in page, words
    assert 'class="inbox"' in page
    page = text_of(as_rita.get(f"{INBOX}?lead={other.pk}"))
    assert f'data-id="{other.pk}"' in page
    assert 'class="inbox chosen"' in page  # on a phone this is the page of the lead


def test_parts_of_the_page_are_given_by_themselves(as_rita):
    lead = make_waiting("A")
    for part, there, missing in (("queue", "row-link", "lead-name"), ("lead", "lead-name", "row-link")):
        headers = {"HX-Request": "true", "HX-Target": part}
        page = text_of(as_rita.get(f"{INBOX}?lead={lead.pk}", headers=headers))
        assert there in page
        assert missing not in page
        assert "<html" not in page


def test_a_lead_that_was_merged_away_leads_to_who_survived(as_rita, cold_lead):
    gone = make_contact("Gone", "Away", merged_into=cold_lead)
    response = as_rita.get(f"{INBOX}?view=mine&lead={gone.pk}")
    assert response.url == f"{INBOX}?view=mine&lead={cold_lead.pk}"


@pytest.mark.parametrize("rows", [1, 81])
def test_the_inbox_costs_the_same_queries_however_many_wait(as_rita, rita, django_assert_num_queries, rows):
    for number in range(rows):
        make_waiting(f"W{number}", owner=rita)
    # session, person, 2 permissions, team; rows, counts, sources; contact, timeline (5), hold, hand-off, promptness,
    # ways, consents, reasons
    with django_assert_num_queries(20):
        as_rita.get(INBOX)
    with django_assert_num_queries(20):
        as_rita.get(INBOX)


# --- forms


def back_to(lead: Contact, **data) -> dict:
    handoff = Handoff.objects.filter(contact=lead).first()
    return {"back": "?view=mine&q=waits", "handoff": handoff.pk if handoff else "", **data}


def test_a_call_is_kept_with_its_outcome_and_stays_on_the_lead(as_rita, rita):
    lead = make_waiting("A")
    data = back_to(lead, outcome="no_answer", note="tried twice")
    response = as_rita.post(reverse("inbox-call", args=[lead.pk]), data)
    assert response.url == f"{INBOX}?view=mine&q=waits&lead={lead.pk}"
    assert said(response) == ["Call to A Waits noted: No answer."]
    call = Interaction.objects.get()
    assert (call.kind_id, call.by, call.properties) == (
        "call_made", rita, {"outcome": "no_answer", "note": "tried twice"},
    )  # fmt: skip
    page = text_of(as_rita.get(f"{INBOX}?lead={lead.pk}"))
    assert "tried twice" in page
    assert "No answer" in page
    assert "contacted just now" in page


def test_after_a_decision_the_next_lead_is_shown_with_an_offer_to_undo(as_rita):
    first, second, third = (make_waiting(name, score) for name, score in (("A", 90), ("B", 80), ("C", 70)))
    data = {"back": "", "rejection": reason().pk, "note": "", "recycle_on": ""}
    response = as_rita.post(reverse("inbox-reject", args=[second.pk]), data)
    assert response.url == f"{INBOX}?lead={third.pk}"
    page = text_of(as_rita.get(response.url))
    hold = Hold.objects.get()
    assert f'action="{reverse("inbox-undo", args=[hold.pk])}"' in page
    assert "Rejected B Waits: Not now." in page
    response = as_rita.post(reverse("inbox-accept", args=[third.pk]), {"back": ""})
    assert response.url == f"{INBOX}?lead={first.pk}"  # nobody comes after the last
    as_rita.post(reverse("inbox-accept", args=[first.pk]), {"back": ""})
    assert "Nobody waits for a call" in text_of(as_rita.get(INBOX))
    response = as_rita.post(reverse("inbox-undo", args=[hold.pk]), {"back": "?view=recycled"})
    assert response.url == f"{INBOX}?view=recycled&lead={second.pk}"
    assert names(as_rita) == ["B"]


def test_an_accepted_lead_is_won_or_lost_with_an_offer_to_undo(as_rita, rita):
    first, second = (make_waiting(name, score) for name, score in (("A", 90), ("B", 80)))
    page = text_of(as_rita.get(f"{INBOX}?lead={first.pk}"))
    assert reverse("inbox-won", args=[first.pk]) not in page  # nobody has accepted it
    for lead in (first, second):
        accept(lead.pk, rita)
    mine = {"back": "?view=mine"}
    page = text_of(as_rita.get(f"{INBOX}?view=mine&lead={first.pk}"))
    assert reverse("inbox-won", args=[first.pk]) in page
    response = as_rita.post(reverse("inbox-won", args=[first.pk]), mine)
    assert response.url == f"{INBOX}?view=mine&lead={second.pk}"
    page = text_of(as_rita.get(response.url))
    assert "A Waits is won and a customer now." in page
    assert f'action="{reverse("inbox-reopen", args=[first.pk])}"' in page
    assert names(as_rita, "?view=mine") == ["B"]
    as_rita.post(reverse("inbox-reopen", args=[first.pk]), mine)
    assert names(as_rita, "?view=mine") == ["A", "B"]
    response = as_rita.post(reverse("inbox-lost", args=[second.pk]), {**mine, "why": "too expensive"})
    assert said(response)[-1] == "B Waits is lost for now and goes back to nurture."
    page = text_of(as_rita.get(f"{INBOX}?view=rejected"))
    assert names(as_rita, "?view=rejected") == ["B"]
    assert "Lost: too expensive" in page
    assert "Not lost after all" in page
    assert "Undo rejecting" not in page


def test_a_fresh_rejection_is_taken_back_where_the_rejected_are(as_rita, rita):
    lead = make_waiting("A")
    hold = reject(lead.pk, rita, reason(), note="in spring")
    page = text_of(as_rita.get(f"{INBOX}?view=rejected"))
    assert "Not now" in page
    assert f'action="{reverse("inbox-undo", args=[hold.pk])}"' in page
    assert reverse("inbox-accept", args=[lead.pk]) in page  # or accepted after all
    Hold.objects.update(at=timezone.now() - timedelta(hours=25))
    assert reverse("inbox-undo", args=[hold.pk]) not in text_of(as_rita.get(f"{INBOX}?view=rejected"))
    Hold.objects.update(at=hold.at)
    as_rita.post(reverse("inbox-undo", args=[hold.pk]), {"back": "?view=rejected"})
    assert names(as_rita, "?view=rejected") == []
    assert names(as_rita) == ["A"]


@pytest.mark.parametrize(
    ("form", "data", "words", "kept"),
    [
        ("call", {"outcome": "", "note": "half a note"}, "", "half a note"),
        ("call", {"outcome": "call_back", "note": "x"}, "Say when they want to be called back", ">x<"),
        ("call", {"outcome": "call_back", "call_back_at": "2020-01-01T10:00"}, "That time is past", "2020-01-01T10:00"),
        ("note", {"note": ""}, "This field is required", ""),
        ("reject", {"rejection": "", "note": "half a note"}, "This field is required", "half a note"),
        ("reject", {"rejection": "not a number"}, "Select a valid choice", ""),
        ("reject", {"recycle_on": "2020-01-01"}, "Choose a day after today", "2020-01-01"),
    ],
)  # fmt: skip
def test_a_form_that_was_not_understood_comes_back_with_what_was_typed(as_rita, form, data, words, kept):
    lead = make_waiting("A")
    told = {"rejection": reason().pk, **data} if form == "reject" else data
    page = text_of(as_rita.post(reverse(f"inbox-{form}", args=[lead.pk]), back_to(lead, **told)))
    assert words in page
    assert kept in page
    assert re.search(r"<details class=\"act\"[^>]* open>", page)
    assert not Interaction.objects.exists()
    assert not Hold.objects.exists()


def test_a_rep_is_told_that_a_colleague_was_first(as_rita, seoul):
    lead = make_waiting("A")
    sujin = make_user("Sujin", "rep", seoul)
    data = back_to(lead)
    accept(lead.pk, sujin)
    for action in ("accept", "claim", "reject"):
        told = {**data, "rejection": reason().pk}
        response = as_rita.post(reverse(f"inbox-{action}", args=[lead.pk]), told)
        assert response.status_code == 302
    page = text_of(as_rita.get(response.url))
    assert "Sujin accepted A Waits meanwhile. Nothing was changed." in page
    assert "Sujin has claimed A Waits already. Nothing was changed." in page
    assert Hold.objects.get().by == sujin


def test_a_lead_that_fell_back_meanwhile_is_told(as_rita):
    lead = make_waiting("A")
    data = back_to(lead)
    move_to_stage([Move(lead.pk, Stage.COLD, with_sales=False)], StageChange.Cause.SCORE)
    response = as_rita.post(reverse("inbox-accept", args=[lead.pk]), data)
    assert said(response) == [
        "A Waits fell back while this page was open and waits for nobody now. Nothing was changed."
    ]


def test_a_manager_gives_a_lead_to_a_rep(client, max_, rita, ada):
    client.force_login(max_)
    lead = make_waiting("A")
    page = text_of(client.get(INBOX))
    assert "Rita</option>" in page
    assert 'data-key="a"' not in page  # managers do not accept leads
    address = reverse("inbox-assign", args=[lead.pk])
    assert client.post(address, {"owner": rita.pk}).status_code == 302
    lead.refresh_from_db()
    assert lead.owner == rita
    page = text_of(client.post(address, {"owner": max_.pk}))  # works no leads
    lead.refresh_from_db()
    assert lead.owner == rita


# --- who may what

ACTIONS = ("accept", "reject", "won", "lost", "reopen", "claim", "release", "call", "email", "note", "assign")


@pytest.mark.parametrize("action", ACTIONS)
def test_another_teams_lead_is_not_found_and_not_touched(as_rita, bruno, action):
    lead = make_waiting("A", owner=bruno)
    data = back_to(lead, outcome="reached", note="x", rejection=reason().pk)
    before = Contact.objects.filter(pk=lead.pk).values().get()
    expected = 403 if action == "assign" else 404
    assert as_rita.post(reverse(f"inbox-{action}", args=[lead.pk]), data).status_code == expected
    assert as_rita.post(reverse(f"inbox-{action}", args=[10**9]), data).status_code == expected
    assert as_rita.get(f"{INBOX}?lead={lead.pk}").status_code == 404
    assert Contact.objects.filter(pk=lead.pk).values().get() == before
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("action", [*ACTIONS, "undo"])
@pytest.mark.parametrize("who", ["mina", "max_"])
def test_roles_without_the_inbox_do_nothing_in_it(request, client, who, action):
    lead = make_waiting("A")
    client.force_login(request.getfixturevalue(who))
    status = client.post(reverse(f"inbox-{action}", args=[lead.pk]), back_to(lead)).status_code
    assert status == (302 if (who, action) == ("max_", "assign") else 403)
    assert not Hold.objects.exists()


def test_nobodys_decision_is_undone_by_others(as_bruno, rita):
    hold = accept(make_waiting("A").pk, rita)
    response = as_bruno.post(reverse("inbox-undo", args=[hold.pk]))
    assert said(response) == ["This decision is not yours to take back."]
    hold.refresh_from_db()
    assert hold.released_at is None


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "?next=//evil.example", "\0", "?lead=9"]
)
def test_the_way_back_leads_nowhere_but_to_the_inbox(as_rita, back):
    lead = make_waiting("A")
    response = as_rita.post(reverse("inbox-claim", args=[lead.pk]), {"back": back})
    assert response.url == f"{INBOX}?lead={lead.pk}"


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_take_no_get(as_rita, action):
    assert as_rita.get(reverse(f"inbox-{action}", args=[1])).status_code == 405


@pytest.mark.parametrize(
    ("who", "lands"),
    [("rita", "/inbox/"), ("ada", "/inbox/"), ("max_", "/contacts/"), ("mina", "/contacts/")],
)
def test_people_begin_where_they_work(request, client, who, lands):
    client.force_login(request.getfixturevalue(who))
    assert client.get("/").url == lands


# --- clocks and advice


def ago(**span) -> "timezone.datetime":
    return NOW - timedelta(**span)


def ahead(**span) -> "timezone.datetime":
    return NOW + timedelta(**span)


@pytest.mark.parametrize(
    ("respond_by", "contacted_at", "clock"),
    [
        (ahead(minutes=12, seconds=30), None, Clock("soon", 12)),
        (ahead(seconds=5), None, Clock("soon", 1)),
        (ahead(minutes=60, seconds=30), None, Clock("soon", 60)),
        (ahead(minutes=108), None, Clock("later", 108)),
        (ago(minutes=1), None, Clock("late", 180)),  # since it began to wait
        (ago(minutes=1), ago(minutes=30), Clock("done", 30)),
        (ahead(minutes=1), ago(seconds=5), Clock("done", 0)),
    ],
)
def test_the_clock_of_a_lead(respond_by, contacted_at, clock):
    assert read_clock(ago(hours=3), respond_by, contacted_at, NOW) == clock


NOTHING = {
    "queued_at": None, "respond_by": None, "contacted_at": None, "call_back_at": None, "accepted": False,
    "recycle_on": None, "rise": 0,
}  # fmt: skip
WAITING = {"queued_at": ago(hours=1), "respond_by": ahead(minutes=12)}


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, None),
        (WAITING, "call"),
        ({**WAITING, "respond_by": ago(minutes=1)}, "late"),
        ({**WAITING, "contacted_at": ago(minutes=5)}, "decide"),
        ({**WAITING, "contacted_at": ago(minutes=5), "call_back_at": ahead(hours=2)}, "call_back"),
        ({**WAITING, "contacted_at": ago(days=3), "call_back_at": ago(days=2)}, "decide"),  # long past
        ({"recycle_on": NOW.date() - timedelta(days=1)}, "try_again"),
        ({"recycle_on": NOW.date() + timedelta(days=9)}, "try_later"),
        ({"rise": 9}, "rising"),
        ({"rise": 9, "accepted": True}, None),
    ],
)
def test_the_next_best_action(facts, kind):
    action = choose_next_action(now=NOW, **{**NOTHING, **facts})
    assert (action and action.kind) == kind


@pytest.mark.parametrize(
    ("figures", "times"),
    [
        ((100, 50, 100, 20), 2.5),  # 50 % against 20 %
        ((19, 19, 100, 20), None),  # too few to tell
        ((100, 50, 100, 0), None),
        ((100, 20, 100, 20), None),  # no difference worth telling
    ],
)
def test_a_figure_about_promptness_is_told_only_where_it_says_something(figures, times):
    assert Promptness(*figures).times == times


def test_the_measured_figure_stands_beside_the_advice(as_rita):
    others = make_contact("Others", "Were", "o@x.example")
    for in_time, accepted, count in (
        (True, True, 15),
        (True, False, 5),
        (False, True, 5),
        (False, False, 20),
    ):
        for _number in range(count):
            Handoff.objects.create(
                contact=others, stage="sql", at=ago(days=2), respond_by=ago(days=1), decided_at=NOW,
                contacted_at=ago(days=1.5) if in_time else None, decision="accepted" if accepted else "rejected",
            )  # fmt: skip
    make_waiting("A")
    page = text_of(as_rita.get(INBOX))
    # 15 of 20 are 75 %, 5 of 25 are 20 %
    assert "accepted 3.8× as often lately (15 of 20 against 5 of 25)" in page
