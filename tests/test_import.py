"""Files of people: what a row becomes, what is refused and why, and that loading again changes nothing."""

import csv
import io
import json
import random
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from leads.imports import loading
from leads.models import (
    Attribute,
    Company,
    Contact,
    ContactSearch,
    Identity,
    Interaction,
    Source,
    StageChange,
    Touch,
)

pytestmark = pytest.mark.django_db(transaction=True)

XEDUCATION = Path(__file__).resolve().parents[2] / "shared" / "data" / "xeducation_leads.csv"
TABLES = (Attribute, Company, Contact, ContactSearch, Identity, Interaction, Source, StageChange)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(tmp_path):
    """Write the text to a file and import it; returns the counts."""

    def load(
        text: str | bytes, *arguments: str, source: str = "CRM", name: str = "people.csv"
    ) -> dict[str, int]:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_file(path, *arguments, source=source)

    return load


def import_file(path: Path, *arguments: str, source: str = "CRM") -> dict[str, int]:
    out = io.StringIO()
    call_command(
        "import_contacts", str(path), "--source", source, *arguments, stdout=out, stderr=io.StringIO()
    )
    return json.loads(out.getvalue().splitlines()[-1])


def counts(created=0, updated=0, unchanged=0, rejected=0) -> dict[str, int]:
    return {"created": created, "updated": updated, "unchanged": unchanged, "rejected": rejected}


def rejected(path: str = "people.rejected.csv") -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def sizes() -> list[int]:
    return [model.objects.count() for model in TABLES]


PEOPLE = (
    "First Name,Last Name,E-mail,Phone,Job Title,Country,City,Company,Website,Industry,Plan,Visits,Since,Newsletter\n"
    "Seo-yeon,Kim,Kim@Hanbit.Example,010-4821-0093,Buyer,KR,Seoul,Hanbit,https://www.hanbit.example/x,Cars,gold,3,2026-01-02,yes\n"
    "Noah,Berg,noah@fjordly.example,,,,,Fjordly,,,,1.5,2025-12-31,No\n"
)


def test_columns_are_understood_by_their_names(load):
    assert load(PEOPLE) == counts(created=2)
    contact = Contact.objects.get(email__istartswith="kim")
    assert (contact.first_name, contact.last_name, contact.job_title, contact.country, contact.city) == (
        "Seo-yeon", "Kim", "Buyer", "KR", "Seoul",
    )  # fmt: skip
    assert (contact.company.name, contact.company.domain, contact.company.industry) == (
        "Hanbit",
        "hanbit.example",
        "Cars",
    )
    assert contact.attributes == {"Plan": "gold", "Visits": 3, "Since": "2026-01-02", "Newsletter": True}
    assert contact.source.slug == "crm"
    assert contact.source.kind == Source.Kind.IMPORT
    assert set(contact.identities.values_list("kind", "value")) == {
        ("email", "kim@hanbit.example"), ("phone", "+821048210093"),
    }  # fmt: skip
    assert list(contact.stage_changes.values_list("after", "cause")) == [("cold", "import")]
    assert set(Touch.objects.values_list("contact", flat=True)) == set(
        Contact.objects.values_list("pk", flat=True)
    )
    assert list(Contact.objects.search("fjordly")) == [Contact.objects.get(first_name="Noah")]


def test_attributes_get_the_type_that_every_value_fits(load):
    load(
        "email,visits,plan,since,agreed,postcode,flag\n"
        "a@x.example,3,gold,2026-01-02,yes,01067,1\n"
        "b@x.example,-2.5,4,2026-02-30,No,10115,0\n"
        "c@x.example,,,,,,\n"
    )
    assert dict(Attribute.objects.values_list("key", "type")) == {
        "visits": "number", "plan": "text", "since": "text", "agreed": "boolean", "postcode": "text", "flag": "number",
    }  # fmt: skip
    # A column of days is of type date only if each of them exists: there is no 30th of February.
    load("email,born\na@x.example,1990-05-01\n")
    assert Attribute.objects.get(key="born").type == "date"


def test_a_declared_attribute_keeps_its_type_and_refuses_other_values(load):
    Attribute.objects.create(key="age", type="number")
    assert load("email,age\na@x.example,34\nb@x.example,forty\nc@x.example,\n") == counts(
        created=2, rejected=1
    )
    assert "age" in rejected()[1][-1]
    assert "forty" in rejected()[1][-1]


def test_loading_the_same_file_again_changes_nothing(load):
    load(PEOPLE)
    Touch.objects.all().delete()
    before = sizes()
    updated = list(Contact.objects.order_by("pk").values())
    assert load(PEOPLE) == counts(unchanged=2)
    assert sizes() == before
    assert list(Contact.objects.order_by("pk").values()) == updated
    assert not Touch.objects.exists()


def test_a_blank_overwrites_nothing_and_a_value_does(load):
    load("email,city,country,plan\na@x.example,Seoul,KR,gold\n")
    assert load("email,city,country,plan\nA@X.example,Busan,,\n") == counts(updated=1)
    contact = Contact.objects.get()
    assert (contact.city, contact.country, contact.attributes) == ("Busan", "KR", {"plan": "gold"})


def test_each_row_of_a_person_counts_once(load):
    assert load("email,city\na@x.example,Seoul\na@x.example,Busan\na@x.example,Busan\n") == counts(
        created=1, updated=1, unchanged=1
    )
    assert Contact.objects.get().city == "Busan"


def test_the_key_is_an_id_of_the_source(load):
    file = "id,email\n42,a@x.example\n43,\n"
    assert load(file, "--key", "id") == counts(created=2)
    assert load(file, "--key", "id", source="Shop") == counts(created=1, unchanged=1)
    assert set(Identity.objects.filter(kind="external").values_list("namespace", "value")) == {
        ("crm", "42"), ("crm", "43"), ("shop", "42"), ("shop", "43"),
    }  # fmt: skip


def test_an_import_finds_the_person_that_events_know(load, cold_lead):
    assert load("E-mail,City\nNoah@Fjordly.example,Oslo\n") == counts(updated=1)
    cold_lead.refresh_from_db()
    assert cold_lead.city == "Oslo"


def test_the_outcome_is_stored_and_the_won_become_customers(load):
    file = "email,Converted\na@x.example,1\nb@x.example,0\nc@x.example,\nd@x.example,maybe\n"
    assert load(file) == counts(created=3, rejected=1)
    stored = Contact.objects.order_by("email").values_list("email", "outcome", "stage")
    assert list(stored) == [
        ("a@x.example", "won", "customer"), ("b@x.example", "lost", "cold"), ("c@x.example", "", "cold"),
    ]  # fmt: skip
    assert Contact.objects.filter(outcome_at__isnull=False).count() == 2
    assert StageChange.objects.get(after="customer").cause == "import"
    assert load(file) == counts(unchanged=3, rejected=1)
    assert load("email,Outcome\nb@x.example,won\n") == counts(updated=1)


def test_a_mapping_says_what_columns_mean(load):
    load(
        "Wer;Firma;Größe;Tarif;Geheim;Notiz\nKim Seo-yeon;Hanbit;250;gold;x;y\n".replace("Kim Seo-yeon", "a@x.example;Kim Seo-yeon").replace("Wer", "Mail;Wer"),
        "--map", "Wer=name", "--map", "Firma=company.name", "--map", "Größe=company.employees",
        "--map", "Tarif=attribute:plan", "--map", "Geheim=-",
    )  # fmt: skip
    contact = Contact.objects.get()
    assert (contact.first_name, contact.last_name) == ("Kim", "Seo-yeon")
    assert (contact.company.name, contact.company.employees) == ("Hanbit", 250)
    assert contact.attributes == {"plan": "gold", "Notiz": "y"}


def test_a_value_may_mean_not_answered(load):
    load("email,city,visits\na@x.example,Select,Select\nb@x.example,Seoul,4\n", "--blank", "Select")
    assert Contact.objects.get(email="a@x.example").city == ""
    assert Attribute.objects.get(key="visits").type == "number"


def test_an_unnamed_column_is_dropped_when_blank_and_kept_when_not(load):
    assert load("email,\na@x.example,\n") == counts(created=1)
    assert Contact.objects.get().attributes == {}
    assert load("email,\na@x.example,hm\n") == counts(updated=1)
    assert Contact.objects.get().attributes == {"column 2": "hm"}


BAD_ROWS = [
    ("a@x.example,Seoul", "has 2 cells, the header has 3"),
    ("a@x.example,Seoul,b,c", "has 4 cells, the header has 3"),
    (",Seoul,b", "needs an e-mail or the key column"),
    ("nobody,Seoul,b", "is not an e-mail address"),
    ("a" * 300 + "@x.example,Seoul,b", "“email” is longer than 254 characters"),
    (f"a@x.example,{'x' * 101},b", "“city” is longer than 100 characters"),
    (f"a@x.example,Seoul,{'x' * 10_001}", "“note” is longer than 10000 characters"),
    ("a@x.example,Seo\0ul,b", "NUL"),
    ('a@x.example,"Seoul"x,b', "wrong quotes"),
]


@pytest.mark.parametrize(("row", "why"), BAD_ROWS)
def test_a_bad_row_is_put_aside_with_its_reason(load, row, why):
    assert load(f"email,city,note\n{row}\ngood@x.example,Berlin,\n") == counts(created=1, rejected=1)
    header, bad = rejected()
    assert header == ["email", "city", "note", "why"]
    assert why in bad[-1]
    assert Contact.objects.get().email == "good@x.example"


def test_rejected_rows_are_mended_and_loaded_again(load, tmp_path):
    load("email,city\nnobody,Seoul\na@x.example\n")
    text = (tmp_path / "people.rejected.csv").read_text().replace("nobody", "b@x.example")
    assert load(text, name="mended.csv") == counts(created=2)
    assert not Attribute.objects.exists()
    assert not (tmp_path / "mended.rejected.csv").exists()


def test_the_file_of_rejected_rows_goes_away_when_none_is_left(load, tmp_path):
    load("email,city\nnobody,Seoul\n")
    assert (tmp_path / "people.rejected.csv").exists()
    load("email,city\nb@x.example,Seoul\n")
    assert not (tmp_path / "people.rejected.csv").exists()


BAD_FILES = [
    ("empty", b"", "is empty"),
    ("blank lines", b"\n\n\n", "is empty"),
    ("no header, an e-mail", b"Anna,anna@x.example\nBernd,bernd@x.example\n", "must name the columns"),
    ("no header, numbers", b"1,2,3\n4,5,6\n", "must name the columns"),
    ("nobody is named", b"city,plan\nSeoul,gold\n", "--key"),
    ("two columns of one name", b"email,city,city\na@x.example,b,c\n", "“city”"),
    ("a thousand columns", b",".join(b"c%d" % n for n in range(1000)), "at most 500"),
    ("not UTF-8", "email,city\na@x.example,Seoul\nb@x.example,K\u00f6ln\n".encode("latin-1"), "Line 3"),
    (
        "a quote that is never closed",
        b'email,city\na@x.example,Seoul\nb@x.example,"Ber\nc@x.example,Bonn\n',
        "line 3",
    ),
    (
        "a quote closed by the next one",
        b'email,city\nb@x.example,"Ber\nc@x.example,"Bonn"\nd@x.example,x\n',
        "line 2",
    ),
    ("an unclosed quote in the header", b'email,"city\na@x.example,x\n', "line 1"),
    ("an endless cell", b'email,city\na@x.example,"' + b"x\n" * 80_000 + b'"\n', "line 2"),
]


@pytest.mark.parametrize(("text", "words"), [row[1:] for row in BAD_FILES], ids=[row[0] for row in BAD_FILES])
def test_a_bad_file_is_refused_whole_in_words(load, text, words):
    with pytest.raises(CommandError, match=words):
        load(text)
    assert not any(model.objects.exists() for model in TABLES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--map", "Stadt=city"], "“Stadt”.*email, city"),
        (["--map", "city=town"], "“town”.*job_title"),
        (["--map", "city"], "COLUMN=FIELD"),
        (["--map", "city=email", "--map", "email=email"], "both go to"),
        (["--key", "id"], "“id”"),
        (["--encoding", "klingon"], "klingon"),
        (["--rejects", "people.csv"], "overwrite"),
        (["--rejects", "."], "cannot be written"),
        (["--rejects", "nowhere/bad.csv"], "cannot be written"),
    ],
)
def test_wrong_arguments_are_refused_with_a_remedy(load, arguments, words):
    with pytest.raises(CommandError, match=words):
        load("email,city\na@x.example,Seoul\n", *arguments)
    assert not Source.objects.exists()


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CommandError, match="no file"):
        import_file(tmp_path / "nothing.csv")
    with pytest.raises(CommandError, match="folder"):
        import_file(tmp_path)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("email;city\na@x.example;Köln\n".encode(), []),
        ("email\tcity\na@x.example\tKöln\n".encode(), []),
        ("\ufeffemail,city\r\n\r\na@x.example,Köln\r\n".encode(), []),
        ("email,city\na@x.example,Köln\n".encode("latin-1"), ["--encoding", "latin-1"]),
        ('"email","city"\n"a@x.example","Köln"'.encode(), []),
    ],
    ids=["semicolons", "tabs", "byte order mark and blank lines", "latin-1", "quotes, no last line end"],
)
def test_usual_forms_of_csv_are_read(load, text, arguments):
    assert load(text, *arguments) == counts(created=1)
    assert Contact.objects.get().city == "Köln"


def test_a_quoted_cell_may_hold_line_ends_and_delimiters(load):
    load('email,note\na@x.example,"one, ""two""\nthree"\n')
    assert Contact.objects.get().attributes == {"note": 'one, "two"\nthree'}


def test_a_dry_run_counts_the_same_and_leaves_nothing(load, monkeypatch):
    monkeypatch.setattr(loading, "CHUNK", 2)
    file = PEOPLE + "Kim,,kim@hanbit.example,,,,,,,,silver,,,\nx,,nobody,,,,,,,,,,,\n"
    expected = counts(created=2, updated=1, rejected=1)
    assert load(file, "--dry-run") == expected
    assert not any(model.objects.exists() for model in (*TABLES, Touch))
    assert load(file) == expected


def test_an_import_that_died_goes_on_where_it_was(load, monkeypatch):
    monkeypatch.setattr(loading, "CHUNK", 2)
    file = "email,city\n" + "".join(f"p{n}@x.example,Seoul\n" for n in range(5))
    resolve, calls = loading.resolve, []

    def dies(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return resolve(*arguments, **named)

    monkeypatch.setattr(loading, "resolve", dies)
    with pytest.raises(KeyboardInterrupt):
        load(file)
    assert Contact.objects.count() == 2
    assert Touch.objects.count() == 2
    assert load(file) == counts(created=3, unchanged=2)
    assert load(file) == counts(unchanged=5)


def test_a_chunk_costs_the_same_number_of_queries_whatever_its_size(load, django_assert_max_num_queries):
    for size in (1, 300):
        with django_assert_max_num_queries(40):
            rows = "".join(f"s{size}p{n}@x.example,Company {n},{n % 2}\n" for n in range(size))
            load("email,company,converted\n" + rows)


XEDUCATION_HEADER = (
    "Prospect ID,Lead Number,Lead Origin,Lead Source,Do Not Email,Converted,TotalVisits,Page Views Per Visit,Country,"
    "Specialization,What is your current occupation,Search,Tags,City,Asymmetrique Activity Score,Last Notable Activity,"
)


def lookalike() -> str:
    """200 rows such as those of the real file: no e-mail, blanks, "Select", a last column without a name."""
    random.seed(4)
    lines = [XEDUCATION_HEADER]
    for number in range(200):
        cells = [
            f"{random.getrandbits(128):032x}", str(660000 - number), random.choice(["API", "Lead Import"]),
            random.choice(["Google", "google", "Olark Chat", ""]), "No", random.choice("01"),
            random.choice(["", "0", "5"]), random.choice(["", "2.5", "0"]), random.choice(["", "India"]),
            random.choice(["Select", "", "Media and Advertising"]), "Unemployed", "No", "", random.choice(["Select", "Mumbai"]),
            random.choice(["", "15"]), "Modified", "",
        ]  # fmt: skip
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def check_xeducation(path: Path, rows: int) -> None:
    arguments = ("--key", "Prospect ID", "--blank", "Select")
    with path.open(encoding="utf-8-sig", newline="") as file:
        truth = {row["Prospect ID"]: row for row in csv.DictReader(file)}
    assert import_file(path, *arguments, source="xeducation") == counts(created=rows)
    before = sizes()
    assert import_file(path, *arguments, source="xeducation") == counts(unchanged=rows)
    assert sizes() == before
    won = sum(row["Converted"] == "1" for row in truth.values())
    assert Contact.objects.filter(outcome="won", stage="customer").count() == won
    assert Contact.objects.filter(outcome="lost").count() == rows - won
    kept = {"Prospect ID", "Converted", "Country", "City"}
    for identity in Identity.objects.select_related("contact").order_by("value")[:200]:
        row, contact = truth[identity.value], identity.contact
        assert contact.country == row["Country"]
        assert contact.city == row["City"].replace("Select", "")
        told = {
            name: value for name, value in row.items() if name not in kept and value not in ("", "Select")
        }
        booleans = {"Yes": True, "No": False}
        assert {name: booleans.get(value, str(value)) for name, value in told.items()} == {
            name: value if isinstance(value, bool) else str(value)
            for name, value in contact.attributes.items()
        }


def test_a_file_that_looks_like_the_real_one_is_kept_whole(tmp_path):
    path = tmp_path / "lookalike.csv"
    path.write_text(lookalike())
    check_xeducation(path, 200)


@pytest.mark.skipif(not XEDUCATION.exists(), reason="the shared data sets are not on this machine")
def test_the_real_file_is_kept_whole():
    check_xeducation(XEDUCATION, 9240)
