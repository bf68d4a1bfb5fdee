"""The four roles as groups, each with its permissions. People get a role by being put in its group."""

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

REP, MARKETER, MANAGER, ADMINISTRATOR = "rep", "marketer", "manager", "administrator"

READ_ALL = ("leads.view_all_contacts",)
CONFIGURATION = (
    "leads.attribute", "leads.campaign", "leads.campaigncost", "leads.interactionkind", "leads.segment",
    "leads.rejectionreason", "leads.source", "nurture.step", "nurture.template", "nurture.track", "nurture.workflow",
    "scoring.rule", "scoring.rulegroup", "scoring.scoresheet", "scoring.threshold",
)  # fmt: skip
RECORDS = (
    "leads.assignment", "leads.company", "leads.consent", "leads.contact", "leads.handoff", "leads.hold",
    "leads.identity", "leads.interaction", "leads.stagechange", "nurture.enrolment", "nurture.message",
    "nurture.messageevent", "nurture.steprun", "nurture.templateversion",
    "scoring.rescore", "scoring.score", "scoring.scorechange",
)  # fmt: skip


def _each(verbs: str, models: tuple[str, ...]) -> set[str]:
    return {model.replace(".", f".{verb}_", 1) for verb in verbs.split() for model in models}


PERMISSIONS: dict[str, set[str]] = {
    REP: _each("view", RECORDS)
    | {"leads.change_contact", "leads.add_contact", "leads.view_interactionkind", "leads.work_inbox"}
    | {"nurture.change_enrolment"},
    MARKETER: _each("view add change delete", CONFIGURATION)
    | _each("view", RECORDS)
    | {"leads.add_contact", "leads.change_contact", "leads.add_company", "leads.change_company", *READ_ALL}
    | {"nurture.change_enrolment", "nurture.change_message", "leads.view_kpis"},
    MANAGER: _each("view", CONFIGURATION + RECORDS)
    | {"leads.export_contact", "leads.assign_contact", "leads.view_kpis", "leads.export_kpis", *READ_ALL},
}


def add_roles(**_: Any) -> None:
    """Create the groups, and give each permission that a role gained with this version.

    A permission that an administrator took away from an existing group comes back only with `migrate`, which
    is when roles change; give such people a group of their own.
    """
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0)
    by_name = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    for role, names in PERMISSIONS.items():
        group, _created = Group.objects.get_or_create(name=role)
        group.permissions.add(*(by_name[name] for name in names))
    administrators, _created = Group.objects.get_or_create(name=ADMINISTRATOR)
    ours = Q(content_type__app_label__in=("leads", "scoring", "nurture", "auth", "authtoken"))
    administrators.permissions.add(*Permission.objects.filter(ours))
