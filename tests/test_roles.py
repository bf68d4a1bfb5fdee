"""The roles exist after migrate, and mean what they say."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.utils import timezone

from leadmgr.roles import PERMISSIONS
from leads.models import Contact

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", PERMISSIONS)
def test_each_role_has_the_permissions_it_lists(role):
    granted = {
        f"{app}.{name}"
        for app, name in Group.objects.get(name=role).permissions.values_list(
            "content_type__app_label", "codename"
        )
    }
    assert granted == PERMISSIONS[role]


def test_a_rep_sees_own_team_and_unowned_contacts_only(rita, bruno, sql_lead, cold_lead):
    assert set(Contact.objects.visible_to(rita)) == {sql_lead, cold_lead}
    assert set(Contact.objects.visible_to(bruno)) == {cold_lead}


def test_marketers_and_managers_see_every_contact(mina, max_, ada, sql_lead, cold_lead):
    for user in (mina, max_, ada):
        assert set(Contact.objects.visible_to(user)) == {sql_lead, cold_lead}


def test_a_list_kept_for_one_person_is_never_shown_to_another(client, rita, bruno, max_, seoul, sql_lead):
    """The list keeps its statements; they are kept by all that decides who sees whom."""

    def names() -> bool:
        return "Seo-yeon" in client.get("/contacts/?stage=sql").content.decode()

    for user, sees in ((rita, True), (bruno, False), (max_, True), (bruno, False), (rita, True)):
        client.force_login(user)
        assert names() is sees
    client.force_login(bruno)
    bruno.team = seoul
    bruno.save()
    assert names()
    Contact.objects.update(owner=max_)
    assert not names()
    bruno.groups.set([Group.objects.get(name="manager")])
    assert names()


def test_a_session_ends_when_it_expires_or_its_person_is_switched_off(client, rita):
    client.force_login(rita)
    assert client.get("/contacts/").status_code == 200
    sessions = Session.objects.all()
    sessions.update(expire_date=timezone.now())
    assert client.get("/contacts/").status_code == 302
    sessions.update(expire_date=timezone.now() + timedelta(days=1))
    client.cookies["sessionid"] = sessions.get().session_key
    assert client.get("/contacts/").status_code == 200
    rita.is_active = False
    rita.save()
    assert client.get("/contacts/").status_code == 302
