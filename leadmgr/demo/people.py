"""The invented people: who they are, where they work, when and through what they came."""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from zoneinfo import ZoneInfo

from leadmgr.demo import words
from leadmgr.demo.marketing import CAMPAIGNS, SOURCES, DemoCampaign
from leads.identity import Claim, CompanyClaim, email_key, phone_key
from leads.models.identities import IdentityKey

PEOPLE = 1_960
DUPLICATES = 40
COMPANIES = 400
HISTORY_DAYS = 548
COUNTRIES = ("KR", "DE", "GB", "US", "ES")
SHARES = (45, 30, 10, 7, 8)
LEVELS = ("glance", "reader", "shopper", "buyer")
LEVEL_SHARES = (43, 33, 16, 8)

# Numbers that no telephone company gives out, where a country has such, and else obviously made up ones.
PHONES = {
    "KR": "+82 10-0000-{:04d}", "DE": "+49 30 23125{:03d}", "GB": "+44 7700 900{:03d}", "US": "+1 202-555-01{:02d}",
    "ES": "+34 600 000 {:03d}",
}  # fmt: skip
PHONE_RANGE = {"KR": 10_000, "DE": 1_000, "GB": 1_000, "US": 100, "ES": 1_000}


@dataclass
class Person:
    first_name: str
    last_name: str
    email: str
    country: str
    city: str
    arrived: datetime
    level: str
    source: tuple[str, str]
    phone: str = ""
    job: tuple[str, str, str] | None = None
    occupation: str = ""
    company: CompanyClaim | None = None
    campaign: DemoCampaign | None = None
    attributes: dict[str, str | int | bool] = field(default_factory=dict)
    is_duplicate: bool = False

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(words.ZONES[self.country])

    @cached_property
    def key(self) -> IdentityKey:
        return email_key(self.email)

    def claim(self) -> Claim:
        """Everything they say of themselves, as in the form that they came by."""
        told = {
            "first_name": self.first_name, "last_name": self.last_name, "email": self.email, "phone": self.phone,
            "country": self.country, "city": self.city, "language": words.LANGUAGES[self.country],
            "time_zone": words.ZONES[self.country], "occupation": self.occupation,
        }  # fmt: skip
        if self.job:
            told["job_title"], told["department"], told["seniority"] = self.job
        claim = Claim((self.key,), fields={name: text for name, text in told.items() if text})
        claim.attributes = dict(self.attributes)
        claim.company = self.company
        if self.phone:
            claim.phone = phone_key(self.phone)
        return claim

    def name_only(self) -> Claim:
        """Who they are and nothing more, as on every later event."""
        return Claim((self.key,))


def invent_people(random: Random, now: datetime) -> list[Person]:
    """The same people for the same random numbers, in the order in which they came."""
    companies = _companies(random)
    taken: set[str] = set()
    people = [_person(random, companies, taken, now) for _number in range(PEOPLE)]
    originals = random.sample([person for person in people if person.phone], DUPLICATES)
    people += [_mistyped(random, original, taken, now) for original in originals]
    return sorted(people, key=lambda person: person.arrived)


def _companies(random: Random) -> dict[str, list[CompanyClaim]]:
    """Companies by country, each name once."""
    found: dict[str, dict[str, CompanyClaim]] = {country: {} for country in COUNTRIES}
    while sum(map(len, found.values())) < COMPANIES:
        country = random.choices(COUNTRIES, SHARES)[0]
        if country == "KR":
            hangul, roman = random.choice(words.KOREAN_FIRMS)
            trade, trade_name, industry = random.choice(words.KOREAN_TRADES)
            branch = random.choice(["", "", *words.CITIES[country]])
            name = f"{hangul}{trade}" if random.random() < 0.6 else f"{roman} {trade_name}"
            name = " ".join(filter(None, [name, branch]))
            domain = "-".join(filter(None, [roman, trade_name, branch])) + ".example"
        else:
            firm = random.choice(words.FIRMS[country])
            trade, industry = random.choice(words.TRADES[country])
            city = random.choice(["", "", *words.CITIES[country]])
            name = " ".join(filter(None, [firm, trade, city]))
            domain = name + ".example"
        domain = _ascii(domain.lower().replace(" ", "-"))
        facts = {
            "industry": industry,
            "country": country,
            "city": random.choice(words.CITIES[country]),
            "employees": int(10 ** random.uniform(0.7, 3.6)),
        }
        if len(found[country]) < COMPANIES * SHARES[COUNTRIES.index(country)] // 100 + 1:
            found[country].setdefault(domain, CompanyClaim(name=name, domain=domain, fields=facts))
    return {country: list(companies.values()) for country, companies in found.items()}


def _person(
    random: Random, companies: dict[str, list[CompanyClaim]], taken: set[str], now: datetime
) -> Person:
    country = random.choices(COUNTRIES, SHARES)[0]
    first, last, spelling = _name(random, country)
    works = random.random() < 0.62
    company = random.choice(companies[country]) if works else None
    host = (
        company.domain if company else random.choice(["mailbox.example", "post.example", "maildrop.example"])
    )
    level = random.choices(LEVELS, LEVEL_SHARES)[0]
    campaign = random.choice(CAMPAIGNS) if random.random() < 0.55 else None
    person = Person(
        first, last, _address(random, spelling, host, taken), country, random.choice(words.CITIES[country]),
        arrived=_arrival(random, campaign, level, now),
        level=level,
        source=campaign.source if campaign else random.choices(SOURCES, [source.weight for source in SOURCES])[0].pair,
        job=random.choice(words.JOBS) if works else None,
        occupation="" if works else random.choice(words.OCCUPATIONS),
        company=company,
        campaign=campaign,
    )  # fmt: skip
    if random.random() < {"glance": 0.25, "reader": 0.45, "shopper": 0.8, "buyer": 0.95}[level]:
        person.phone = _phone(random, country)
    if random.random() < 0.4:
        person.attributes["drives_today"] = random.choice(["petrol", "diesel", "hybrid", "electric", "none"])
    if random.random() < 0.25:
        person.attributes["km_per_year"] = random.randrange(4, 45) * 1000
    if random.random() < 0.2:
        person.attributes["can_charge_at_home"] = random.random() < 0.55
    return person


def _name(random: Random, country: str) -> tuple[str, str, str]:
    """First name, last name, and both in the letters of an e-mail address."""
    if country == "KR":
        family, family_roman = random.choice(words.KOREAN_FAMILY)
        given, given_roman = random.choice(words.KOREAN_GIVEN)
        spelling = f"{given_roman.replace('-', '')}.{family_roman}"
        if random.random() < 0.7:
            return given, family, spelling
        return given_roman, family_roman, spelling
    first, last = (random.choice(names.split()) for names in words.NAMES[country])
    return first, last, f"{first}.{last}"


def _address(random: Random, spelling: str, host: str, taken: set[str]) -> str:
    local = _ascii(spelling.lower())
    address = f"{local}@{host}"
    while address in taken:
        address = f"{local}{random.randrange(2, 99)}@{host}"
    taken.add(address)
    return address


def _ascii(text: str) -> str:
    for letter, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("ı", "i")):
        text = text.replace(letter, plain)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _phone(random: Random, country: str) -> str:
    return PHONES[country].format(random.randrange(PHONE_RANGE[country]))


def _arrival(random: Random, campaign: DemoCampaign | None, level: str, now: datetime) -> datetime:
    """In a burst after the start of the campaign; without one more often lately, because the company grows."""
    if campaign and not campaign.always_on:
        days_ago = campaign.days_ago - min(random.expovariate(1 / 9), campaign.days, campaign.days_ago - 1)
    else:
        days_ago = HISTORY_DAYS * (1 - random.random() ** 0.6)
    if level != "glance" and random.random() < 0.26:
        days_ago = random.uniform(3, 50)
    return now - timedelta(days=max(days_ago, 0.1))


def _mistyped(random: Random, original: Person, taken: set[str], now: datetime) -> Person:
    """The same person again, by another address or with an error: what the search for duplicates is to find."""
    twin = replace(original, is_duplicate=True, level="glance", attributes={}, campaign=None)
    local, host = original.email.split("@")
    kind = random.randrange(4)
    if kind == 0:
        place = random.randrange(1, len(local) - 2)
        local = local[:place] + local[place + 1] + local[place] + local[place + 2 :]
    elif kind == 1:
        twin.first_name, twin.last_name = original.last_name, original.first_name
        local = ".".join(reversed(local.split(".")))
    elif kind == 2:
        host, twin.company, twin.job = "mailbox.example", None, None
    else:
        local = local[0] + local[local.find(".") :]
        twin.first_name = original.first_name[0] + ("." if original.first_name.isascii() else "")
    twin.email = _address(random, local, host, taken)
    twin.arrived = min(original.arrived + timedelta(days=random.uniform(1, 60)), now - timedelta(hours=5))
    return twin
