"""Korean is complete: every string has a translation that compiles, keeps its placeholders and is shown."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import ngettext

from leads.conditions import describe, describe_where, validate, validate_where
from leads.conditions.fields import OPERATORS
from leads.kinds import SHIPPED_KINDS
from leads.models import Attribute, Consent, Contact, Identity, Interaction, InteractionKind, Segment, Source
from scoring.models import Rule
from scoring.sentences import describe_rule

ROOT = Path(settings.BASE_DIR)
CODE = ("leadmgr", "leads", "scoring", "nurture")
CATALOGUE = ROOT / "leadmgr" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
HANGUL = re.compile("[가-힣]")
MAKE = (
    "manage.py makemessages -l ko --no-wrap --add-location file -i .venv -i .data -i tests -i build; then"
    " translate what is new and compile with `manage.py compilemessages -l ko`"
)


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(CATALOGUE))


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


# The catalogue


def test_nothing_is_untranslated_doubtful_or_left_over(catalogue):
    assert [entry.msgid for entry in catalogue.untranslated_entries()] == []
    assert [entry.msgid for entry in catalogue.fuzzy_entries()] == []
    assert [entry.msgid for entry in catalogue.obsolete_entries()] == []


def test_what_django_loads_is_what_the_catalogue_compiles_to(catalogue):
    def by_key(entries: list[polib.POEntry]) -> dict[tuple[str, str], list[str]]:
        return {(entry.msgctxt or "", entry.msgid): translations(entry) for entry in entries}

    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert by_key(compiled) == by_key(catalogue), "run manage.py compilemessages -l ko"


PLACEHOLDER = re.compile(r"%\((\w+)\)(?:\.\d+)?[a-zA-Z]|%(?:\.\d+)?[a-zA-Z]|\{(\w*)\}|</?\w+[^>]*>")
PRINTF = re.compile(r"%\(\w+\)(?:\.\d+)?[sdf]|%(?:\.\d+)?[sdf]")


def placeholders(text: str) -> list[str]:
    """What the translation must keep as it is: variables, and markup with its attributes."""
    return sorted(match.group() for match in PLACEHOLDER.finditer(text))


def test_a_translation_keeps_variables_and_markup(catalogue):
    wrong = []
    for entry in catalogue:
        # Of a plural the form for many is what Korean has; a form for one may leave its number out.
        wanted = placeholders(entry.msgid_plural or entry.msgid)
        wrong += [(entry.msgid, text) for text in translations(entry) if placeholders(text) != wanted]
    assert wrong == []


def test_a_translation_with_variables_holds_no_stray_percent_sign(catalogue):
    """One would raise an error, or swallow the letters behind it, when the variables are put in."""
    stray = [
        text
        for entry in catalogue
        if PRINTF.search(entry.msgid)
        for text in translations(entry)
        if "%" in PRINTF.sub("", text).replace("%%", "")
    ]
    assert stray == []


def test_korean_has_one_plural_form(catalogue):
    assert catalogue.metadata["Plural-Forms"] == "nplurals=1; plural=0;"
    assert {len(entry.msgstr_plural) for entry in catalogue if entry.msgid_plural} == {1}
    with translation.override("ko"):
        for number in (0, 1, 5):
            words = ngettext("%(n)d day ago", "%(n)d days ago", number) % {"n": number}
            assert words == f"{number}일 전"


def test_a_translation_ends_and_begins_as_its_source_does(catalogue):
    """Pieces that are joined keep the blanks at their ends; a sentence keeps its full stop."""
    wrong = []
    for entry in catalogue:
        for text in translations(entry):
            blanks = [len(text) - len(text.lstrip()), len(text) - len(text.rstrip())]
            source = entry.msgid
            if blanks != [len(source) - len(source.lstrip()), len(source) - len(source.rstrip())]:
                wrong.append((source, text))
            # Only in this direction: a short help text may be a sentence in Korean.
            if re.search(r"[a-z]\.$", source) and not re.search(r"[.?!”]$", text):
                wrong.append((source, text))
    assert wrong == []


SAME = {
    "MQL",
    "SQL",
    "KPIs",
    "HTML",
    "%(sentence)s, then %(step)s",  # “%(sentence)s → %(step)s”
    "%(field)s is %(value)s",  # “%(field)s: %(value)s”
    "%(what)s, where %(filter)s,",  # “%(what)s(%(filter)s)”
    '%(job)s at <a href="%(company_url)s">%(company)s</a>',  # the company, then the job
}


def test_what_korean_writes_without_a_korean_letter_is_known(catalogue):
    letters = re.compile("[A-Za-z]")
    plain = {
        entry.msgid
        for entry in catalogue
        if not any(HANGUL.search(text) for text in translations(entry))
        and letters.search(PLACEHOLDER.sub("", entry.msgid))
    }
    assert plain == SAME


# The code


@pytest.fixture(scope="module")
def literals() -> list[tuple[str, int, str]]:
    """Every string that Python code hands to gettext, with its file and line."""
    functions = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
    found = []
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                called = node.func if isinstance(node, ast.Call) else None
                if isinstance(called, ast.Name) and called.id in functions and node.args:
                    text = node.args[0]
                    if isinstance(text, ast.Constant) and isinstance(text.value, str):
                        found.append((str(path.relative_to(ROOT)), node.lineno, text.value))
    return found


def test_every_string_of_the_python_code_is_in_the_catalogue(catalogue, literals):
    """Finds also those inside f-strings, which makemessages passes over: take them out of the f-string."""
    assert len(literals) > 500
    known = {entry.msgid for entry in catalogue}
    assert [place for place in literals if place[2] not in known] == [], MAKE


def test_every_string_of_code_and_templates_is_in_the_catalogue_and_none_besides(catalogue, tmp_path):
    if not shutil.which("xgettext"):
        pytest.skip("GNU gettext is not installed; CI has it")
    for name in (*CODE, "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    copy = tmp_path / CATALOGUE.relative_to(ROOT)
    copy.unlink()
    copy.with_suffix(".mo").unlink()
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "-l", "ko", "--no-location", "--verbosity", "0"],
        cwd=tmp_path,
        env={**os.environ, "LEADMGR_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)},
        check=True,
        timeout=120,
    )

    def keys(entries: polib.POFile) -> set[tuple[str, str]]:
        return {(entry.msgid, entry.msgid_plural) for entry in entries if not entry.obsolete}

    in_code, in_catalogue = keys(polib.pofile(str(copy))), keys(catalogue)
    assert len(in_code) > 500
    assert in_code - in_catalogue == set(), f"not in the catalogue; run {MAKE}"
    assert in_catalogue - in_code == set(), f"no longer in the code; run {MAKE}"


def test_scripts_hold_no_sentences_of_their_own():
    """What a script shows comes from the page, where it is translated."""
    sentence = re.compile(r"""(["'`])[A-Z][a-z]+(?: [a-z]+){2,}""")
    for script in (ROOT / "leadmgr" / "static").rglob("*.js"):
        code = re.sub(r"/\*.*?\*/", "", script.read_text(), flags=re.DOTALL)
        assert not sentence.search(code), script.name


# The pages


@pytest.fixture
def korean(rita):
    rita.language = "ko"
    rita.save(update_fields=["language"])
    return rita


@pytest.fixture
def as_korean(client, korean):
    client.force_login(korean)
    return client


@pytest.fixture
def eventful_lead(sql_lead: Contact) -> Contact:
    """A lead for whose page every part has something to show, all of it in Korean where it is data."""
    source = Source.objects.create(slug="homepage", name="홈페이지")
    Contact.objects.filter(pk=sql_lead.pk).update(
        source=source, first_name="서연", last_name="김", job_title="운영 책임자", outcome="won",
        country="KR", city="서울", language="", stage_at=timezone.now(), scored_at=timezone.now(),
        last_active_at=timezone.now(),
    )  # fmt: skip
    sql_lead.company.name, sql_lead.company.industry = "한빛자동차", "자동차"
    sql_lead.company.save()
    for kind in ("page_viewed", "form_submitted", "call_made", "purchase"):
        Interaction.objects.create(
            contact=sql_lead, kind_id=kind, target="시승", occurred_at=timezone.now(), duration_s=200, sentiment=1,
            keyword="전기차", properties={"모델": True},
        )  # fmt: skip
    Consent.objects.create(contact=sql_lead, channel="sms", state="granted", proof="시승 신청 양식")
    Identity.objects.create(contact=sql_lead, kind="phone", value="+821048210093")
    return sql_lead


def words_on(response) -> str:
    """What a person reads on the page: its text and the attributes that are shown or read out."""
    assert response.status_code == 200
    page = response.content.decode()
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r"<(kbd|code)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(
        r"<button [^>]*lang=\"en\".*?</button>", " ", page, flags=re.DOTALL
    )  # each in its own language
    shown = re.findall(r'(?:aria-label|placeholder|alt|title)="([^"]*)"', page)
    return " ".join([*shown, re.sub(r"<[^>]*>", " ", page)])


SAME_IN_BOTH = {"leadmgr", "MQL", "SQL", "UTC", "KST", "Asia", "Seoul", "Rita", "ID", "ENG", "R", "KR", "NUL", "Segment", "SDK"}  # fmt: skip


def english_on(response) -> set[str]:
    """The Latin words on the page that are neither data of the fixtures nor the same in Korean."""
    text = re.sub(r"\S+@\S+|\S+\.example\S*|\b\d{4}-\d\d-\d\d [\d:]+ \w+", " ", words_on(response))
    return set(re.findall(r"[A-Za-z]{2,}", text)) - SAME_IN_BOTH


def test_the_login_follows_the_browser_and_holds_no_english(client, db):
    response = client.get(reverse("login"), headers={"Accept-Language": "ko-KR,ko;q=0.9"})
    assert '<html lang="ko">' in response.content.decode()
    assert english_on(response) == set()
    wrong = client.post(
        reverse("login"), {"username": "a", "password": "b"}, headers={"Accept-Language": "ko"}
    )
    assert english_on(wrong) == set()


@pytest.mark.parametrize("query", ["", "?q=%EA%B9%80", "?q=zzzz", "?stage=sql", "?stage=mql", "?sort=lowest"])
def test_the_list_of_contacts_holds_no_english(as_korean, eventful_lead, query):
    response = as_korean.get(reverse("contact-list") + query)
    assert '<html lang="ko">' in response.content.decode()
    assert english_on(response) - {"zzzz"} == set()


def test_an_empty_list_holds_no_english(as_korean):
    assert english_on(as_korean.get(reverse("contact-list"))) == set()
    assert english_on(as_korean.get(reverse("company-list"))) == set()


@pytest.mark.parametrize("page", ["contact-detail", "contact-edit", "contact-score", "contact-workflows"])
def test_the_pages_of_a_contact_hold_no_english(as_korean, eventful_lead, page):
    response = as_korean.get(reverse(page, args=[eventful_lead.pk]))
    assert '<html lang="ko">' in response.content.decode()
    assert english_on(response) == set()


@pytest.mark.parametrize("page", ["contact-score", "contact-workflows"])
def test_the_fragments_of_a_contact_hold_no_english(as_korean, eventful_lead, page):
    response = as_korean.get(reverse(page, args=[eventful_lead.pk]), headers={"HX-Request": "true"})
    assert "<html" not in response.content.decode()
    assert english_on(response) == set()


def test_companies_and_preferences_hold_no_english(as_korean, eventful_lead):
    assert english_on(as_korean.get(reverse("company-list"))) == set()
    assert english_on(as_korean.get(reverse("company-detail", args=[eventful_lead.company_id]))) == set()


def test_a_page_that_is_not_there_says_so_in_korean(as_korean):
    response = as_korean.get("/contacts/999999/")
    assert response.status_code == 404
    assert "이 주소에는 아무것도 없습니다" in response.content.decode()


def test_the_contact_page_speaks_korean(as_korean, eventful_lead):
    words = words_on(as_korean.get(reverse("contact-detail", args=[eventful_lead.pk])))
    for expected in (
        "양식 제출",
        "담당 해제",
        "유입 경로",
        "3분 20초",
        "검색어 “전기차”",
        "세부 정보",
        "방금",
    ):
        assert expected in words


def test_the_same_page_is_english_for_others(client, mina, sql_lead):
    client.force_login(mina)
    page = client.get(reverse("contact-detail", args=[sql_lead.pk])).content.decode()
    assert '<html lang="en">' in page
    assert not HANGUL.search(page.replace("한국어", ""))


@pytest.mark.parametrize("page", ["contact-list", "contact-detail", "contact-score", "company-list"])
def test_people_of_two_languages_take_turns_and_each_reads_their_own(
    client, korean, mina, eventful_lead, page
):
    """What a page keeps between requests, it keeps for each language."""
    address = reverse(page, args=[eventful_lead.pk] if page in ("contact-detail", "contact-score") else [])

    def read(user) -> tuple[str, str]:
        client.force_login(user)
        response = client.get(address)
        return re.search('<html lang="(..)">', response.content.decode()).group(1), words_on(response)

    for _turn in range(2):
        language, words = read(korean)
        assert (language, "검색" in words, "Search" in words) == ("ko", True, False)
        language, words = read(mina)
        assert (language, "검색" in words, "Search" in words) == ("en", False, True)


@pytest.mark.parametrize(
    "address", ["admin:index", "admin:scoring_scoresheet_add", "admin:leads_contact_changelist"]
)
def test_the_administration_speaks_korean(client, ada, address):
    ada.language = "ko"
    ada.save(update_fields=["language"])
    client.force_login(ada)
    words = words_on(client.get(reverse(address)))
    for expected in ("점수표", "활동 종류", "유입 경로"):
        assert expected in words
    for english in ("Score sheets", "Interaction kinds", "Sources", "Thresholds", "Enrolments"):
        assert english not in words


# Sentences


def question(type_: str, operator: str) -> dict[str, Any]:
    field, value = {
        "text": ("country", "KR"),
        "choice": ("stage", "mql"),
        "number": ("company.employees", 100),
        "boolean": ("attributes.vip", True),
        "date": ("last_active", "2026-03-10"),
    }[type_]
    tree: dict[str, Any] = {"field": field, "op": operator}
    if operator == "is_any_of":
        tree["value"] = [value]
    elif operator == "in_last_days":
        tree["value"] = 30
    elif operator not in ("is_known", "is_unknown"):
        tree["value"] = value
    return tree


ASKED = [(type_, operator) for type_, operators in OPERATORS.items() for operator in operators]
LATIN = re.compile(r"[A-Za-z]{2,}")


def latin_in(words: str) -> set[str]:
    return set(LATIN.findall(words)) - {"KR", "MQL", "SQL", "VIP"}


@pytest.fixture
def vip(db) -> Attribute:
    return Attribute.objects.create(key="vip", label="VIP", type="boolean")


@pytest.mark.parametrize(("type_", "operator"), ASKED)
def test_a_question_reads_in_korean(vip, type_, operator):
    tree = question(type_, operator)
    validate(tree)
    with translation.override("ko"):
        words = describe(tree)
    assert HANGUL.search(words) or words == "VIP: 예"
    assert latin_in(words) == set()


def korean_of(tree: dict[str, Any]) -> str:
    validate(tree)
    with translation.override("ko"):
        return describe(tree)


COUNTRY = {"field": "country", "op": "is", "value": "KR"}
LARGE = {"field": "company.employees", "op": "at_least", "value": 100}
FORMS = {
    "count": {"kind": "form_submitted", "within_days": 30, "where": [{"field": "target", "op": "is", "value": "시승"}]},
    "op": "at_least",
    "value": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, "모든 연락처"),
        ({"any": []}, "해당하는 연락처 없음"),
        ({"all": [COUNTRY, LARGE]}, "국가: KR 그리고 직원 수: 100 이상"),
        ({"any": [COUNTRY, {"all": [LARGE, FORMS]}]},
         "국가: KR 또는 (직원 수: 100 이상 그리고 최근 30일 동안 양식 제출(대상: 시승) 3회 이상)"),
        ({"not": LARGE}, "[직원 수: 100 이상]에 해당하지 않음"),
        ({"count": {"kind": "purchase"}, "op": "at_most", "value": 1}, "지금까지 구매 1회 이하"),
        ({"count": {"kind": "visit", "within_days": 7}, "op": "is", "value": 0}, "최근 7일 동안 방문 정확히 0회"),
        ({"consent": {"purpose": "marketing", "channel": "email"}, "op": "is", "value": "granted"},
         "이메일 marketing 수신 동의 상태: 동의"),
        ({"consent": {"purpose": "marketing", "channel": "sms"}, "op": "is_not", "value": "denied"},
         "문자 marketing 수신 동의 상태: 거부 아님"),
        ({"segment": "fleet"}, "“법인 고객” 세그먼트에 포함"),
        ({"field": "last_active", "op": "in_last_days", "value": 14}, "최근 활동: 최근 14일 이내"),
        ({"field": "stage", "op": "is_any_of", "value": ["cold", "mql"]}, "단계: 콜드, MQL 중 하나"),
    ],
)  # fmt: skip
def test_a_composed_condition_reads_well(db, tree, words):
    Segment.objects.create(slug="fleet", name="법인 고객", condition=COUNTRY)
    assert korean_of(tree) == words


def test_a_filter_and_a_rule_read_well(db):
    where = [
        {"field": "target", "op": "contains", "value": "시승"},
        {"field": "properties.모델", "op": "is_known"},
    ]
    validate_where(where)
    rule = Rule(
        kind="event",
        interaction=InteractionKind.objects.get(pk="form_submitted"),
        where=where,
        half_life_days=30,
        cap=40,
    )
    person = Rule(kind="attribute", condition={"all": [COUNTRY, LARGE]})
    with translation.override("ko"):
        assert describe_where(where) == "대상: “시승” 포함 그리고 모델: 값 있음"
        assert (
            describe_rule(rule)
            == "양식 제출, 조건(대상: “시승” 포함 그리고 모델: 값 있음), 30일마다 절반으로 감소, 최대 40점"
        )
        assert describe_rule(person) == "국가: KR 그리고 직원 수: 100 이상"


def test_every_shipped_kind_has_a_korean_name_and_phrase(db):
    with translation.override("ko"):
        for kind in SHIPPED_KINDS:
            assert latin_in(str(InteractionKind.objects.get(pk=kind.slug))) == set(), kind.slug
            assert translation.gettext(kind.phrase).endswith("때"), kind.slug


# Programs


def test_a_refused_event_is_explained_in_the_language_asked_for(client, db):
    def error(language: str) -> str:
        response = client.post(
            "/v1/track", "{}", content_type="application/json", headers={"Accept-Language": language}
        )
        assert response.status_code == 401
        return response.json()["error"]

    assert error("en") == "Send the capture key as the user name of basic authentication, or as writeKey."
    assert HANGUL.search(error("ko"))


def test_a_wrong_parameter_of_the_api_is_explained_in_the_language_asked_for(client, mina):
    client.force_login(mina)
    address = "/api/contacts/?colour=red"
    assert (
        "There is no such parameter"
        in client.get(address, headers={"Accept-Language": "en"}).content.decode()
    )
    assert "없는 매개변수입니다" in client.get(address, headers={"Accept-Language": "ko"}).content.decode()
