"""What a sender says about a person or company, as columns, declared attributes and companies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from leads import sets
from leads.identity import ID_LONGEST, Claim, CompanyClaim, IdentityError, phone_key
from leads.models import Attribute
from leads.resolution import TEXT_FIELDS

KEY_LONGEST = 200

COLUMNS = {
    "firstname": "first_name", "lastname": "last_name", "givenname": "first_name", "surname": "last_name",
    "familyname": "last_name", "email": "email", "phone": "phone", "phonenumber": "phone", "mobile": "phone",
    "title": "job_title", "jobtitle": "job_title", "position": "job_title", "department": "department",
    "seniority": "seniority", "occupation": "occupation", "country": "country", "region": "region",
    "state": "region", "city": "city", "language": "language", "locale": "language", "timezone": "time_zone",
}  # fmt: skip
"""names of traits, without signs and capitals → column of Contact"""

COMPANY_COLUMNS = {
    "industry": "industry", "type": "type", "companytype": "type", "employees": "employees",
    "employeecount": "employees", "revenue": "revenue", "annualrevenue": "revenue", "country": "country",
    "city": "city", "phone": "phone",
}  # fmt: skip


class TraitError(ValueError):
    """A trait has the wrong type or size; the message names it and the remedy."""


@dataclass
class Traits:
    """The declared attributes, and whether this sender may declare more."""

    may_declare: bool
    new: dict[str, str] = field(default_factory=dict)
    """attributes to be declared, with their types"""

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Read when the first attribute is met: most batches hold none."""
        return dict(Attribute.objects.values_list("key", "type"))

    def declare_new(self) -> None:
        """Store the declarations of the attributes that were met for the first time."""
        rows = [(key[:KEY_LONGEST], "", type_) for key, type_ in sorted(self.new.items())]
        sets.insert_rows(Attribute, ["key", "label", "type"], rows, ignore_conflicts=True)


def bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def read_traits(traits: Mapping[str, Any], claim: Claim, declared: Traits) -> None:
    """Put what the traits say into the claim. Raises `TraitError` for a value that does not fit."""
    country = traits.get("country") if isinstance(traits.get("country"), str) else ""
    for name, value in traits.items():
        if value is None or value == "":
            continue
        key = bare(name)
        if key == "address" and isinstance(value, dict):
            read_traits({part: value[part] for part in ("city", "country", "state", "region") if value.get(part)},
                        claim, declared)  # fmt: skip
        elif key == "name" and isinstance(value, str):
            for column, part in split_name(value).items():
                claim.fields.setdefault(column, _text(part, column, name))
        elif key == "company":
            claim.company = read_company(value if isinstance(value, dict) else {"name": value})
        elif key in COLUMNS:
            column = COLUMNS[key]
            claim.fields[column] = _text(value, column, name)
            if column == "phone":
                try:
                    claim.phone = phone_key(str(value), country or "")
                except IdentityError as error:
                    raise TraitError(f"traits.{name}: {error}") from error
        else:
            claim.attributes[name[:KEY_LONGEST]] = attribute_value(name[:KEY_LONGEST], value, declared)


def split_name(name: str) -> dict[str, str]:
    """A full name in its two columns; a Korean name of one word begins with the family's."""
    name = " ".join(name.split())
    if not name:
        return {}
    if " " in name:
        first, _space, last = name.rpartition(" ")
        if "가" <= name[0] <= "힣":
            last, _space, first = name.partition(" ")
        return {"first_name": first, "last_name": last}
    if 2 <= len(name) <= 4 and all("가" <= letter <= "힣" for letter in name):
        return {"first_name": name[1:], "last_name": name[0]}
    return {"first_name": name}


def read_company(traits: Mapping[str, Any]) -> CompanyClaim:
    """A company as its traits describe it. Raises `TraitError`."""
    claim = CompanyClaim(
        name=_words(traits.get("name"), 200, "company.name"),
        external_id=_words(traits.get("id"), ID_LONGEST, "company.id"),
    )
    site = traits.get("domain") or traits.get("website") or ""
    if isinstance(site, str) and site:
        host = urlsplit(site if "//" in site else f"//{site}").hostname or ""
        claim.domain = host.removeprefix("www.")[:253]
    for name, value in traits.items():
        column = COMPANY_COLUMNS.get(bare(name))
        if column is None or value in (None, ""):
            continue
        if column in ("employees", "revenue"):
            claim.fields[column] = _amount(
                value, f"company.{name}", 2**31 if column == "employees" else 10**14
            )
        else:
            claim.fields[column] = _words(value, 50 if column == "phone" else 100, f"company.{name}")
    return claim


def attribute_value(key: str, value: Any, declared: Traits) -> Any:
    """The value as its declared type wants it; what was never declared is declared by its first value."""
    type_ = declared.types.get(key) or declared.new.get(key)
    if type_ is None:
        if declared.may_declare and isinstance(value, str | int | float):
            declared.new[key] = _type_of(value)
        return value
    if type_ == Attribute.Type.TEXT:
        return value if isinstance(value, str) else str(value)
    if type_ == Attribute.Type.NUMBER and not isinstance(value, bool):
        try:
            number = float(value) if isinstance(value, str) else value
            if isinstance(number, int | float) and number == number and abs(number) != float("inf"):
                return number
        except ValueError:
            pass
    if type_ == Attribute.Type.BOOLEAN:
        known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if isinstance(value, bool) or str(value).lower() in known:
            return value if isinstance(value, bool) else known[str(value).lower()]
    if type_ == Attribute.Type.DATE:
        try:
            return date.fromisoformat(str(value)[:10]).isoformat()
        except ValueError:
            pass
    raise TraitError(
        _("traits.%(key)s: must be %(type)s, as declared in Admin › Attributes; it was “%(value)s”")
        % {"key": key, "type": Attribute.Type(type_).label, "value": str(value)[:40]}
    )


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return Attribute.Type.BOOLEAN.value
    return Attribute.Type.NUMBER.value if isinstance(value, int | float) else Attribute.Type.TEXT.value


def _text(value: Any, column: str, name: str) -> str:
    return _words(value, TEXT_FIELDS[column] or 0, f"traits.{name}")


def _words(value: Any, longest: int, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TraitError(_("%(field)s: must be a text") % {"field": name})
    text = str(value).strip()
    if len(text) > longest:
        raise TraitError(
            _("%(field)s: is longer than %(most)d characters") % {"field": name, "most": longest}
        )
    return text


def _amount(value: Any, name: str, below: int) -> int | float:
    try:
        number = float(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number < below:
            return int(number) if number == int(number) else number
    except ValueError:
        pass
    raise TraitError(_("%(field)s: must be a number from 0") % {"field": name})
