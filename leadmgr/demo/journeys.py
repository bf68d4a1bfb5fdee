"""What each of the invented people does, from the first visit on, at hours at which people do such things."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from leadmgr.demo.people import Person
from leads.consents import Answer
from leads.identity import Claim, anonymous_key
from leads.ingest import Event

MODELS = ("narae-3", "narae-5", "narae-van")
PAGES = (
    "/", "/cars/narae-3", "/cars/narae-5", "/cars/narae-van", "/cars/compare", "/charging", "/range",
    "/blog/first-winter-electric", "/blog/what-a-charge-costs", "/blog/five-fleets", "/warranty", "/business",
)  # fmt: skip
FORMS = ("brochure", "contact", "price-list", "fleet-check")
MESSAGES = (
    "Narae news",
    "Your Narae 5 from inside",
    "What a charge really costs",
    "See it, drive it",
    "Fleet letter",
)
WEBINARS = ("Electric in winter", "Fleet costs over five years", "Charging at work")
KEYWORDS = (
    "electric car range",
    "electric van",
    "전기차 보조금",
    "전기차 시승",
    "elektroauto leasing",
    "coche eléctrico",
)

VISITS = {"glance": (0, 2), "reader": (2, 6), "shopper": (5, 11), "buyer": (8, 15)}
"""how many visits follow the first form, least and most"""
REST_DAYS = {"glance": 16.0, "reader": 13.0, "shopper": 6.0, "buyer": 3.5}
"""mean days between two visits"""
INTENT = {"glance": 0.02, "reader": 0.07, "shopper": 0.16, "buyer": 0.38}
"""how likely a visit looks at prices or the way to the showroom"""
AGREES = 0.6
"""share of the people who tick the box under the form that brings them"""
BROWSERS_BEFORE = 25
"""people whose visits before they said who they are were seen too: each costs a merge"""
VISITORS = 60
"""people who never said who they are"""


def live_through(random: Random, people: list[Person], now: datetime) -> list[Event]:
    """Every event of everybody until now, in the order in which they happened."""
    events: list[Event] = []
    for person in people:
        events.extend(_journey(random, person))
    for number, person in enumerate(random.sample(people, BROWSERS_BEFORE)):
        events.extend(_before_the_form(random, person, f"demo-browser-{number}"))
    for number in range(VISITORS):
        claim = Claim(browser=anonymous_key(f"demo-visitor-{number}"))
        at = now - timedelta(days=random.expovariate(1 / 8))
        events.extend(_visit(random, claim, at, intent=0.1))
    events.extend(_last_hours(random, people, now))
    return sorted(
        (event for event in events if event.occurred_at <= now), key=lambda event: event.occurred_at
    )


def _journey(random: Random, person: Person) -> Iterator[Event]:
    at = _waking_hour(random, person, person.arrived)
    agrees = random.random() < AGREES
    for event in _entry(random, person, at):
        event.consents = (Answer(granted=True),) if agrees else ()
        yield event
    who = person.name_only()
    if person.is_duplicate:
        return
    subscribes = random.random() < 0.35
    if subscribes:
        yield Event(
            "subscribed",
            who,
            at + timedelta(minutes=2),
            channel="email",
            target="Narae news",
            consents=(Answer(granted=True),),
        )
    least, most = VISITS[person.level]
    day = at
    for _visit_number in range(random.randint(least, most)):
        day += timedelta(days=random.expovariate(1 / REST_DAYS[person.level]) + 0.2)
        begins = max(_waking_hour(random, person, day), at + timedelta(minutes=15))
        if random.random() < 0.45:
            yield from _mail(random, person, begins - timedelta(minutes=random.randint(1, 9)))
        yield from _visit(random, who, begins, INTENT[person.level])
        if random.random() < INTENT[person.level] * 0.45:
            yield from _serious(random, person, begins + timedelta(minutes=20))
    if subscribes or random.random() < 0.5:
        yield from _newsletters(random, person, at)
    if random.random() < 0.03:
        yield Event("careers_viewed", who, day + timedelta(days=1), channel="web", target="/careers")


def _entry(random: Random, person: Person, at: datetime) -> Iterator[Event]:
    """The first contact, with all they say of themselves."""
    kind, channel, target = "form_submitted", "web", f"/forms/{random.choice(FORMS)}"
    if person.source[0] in ("showroom", "fleet-fair"):
        kind, channel, target = "booth_visited", "event", person.source[1]
    elif random.random() < 0.3:
        kind, target = "content_downloaded", "/files/buyers-guide.pdf"
    yield _owed(person, Event(kind, person.claim(), at, channel=channel, target=target))
    if person.source[0] in ("google-search", "naver-search") and not person.is_duplicate:
        word, before = random.choice(KEYWORDS), at - timedelta(minutes=4)
        yield _owed(person, Event("search", person.claim(), before, channel="web", target="/", keyword=word))


def _owed(person: Person, event: Event) -> Event:
    """The event with the source and campaign that brought the person."""
    event.source = person.source
    event.campaign = person.campaign.pair if person.campaign else None
    return event


def _visit(random: Random, who: Claim, at: datetime, intent: float) -> Iterator[Event]:
    for _page in range(random.choice((1, 1, 2, 2, 3, 4))):
        page = random.choice(PAGES)
        stays = int(random.lognormvariate(3.6, 0.9)) + 3
        yield Event("page_viewed", who, at, channel="web", target=page, duration_s=stays)
        at += timedelta(seconds=stays)
    if random.random() < intent:
        yield Event(
            "pricing_viewed", who, at, channel="web", target="/pricing", duration_s=random.randint(20, 400)
        )
    if random.random() < intent * 0.5:
        yield Event("directions_viewed", who, at + timedelta(minutes=3), channel="web", target="/directions")
    if random.random() < 0.12:
        yield Event(
            "product_viewed", who, at + timedelta(minutes=1), channel="web", target=random.choice(MODELS)
        )


def _serious(random: Random, person: Person, at: datetime) -> Iterator[Event]:
    who = person.name_only()
    kind = random.choice(
        ("demo_requested", "webinar_attended", "form_submitted", "chat_started", "call_received")
    )
    target = {
        "demo_requested": f"/test-drive/{random.choice(MODELS)}", "webinar_attended": random.choice(WEBINARS),
        "form_submitted": f"/forms/{random.choice(FORMS)}", "chat_started": "/pricing", "call_received": "Showroom",
    }[kind]  # fmt: skip
    channel = {"webinar_attended": "event", "chat_started": "chat", "call_received": "phone"}.get(kind, "web")
    yield Event(kind, who, at, channel=channel, target=target)


def _mail(random: Random, person: Person, at: datetime) -> Iterator[Event]:
    """A message that brings them back to the site."""
    who, message = person.name_only(), random.choice(MESSAGES)
    yield Event("message_opened", who, at, channel="email", target=message)
    if random.random() < 0.5:
        yield Event("message_clicked", who, at + timedelta(seconds=40), channel="email", target=message)


def _newsletters(random: Random, person: Person, since: datetime) -> Iterator[Event]:
    """Opened now and then; one in twenty has enough of them."""
    at = since
    for _month in range(random.randint(1, 6)):
        at += timedelta(days=random.uniform(24, 40))
        opened = _waking_hour(random, person, at)
        yield Event("message_opened", person.name_only(), opened, channel="email", target="Narae news")
    if random.random() < 0.05:
        yield Event(
            "unsubscribed",
            person.name_only(),
            at + timedelta(days=1),
            channel="email",
            target="Narae news",
            consents=(Answer(granted=False),),
        )


def _before_the_form(random: Random, person: Person, browser: str) -> Iterator[Event]:
    visitor = Claim(browser=anonymous_key(browser))
    yield from _visit(random, visitor, person.arrived - timedelta(days=random.uniform(1, 9)), intent=0.1)
    known = person.name_only()
    known.browser = visitor.browser
    yield Event(
        "page_viewed", known, person.arrived + timedelta(minutes=9), channel="web", target="/thank-you"
    )


def _last_hours(random: Random, people: list[Person], now: datetime) -> Iterator[Event]:
    """It is always office hours somewhere: the newest event is minutes old."""
    lately = [person for person in people if person.level in ("shopper", "buyer")][-120:]
    for person in random.sample(lately, 45):
        at = now - timedelta(minutes=3 + random.expovariate(1 / 240))
        yield from _visit(random, person.name_only(), at, INTENT[person.level])


def _waking_hour(random: Random, person: Person, day: datetime) -> datetime:
    """A likely hour of the day, where the person lives: at work on weekdays, private people in the evening too."""
    local = day.astimezone(person.zone)
    if person.company and local.weekday() >= 5:
        local += timedelta(days=7 - local.weekday())
    if person.company or random.random() < 0.4:
        hour = random.choice((8, 9, 9, 10, 10, 11, 11, 13, 14, 14, 15, 15, 16, 17))
    else:
        hour = random.choice((7, 12, 18, 19, 20, 20, 21, 21, 22))
    return local.replace(hour=hour, minute=random.randrange(60), second=random.randrange(60)).astimezone(
        day.tzinfo
    )
