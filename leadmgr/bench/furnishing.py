"""What `bench plans` puts into a base: all that a base in use has in its large tables, what is rare, people who ask."""

from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from leadmgr.bench import Say, Size, base
from leads.funnel import count_everybody
from leads.models import (
    Assignment,
    Campaign,
    Company,
    Consent,
    Contact,
    ContactSearch,
    FunnelCell,
    FunnelStale,
    FunnelTime,
    FunnelTouch,
    Handoff,
    Hold,
    Identity,
    Interaction,
    InteractionKind,
    MergeRecord,
    Milestones,
    Outcome,
    RejectionReason,
    SeenMessage,
    Segment,
    Source,
    StageChange,
    Team,
    Touch,
    User,
)
from leads.models.interactions import Direction
from leads.models.people import TEMPERATURES
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Message, MessageEvent, Step, StepRun, Template, Track, Workflow
from nurture.models.messages import WAITING
from nurture.outbox import current_version
from scoring.models import RiseSweep, Score, ScoreChange, ScoreSheet
from scoring.rescore import rescore_now

BIG = {
    model._meta.db_table: model
    for model in (
        Assignment, Company, Consent, Contact, ContactSearch, Enrolment, FunnelCell, FunnelStale, FunnelTime,
        FunnelTouch, Handoff, Hold, Identity, Interaction, MergeRecord, Message, MessageEvent, Milestones, Score,
        ScoreChange, SeenMessage, StageChange, StepRun, Touch,
    )
}  # fmt: skip

HOT = 40
"""from this score on contacts have owners, as in a company that hands its best leads out"""
RARE = 1000
"""one in so many has what is rare"""
WORK = 2000
"""rows that a sweep finds to do, as much as one claim takes"""
WON = 20
"""people who come a step further in the funnel, of as many days"""
MAIL = 50
"""messages that wait, and events of each kind that were heard: each is handed over by itself"""

PEOPLE = (
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
    INSERT INTO leads_seenmessage (digest, received_at)
    SELECT sha256(n::text::bytea), now() - (interval '30 days 1 hour') * (1 - n::float / %(contacts)s)
    FROM generate_series(1, %(contacts)s) AS n ON CONFLICT DO NOTHING
    """,
)
DECISIONS = (
    """
    INSERT INTO leads_hold (contact_id, kind, reason, by_id, at, rejection_id)
    SELECT id, CASE WHEN id %% %(rare)s = 0 THEN 'rejected' ELSE 'accepted' END, '', %(rep)s, now(),
        CASE WHEN id %% %(rare)s = 0 THEN %(rejection)s END
    FROM leads_contact WHERE id %% 20 = 0
    """,
    """
    INSERT INTO leads_handoff (contact_id, stage, score, at, respond_by, contacted_at, decided_at, decision, by_id)
    SELECT id, 'sql', 70, known_at, known_at + interval '1 hour', known_at + interval '90 minutes' * random(),
        known_at + interval '1 day', CASE WHEN id %% 3 = 0 THEN 'rejected' ELSE 'accepted' END, %(rep)s
    FROM leads_contact WHERE id %% 4 = 1 AND known_at IS NOT NULL ORDER BY id
    """,
    """
    INSERT INTO leads_assignment (contact_id, owner_id, reason, by_id, at)
    SELECT id, CASE WHEN id %% 20 = 0 THEN %(rep)s ELSE %(other)s END, '', %(other)s, known_at
    FROM leads_contact WHERE id %% 4 = 0 AND known_at IS NOT NULL ORDER BY id
    """,
    """
    INSERT INTO leads_mergerecord (survivor_id, absorbed_id, evidence, moved, at)
    SELECT id - 1, id, 'same telephone', '{}', now() FROM leads_contact WHERE id %% %(rare)s = 6 AND id > 1
    """,
    """
    INSERT INTO leads_stagechange (contact_id, before, after, cause, reason, at, handled_at)
    SELECT id, '', 'cold', 'created', '', created_at, now() FROM leads_contact
    """,
    # In the order of time, as they come.
    """
    INSERT INTO scoring_scorechange (contact_id, sheet_id, before, after, cause, at)
    SELECT contact_id, sheet_id, greatest(0, value - step), value, 'interaction', now() - make_interval(days => 365) * age
    FROM (SELECT *, random() AS age FROM scoring_score, generate_series(1, 2) AS step) AS changes ORDER BY age DESC
    """,
)
WAYS = (
    # Everybody is in the workflow of their stage, and every fourth person has left another one.
    """
    INSERT INTO nurture_enrolment (contact_id, workflow_id, track_id, entered_at, entered_by, left_by, status, step_id,
        visit, due_at, error)
    SELECT c.id, w.id, w.track_id, c.created_at, 'stage', '',
        CASE WHEN c.id %% %(rare)s = 11 THEN 'failed' ELSE 'active' END, s.id, 2,
        CASE WHEN c.id %% %(rare)s <> 11 THEN now() + make_interval(mins => 60 + c.id::int %% 40000) END,
        CASE WHEN c.id %% %(rare)s = 11 THEN 'StepError: it cannot be done' ELSE '' END
    FROM leads_contact c JOIN nurture_workflow w ON w.name = c.stage
    JOIN nurture_step s ON s.workflow_id = w.id AND s.position = 4
    WHERE c.known_at IS NOT NULL AND NOT EXISTS (SELECT FROM nurture_enrolment WHERE contact_id = c.id AND left_at IS NULL)
    ORDER BY c.id
    """,
    """
    INSERT INTO nurture_enrolment (contact_id, workflow_id, track_id, entered_at, entered_by, left_by, left_at, status,
        visit, error)
    SELECT c.id, w.id, w.track_id, c.created_at, 'stage', CASE WHEN c.id %% 16 = 0 THEN 'end' ELSE 'stage' END, now(),
        CASE WHEN c.id %% 16 = 0 THEN 'done' ELSE 'left' END, 2, ''
    FROM leads_contact c, nurture_workflow w WHERE w.name = 'mql' AND c.id %% 4 = 0 AND c.known_at IS NOT NULL ORDER BY c.id
    """,
    """
    INSERT INTO nurture_steprun (enrolment_id, step_id, visit, result, at)
    SELECT e.id, s.id, s.position - 1, 'done', e.entered_at
    FROM nurture_enrolment e JOIN nurture_step s ON s.workflow_id = e.workflow_id AND s.position <= 2
    WHERE e.visit = 2 ORDER BY e.entered_at
    """,
)
MAILS = (
    """
    INSERT INTO nurture_message (contact_id, enrolment_id, template_id, version_id, status, skipped_reason, address,
        "values", queued_at, due_at, sent_at, answer)
    SELECT c.id, NULL, %(template)s, %(version)s, state, CASE state WHEN 'skipped' THEN 'no_consent' ELSE '' END, c.email,
        jsonb_build_object('contact.first_name', c.first_name), moment, CASE WHEN state IN ('queued', 'deferred') THEN now() + interval '1 hour' ELSE moment END,
        CASE WHEN state IN ('sent', 'delivered', 'bounced', 'complained') THEN moment END, ''
    FROM (
        SELECT *, now() - make_interval(days => 365) * (1 - n::float / (2 * %(contacts)s)) AS moment,
            1 + (n::bigint * 7919) %% %(contacts)s AS contact,
            coalesce((ARRAY['deferred','bounced','failed','unknown','complained','cancelled','queued'])[n %% %(rare)s],
                (ARRAY['skipped','sent','sent','sent'])[1 + n %% 10], 'delivered') AS state
        FROM generate_series(1, 2 * %(contacts)s) AS n
    ) AS numbers JOIN leads_contact c ON c.id = contact ORDER BY n
    """,
    """
    INSERT INTO nurture_messageevent (message_id, kind, key, agent, head, detail, occurred_at, received_at, judged_at,
        judgement)
    SELECT id, CASE WHEN id %% %(rare)s = 20 THEN 'soft_bounce' WHEN id %% 10 < 4 THEN 'clicked' ELSE 'opened' END,
        'bench ' || id, 'a browser', false, '', sent_at + interval '1 hour', sent_at + interval '1 hour', now(),
        CASE WHEN id %% 4 = 0 THEN 'agent' ELSE 'person' END
    FROM nurture_message WHERE sent_at IS NOT NULL AND id %% 2 = 0 ORDER BY id
    """,
)

HTML = '<p>Hello {{ contact.first_name }}, <a href="https://www.example.com/">look</a> <a href="{{ unsubscribe_url }}">…</a></p>'


def furnish(size: Size, say: Say) -> None:
    """Give the base what a base in use has: scores, stages, workflows, mail, owners, what is rare, and people who ask."""
    if Message.objects.exists():
        return
    if User.objects.filter(username="newcomer").exists():
        raise RuntimeError("An older version furnished this base. Drop its database, then try again.")
    base.bring_on_the_way(say)
    base.hand_over(say)
    say("scoring the base")
    rescore_now()
    say("owners, decisions, mail and what is rare")
    with transaction.atomic():
        names = _make_names(size)
        template = _make_workflows()
        names |= {"template": template.pk, "version": current_version(template).pk}
        with connection.cursor() as cursor:
            cursor.execute(base.WAITING, {})  # scoring sent back those who waited
            for statement in (*PEOPLE, *DECISIONS):
                cursor.execute(statement, names)
    say("enrolling")
    enrol_moved()
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (*WAYS, *MAILS):
            cursor.execute(statement, names)
    say("counting the funnel")
    count_everybody()
    base.analyse()


def _make_names(size: Size) -> dict[str, int]:
    """Rows that the statements refer to, besides those that nothing refers to."""
    people = _make_people()
    rare = Source.objects.create(slug="rare", name="Rare")
    Source.objects.create(slug="unused", name="Unused")
    Campaign.objects.create(slug="unused", name="Unused")
    InteractionKind.objects.create(slug="unused", name="Unused", direction=Direction.SYSTEM)
    ScoreSheet.objects.create(slug="unused", name="Unused", active=False)
    Segment.objects.create(
        slug="nobody", name="Nobody", condition={"field": "job_title", "op": "is", "value": "Nobody's"}
    )
    rejection = RejectionReason.objects.order_by("pk").first() or RejectionReason.objects.create(name="Bench")
    return {
        "contacts": size.contacts,
        "hot": HOT,
        "rare": RARE,
        "rare_source": rare.pk,
        "rep": people["colleague"].pk,
        "other": people["other"].pk,
        "rejection": rejection.pk,
    }


def _make_people() -> dict[str, User]:
    """The administrator, a rep whose team has some leads, a rep whose team has none, and those who have them."""
    teams = {name: Team.objects.get_or_create(name=name)[0] for name in ("Own", "Others", "New")}
    role = Group.objects.get(name="rep")
    found = {"administrator": User.objects.create(username="root", is_staff=True, is_superuser=True)}
    for name, team in (("rep", "Own"), ("colleague", "Own"), ("other", "Others"), ("newcomer", "New")):
        found[name] = User.objects.create(username=name, team=teams[team], is_staff=True)
        found[name].groups.add(role)
    return found


def _make_workflows() -> Template:
    """One for each stage, with steps that wait, branch and send; returns the e-mail that they send."""
    template = Template.objects.create(name="Bench", subject="Hello", html=HTML)
    Template.objects.create(name="Unused", subject="Hello", html="<p>Hello</p>")
    track = Track.objects.create(name="Bench")
    for stage in TEMPERATURES:
        workflow = Workflow.objects.create(name=stage.value, track=track, stages=[stage])
        Step.objects.create(workflow=workflow, position=1, kind="wait", wait_minutes=60)
        branch = {"field": "country", "op": "is_any_of", "value": ["KR", "DE", "US"]}
        Step.objects.create(workflow=workflow, position=2, kind="branch", condition=branch)
        Step.objects.create(workflow=workflow, position=3, kind="send_email", template=template)
        Step.objects.create(workflow=workflow, position=4, kind="wait", wait_minutes=43_200)
    return template


def people() -> dict[str, User]:
    return {name: User.objects.get(username=name) for name in ("root", "rep", "newcomer")}


def give_work() -> None:
    """Work for each sweep, as much as one claim takes."""
    now = timezone.now()
    last = Contact.objects.latest("pk").pk
    spread = Contact.objects.known().filter(pk__any=range(1, last + 1, max(1, last // WORK)))
    contacts = list(spread.filter(suppressed_at__isnull=True).values_list("pk", flat=True))
    Contact.objects.filter(pk__any=contacts[:: WORK // WON]).update(outcome=Outcome.WON, outcome_at=now)
    Touch.objects.bulk_create(Touch(contact_id=pk) for pk in contacts)
    FunnelTouch.objects.bulk_create(FunnelTouch(contact_id=pk) for pk in contacts)
    newest = StageChange.objects.order_by("-pk").values("pk")[:WORK]
    StageChange.objects.filter(pk__in=newest).update(handled_at=None)
    first = Step.objects.filter(position=1).order_by("pk")[0]
    live = Enrolment.objects.filter(contact__any=contacts, workflow=first.workflow_id, left_at__isnull=True)
    live.update(due_at=now, step=first, status=Enrolment.Status.ACTIVE, error="")
    RiseSweep.objects.all().delete()
    RiseSweep.objects.create(until=now - timedelta(seconds=15))
    sheet = ScoreSheet.objects.get(slug="bench")
    ScoreChange.objects.bulk_create(
        ScoreChange(contact_id=pk, sheet=sheet, before=1, after=3, cause=ScoreChange.Cause.INTERACTION)
        for pk in contacts
    )
    _give_mail(now)


def _give_mail(now: datetime) -> None:
    """Messages that are due, and of those sent some of which something was heard."""
    waiting = Message.objects.filter(status__in=WAITING)
    waiting.update(due_at=now + timedelta(hours=1))
    due = waiting.filter(status=Message.Status.QUEUED).order_by("pk").values("pk")[:MAIL]
    Message.objects.filter(pk__in=due).update(due_at=now)
    sent = list(Message.objects.filter(status=Message.Status.SENT).order_by("pk")[:MAIL])
    MessageEvent.objects.bulk_create(
        MessageEvent(
            message=message,
            kind=kind,
            key=f"{kind} {message.pk}",
            occurred_at=now,
            link=0 if kind == MessageEvent.Kind.CLICKED else None,
        )
        for message in sent
        for kind in MessageEvent.Kind
    )
