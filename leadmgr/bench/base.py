"""A large base, made by the database itself: contacts with identities and companies, interactions over a year."""

from datetime import date, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from leadmgr.bench import Say, Size
from leads.funnel import count_everybody
from leads.models import Contact, FunnelState, InteractionKind, Source, StageChange, Team
from scoring.models import Rule, RuleGroup, ScoreSheet, Threshold

KINDS = (
    "page_viewed", "visit", "form_submitted", "content_downloaded", "pricing_viewed", "directions_viewed",
    "careers_viewed", "search", "product_viewed", "message_opened", "message_clicked", "unsubscribed",
    "webinar_attended", "event_attended", "social_engaged", "chat_started", "ad_clicked", "trial_requested",
    "purchase", "call_received",
)  # fmt: skip
"""twenty kinds, as likely as 1/rank"""

PEOPLE = """
WITH numbers AS (SELECT generate_series(1, %(contacts)s) AS n)
INSERT INTO leads_contact (
    id, first_name, last_name, email, phone, job_title, department, seniority, occupation, country, region, city,
    language, time_zone, attributes, company_id, source_id, stage, stage_at, score, outcome, created_at, updated_at,
    known_at, suppressed_reason
)
SELECT n,
    (ARRAY['Kim','Anna','Daniel','Maria','Tom','Grace','Ahmed','Julia','Noah','민재'])[1 + n %% 10],
    'Family' || (n::bigint * 7919 %% 50021), 'person' || n || '@company' || (n %% %(companies)s) || '.example', '',
    (ARRAY['CEO','Head of Growth','Buyer','Analyst',''])[1 + n %% 5], '', '', '',
    (ARRAY['KR','DE','US','ES',''])[1 + n %% 5], '', (ARRAY['Seoul','Berlin','Austin','Madrid',''])[1 + n %% 5], '', '',
    jsonb_build_object('age', 20 + n %% 50), 1 + n %% %(companies)s, %(source)s, 'cold', now(), 0, '',
    now() - make_interval(days => 1 + n %% 365), now(), now() - make_interval(days => 1 + n %% 365), ''
FROM numbers
"""

INTERACTIONS = """
INSERT INTO leads_interaction (
    contact_id, identity_id, kind, source_id, channel, target, keyword, duration_s, currency, properties,
    occurred_at, received_at
)
SELECT contact, contact, (%(kinds)s::text[])[1 + floor(exp(random() * ln(%(kind_count)s)))::int %% %(kind_count)s],
    %(source)s, 'web', '/page/' || n %% 1000, '', n %% 300, '', jsonb_build_object('plan', n %% 7, 'ref', 'r' || n %% 97),
    moment, moment
FROM (
    SELECT n, 1 + floor(random() * %(contacts)s)::bigint AS contact,
           now() - make_interval(days => 365) * (1 - n::double precision / %(interactions)s) AS moment
    FROM generate_series(%(first)s, %(last)s) AS n
) AS numbers
"""

PORTION = 500_000

WAY = """
INSERT INTO leads_stagechange (contact_id, before, after, cause, reason, score, at, handled_at)
SELECT id, %(before)s, %(after)s, 'score', '', 50, known_at + age * 0.3 * (1 - power(random(), %(haste)s)), now()
FROM (SELECT id, known_at, now() - known_at AS age FROM leads_contact WHERE id %% %(one_in)s = 0 AND known_at IS NOT NULL) AS aged
"""
ACCEPTED = """
INSERT INTO leads_handoff (contact_id, stage, score, at, respond_by, decided_at, decision)
SELECT contact_id, 'sql', 50, at, at + interval '1 hour', at + (now() - at) * random() * 0.3, 'accepted'
FROM leads_stagechange WHERE after = 'sql' AND contact_id % 3 <> 0
"""


WAITING = """
WITH handed AS (
    INSERT INTO leads_handoff (contact_id, stage, score, at, respond_by, decision)
    SELECT id, 'sql', id %% 101, moment, moment + interval '1 hour', ''
    FROM (SELECT id, now() - make_interval(mins => (id %% 1500)::int) AS moment FROM leads_contact
          WHERE id %% 50 = 1 AND known_at IS NOT NULL AND merged_into_id IS NULL AND queued_at IS NULL) AS chosen
    RETURNING contact_id, at, score
)
UPDATE leads_contact SET stage = 'sql', queued_at = handed.at, score = handed.score, rise = handed.contact_id %% 40
FROM handed WHERE id = handed.contact_id
"""
RISING = "UPDATE leads_contact SET rise = 1 + id % 60 WHERE id % 20 = 3 AND queued_at IS NULL"
RECYCLED = """
INSERT INTO leads_hold (contact_id, kind, reason, recycle_on, at)
SELECT id, 'rejected', '', current_date + (id % 90)::int - 30, now() - interval '40 days'
FROM leads_contact WHERE id % 100 = 7 AND queued_at IS NULL
"""


def hand_over(say: Say) -> None:
    """Have one contact in fifty wait for sales, one in twenty rise, and one in a hundred be tried again some day."""
    if Contact.objects.filter(queued_at__isnull=False).exists():
        return
    say("handing leads to sales")
    with connection.cursor() as cursor:
        cursor.execute(WAITING, {})
        cursor.execute(RISING)
        cursor.execute(RECYCLED)
    analyse()


def bring_on_the_way(say: Say) -> None:
    """Bring a quarter of the contacts to MQL, an eighth to SQL and most of those to a rep, and count the funnel."""
    if not StageChange.objects.exists():
        with connection.cursor() as cursor:
            cursor.execute(WAY, {"before": "cold", "after": "mql", "haste": 3, "one_in": 4})
            cursor.execute(WAY, {"before": "mql", "after": "sql", "haste": 0.5, "one_in": 8})
            cursor.execute(ACCEPTED)
        analyse()
    if not FunnelState.objects.filter(counted_at__isnull=False).exists():
        say("counting the funnel")
        count_everybody()
        analyse()


def build(size: Size, say: Say) -> None:
    """Fill the empty database with `size`, define a sheet of twenty rules, and analyse the tables."""
    source, _created = Source.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    Team.objects.get_or_create(name="Bench")
    companies = max(1, size.contacts // 10)
    names: dict[str, Any] = {"contacts": size.contacts, "companies": companies, "source": source.pk, "kinds": list(KINDS),
             "kind_count": len(KINDS), "interactions": max(1, size.interactions)}  # fmt: skip
    with connection.cursor() as cursor:
        say(f"{size.contacts:,} contacts")
        cursor.execute(
            "INSERT INTO leads_company (id, name, domain, external_id, industry, type, country, city, phone, attributes,"
            " created_at, updated_at) SELECT n, 'Company ' || n, 'company' || n || '.example', '',"
            " (ARRAY['Automotive','Software','Retail'])[1 + n %% 3], '', '', '', '', '{}', now(), now()"
            " FROM generate_series(1, %(companies)s) AS n",
            names,
        )
        cursor.execute(PEOPLE, names)
        cursor.execute(
            "INSERT INTO leads_identity (id, contact_id, kind, namespace, value, sharer, verification, created_at)"
            " SELECT id, id, 'email', '', email, 0, 'unverified', now() FROM leads_contact",
        )
        cursor.execute(
            "INSERT INTO leads_identity (id, contact_id, kind, namespace, value, sharer, verification, created_at)"
            " SELECT id + %(contacts)s, id, 'external', 'bench', id::text, 0, 'unverified', now() FROM leads_contact",
            names,
        )
        for table in ("leads_company", "leads_contact", "leads_identity"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
        cursor.execute(
            "INSERT INTO leads_contactsearch (contact_id, document) SELECT id, to_tsvector('simple', concat_ws(' ',"
            " first_name, last_name, replace(replace(email, '@', ' '), '.', ' '))) FROM leads_contact"
        )
        for first in range(1, size.interactions + 1, PORTION):
            last = min(first + PORTION - 1, size.interactions)
            cursor.execute(INTERACTIONS, {**names, "first": first, "last": last})
            say(f"{last:,} of {size.interactions:,} interactions")
    define_rules()
    analyse()


def define_rules() -> None:
    """Twenty rules: sixteen of events with caps, windows and half-lives, four of attributes; marks for the stages."""
    sheet = ScoreSheet.objects.create(slug="bench", name="Bench")
    interest = RuleGroup.objects.create(sheet=sheet, name="Shows interest", most=80)
    loss = RuleGroup.objects.create(sheet=sheet, name="Loses interest", least=-40)
    fit = RuleGroup.objects.create(sheet=sheet, name="Fits us", most=40)
    for place, kind in enumerate(KINDS[:16]):
        negative = kind in ("careers_viewed", "unsubscribed")
        Rule.objects.create(
            group=loss if negative else interest,
            interaction=InteractionKind.objects.get(pk=kind),
            points=-10 if negative else 2 + place,
            cap=10 + 2 * place,
            half_life_days=(30, 60, 90)[place % 3] if place % 4 else None,
            window_days=None if place % 4 else 90,
        )
    for points, condition in (
        (10, {"field": "job_title", "op": "is", "value": "CEO"}),
        (5, {"field": "country", "op": "is_any_of", "value": ["KR", "DE"]}),
        (5, {"field": "company.industry", "op": "is", "value": "Automotive"}),
        (-5, {"field": "city", "op": "is_unknown"}),
    ):
        Rule.objects.create(group=fit, kind=Rule.Kind.ATTRIBUTE, points=points, condition=condition)
    Threshold.objects.create(name="Everybody")


def analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def yesterday() -> date:
    return timezone.localdate() - timedelta(days=1)
