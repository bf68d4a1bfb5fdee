"""The one door through which two records of one person become one."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.funnel import mark_for_counting
from leads.merged_decisions import merge_decisions
from leads.models import (
    Consent,
    Contact,
    ContactSearch,
    Identity,
    Interaction,
    MergeRecord,
    StageChange,
    Touch,
    User,
)
from leads.registry import registry
from leads.search import index_contacts


class MergeError(ValueError):
    """The two records cannot be merged; the message says why."""


def merge_contacts(
    survivor_id: int, absorbed_id: int, *, evidence: str, by: User | None = None
) -> MergeRecord:
    """Make `absorbed` a tombstone that leads to `survivor`, who gets all its rows; one transaction.

    Blank fields of the survivor are filled, nothing is overwritten. Raises `MergeError` when the two are one or
    one of them was merged away already.
    """
    if survivor_id == absorbed_id:
        raise MergeError("a contact cannot be merged with itself")
    # The enrolment sweep holds stage changes while it waits for their contacts; here it is the other way round.
    return sets.retry_deadlocks(lambda: _merge(survivor_id, absorbed_id, evidence, by))


def _merge(survivor_id: int, absorbed_id: int, evidence: str, by: User | None) -> MergeRecord:
    with transaction.atomic():
        locked = {
            contact.pk: contact
            for contact in Contact.objects.filter(pk__in=(survivor_id, absorbed_id), merged_into__isnull=True)
            .order_by("pk")
            .select_for_update()
        }
        if len(locked) < 2:
            raise MergeError("one of the two contacts was merged away or erased")
        survivor, absorbed = locked[survivor_id], locked[absorbed_id]
        moved: dict[str, Any] = {"overwritten": {}, "filled": _fill_blanks(survivor, absorbed)}
        shared = Identity.objects.filter(contact=survivor, kind=Identity.Kind.PHONE).values("value")
        repeated = Identity.objects.filter(contact=absorbed, kind=Identity.Kind.PHONE, value__in=shared)
        moved["repeated_phones"] = list(repeated.values_list("value", flat=True))
        repeated.delete()
        for model in (Identity, Interaction, Consent, StageChange):
            rows = model._default_manager.filter(contact=absorbed)
            moved[model._meta.label_lower] = list(rows.values_list("pk", flat=True))
            rows.update(contact=survivor)
        Identity.objects.filter(contact=survivor, sharer=absorbed.pk).update(sharer=survivor.pk)
        Contact.objects.filter(merged_into=absorbed).update(merged_into=survivor)
        moved |= merge_decisions(survivor, absorbed, timezone.now())
        for participant in registry.merge_participants:
            moved |= participant(survivor, absorbed)
        absorbed.merged_into = survivor
        absorbed.updated_at = survivor.updated_at = timezone.now()
        absorbed.save(update_fields=["merged_into", "queued_at", "updated_at"])
        survivor.save()
        ContactSearch.objects.filter(contact=absorbed).delete()
        index_contacts([survivor.pk])
        record = MergeRecord.objects.create(
            survivor=survivor, absorbed=absorbed, evidence=evidence, moved=moved, by=by
        )
        sets.insert_rows(Touch, ["contact"], [(survivor.pk,)])
        mark_for_counting([survivor.pk, absorbed.pk])  # now one person of the funnel
        ring("touched")
    return record


def _fill_blanks(survivor: Contact, absorbed: Contact) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for field in Contact._meta.concrete_fields:
        if not field.editable or field.name == "attributes" or field.primary_key:
            continue
        value = getattr(absorbed, field.attname)
        if value not in (None, "") and getattr(survivor, field.attname) in (None, ""):
            setattr(survivor, field.attname, value)
            filled[field.attname] = str(value)
    for key, value in absorbed.attributes.items():
        if survivor.attributes.get(key) in (None, "") and value not in (None, ""):
            survivor.attributes[key] = value
            filled[f"attributes.{key}"] = value
    survivor.created_at = min(survivor.created_at, absorbed.created_at)
    if (
        absorbed.last_active_at
        and (survivor.last_active_at or absorbed.last_active_at) <= absorbed.last_active_at
    ):
        survivor.last_active_at = absorbed.last_active_at
    return filled
