"""What one row of a file says about a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _

from leads.identity import Claim, CompanyClaim, IdentityError, email_key, external_key, phone_key
from leads.imports.columns import COMPANY, COMPANY_PARTS, EXTERNAL_ID, NAME, OUTCOME, Column
from leads.imports.reading import RowError
from leads.imports.types import as_declared
from leads.models import Attribute, Outcome
from leads.resolution import TEXT_FIELDS
from leads.tracking.traits import read_company, split_name

ATTRIBUTE_LONGEST = 10_000
COMPANIES_KEPT = 10_000
"""companies and mail domains read lately; colleagues share them"""

OUTCOMES = {
    "1": Outcome.WON, "yes": Outcome.WON, "true": Outcome.WON, "won": Outcome.WON,
    "0": Outcome.LOST, "no": Outcome.LOST, "false": Outcome.LOST, "lost": Outcome.LOST,
}  # fmt: skip


@dataclass(slots=True)
class Row:
    """A good row: who it is about, what it tells, and how the selling ended where it says so."""

    claim: Claim
    outcome: str = ""


class RowReader:
    """Turns the cells of a row into a claim. Made once for a file, because it runs for every row."""

    def __init__(
        self,
        columns: Sequence[Column],
        width: int,
        types: Mapping[str, str],
        namespace: str,
        blanks: frozenset[str],
    ) -> None:
        self.width = width
        self.namespace = namespace
        self.blanks = blanks
        self.fields = [(column.index, column.name, column.field, TEXT_FIELDS[column.field] or 0)
                       for column in columns if column.field in TEXT_FIELDS]  # fmt: skip
        self.attributes = [
            (column.index, column.name, column.attribute, _reader_of(column, types[column.attribute]))
            for column in columns if column.attribute
        ]  # fmt: skip
        company = [column for column in columns if column.field.startswith(COMPANY)]
        self.company_cells = [column.index for column in company]
        parts = tuple(COMPANY_PARTS[column.field.removeprefix(COMPANY)] for column in company)
        self.read_company = lru_cache(COMPANIES_KEPT)(
            lambda cells: _company(dict(zip(parts, cells, strict=True)))
        )
        place = {column.field: column.index for column in columns}
        self.key, self.outcome, self.name = place.get(EXTERNAL_ID), place.get(OUTCOME), place.get(NAME)

    def read(self, cells: Sequence[str]) -> Row:
        """Raises `RowError` with the reason in words."""
        if len(cells) != self.width:
            raise RowError(
                _("has %(count)d cells, the header has %(columns)d")
                % {"count": len(cells), "columns": self.width}
            )
        if "\0" in "".join(cells):
            raise RowError(_("holds a NUL character"))
        cells = [cell.strip() for cell in cells]
        if self.blanks:
            cells = ["" if cell in self.blanks else cell for cell in cells]
        try:
            return self._read(cells)
        except IdentityError as error:
            raise RowError(str(error)) from None

    def _read(self, cells: Sequence[str]) -> Row:
        told: dict[str, str] = {}
        if self.name is not None:
            for field, part in split_name(cells[self.name]).items():
                told[field] = _fitting(part, "name", TEXT_FIELDS[field] or 0)
        for index, name, field, longest in self.fields:
            value = cells[index]
            if value:
                told[field] = value if len(value) <= longest else _fitting(value, name, longest)
        names = []
        if self.key is not None and cells[self.key]:
            names.append(external_key(cells[self.key], self.namespace))
        if "email" in told:
            names.append(email_key(told["email"]))
        if not names:
            raise RowError(_("needs an e-mail or the key column"))
        claim = Claim(names=tuple(names), fields=told)
        if "phone" in told:
            claim.phone = phone_key(told["phone"], told.get("country", ""))
        attributes = claim.attributes
        for index, _name, key, read in self.attributes:
            value = cells[index]
            if value:
                attributes[key] = read(value)
        if self.company_cells:
            company = tuple([cells[index] for index in self.company_cells])
            if any(company):
                claim.company = self.read_company(company)
        return Row(claim, self._outcome(cells[self.outcome]) if self.outcome is not None else "")

    @staticmethod
    def _outcome(text: str) -> str:
        if not text:
            return ""
        outcome = OUTCOMES.get(text.lower())
        if outcome is None:
            raise RowError(
                _("the outcome “%(value)s” is neither won nor lost; write 1, yes, true or 0, no, false")
                % {"value": text[:40]}
            )
        return outcome.value


def _reader_of(column: Column, type_: str) -> Callable[[str], Any]:
    """How a cell of the column becomes the attribute's value; cells that repeat are read once."""

    def text(value: str) -> str:
        return value if len(value) <= ATTRIBUTE_LONGEST else _fitting(value, column.name, ATTRIBUTE_LONGEST)

    @lru_cache(1000)
    def typed(cell: str) -> Any:
        value = as_declared(type_, cell)
        if value is None:
            raise RowError(
                _("“%(column)s” must be %(type)s, as declared in Admin › Attributes; it is “%(value)s”")
                % {"column": column.name, "type": Attribute.Type(type_).label, "value": cell[:40]}
            )
        return value

    return text if type_ == Attribute.Type.TEXT else typed


def _company(traits: Mapping[str, str]) -> CompanyClaim | None:
    try:
        claim = read_company(traits)
    except ValueError as error:  # the traits' own, and that of an address that is none
        raise RowError(str(error)) from None
    if claim.domain and "." not in claim.domain:
        raise RowError(_("“%(domain)s” is not the domain of a company") % {"domain": traits["domain"][:80]})
    return claim if claim.name or claim.domain or claim.external_id else None


def _fitting(text: str, column: str, longest: int) -> str:
    if len(text) > longest:
        raise RowError(
            _("“%(column)s” is longer than %(most)d characters") % {"column": column, "most": longest}
        )
    return text
