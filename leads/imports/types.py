"""What the values of a column are: the one type that every one of them fits."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from leads.models import Attribute

TYPE = Attribute.Type
# No leading zeros and no more digits than a float keeps: "007" and a card number are texts.
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
DIGITS_KEPT = 15
DAY = re.compile(r"\d{4}-\d\d-\d\d")
BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
ALSO_BOOLEANS = {"1": True, "0": False, "y": True, "n": False}
"""what a column declared as yes or no may say too; by themselves they are no sign of one"""


def as_number(text: str) -> int | float | None:
    """The number that the text is, when nothing of the text is lost by it."""
    if not NUMBER.fullmatch(text) or sum(map(str.isdecimal, text)) > DIGITS_KEPT:
        return None
    return float(text) if "." in text else int(text)


def as_boolean(text: str) -> bool | None:
    return BOOLEANS.get(text.lower())


def as_day(text: str) -> str | None:
    if not DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def as_declared(type_: str, text: str) -> Any:
    """The value as its type wants it, or None when it does not fit."""
    if type_ == TYPE.NUMBER:
        number = as_number(text)
        return number if number is not None else _any_number(text)
    if type_ == TYPE.BOOLEAN:
        low = text.lower()
        return BOOLEANS.get(low, ALSO_BOOLEANS.get(low))
    if type_ == TYPE.DATE:
        return as_day(text[:10])
    return text


def _any_number(text: str) -> float | None:
    """More than inference accepts: a column that is declared says that its 007 is a number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None


_FITS = {TYPE.NUMBER: as_number, TYPE.BOOLEAN: as_boolean, TYPE.DATE: as_day}


class Guess:
    """Which types still fit the values of a column seen so far."""

    def __init__(self) -> None:
        self.candidates = list(_FITS)
        self.seen = False

    def add(self, values: Iterable[str]) -> None:
        """Hear nonblank values; once only text is left, there is nothing more to learn."""
        for value in values:
            self.seen = True
            self.candidates = [type_ for type_ in self.candidates if _FITS[type_](value) is not None]
            if not self.candidates:
                return

    @property
    def type(self) -> str:
        return (self.candidates[0] if self.seen and self.candidates else TYPE.TEXT).value
