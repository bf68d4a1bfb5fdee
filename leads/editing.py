"""Changing what is known of a contact: the door of everybody who edits one by hand or by the API."""

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.bell import ring
from leads.identity import email_key, phone_key
from leads.models import Attribute, Contact, Identity, Touch
from leads.models.identities import IdentityKey
from leads.search import index_contacts

TEXT_LONGEST = 10_000  # an attribute is a fact about a person, not a document


class MergedAwayError(ValueError):
    """The contact was merged into another one, which is the one to change."""


class IdentityTakenError(ValueError):
    """The e-mail address names another contact."""


def attribute_errors(attributes: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with each attribute: undeclared, or not of its declared type. None is always allowed."""
    declared = dict(Attribute.objects.filter(key__in=attributes).values_list("key", "type"))
    errors = {}
    for key, value in attributes.items():
        if key not in declared:
            errors[key] = [_("This attribute is not declared; Admin › Attributes is where that is done.")]
        elif value is not None and (problem := _problem(declared[key], value)):
            errors[key] = [problem]
    return errors


def _problem(type_: str, value: Any) -> str:
    if type_ == Attribute.Type.NUMBER:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and _is_double(value)
        return "" if fits else _("Must be a number such as 12.5, without quotes.")
    if type_ == Attribute.Type.BOOLEAN:
        return "" if isinstance(value, bool) else _("Must be true or false, without quotes.")
    if type_ == Attribute.Type.DATE:
        try:
            date.fromisoformat(value)
        except (TypeError, ValueError):
            return _('Must be a day such as "2026-11-22".')
        return ""
    if not isinstance(value, str):
        return _("Must be a text, in quotes.")
    if len(value) > TEXT_LONGEST:
        return _("Must have at most %(most)d characters.") % {"most": TEXT_LONGEST}
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        return _("Must not contain NUL or half a surrogate pair.")
    return ""


def _is_double(value: float) -> bool:
    """Whether the database can read it as a double; conditions over numbers do."""
    try:
        return isfinite(float(value))
    except OverflowError:
        return False


def change_contact(contact_id: int, values: Mapping[str, Any]) -> bool:
    """Set columns of a contact and, under `attributes`, some of its attributes (None removes one).

    Values have been validated. A new e-mail address or phone becomes an identity too; the old one goes on
    naming the person. In the same transaction the contact is indexed for search and touched, so that its
    score follows. Returns whether anything changed. Raises `MergedAwayError` and `IdentityTakenError`.
    """
    with transaction.atomic():
        contact = Contact.objects.select_for_update(no_key=True).get(pk=contact_id)
        if contact.merged_into_id is not None:
            raise MergedAwayError(
                _("This contact was merged into contact %(number)d; change that one.")
                % {"number": contact.merged_into_id}
            )
        told = dict(values)
        if "attributes" in told:
            merged = {**contact.attributes, **told["attributes"]}
            told["attributes"] = {key: value for key, value in merged.items() if value is not None}
        changed = [name for name, value in told.items() if getattr(contact, name) != value]
        if not changed:
            return False
        for name in changed:
            setattr(contact, name, told[name])
        contact.updated_at = timezone.now()
        contact.save(update_fields=[*changed, "updated_at"])
        if "email" in changed and contact.email:
            _attach(contact, email_key(contact.email), 0)
        if "phone" in changed and contact.phone:
            _attach(contact, phone_key(contact.phone, contact.country), contact.pk)
        index_contacts([contact.pk])
        sets.insert_rows(Touch, ["contact"], [(contact.pk,)])
        ring("touched")
    return True


def _attach(contact: Contact, key: IdentityKey, sharer: int) -> None:
    kind, namespace, value = key
    identity = {"kind": kind, "namespace": namespace, "value": value, "sharer": sharer}
    # With ON CONFLICT DO NOTHING the loser of a race waits for the winner instead of failing.
    Identity.objects.bulk_create([Identity(contact=contact, **identity)], ignore_conflicts=True)
    if not Identity.objects.filter(contact=contact, **identity).exists():
        raise IdentityTakenError(
            _("This e-mail address names another contact. If they are one person, merge the two.")
        )
