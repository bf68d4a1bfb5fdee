"""What `bench plans` asks for: addresses that people, programs and administrators ask for, and whom they find.

Of each filter a common value, a rare one and one that nobody has: a statement that is quick while it finds a page of
rows soon can read the whole table when it does not.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import Max
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leadmgr.bench import Say, Size
from leadmgr.bench.base import analyse
from leads.models import (
    Campaign,
    Company,
    Consent,
    Contact,
    ContactSearch,
    Hold,
    Identity,
    Interaction,
    InteractionKind,
    MergeRecord,
    SeenMessage,
    Segment,
    Source,
    Stage,
    StageChange,
    Team,
    User,
)
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Score, ScoreChange, ScoreSheet, Threshold
from scoring.rescore import rescore_now

BIG = {
    model._meta.db_table: model
    for model in (
        Company, Consent, Contact, ContactSearch, Enrolment, Hold, Identity, Interaction, MergeRecord, Score,
        ScoreChange, SeenMessage, StageChange,
    )
}  # fmt: skip

HOT = 40
"""from this score on contacts have owners, as in a company that hands its best leads out"""
RARE = 1000
"""one in so many has what is rare"""

FURNISH = (
    # Contacts come in the order of their ids, and some change later.
    """
    UPDATE leads_contact SET
        created_at = now() - make_interval(days => 365) * (1 - id::float / %(contacts)s),
        known_at = CASE WHEN id %% 10 <> 9 THEN now() - make_interval(days => 365) * (1 - id::float / %(contacts)s) END,
        updated_at = now() - make_interval(days => 365) * (1 - id::float / %(contacts)s) * (1 - power(random(), 9)),
        owner_id = CASE WHEN score < %(hot)s THEN NULL WHEN id %% 20 = 0 THEN %(rep)s ELSE %(other)s END,
        source_id = CASE WHEN id %% %(rare)s = 1 THEN %(rare_source)s ELSE source_id END,
        company_id = CASE WHEN id %% 20 = 7 THEN 1 ELSE company_id END,
        outcome = CASE WHEN id %% %(rare)s = 2 THEN 'won' WHEN id %% 100 = 3 THEN 'lost' ELSE '' END,
        suppressed_at = CASE WHEN id %% %(rare)s = 4 THEN now() END,
        archived_at = CASE WHEN id %% %(rare)s = 5 THEN now() END,
        merged_into_id = CASE WHEN id %% %(rare)s = 6 THEN id - 1 END
    """,
    "UPDATE leads_interaction SET kind = 'message_replied' WHERE id %% 3000000 = 1000",
    """
    INSERT INTO leads_consent (contact_id, purpose, channel, state, proof, at)
    SELECT id, 'marketing', 'email', CASE WHEN id %% %(rare)s = 8 THEN 'denied' ELSE 'granted' END, '', created_at
    FROM leads_contact WHERE id %% 2 = 0
    """,
    """
    INSERT INTO leads_hold (contact_id, kind, reason, by_id, at, released_at)
    SELECT id, CASE WHEN id %% %(rare)s = 0 THEN 'rejected' ELSE 'accepted' END, '', %(rep)s, now(), NULL
    FROM leads_contact WHERE id %% 20 = 0
    """,
    """
    INSERT INTO leads_mergerecord (survivor_id, absorbed_id, evidence, moved, at)
    SELECT id - 1, id, 'same telephone', '{}', now() FROM leads_contact WHERE id %% %(rare)s = 6 AND id > 1
    """,
    """
    INSERT INTO leads_stagechange (contact_id, before, after, cause, reason, at, handled_at)
    SELECT id, '', 'cold', 'created', '', created_at, now() FROM leads_contact
    """,
    """
    INSERT INTO scoring_scorechange (contact_id, sheet_id, before, after, cause, at)
    SELECT contact_id, sheet_id, greatest(0, value - step), value, 'interaction', now() - make_interval(days => step)
    FROM scoring_score, generate_series(1, 2) AS step ORDER BY step DESC
    """,
    """
    INSERT INTO leads_seenmessage (digest, received_at)
    SELECT sha256(n::text::bytea), now() - make_interval(days => 60) * (1 - n::float / %(contacts)s)
    FROM generate_series(1, %(contacts)s) AS n ON CONFLICT DO NOTHING
    """,
)


@dataclass(frozen=True)
class Ask:
    address: str
    exempt: str = ""
    """why its statements may read whole tables"""
    fragment: bool = False


def furnish(size: Size, say: Say) -> None:
    """Give the base what a base in use has: scores, stages, workflows, owners, what is rare, and people who ask."""
    if User.objects.filter(username="newcomer").exists():
        return
    say("scoring the base")
    rescore_now()
    track, _created = Track.objects.get_or_create(name="Bench")
    for stage in (Stage.COLD, Stage.MQL, Stage.SQL):
        Workflow.objects.get_or_create(name=stage.label, defaults={"track": track, "stages": [stage]})
    say("enrolling")
    enrol_moved()
    say("owners, outcomes and what is rare")
    with transaction.atomic():
        known = _make_people()
        rare = Source.objects.create(slug="rare", name="Rare")
        Source.objects.create(slug="unused", name="Unused")
        Campaign.objects.create(slug="unused", name="Unused")
        InteractionKind.objects.create(slug="unused", name="Unused")
        ScoreSheet.objects.create(slug="unused", name="Unused", active=False)
        Segment.objects.create(
            slug="nobody", name="Nobody", condition={"field": "job_title", "op": "is", "value": "Nobody's"}
        )
        with connection.cursor() as cursor:
            for statement in FURNISH:
                cursor.execute(
                    statement,
                    {
                        "contacts": size.contacts,
                        "hot": HOT,
                        "rare": RARE,
                        "rare_source": rare.pk,
                        "rep": known["colleague"].pk,
                        "other": known["other"].pk,
                    },
                )
    analyse()


def _make_people() -> dict[str, User]:
    """The administrator, a rep whose team has some leads, a rep whose team has none, and those who have them."""
    teams = {name: Team.objects.get_or_create(name=name)[0] for name in ("Own", "Others", "New")}
    role = Group.objects.get(name="rep")
    found = {"administrator": User.objects.create(username="root", is_staff=True, is_superuser=True)}
    for name, team in (("rep", "Own"), ("colleague", "Own"), ("other", "Others"), ("newcomer", "New")):
        found[name] = User.objects.create(username=name, team=teams[team], is_staff=True)
        found[name].groups.add(role)
    return found


def people() -> dict[str, User]:
    return {name: User.objects.get(username=name) for name in ("root", "rep", "newcomer")}


def asks(user: User, client: Client) -> Iterator[Ask]:
    middle = (Contact.objects.aggregate(last=Max("pk"))["last"] or 0) // 2
    yield from _pages(user, middle)
    yield from _api(user, middle)
    yield from _admin(user, client)


def _pages(user: User, middle: int) -> Iterator[Ask]:
    contacts = reverse("contact-list")
    for chosen in _choices(_list_filters()):
        for sort in ("", "lowest", "newest"):
            if len(chosen) < 2 or not sort:
                yield Ask(_address(contacts, chosen | {"sort": sort}))
    for chosen in (
        {},
        {"stage": "cold"},
        {"owner": "nobody"},
        {"source": str(_source("rare"))},
        {"q": "kim"},
    ):
        for direction in ("after", "before"):
            yield Ask(_address(contacts, chosen | {direction: f"20,{middle}"}))
            yield Ask(_address(contacts, chosen | {"sort": "newest", direction: str(middle)}))
    for contact in _some_contacts(user):
        page = reverse("contact-detail", args=[contact])
        yield Ask(page)
        yield Ask(reverse("contact-score", args=[contact]), fragment=True)
        yield Ask(reverse("contact-edit", args=[contact])) if user.is_superuser else Ask(page)
        yield Ask(page + "?before=2026-06-01T00:00:00.000000Z,2,5", fragment=True)
    companies = reverse("company-list")
    yield Ask(companies)
    yield Ask(_address(companies, {"name": "Company 5", "id": "5"}))
    for company in (1, 2):
        yield Ask(reverse("company-detail", args=[company]))


def _list_filters() -> dict[str, tuple[str, ...]]:
    return {
        "q": ("kim", "e", "company", "person7", "person777", "kim seoul", "nosuchword"),
        "stage": ("cold", "sql", "disqualified"),
        "owner": ("mine", "nobody"),
        "source": tuple(str(_source(slug)) for slug in ("bench", "rare", "unused")),
        "outcome": ("open", "won", "lost"),
    }


def _api(user: User, middle: int) -> Iterator[Ask]:
    now = timezone.now()
    moments = tuple((now - timedelta(days=days)).isoformat() for days in (0, 0.1, 300))
    somebody = (str(_some_contacts(user)[0]),)
    other = str(User.objects.get(username="other").pk)
    lists: dict[str, dict[str, tuple[str, ...]]] = {
        "contacts": {
            "stage": ("cold", "sql", "disqualified"),
            "score_min": ("10", "99", "1000"),
            "score_max": ("10", "-1"),
            "owner": (other, str(User.objects.get(username="newcomer").pk)),
            "company": ("1", "2", "0"),
            "source": ("bench", "rare", "unused"),
            "outcome": ("open", "won", "lost"),
            "email": ("person5@company5.example", "nobody@company5.example"),
            "search": ("kim", "e", "person777", "nosuchword"),
            "created_since": moments,
            "updated_since": moments,
            "known": ("true", "false"),
        },
        "companies": {
            "name": ("company 5", "company 77777", "nosuch"),
            "domain": ("company5.example", "nosuch.example"),
            "source": ("bench", "unused"),
            "updated_since": moments,
        },
        "interactions": {
            "contact": somebody,
            "kind": ("visit", "message_replied", "unused"),
            "occurred_since": (*moments[:2], (now - timedelta(days=6.9)).isoformat()),
            "occurred_before": moments,
        },
        "stages": {
            "contact": somebody,
            "before": ("cold", "customer"),
            "after": ("mql", "customer"),
            "cause": ("score", "merge"),
            "since": moments,
            "until": moments,
        },
        "scores": {"contact": somebody, "sheet": ("bench", "unused", "nosuch")},
    }
    for name, filters in lists.items():
        page = reverse(f"api-{name}-list")
        for chosen in _choices(filters):
            if name == "interactions" and chosen and not chosen.keys() & {"contact", "occurred_since"}:
                continue  # refused
            # Moves are rare: all that a base of this size has are read in 0.1 s; three indexes would cost every move.
            few = (
                "reads the moves" if name == "stages" and chosen.keys() & {"before", "after", "cause"} else ""
            )
            if len(chosen) < 2 or name == "interactions":
                yield Ask(_address(page, chosen), exempt=few)
            if len(chosen) < 2:
                timeline = name == "interactions" and bool(chosen)
                place = f"p={quote(moments[2]) if timeline else middle}"
                yield Ask(_address(page, chosen | {"cursor": b64encode(place.encode()).decode()}))
    for contact in _some_contacts(user):
        yield Ask(reverse("api-contacts-detail", args=[contact]))
        yield Ask(reverse("contact-score-api", args=[contact]))


def _admin(user: User, client: Client) -> Iterator[Ask]:
    for model, console in admin.site._registry.items():
        app, name = model._meta.app_label, model._meta.model_name
        if not user.has_perm(f"{app}.view_{name}"):
            continue
        page = reverse(f"admin:{app}_{name}_changelist")
        yield Ask(page)
        if model not in BIG.values():
            continue
        response: Any = client.get(page)
        changes = response.context_data["cl"]
        for spec in changes.filter_specs:
            for choice in spec.choices(changes):
                yield Ask(page + choice["query_string"])
        for number, column in enumerate(changes.list_display, 1):
            if column in changes.sortable_by:
                yield Ask(f"{page}?o={number}")
        yield from (Ask(f"{page}?p={number}") for number in (2, 200))
        yield (
            Ask(f"{page}?contact__id__exact={_some_contacts(user)[0]}")
            if changes.list_display[0] == "contact"
            else Ask(page)
        )
        if console.search_fields:
            for text in ("kim", "e", "person777", "person5@company5.example", "nosuchword"):
                yield Ask(f"{page}?q={quote(text)}")
    if user.is_superuser:
        yield from _administration()


def _administration() -> Iterator[Ask]:
    """Single rows in the admin, where they lead to large tables."""
    yield Ask(reverse("admin:leads_contact_change", args=[5]))
    yield Ask(reverse("admin:leads_contact_delete", args=[5]))
    yield Ask(reverse("admin:leads_company_change", args=[2]))
    yield Ask(reverse("admin:leads_company_delete", args=[2]))
    for text in ("", "company 5", "nosuchword"):
        names = {"term": text, "app_label": "leads", "model_name": "contact", "field_name": "company"}
        yield Ask(reverse("admin:autocomplete") + "?" + urlencode(names))
    # Rare, and only by reading every row can it be known that none refers to what is to be deleted.
    proof = "nothing may refer to what is deleted, and no index on so large a table is worth keeping for this"
    for used in (Source, Campaign, InteractionKind):
        name = f"admin:leads_{used._meta.model_name}_delete"
        yield Ask(reverse(name, args=[used.objects.get(slug="unused").pk]), exempt=proof)
    yield Ask(reverse("admin:leads_source_delete", args=[_source("bench")]))
    yield Ask(reverse("admin:leads_interactionkind_delete", args=["visit"]))
    for sheet in ("bench", "unused"):
        row = ScoreSheet.objects.get(slug=sheet)
        yield Ask(reverse("admin:scoring_scoresheet_delete", args=[row.pk]))
    # A marketer asks how many contacts meet a condition, which can be about anything.
    size = "counts those that meet any condition that somebody wrote"
    for counted in (ScoreSheet, Threshold, Workflow, Segment):
        name = f"admin:{counted._meta.app_label}_{counted._meta.model_name}_change"
        yield Ask(reverse(name, args=[counted.objects.latest("pk").pk]), exempt=size)


def _choices(filters: dict[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    """No filter, each value of each, and each two values of different ones."""
    yield {}
    single = [(name, value) for name, values in filters.items() for value in values]
    yield from ({name: value} for name, value in single)
    yield from (dict(pair) for pair in combinations(single, 2) if pair[0][0] != pair[1][0])


def _address(page: str, chosen: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in chosen.items() if value}, safe=",")
    return f"{page}?{query}" if query else page


def _some_contacts(user: User) -> list[int]:
    """The best, one in the middle and the worst that this person may see."""
    seen = Contact.objects.known().visible_to(user)
    return [
        pk for order in ("-score", "id") for pk in seen.order_by(order, "pk").values_list("pk", flat=True)[:1]
    ]


def _source(slug: str) -> int:
    return Source.objects.values_list("pk", flat=True).get(slug=slug)
