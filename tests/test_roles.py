"""The roles exist after migrate, and mean what they say."""

import pytest
from django.contrib.auth.models import Group

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
