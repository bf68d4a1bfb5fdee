"""Who somebody is: normal forms, and the plan that decides which contact a claim belongs to."""

import pytest

from leads.identity import Claim, IdentityError, normal_email, normal_id, normal_phone, plan


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("Kim@Hanbit.Example", "kim@hanbit.example"),
        ("  kim@hanbit.example ", "kim@hanbit.example"),
        (
            "kim.seo+news@hanbit.example",
            "kim.seo+news@hanbit.example",
        ),  # dots and tags may be another mailbox
        ("info@münchen.example", "info@xn--mnchen-3ya.example"),
        ("문의@한빛.한국", "문의@xn--xx3br43b.xn--3e0b707e"),
    ],
)
def test_an_email_is_stored_in_one_form(given, normal):
    assert normal_email(given) == normal


@pytest.mark.parametrize(
    "given", ["", "kim", "kim@", "@hanbit.example", "kim@localhost", "a b@hanbit.example", "kim@hanbit..example",
              "kim@-hanbit.example", "a" * 65 + "@hanbit.example", "a" * 300 + "@hanbit.example", "kim\0@hanbit.example"]
)  # fmt: skip
def test_what_is_no_email_is_refused_in_words(given):
    with pytest.raises(IdentityError):
        normal_email(given)


@pytest.mark.parametrize(
    ("given", "country", "normal"),
    [
        ("010-4821-0093", "KR", "+821048210093"),
        ("+82 10-4821-0093", "", "+821048210093"),
        ("030 901820", "DE", "+4930901820"),
        ("4821-0093", "", "48210093"),  # no country: the digits as they are
    ],
)
def test_a_phone_is_stored_with_its_country_where_it_is_known(given, country, normal):
    assert normal_phone(given, country) == normal


def test_an_id_has_a_length():
    with pytest.raises(IdentityError):
        normal_id(" ")
    with pytest.raises(IdentityError):
        normal_id("x" * 201)


EMAIL_A, EMAIL_B = ("email", "", "a@x.example"), ("email", "", "b@x.example")
ID_1, ID_2, OTHER_1 = ("external", "web", "1"), ("external", "web", "2"), ("external", "crm", "1")
BROWSER, BROWSER_2 = ("anonymous", "", "v1"), ("anonymous", "", "v2")


def claim(*names, browser=None) -> Claim:
    return Claim(names=tuple(names), browser=browser)


def test_a_visitor_is_created_once_for_a_batch():
    result = plan([claim(browser=BROWSER), claim(browser=BROWSER)], {}, set(), {})
    assert result.owners == [-1, -1]
    assert result.attached == {BROWSER: -1}
    assert result.made_known == set()


def test_a_visitor_becomes_the_person_that_makes_itself_known():
    result = plan([claim(EMAIL_A, browser=BROWSER)], {BROWSER: 7}, set(), {})
    assert result.owners == [7]
    assert result.attached == {EMAIL_A: 7}
    assert result.made_known == {7}


def test_a_visitor_is_absorbed_by_the_person_they_turn_out_to_be():
    result = plan(
        [claim(browser=BROWSER), claim(EMAIL_A, browser=BROWSER)], {BROWSER: 7, EMAIL_A: 3}, {3}, {}
    )
    assert result.absorbed == {7: 3}
    assert result.owners == [3, 3]


def test_two_known_people_are_never_joined_by_a_browser():
    result = plan([claim(EMAIL_B, browser=BROWSER)], {BROWSER: 3}, {3}, {})
    assert result.owners == [-1]
    assert result.attached == {EMAIL_B: -1}
    assert result.moved == {BROWSER: -1}


def test_on_a_shared_browser_later_events_follow_the_last_to_make_themselves_known():
    claims = [
        claim(EMAIL_A, browser=BROWSER),
        claim(browser=BROWSER),
        claim(EMAIL_B, browser=BROWSER),
        claim(browser=BROWSER),
    ]
    result = plan(claims, {EMAIL_A: 3, EMAIL_B: 4, BROWSER: 3}, {3, 4}, {})
    assert result.owners == [3, 3, 4, 4]
    assert result.moved == {BROWSER: 4}
    assert not result.absorbed


def test_a_name_that_belongs_to_somebody_else_stays_there():
    result = plan([claim(ID_1, EMAIL_A)], {ID_1: 3, EMAIL_A: 4}, {3, 4}, {})
    assert result.owners == [3]
    assert not result.attached
    assert not result.absorbed


def test_two_ids_of_one_source_are_two_people_even_with_one_email():
    result = plan([claim(ID_2, EMAIL_A)], {EMAIL_A: 3}, {3}, {3: {"web"}})
    assert result.owners == [-1]
    assert result.attached == {ID_2: -1}


def test_ids_of_two_sources_may_name_one_person():
    result = plan([claim(OTHER_1, EMAIL_A)], {EMAIL_A: 3}, {3}, {3: {"web"}})
    assert result.owners == [3]
    assert result.attached == {OTHER_1: 3}


def test_two_ids_of_one_source_in_one_batch_are_two_people():
    result = plan([claim(ID_1, EMAIL_A), claim(ID_2, EMAIL_A)], {}, set(), {})
    assert result.owners == [-1, -2]
    assert result.attached == {ID_1: -1, EMAIL_A: -1, ID_2: -2}


def test_visitors_created_and_absorbed_in_one_batch_leave_one_contact():
    claims = [claim(browser=BROWSER), claim(EMAIL_A, browser=BROWSER_2), claim(EMAIL_A, browser=BROWSER)]
    result = plan(claims, {}, set(), {})
    assert len(set(result.owners)) == 1
    assert set(result.attached.values()) == set(result.owners)
    assert result.absorbed == {}
