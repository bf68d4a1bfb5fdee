"""Who somebody is: normalised identities, and the pure decision which contact each claim belongs to.

A claim is what one event or one row of a file says about a person. The rules:

- A name (e-mail, id of a source) belongs to one contact. A claim goes to the contact of its first known name.
- Two known persons are never joined here: a name that belongs to somebody else stays there.
- An anonymous visitor becomes the person that their browser makes known, with all they did before. A browser
  that a known person used before follows its last owner; what happened until then stays.
- A phone names nobody: colleagues share a switchboard.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import idna
import phonenumbers
from django.utils.translation import gettext as _

from leads.models.identities import Identity, IdentityKey

EMAIL_LONGEST = 254  # RFC 5321, 4.5.3.1.3: a path of 256 octets, less its two brackets
LOCAL_PART_LONGEST = 64  # RFC 5321, 4.5.3.1.1
ID_LONGEST = 200
LOCAL_PART = re.compile(r"[^\s@\"(),:;<>\[\]\\\x00-\x1f]+")


class IdentityError(ValueError):
    """The value cannot name anybody; the message says why."""


def normal_email(text: str) -> str:
    """The e-mail address as the unique key knows it: lower case, domain in its ASCII form.

    Dots and plus-tags stay: to some providers they make another mailbox.
    """
    address = text.strip()
    if len(address) > EMAIL_LONGEST:
        raise IdentityError(_("an e-mail address has at most %(most)d characters") % {"most": EMAIL_LONGEST})
    local, at, domain = address.rpartition("@")
    if not at or not LOCAL_PART.fullmatch(local) or len(local) > LOCAL_PART_LONGEST:
        raise IdentityError(_("“%(address)s” is not an e-mail address") % {"address": address[:80]})
    ascii_domain = _ascii_domain(domain)
    if "." not in ascii_domain:
        raise IdentityError(_("“%(domain)s” is not a mail domain") % {"domain": domain[:80]})
    return f"{local.lower()}@{ascii_domain}"


@lru_cache(maxsize=10_000)
def _ascii_domain(domain: str) -> str:
    """Blank for what is no domain. Kept, because a list of people has few domains and each takes 10 µs."""
    try:
        return str(idna.encode(domain, uts46=True).decode().lower())
    except (idna.IDNAError, UnicodeError):
        return ""


def normal_phone(text: str, country: str = "") -> str:
    """E.164 when the number can be read (with the country's two letters for national ones), else its digits."""
    digits = re.sub(r"[^\d+]", "", text)
    if len(digits.lstrip("+")) < 4:
        raise IdentityError(_("“%(phone)s” is not a phone number") % {"phone": text[:80]})
    region = country.upper() if len(country) == 2 else None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return digits[:50]
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def normal_id(text: str) -> str:
    value = text.strip()
    if not value or len(value) > ID_LONGEST:
        raise IdentityError(_("an id has 1 to %(most)d characters") % {"most": ID_LONGEST})
    return value


def email_key(text: str) -> IdentityKey:
    return (Identity.Kind.EMAIL.value, "", normal_email(text))


def external_key(text: str, namespace: str) -> IdentityKey:
    return (Identity.Kind.EXTERNAL.value, namespace, normal_id(text))


def anonymous_key(text: str) -> IdentityKey:
    return (Identity.Kind.ANONYMOUS.value, "", normal_id(text))


def phone_key(text: str, country: str = "") -> IdentityKey:
    return (Identity.Kind.PHONE.value, "", normal_phone(text, country))


@dataclass(slots=True)
class CompanyClaim:
    """What is said of a contact's company: at least one of name, domain and id in its source."""

    name: str = ""
    domain: str = ""
    external_id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Claim:
    """What one event or file row says about who somebody is and what is known of them."""

    names: tuple[IdentityKey, ...] = ()
    """e-mails and ids of a source, the most telling first"""
    browser: IdentityKey | None = None
    phone: IdentityKey | None = None
    fields: dict[str, str] = field(default_factory=dict)
    """columns of Contact, none blank"""
    attributes: dict[str, Any] = field(default_factory=dict)
    company: CompanyClaim | None = None

    @property
    def keys(self) -> Iterable[IdentityKey]:
        return self.names if self.browser is None else (*self.names, self.browser)

    @property
    def tells(self) -> bool:
        """Whether it says anything about the person besides who it is."""
        return bool(self.fields or self.attributes or self.company or self.phone)


Ref = int
"""a contact's id, or a negative number that stands for a contact yet to be created"""


@dataclass(slots=True)
class Plan:
    """Where each claim goes, and what has to be written so that it does."""

    owners: list[Ref] = field(default_factory=list)
    """one per claim"""
    created: int = 0
    """new contacts, numbered -1, -2, …"""
    attached: dict[IdentityKey, Ref] = field(default_factory=dict)
    """identities that are new"""
    moved: dict[IdentityKey, Ref] = field(default_factory=dict)
    """browsers that change their owner"""
    absorbed: dict[Ref, Ref] = field(default_factory=dict)
    """visitor → the person they turned out to be; contacts that exist already"""
    made_known: set[Ref] = field(default_factory=set)
    """contacts that get their first name"""


def plan(
    claims: Sequence[Claim],
    known: dict[IdentityKey, int],
    people: set[int],
    named_in: dict[int, set[str]],
) -> Plan:
    """Decide, in the order of the claims, which contact each belongs to. Writes nothing.

    `known` holds the contacts of all the claims' identities that exist, `people` those of the contacts that are
    known persons, `named_in` the sources in which each has an id already.
    """
    result = Plan()
    owner: dict[IdentityKey, Ref] = dict(known)
    persons: set[Ref] = set(people)
    sources: dict[Ref, set[str]] = {ref: set(names) for ref, names in named_in.items()}

    def current(ref: Ref) -> Ref:
        while ref in result.absorbed:
            ref = result.absorbed[ref]
        return ref

    def new_contact() -> Ref:
        result.created += 1
        return -result.created

    def fits(name: IdentityKey, person: Ref) -> bool:
        """Whether a new name may join the person: two ids of one source are two people."""
        kind, namespace, _value = name
        return kind != Identity.Kind.EXTERNAL or namespace not in sources.get(person, ())

    for claim in claims:
        new_names = [name for name in claim.names if name not in owner]
        known_names = [current(owner[name]) for name in claim.names if name in owner]
        user = current(owner[claim.browser]) if claim.browser in owner else None
        first_is_new = bool(claim.names) and claim.names[0] not in owner

        if known_names and (not first_is_new or fits(claim.names[0], known_names[0])):
            person = known_names[0]
        elif claim.names:
            person = user if user is not None and user not in persons else new_contact()
        else:
            person = user if user is not None else new_contact()

        for name in new_names:
            if fits(name, person):
                owner[name] = person
                result.attached[name] = person
                if name[0] == Identity.Kind.EXTERNAL:
                    sources.setdefault(person, set()).add(name[1])
        if claim.names and person not in persons:
            persons.add(person)
            result.made_known.add(person)

        if claim.browser is not None:
            if user is None:
                owner[claim.browser] = person
                result.attached[claim.browser] = person
            elif user != person and user not in persons:
                result.absorbed[user] = person
            elif user != person:
                owner[claim.browser] = person
                if claim.browser in result.attached:
                    result.attached[claim.browser] = person
                else:
                    result.moved[claim.browser] = person
        result.owners.append(person)

    result.owners = [current(ref) for ref in result.owners]
    result.attached = {key: current(ref) for key, ref in result.attached.items()}
    result.moved = {key: current(ref) for key, ref in result.moved.items()}
    result.absorbed = {ref: current(ref) for ref in result.absorbed if ref > 0}
    return result
