"""Finds or creates the companies that claims name: by id of their source, by domain, else by exact name."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from leads import sets
from leads.identity import CompanyClaim
from leads.models import Company, Source

MAIL_PROVIDERS = frozenset(
    ["gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com",
     "aol.com", "gmx.de", "gmx.net", "web.de", "proton.me", "protonmail.com", "naver.com", "daum.net", "hanmail.net",
     "kakao.com", "nate.com", "qq.com", "163.com", "126.com", "mail.ru", "yandex.ru"]
)  # fmt: skip
"""domains that say nothing about an employer"""

Key = tuple[str, str]
COLUMNS = ("industry", "type", "employees", "revenue", "country", "city", "phone")


def resolve_companies(
    claims: Sequence[CompanyClaim | None], source: Source | None, overwrites: bool
) -> list[int | None]:
    """The company's id for each claim, or None where there is no claim; creates those that are missing."""
    wanted: dict[Key, CompanyClaim] = {}
    for claim in claims:
        if claim is not None and (key := _key(claim)):
            wanted.setdefault(key, claim)
    if not wanted:
        return [None] * len(claims)
    found = _find(wanted, source)
    missing = {key: claim for key, claim in wanted.items() if key not in found}
    if missing:
        rows = [_row(claim, source) for _key, claim in sorted(missing.items())]
        sets.insert_rows(
            Company,
            ["name", "domain", "external_id", "source", *COLUMNS, "attributes", "created_at", "updated_at"],
            rows,
            ignore_conflicts=True,
        )
        found = _find(wanted, source)
    _describe(wanted, found, overwrites)
    return [found.get(_key(claim)) if claim is not None else None for claim in claims]


def _key(claim: CompanyClaim) -> Key:
    if claim.external_id:
        return ("id", claim.external_id)
    domain = claim.domain.lower()
    if domain and domain not in MAIL_PROVIDERS:
        return ("domain", domain)
    return ("name", claim.name.lower()) if claim.name else ("", "")


def _find(wanted: Mapping[Key, CompanyClaim], source: Source | None) -> dict[Key, int]:
    by_kind: dict[str, list[str]] = {"id": [], "domain": [], "name": []}
    for kind, value in wanted:
        by_kind.get(kind, []).append(value)
    companies = Company.objects.alias(lower_name=Lower("name")).filter(
        Q(source=source, external_id__any=by_kind["id"])
        | Q(domain__any=by_kind["domain"])
        | Q(lower_name__in=by_kind["name"])
    )
    found: dict[Key, int] = {}
    for pk, name, domain, external_id, source_id in companies.order_by("-pk").values_list(
        "pk", "name", "domain", "external_id", "source_id"
    ):
        if external_id and source is not None and source_id == source.pk:
            found["id", external_id] = pk
        if domain:
            found["domain", domain] = pk
        found["name", name.lower()] = pk
    return {key: found[key] for key in wanted if key in found}


def _row(claim: CompanyClaim, source: Source | None) -> sets.Row:
    now = timezone.now()
    domain = claim.domain.lower()
    values = [claim.fields.get(name) for name in COLUMNS]
    blank = [None if name in ("employees", "revenue") else "" for name in COLUMNS]
    return (
        claim.name or domain or claim.external_id,
        "" if domain in MAIL_PROVIDERS else domain,
        claim.external_id,
        source.pk if source is not None and claim.external_id else None,
        *(value if value is not None else empty for value, empty in zip(values, blank, strict=True)),
        claim.fields.get("attributes", {}),
        now,
        now,
    )


def _describe(wanted: Mapping[Key, CompanyClaim], found: Mapping[Key, int], overwrites: bool) -> None:
    """Store what the claims say about known companies; a blank never overwrites."""
    told: dict[int, dict[str, Any]] = {}
    for key, claim in wanted.items():
        facts = {name: claim.fields[name] for name in COLUMNS if claim.fields.get(name) not in (None, "")}
        if claim.name and key[0] != "name":
            facts["name"] = claim.name
        if facts and key in found:
            told.setdefault(found[key], {}).update(facts)
    if not told:
        return
    changed: list[Company] = []
    companies = Company.objects.filter(pk__any=sorted(told)).order_by("pk").select_for_update(no_key=True)
    for company in companies:
        for name, value in told[company.pk].items():
            if (overwrites or not getattr(company, name)) and getattr(company, name) != value:
                setattr(company, name, value)
                if company not in changed:
                    changed.append(company)
    if changed:
        Company.objects.bulk_update(changed, ["name", *COLUMNS])
