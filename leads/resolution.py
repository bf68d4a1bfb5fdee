"""Carries out what `leads/identity.py` decides: finds or creates the contacts of many claims, as sets.

Runs inside the caller's transaction. The order of its locks is the law of `ARCHITECTURE.md`: contacts first, in
the order of their ids, then identities in the order of their keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.lookups import IsNull

from leads import sets
from leads.bell import ring
from leads.companies import resolve_companies
from leads.identity import Claim, Plan, Ref, plan
from leads.merge import merge_contacts
from leads.models import Contact, Identity, Source, Stage, StageChange
from leads.models.identities import IdentityKey, Space, values_by_space
from leads.search import index_contacts

RACE_TRIES = 20  # each lost race means that another transaction committed, so one of all racers always wins

TEXT_FIELDS = {
    field.name: field.max_length
    for field in Contact._meta.concrete_fields
    if field.name in (
        "first_name", "last_name", "email", "phone", "job_title", "department", "seniority", "occupation",
        "country", "region", "city", "language", "time_zone",
    )
}  # fmt: skip
"""columns of Contact that a claim may fill → their longest value"""

SAME_BROWSER = "the same browser made itself known"


class RacedError(Exception):
    """Another transaction changed what the plan was built on; the answer is a new plan."""


@dataclass(frozen=True)
class Rules:
    """How far the sender is trusted, and what new contacts owe to."""

    overwrites: bool
    """False: blanks are filled, nothing known is changed"""
    source: Source | None = None
    cause: str = StageChange.Cause.CREATED


@dataclass
class Resolved:
    contacts: list[int]
    """the contact of each claim"""
    identities: dict[IdentityKey, int]
    """the ids of all identities that the claims name"""
    created: set[int]
    changed: set[int]
    """known before, and now with other values"""


@dataclass(frozen=True)
class Origin:
    """Source and campaign that a new contact owes its first claim to."""

    source_id: int | None = None
    campaign_id: int | None = None


def resolve(
    claims: Sequence[Claim], rules: Rules, now: datetime, origins: Sequence[Origin] | None = None
) -> Resolved:
    """Find or create the contact of each claim and store what the claims tell of it.

    The contacts stay locked until the caller's transaction ends: those that changed FOR NO KEY UPDATE, the others
    FOR KEY SHARE, so none is merged away before its interactions are written.
    """
    companies = resolve_companies([claim.company for claim in claims], rules.source, rules.overwrites)
    for _attempt in range(RACE_TRIES):
        try:
            with transaction.atomic():
                return _attempt_resolve(claims, rules, now, origins, companies)
        except RacedError:
            continue
    raise RacedError(f"lost {RACE_TRIES} races in a row")


def lock_survivors(contacts: Iterable[int]) -> dict[int, int]:
    """Lock contacts named by their ids as `resolve` does; returns who each of them is now.

    One that was merged away leads to who survived; one that was erased is missing.
    """
    wanted = set(contacts)
    for _attempt in range(RACE_TRIES):
        survivors = dict(
            Contact.objects.filter(pk__any=sorted(wanted)).values_list("pk", Coalesce("merged_into", "pk"))
        )
        locked = {pk for (pk,) in _lock_alive().run(sorted(set(survivors.values())))}
        if locked >= set(survivors.values()):
            return survivors
    raise RacedError(f"lost {RACE_TRIES} races in a row")


@cache
def _lock_alive() -> sets.Prepared:
    """Of given ids, those of contacts that nobody absorbed, locked FOR KEY SHARE in their order."""
    alive = Contact.objects.filter(pk__any=sets.GIVEN_LATER, merged_into__isnull=True).order_by("pk")
    return sets.Prepared.of(alive.values_list("pk")).locking_key_share(Contact)


@lru_cache(maxsize=256)
def _identities_of(spaces: tuple[Space, ...]) -> sets.Prepared:
    """Identities by their values in each of the spaces, with whether their contact is known."""
    identities = Identity.objects.within(dict.fromkeys(spaces, sets.GIVEN_LATER))
    return sets.Prepared.of(
        identities.values_list(
            "pk", "kind", "namespace", "value", "contact_id", IsNull(F("contact__known_at"), False)
        )
    )


def _attempt_resolve(
    claims: Sequence[Claim],
    rules: Rules,
    now: datetime,
    origins: Sequence[Origin] | None,
    companies: Sequence[int | None],
) -> Resolved:
    keys = {key for claim in claims for key in claim.keys}
    wanted = values_by_space(keys)
    stored = {
        (kind, namespace, value): (pk, contact_id, is_known)
        for pk, kind, namespace, value, contact_id, is_known in _identities_of(tuple(wanted)).run_each(wanted.values())
    }  # fmt: skip
    known = {key: contact_id for key, (_pk, contact_id, _known) in stored.items()}
    people = {contact_id for _pk, contact_id, is_known in stored.values() if is_known}
    decided = plan(claims, known, people, _named_in(claims, known))

    told = {ref for claim, ref in zip(claims, decided.owners, strict=True) if claim.tells}
    current = _lock(decided, told, people)
    for visitor, person in decided.absorbed.items():
        if person > 0:
            merge_contacts(person, visitor, evidence=SAME_BROWSER)
    if decided.absorbed:  # the merges filled blanks
        current |= _values(Contact.objects.filter(pk__any=sorted(decided.absorbed.values())))

    fresh_refs = sorted({ref for ref in decided.owners if ref < 0}, reverse=True)
    ids: dict[Ref, int] = dict(zip(fresh_refs, sets.allocate_ids(Contact, len(fresh_refs)), strict=True))
    values = _tell(claims, decided.owners, companies, current, rules)
    _create(fresh_refs, ids, values, decided, origins, rules, now)
    for visitor, person in decided.absorbed.items():
        if person < 0:  # a visitor of before, and a person who is new in this very batch
            merge_contacts(ids[person], visitor, evidence=SAME_BROWSER)
    changed = _update(values, current, decided.made_known, now)
    identities = {key: pk for key, (pk, _contact, _known) in stored.items()}
    identities |= _attach(decided, ids, now)
    _attach_phones(claims, decided.owners, ids, now)

    to_index = {ids[ref] for ref in fresh_refs if ref in decided.made_known} | changed
    to_index |= {
        ids.get(ref, ref) for key, ref in decided.attached.items() if key[0] != Identity.Kind.ANONYMOUS
    }
    index_contacts(to_index)
    newly_known = [ids.get(ref, ref) for ref in sorted(decided.made_known)]
    sets.insert_rows(
        StageChange,
        ["contact", "before", "after", "cause", "reason", "at"],
        [(contact, "", Stage.COLD.value, rules.cause, "", now) for contact in newly_known],
    )
    if newly_known:
        ring("stage-changed")
    return Resolved(
        contacts=[ids.get(ref, ref) for ref in decided.owners],
        identities=identities,
        created=set(ids.values()),
        changed=changed,
    )


def _named_in(claims: Sequence[Claim], known: Mapping[IdentityKey, int]) -> dict[int, set[str]]:
    """The sources in which the contacts that could get a new id already have one."""
    candidates: set[int] = set()
    for claim in claims:
        if any(name not in known and name[0] == Identity.Kind.EXTERNAL for name in claim.names):
            candidates |= {known[key] for key in claim.keys if key in known}
    named: dict[int, set[str]] = {}
    if candidates:
        rows = Identity.objects.filter(contact__any=sorted(candidates), kind=Identity.Kind.EXTERNAL)
        for contact_id, namespace in rows.values_list("contact_id", "namespace"):
            named.setdefault(contact_id, set()).add(namespace)
    return named


def _lock(decided: Plan, told: set[Ref], people: set[int]) -> dict[int, dict[str, Any]]:
    """Lock the existing contacts of the plan, each as weakly as can be, and check that the plan still holds.

    Returns the present values of those that may change.
    """
    absorbing = {*decided.absorbed, *(ref for ref in decided.absorbed.values() if ref > 0)}
    receiving = {ref for key, ref in decided.attached.items() if key[0] != Identity.Kind.ANONYMOUS}
    changing = sorted(ref for ref in (told | receiving | decided.made_known) - absorbing if ref > 0)
    others = sorted({ref for ref in decided.owners if ref > 0} - set(changing) - absorbing)

    alive = Contact.objects.filter(merged_into__isnull=True).order_by("pk")
    rows: dict[int, dict[str, Any]] = {}
    if absorbing:
        rows |= _values(alive.filter(pk__any=sorted(absorbing)).select_for_update())
    if changing:
        rows |= _values(alive.filter(pk__any=changing).select_for_update(no_key=True))
    shared = _lock_alive().run(others) if others else []
    if len(rows) + len(shared) < len(absorbing) + len(changing) + len(others):
        raise RacedError("a contact was merged away")
    for pk, row in rows.items():
        if (row["known_at"] is not None) != (pk in people):
            raise RacedError("a visitor became known")
    return rows


def _values(contacts: QuerySet[Contact]) -> dict[int, dict[str, Any]]:
    return {
        row["pk"]: row for row in contacts.values("pk", "known_at", "company_id", "attributes", *TEXT_FIELDS)
    }


def _tell(
    claims: Sequence[Claim],
    owners: Sequence[Ref],
    companies: Sequence[int | None],
    current: Mapping[int, dict[str, Any]],
    rules: Rules,
) -> dict[Ref, dict[str, Any]]:
    """What each contact's columns become when the claims are heard in their order. A blank never overwrites."""
    values: dict[Ref, dict[str, Any]] = {}
    for claim, ref, company in zip(claims, owners, companies, strict=True):
        told: dict[str, Any] = dict(claim.fields)
        if company is not None:
            told["company_id"] = company
        if not told and not claim.attributes:
            continue
        row = values.get(ref)
        if row is None:
            before = current.get(ref, {})
            row = values[ref] = {**before, "attributes": dict(before.get("attributes", {}))}
        for name, value in told.items():
            if rules.overwrites or not row.get(name):
                row[name] = value
        for name, value in claim.attributes.items():
            if rules.overwrites or row["attributes"].get(name) in (None, ""):
                row["attributes"][name] = value
    return values


def _create(
    refs: Sequence[Ref],
    ids: Mapping[Ref, int],
    values: Mapping[Ref, dict[str, Any]],
    decided: Plan,
    origins: Sequence[Origin] | None,
    rules: Rules,
    now: datetime,
) -> None:
    if not refs:
        return
    first_origin: dict[Ref, Origin] = {}
    if origins is not None:
        for ref, origin in zip(decided.owners, origins, strict=True):
            first_origin.setdefault(ref, origin)
    by_default = Origin(rules.source.pk if rules.source else None)
    columns = [
        "pk", *TEXT_FIELDS, "attributes", "company", "source", "campaign", "stage", "stage_at", "score", "outcome",
        "suppressed_reason", "created_at", "updated_at", "known_at",
    ]  # fmt: skip

    def row(ref: Ref) -> sets.Row:
        told = values.get(ref, {})
        origin = first_origin.get(ref, by_default)
        return (
            ids[ref],
            *(told.get(name, "") for name in TEXT_FIELDS),
            told.get("attributes", {}),
            told.get("company_id"),
            origin.source_id or by_default.source_id,
            origin.campaign_id,
            Stage.COLD.value,
            now,
            0,
            "",
            "",
            now,
            now,
            now if ref in decided.made_known else None,
        )

    sets.copy_rows(Contact, columns, map(row, refs))


def _update(
    values: Mapping[Ref, dict[str, Any]],
    current: Mapping[int, dict[str, Any]],
    made_known: set[Ref],
    now: datetime,
) -> set[int]:
    """Write what changed of known contacts; returns the ids of those that did."""
    columns = [*TEXT_FIELDS, "company_id", "attributes"]
    changed: dict[int, sets.Row] = {}
    for ref, before in current.items():
        after = values.get(ref, before)
        if ref in made_known or any(after[name] != before[name] for name in columns):
            known_at = before["known_at"] or (now if ref in made_known else None)
            changed[ref] = (*(after[name] for name in columns), known_at, now)
    sets.update_rows(
        Contact,
        [*TEXT_FIELDS, "company", "attributes", "known_at", "updated_at"],
        [(pk, *row) for pk, row in sorted(changed.items())],
    )
    return set(changed)


def _attach(decided: Plan, ids: Mapping[Ref, int], now: datetime) -> dict[IdentityKey, int]:
    """Write new identities and move browsers. Raises `RacedError` when somebody else was quicker."""
    rows = [
        (ids.get(ref, ref), *key, 0, Identity.Verification.UNVERIFIED.value, now)
        for key, ref in sorted(decided.attached.items())
    ]
    written = sets.insert_rows(
        Identity,
        ["contact", "kind", "namespace", "value", "sharer", "verification", "created_at"],
        rows,
        ignore_conflicts=True,
        returning=["kind", "namespace", "value", "pk"],
    )
    if len(written) < len(rows):
        raise RacedError("somebody else stored one of these identities")
    if decided.moved:
        browsers = {
            identity.key: identity.pk
            for identity in Identity.objects.among(set(decided.moved)).order_by("pk")
        }
        moves = sorted((browsers[key], ids.get(ref, ref)) for key, ref in decided.moved.items())
        sets.update_rows(Identity, ["contact"], moves)
    return {(kind, namespace, value): pk for kind, namespace, value, pk in written}


def _attach_phones(
    claims: Sequence[Claim], owners: Sequence[Ref], ids: Mapping[Ref, int], now: datetime
) -> None:
    phones = {
        (claim.phone, ids.get(ref, ref))
        for claim, ref in zip(claims, owners, strict=True)
        if claim.phone is not None
    }
    sets.insert_rows(
        Identity,
        ["contact", "kind", "namespace", "value", "sharer", "verification", "created_at"],
        [
            (contact, *key, contact, Identity.Verification.UNVERIFIED.value, now)
            for key, contact in sorted(phones)
        ],
        ignore_conflicts=True,
    )
