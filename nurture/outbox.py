"""The one door into the outbox: a set of contacts gets an e-mail queued, or the reason why not.

**Frozen** means: a message is a wording (`TemplateVersion`, which never changes) and the values of exactly the
variables that the wording uses, taken from the contact by the statement that queues it. Rendering is a pure function
of the two, so what is sent hours later, and shown years later, is what was queued, whatever becomes of the template
or the contact meanwhile. Only whether it may be sent at all is asked again when it is: see `delivery.py`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    DateTimeField,
    Exists,
    F,
    JSONField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import Exact
from django_cte import CTE, with_cte

from leads import sets
from leads.bell import ring
from leads.models import Consent, Contact, Identity
from nurture.liquid import text_of, variables_of
from nurture.models import Enrolment, Message, Template, TemplateVersion
from nurture.variables import snapshot

COLUMNS = (
    "contact", "enrolment", "template", "version", "status", "skipped_reason", "address", "values", "queued_at",
    "due_at",
)  # fmt: skip
NOT_WRITTEN = (Message.Status.SKIPPED, Message.Status.CANCELLED, Message.Status.FAILED)
"""statuses of messages that the contact did not get, so that the repeat window does not count them"""


@dataclass(frozen=True, slots=True)
class Recipient:
    contact: int
    enrolment: int | None = None
    """the enrolment of this contact that sends it"""


@transaction.atomic
def queue_messages(template_id: int, recipients: Sequence[Recipient], now: datetime) -> int:
    """Queue the template's e-mail to the recipients, each with the values of now; returns how many will be sent.

    Every recipient gets a message: the others are `skipped`, with the reason in `skipped_reason`. Two or three
    statements, however many recipients. The caller has locked the contacts, so that the same e-mail cannot be queued
    twice within its repeat window. Raises `Template.DoesNotExist`.
    """
    template = Template.objects.get(pk=template_id)
    version = current_version(template)
    queued = 0
    rest = list(recipients)
    while rest:
        portion, rest = _each_contact_once(rest)
        queued += _queue(template, version, portion, now)
    ring("queued-messages")
    return queued


def current_version(template: Template) -> TemplateVersion:
    """The row of the template's present wording; made when the wording is new."""
    text = template.text if template.text.strip() else text_of(template.html)
    parts = (template.purpose, template.subject, template.html, text)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    known = TemplateVersion.objects.filter(template=template, digest=digest).first()
    if known:
        return known
    names = variables_of(template.subject, template.html, text)
    version, _created = TemplateVersion.objects.get_or_create(
        template=template,
        digest=digest,
        defaults={
            "purpose": template.purpose,
            "subject": template.subject,
            "html": template.html,
            "text": text,
            "variables": names,
        },
    )
    return version


def reason_not_to_send(purpose: str, *, contact: str, address: str, also: Sequence[When] = ()) -> Case:
    """Why a contact must not get an e-mail of `purpose` now, blank if it may.

    `contact` leads from the row to the contact ("" from the contact itself), `address` to the address; `also` are
    further reasons, asked last. Without consent nobody gets marketing. What answers the contact's own request
    (`transactional`) needs none, but it too is not sent to those who are suppressed or archived, nor to an address
    that does not work.
    """
    skip = Message.Skip
    bounced = Identity.objects.filter(
        kind=Identity.Kind.EMAIL,
        namespace="",
        value=OuterRef(address),
        sharer=0,
        verification=Identity.Verification.BOUNCED,
    )
    reasons = [
        _when(Q(**{address: ""}), skip.NO_ADDRESS),
        _when(Q(**{f"{contact}merged_into__isnull": False}), skip.MERGED),
        _when(Q(**{f"{contact}archived_at__isnull": False}), skip.ARCHIVED),
        _when(Q(**{f"{contact}suppressed_at__isnull": False}), skip.SUPPRESSED),
    ]
    if purpose != Template.Purpose.TRANSACTIONAL:
        newest = Consent.objects.filter(
            contact=OuterRef(f"{contact}pk"), purpose=purpose, channel=Consent.Channel.EMAIL
        ).order_by("-at", "-pk")
        state = Coalesce(Subquery(newest.values("state")[:1]), Value(""))
        # In this form the query looks for the consent once for those who gave it.
        refused = Case(
            _when(Exact(state, Consent.State.DENIED), skip.UNSUBSCRIBED), default=Value(skip.NO_CONSENT.value)
        )
        reasons.append(When(~Q(Exact(state, Consent.State.GRANTED)), then=refused))
    reasons.append(_when(Q(Exists(bounced)), skip.BOUNCED_ADDRESS))
    return Case(*reasons, *also, default=Value(""), output_field=CharField())


def _when(condition: Any, reason: Message.Skip) -> When:
    return When(condition, then=Value(reason.value))


def _each_contact_once(recipients: Sequence[Recipient]) -> tuple[list[Recipient], list[Recipient]]:
    """The first of each contact, and the others: those come later, and see the first in their repeat window."""
    first: dict[int, Recipient] = {}
    others = [one for one in recipients if first.setdefault(one.contact, one) is not one]
    return list(first.values()), others


def _queue(
    template: Template, version: TemplateVersion, recipients: Sequence[Recipient], now: datetime
) -> int:
    enrolled = [one.enrolment for one in recipients if one.enrolment is not None]
    others = [one.contact for one in recipients if one.enrolment is None]
    queued = 0
    if enrolled:
        rows = Enrolment.objects.filter(pk__any=enrolled)
        queued += _insert(template, version, rows, F("pk"), "contact__", now)
    if others:
        contacts = Contact.objects.filter(pk__any=others)
        queued += _insert(template, version, contacts, Cast(Value(None), BigIntegerField()), "", now)
    return queued


def _insert(
    template: Template,
    version: TemplateVersion,
    rows: QuerySet[Any],
    enrolment: Any,
    contact: str,
    now: datetime,
) -> int:
    """INSERT … SELECT: the reasons and the values are worked out by one statement over the rows."""
    also = []
    if template.repeat_days:
        got = Message.objects.filter(
            contact=OuterRef(f"{contact}pk"),
            template=template,
            queued_at__gt=now - timedelta(days=template.repeat_days),
        ).exclude(status__in=NOT_WRITTEN)
        also.append(_when(Q(Exists(got)), Message.Skip.REPEAT_WINDOW))
    # Materialised, or PostgreSQL would work the reason out again wherever it is mentioned.
    found = CTE(
        rows.annotate(
            to=F(f"{contact}pk"),
            by=enrolment,
            reason=reason_not_to_send(version.purpose, contact=contact, address=f"{contact}email", also=also),
            mail=F(f"{contact}email"),
            said=snapshot(version.variables, contact),
        ).values("to", "by", "reason", "mail", "said"),
        name="found",
        materialized=True,
    )
    goes = Exact(found.col.reason, Value(""))
    nothing = Value({}, JSONField())
    selected = with_cte(found, select=found.queryset().order_by()).annotate(
        of=Value(template.pk, BigIntegerField()),
        wording=Value(version.pk, BigIntegerField()),
        state=Case(
            When(Q(goes), then=Value(Message.Status.QUEUED.value)),
            default=Value(Message.Status.SKIPPED.value),
        ),
        values_then=Case(When(Q(goes), then=found.col.said), default=nothing, output_field=JSONField()),
        moment=Value(now, DateTimeField()),
    )
    written = sets.insert_select(
        Message,
        COLUMNS,
        selected.values_list(
            "to", "by", "of", "wording", "state", "reason", "mail", "values_then", "moment", F("moment")
        ),
        returning=["status"],
    )
    return sum(status == Message.Status.QUEUED for (status,) in written)
