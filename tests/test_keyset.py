"""Places of pages, as addresses give them: read back as written, and nonsense is the first page."""

from datetime import UTC, date, datetime

import pytest

from leads.views.keyset import read_place, write_place


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("-score", "-id"), (-7, 12)),
        (("-id",), (10**17,)),
        (("decided__recycle_on", "id"), (date(2026, 11, 23), 4)),
        (("-decided__at", "-id"), (datetime(2026, 11, 23, 1, 2, 3, 456, tzinfo=UTC), 4)),
    ],
)
def test_a_place_is_read_as_it_was_written(keys, place):
    assert read_place(write_place(place), keys) == place


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("-score", "-id"), ""),
        (("-score", "-id"), "7"),
        (("-score", "-id"), "7,8,9"),
        (("-score", "-id"), "7,"),
        (("-score", "-id"), "--7,8"),
        (("-score", "-id"), "7,٨"),  # a digit, but no ASCII
        (("-score", "-id"), "123456,8"),  # no score
        (("-score", "-id"), "7," + "9" * 19),  # past a bigint
        (("decided__recycle_on", "id"), "2026-02-30,4"),
        (("decided__recycle_on", "id"), "7,4"),
        (("-decided__at", "-id"), "2026-11-23T01:02:03,4"),  # without its zone
        (("-decided__at", "-id"), "2026-11-31T01:02:03+00:00,4"),
    ],
)
def test_a_place_that_makes_no_sense_is_the_first_page(keys, text):
    assert read_place(text, keys) == ()
