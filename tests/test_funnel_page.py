"""The funnel page: its periods, words, figures and file, and the way down to the people."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from leads.conditions import today
from leads.funnel import count_everybody, count_funnel
from leads.funnel.figures import read_funnel
from leads.funnel.files import csv_lines, harmless
from leads.funnel.periods import PRESETS, Period, chosen_period
from leads.funnel.words import change_words, period_words, share_words, time_words
from leads.models import Contact, FunnelStep, KpiExport, Milestones, Source, StageChange
from leads.views.contact_list import ContactPage, Filters

pytestmark = pytest.mark.django_db

C, R, S, M, Q, A, W = FunnelStep
NOVEMBER = date(2026, 11, 22)


# Periods


@pytest.mark.parametrize(
    ("preset", "day", "first", "last"),
    [
        ("last-30", NOVEMBER, date(2026, 10, 24), NOVEMBER),
        ("last-90", NOVEMBER, date(2026, 8, 25), NOVEMBER),
        ("this-month", NOVEMBER, date(2026, 11, 1), NOVEMBER),
        ("last-month", NOVEMBER, date(2026, 10, 1), date(2026, 10, 31)),
        ("last-month", date(2026, 1, 31), date(2025, 12, 1), date(2025, 12, 31)),
        ("this-quarter", NOVEMBER, date(2026, 10, 1), NOVEMBER),
        ("this-quarter", date(2026, 3, 31), date(2026, 1, 1), date(2026, 3, 31)),
        ("this-year", NOVEMBER, date(2026, 1, 1), NOVEMBER),
    ],
)
def test_what_days_a_preset_means(preset, day, first, last):
    assert chosen_period(preset, "", "", day) == (preset, Period(first, last))


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-08-01", "2026-11-22", (date(2026, 8, 1), NOVEMBER)),
        ("2026-11-22", "2026-08-01", (date(2026, 8, 1), NOVEMBER)),
        ("2026-11-01", "2026-12-31", (date(2026, 11, 1), NOVEMBER)),
        ("2026-13-01", "no day", (date(2026, 8, 25), NOVEMBER)),
        ("1900-01-01", "2026-11-22", (date(2021, 11, 19), NOVEMBER)),
        ("0001-01-01", "9999-12-31", (date(2026, 8, 25), NOVEMBER)),
    ],
)
def test_days_of_ones_own_are_set_right(first, last, expected):
    _preset, period = chosen_period("custom", first, last, NOVEMBER)
    assert (period.first, period.last) == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_the_period_before_is_as_long_and_ends_where_this_one_begins(preset):
    period = PRESETS[preset][1](NOVEMBER)
    assert period.before.days == period.days
    assert period.before.last == period.first - timedelta(days=1)


def test_periods_are_written_as_the_language_does():
    assert period_words(Period(date(2026, 8, 1), NOVEMBER)) == "1 Aug – 22 Nov 2026"
    assert period_words(Period(date(2025, 8, 1), NOVEMBER)) == "1 Aug 2025 – 22 Nov 2026"
    assert period_words(Period(NOVEMBER, NOVEMBER)) == "22 Nov 2026"


# Words


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, ""), (3, 5, "3 of 5"), (19, 19, "19 of 19"), (10, 20, "50 %"), (611, 2140, "29 %"), (1, 300, "0.3 %"),
     (0, 400, "0 %"), (4, 100, "4 %"), (199, 2000, "10 %"), (20_000, 20_000, "100 %")],
)  # fmt: skip
def test_shares_of_few_people_are_no_percentages(part, whole, words):
    assert share_words(part, whole) == words


@pytest.mark.parametrize(
    ("now", "before", "words", "direction"),
    [(106, 100, "+6 %", "gain"), (97, 100, "−3 %", "loss"), (3, 1, "+2 people", "gain"), (1, 2, "−1 person", "loss"),
     (50, 0, "+50 people", "gain"), (7, 7, "as many", ""), (1000, 995, "+0.5 %", "gain")],
)  # fmt: skip
def test_a_change_has_its_sign_and_few_people_are_counted(now, before, words, direction):
    change = change_words(now, before)
    assert (change.words, change.direction) == (words, direction)


def test_nobody_then_and_now_is_no_change():
    assert change_words(0, 0) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0, "under 1 min"), (59, "under 1 min"), (60, "1 min"), (89 * 60, "89 min"), (90 * 60, "2 h"),
     (47 * 3600, "47 h"), (48 * 3600, "2 days"), (9 * 86400, "9 days")],
)  # fmt: skip
def test_a_time_is_said_in_the_largest_unit_that_says_it(seconds, words):
    assert time_words(seconds) == words


# Figures


def person(
    number: int, known: date, *, source: Source | None = None, mql_after: int | None = None
) -> Contact:
    """Somebody who became known at noon of a day, and MQL some days later."""
    at = datetime(known.year, known.month, known.day, 12, tzinfo=UTC)
    contact = Contact.objects.create(
        email=f"p{number}@example.com", known_at=at, updated_at=at, stage_at=at, source=source
    )
    if mql_after is not None:
        StageChange.objects.create(
            contact=contact, after="mql", cause="score", at=at + timedelta(days=mql_after)
        )
    return contact


@pytest.fixture
def fair(db) -> Source:
    return Source.objects.create(slug="fair", name="Fair")


def test_the_period_before_is_counted_as_it_stood_at_the_same_age(fair):
    day = today()
    period = Period(day - timedelta(days=9), day)
    person(1, day - timedelta(days=4), mql_after=1)
    person(2, day - timedelta(days=14), mql_after=4)  # by day −10: counts, the youngest that does
    person(3, day - timedelta(days=14), mql_after=5)  # a day later than its counterpart could have
    person(4, day - timedelta(days=12), mql_after=11)
    person(5, day - timedelta(days=20), mql_after=0)  # before either period
    count_funnel()
    steps = read_funnel(period, "", day).steps
    assert (steps[C].now, steps[C].before) == (1, 3)
    assert (steps[M].now, steps[M].before) == (1, 1)


def test_figures_of_one_source_of_none_and_of_all(fair):
    day = today()
    period = Period(day - timedelta(days=9), day)
    person(1, day, source=fair, mql_after=0)
    person(2, day, source=fair)
    person(3, day)
    count_funnel()
    counts = {source: read_funnel(period, source, day).steps for source in ("", str(fair.pk), "none")}
    assert {source: (steps[C].now, steps[M].now) for source, steps in counts.items()} == {
        "": (3, 1), str(fair.pk): (2, 1), "none": (1, 0),
    }  # fmt: skip
    assert set(read_funnel(period, "none", day).by_source) == {fair.pk, None}


def test_the_trend_adds_up_to_the_figures(fair):
    day = today()
    period = Period(day - timedelta(days=29), day)
    for number in range(60):
        person(number, day - timedelta(days=number), mql_after=number % 7)
    count_funnel()
    funnel = read_funnel(period, "", day)
    for step in FunnelStep:
        assert sum(funnel.trends[step].now) == funnel.steps[step].now
        assert sum(funnel.trends[step].before) == funnel.steps[step].before
    assert len(funnel.trends[C].now) == 10


def test_shares_never_exceed_the_whole(fair, mql_lead, sql_lead):
    Contact.objects.filter(pk=sql_lead.pk).update(outcome="won", outcome_at=timezone.now())
    count_funnel()
    steps = read_funnel(Period(today(), today()), "", today()).steps
    people = [steps[step].now for step in FunnelStep]
    assert people == sorted(people, reverse=True) == [2, 2, 2, 2, 1, 1, 1]


# The page


@pytest.fixture
def as_max(client, max_):
    client.force_login(max_)
    return client


@pytest.fixture
def november(fair):
    """Fifty people over as many days, with and without a source; every second got to MQL, two were won."""
    for number in range(50):
        contact = person(
            number,
            today() - timedelta(days=number),
            source=fair if number % 3 else None,
            mql_after=0 if number % 2 else None,
        )
        if number in (3, 4):
            Contact.objects.filter(pk=contact.pk).update(outcome="won", outcome_at=timezone.now())
    count_everybody()


ADDRESS = "kpi-funnel"


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


@pytest.mark.parametrize(
    ("person_", "page", "file"),
    [("rita", 403, 403), ("mina", 200, 403), ("max_", 200, 200), ("ada", 200, 200)],
)
def test_who_sees_the_figures_and_who_takes_them_out(client, request, person_, page, file):
    client.force_login(request.getfixturevalue(person_))
    response = client.get(reverse(ADDRESS))
    assert response.status_code == page
    assert ("funnel.csv" in response.content.decode()) == (file == 200)
    assert client.get(reverse("kpi-funnel-csv")).status_code == file


def test_the_figures_take_four_queries_for_any_number_of_people(november, django_assert_num_queries):
    with django_assert_num_queries(4):  # cells by source, times, the state, cells by parts of the period
        read_funnel(Period(today() - timedelta(days=29), today()), "", today())


def test_the_page_asks_little_else(as_max, november, django_assert_max_num_queries):
    as_max.get(reverse(ADDRESS))
    with django_assert_max_num_queries(10):  # session, user, two of permissions, sources, the rail
        as_max.get(reverse(ADDRESS))


def test_what_makes_no_sense_in_the_address_is_left_out(as_max, november):
    for query in ("period=x", "source=999", "source=%00", "sort=age", "period=custom&from=31.12.&to=%00"):
        assert as_max.get(f"{reverse(ADDRESS)}?{query}").status_code == 200


def test_the_page_says_what_it_counts_since_when_and_against_what(as_max, november):
    words = text_of(as_max.get(reverse(ADDRESS), {"period": "last-30"}))
    period = Period(today() - timedelta(days=29), today())
    assert f"People who became known {period_words(period)}" in words
    assert f"Compared with {period_words(period.before)}" in words
    assert "as of " in words
    assert "People who have become MQL so far" in words
    assert "It is narrowest" in words


def test_few_people_make_no_finding(as_max, cold_lead):
    count_funnel()
    words = text_of(as_max.get(reverse(ADDRESS)))
    assert "Too few people yet for a finding" in words
    assert "%" not in words.split("Compared with")[1].split("Where leads go on")[0]


def test_a_period_without_people_offers_a_longer_one(as_max, november):
    words = text_of(
        as_max.get(reverse(ADDRESS), {"period": "custom", "from": "2020-01-01", "to": "2020-01-31"})
    )
    assert "Nobody became known 1 Jan – 31 Jan 2020" in words
    assert "Show this year" in words


def test_before_the_first_count_the_page_says_so(as_max):
    assert "The figures are being counted" in text_of(as_max.get(reverse(ADDRESS)))


def test_erased_people_are_named_beside_the_figures(as_max, november):
    Contact.objects.filter(email="p1@example.com").get().delete()
    count_funnel()
    assert "Includes 1 person whose data was erased" in text_of(as_max.get(reverse(ADDRESS)))


@pytest.mark.parametrize(
    ("sort", "first"), [("", "Fair"), ("contact", "No source"), ("source", "Fair"), ("-source", "No source")]
)
def test_the_sources_are_sorted_by_any_column(as_max, november, sort, first):
    response = as_max.get(reverse(ADDRESS), {"sort": sort})
    assert response.context["rows"][0]["name"] == first


def test_the_page_speaks_korean_dates(client, max_, november):
    max_.language = "ko"
    max_.save()
    client.force_login(max_)
    response = client.get(reverse(ADDRESS))
    assert response.status_code == 200
    with override("ko"):
        assert period_words(Period(date(2026, 8, 1), NOVEMBER))


# Down to the people


def everybody_on(response, client) -> list[int]:
    """The ids of all pages of a list."""
    ids: list[int] = []
    while True:
        page = response.context["page"]
        ids += [row.pk for row in page.rows]
        if not page.next:
            return ids
        response = client.get(reverse("contact-list") + page.next)


@pytest.mark.parametrize(
    "query", [{}, {"period": "last-30"}, {"source": "none"}, {"period": "this-year", "source": "fair"}]
)
def test_every_figure_leads_to_exactly_its_people(as_max, november, fair, query, monkeypatch):
    monkeypatch.setattr("leads.views.keyset.ROWS", 7)  # several pages
    query = {name: str(fair.pk) if value == "fair" else value for name, value in query.items()}
    response = as_max.get(reverse(ADDRESS), query)
    links = [(step["people"], step["list"]) for step in response.context["steps"]]
    links += [(people, link) for row in response.context["rows"] for people, link, _slug in row["cells"]]
    followed = 0
    for people, link in links:
        if not people:
            assert not link
            continue
        listed = as_max.get(link)
        assert listed.context["page"].count == people
        assert len(set(everybody_on(listed, as_max))) == people
        followed += 1
    assert followed >= 6


def test_erased_people_are_in_the_figure_and_not_in_the_lists_count(as_max, november, monkeypatch):
    monkeypatch.setattr("leads.views.keyset.ROWS", 7)
    Contact.objects.get(email="p1@example.com").delete()
    count_funnel()
    step = as_max.get(reverse(ADDRESS)).context["steps"][0]
    listed = as_max.get(step["list"])
    assert (step["people"], listed.context["page"].count) == (50, 49)
    assert len(everybody_on(listed, as_max)) == 49


def test_the_list_says_in_words_whom_it_shows_and_lets_that_go(as_max, november):
    response = as_max.get(
        reverse("contact-list"), {"reached": "mql", "from": "2026-08-01", "to": "2026-11-22"}
    )
    assert "Funnel: MQL, known 1 Aug – 22 Nov 2026" in text_of(response)
    [chip] = re.findall(r'<a class="button filter-chip" href="([^"]*)"', response.content.decode())
    assert chip == "?"


def test_the_filter_of_a_figure_stays_while_others_change(as_max, november):
    page = as_max.get(reverse("contact-list"), {"reached": "mql", "from": "2026-08-01"}).content.decode()
    assert '<input type="hidden" name="reached" value="mql">' in page
    assert '<input type="hidden" name="from" value="2026-08-01">' in page
    assert "stage=sql&amp;reached=mql&amp;from=2026-08-01" in page


@pytest.mark.parametrize(
    "query", ["reached=x", "reached=mql&from=x&to=%00", "from=2026-01-01", "source=none&reached=won"]
)
def test_the_list_leaves_out_what_makes_no_sense_of_a_figure(as_max, november, query):
    assert as_max.get(f"{reverse('contact-list')}?{query}").status_code == 200


def test_a_rep_who_follows_a_figure_sees_only_their_own(rita, bruno, sql_lead, cold_lead):
    count_funnel()
    filters = Filters(reached="contact")
    assert ContactPage(rita, filters).count == 2
    assert ContactPage(bruno, filters).count == 1


# The file


def rows_of(response) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_the_file_says_what_the_page_says(as_max, november, max_):
    page = as_max.get(reverse(ADDRESS))
    link = page.context["export"]
    response = as_max.get(link)
    assert response.streaming
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="funnel_')
    head, *rows = rows_of(response)
    assert head[2:5] == ["Source", "Step", "People"]
    assert [row[4] for row in rows if row[2] == "All chosen"] == [
        str(step["people"]) for step in page.context["steps"]
    ]
    assert {row[2] for row in rows} == {"All chosen", "Fair", "No source"}
    export = KpiExport.objects.get()
    assert (export.by, export.page) == (max_, "funnel")
    assert parse_qs(urlsplit(link).query) == parse_qs(export.query.removeprefix("?"))


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_name_becomes_a_formula(as_max, november, fair, begin):
    fair.name = f'{begin}HYPERLINK("http://evil.example")'
    fair.save()
    sources = {row[2] for row in rows_of(as_max.get(reverse("kpi-funnel-csv")))}
    assert f"'{fair.name}" in sources
    assert not any(name.startswith(begin) for name in sources)


def test_numbers_stay_numbers_and_words_with_a_sign_inside_stay_words():
    assert harmless(-3) == -3
    assert harmless("A-3") == "A-3"
    assert b"".join(csv_lines([["a", "한"]])).decode("utf-8") == "\ufeffa,한\r\n"


def test_the_file_is_made_while_it_is_sent():
    made = []

    def rows():
        for number in range(3):
            made.append(number)
            yield [number]

    lines = csv_lines(rows())
    next(lines)
    assert made == [0]
    assert Milestones.objects.count() == 0


def test_a_korean_who_exports_gets_a_korean_heading(client, max_, november):
    max_.language = "ko"
    max_.save()
    client.force_login(max_)
    assert rows_of(client.get(reverse("kpi-funnel-csv")))  # translated once the catalogue has it
