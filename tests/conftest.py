"""The cast: two reps of different teams, a marketer, a manager, an administrator; a cold, an MQL and an SQL lead."""

import os

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone, translation

from leads.models import Company, Contact, Identity, Stage, Team, User
from leads.search import index_contacts

pytest_plugins = ["tests.processes", "tests.browser", "tests.smtp_server"]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """All tests: one process more than cores, for many tests wait for processes of their own. A chosen one: none."""
    chosen = config.option.keyword or config.args != config.getini("testpaths")
    return 0 if chosen else (os.cpu_count() or 1) + 1


def make_user(name: str, role: str, team: Team | None = None, **fields) -> User:
    user = User.objects.create_user(
        name.lower(),
        f"{name.lower()}@leadmgr.example",
        "a long enough password",
        first_name=name,
        team=team,
        **fields,
    )
    user.groups.add(Group.objects.get(name=role))
    return user


def make_contact(first_name: str, last_name: str, email: str = "", **fields) -> Contact:
    """A known contact with its e-mail identity, found by search, as the doors would leave it."""
    contact = Contact.objects.create(
        first_name=first_name, last_name=last_name, email=email, known_at=timezone.now(), **fields
    )
    if email:
        Identity.objects.create(contact=contact, kind=Identity.Kind.EMAIL, value=email)
    index_contacts([contact.pk])
    return contact


@pytest.fixture
def seoul(db) -> Team:
    return Team.objects.create(name="Seoul")


@pytest.fixture
def berlin(db) -> Team:
    return Team.objects.create(name="Berlin")


@pytest.fixture
def rita(seoul) -> User:
    """A rep of the Seoul team."""
    return make_user("Rita", "rep", seoul, time_zone="Asia/Seoul")


@pytest.fixture
def bruno(berlin) -> User:
    """A rep of the Berlin team, who may not see Seoul's leads."""
    return make_user("Bruno", "rep", berlin, time_zone="Europe/Berlin")


@pytest.fixture
def mina(db) -> User:
    """The marketer."""
    return make_user("Mina", "marketer", is_staff=True)


@pytest.fixture
def max_(db) -> User:
    """The manager."""
    return make_user("Max", "manager", is_staff=True)


@pytest.fixture
def ada(db) -> User:
    """The administrator."""
    return make_user("Ada", "administrator", is_staff=True)


@pytest.fixture
def hanbit(db) -> Company:
    return Company.objects.create(name="Hanbit Motors", domain="hanbit.example", industry="Automotive")


@pytest.fixture
def cold_lead(db) -> Contact:
    return make_contact("Noah", "Berg", "noah@fjordly.example", score=12)


@pytest.fixture
def mql_lead(db) -> Contact:
    return make_contact("지호", "박", "jiho@jungwon.example", stage=Stage.MQL, score=45)


@pytest.fixture
def sql_lead(rita, hanbit) -> Contact:
    return make_contact(
        "Seo-yeon", "Kim", "seoyeon@hanbit.example", stage=Stage.SQL, score=84, owner=rita, company=hanbit,
        job_title="Operations lead",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def english():
    """A request in another language leaves it behind in its thread, which here is that of the next test."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """Passwords of tests protect nothing, and the real hash is slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]
