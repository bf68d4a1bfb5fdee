"""The users of the demo: two teams of reps, a marketer, a manager, an administrator."""

from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Group

from leadmgr.roles import ADMINISTRATOR, MANAGER, MARKETER, REP, add_roles
from leads.models import Team, User

PASSWORD = "demo"  # noqa: S105 - printed at every start; the demo holds invented people only


@dataclass(frozen=True)
class DemoLogin:
    name: str
    role: str
    username: str
    password: str


@dataclass(frozen=True)
class Member:
    username: str
    first_name: str
    last_name: str
    role: str
    team: str = ""
    time_zone: str = ""
    logs_in: bool = False


CAST = (
    Member("rita", "Rita", "Sommer", REP, "Berlin", "Europe/Berlin", logs_in=True),
    Member("jonas", "Jonas", "Reuter", REP, "Berlin", "Europe/Berlin"),
    Member("hazel", "Hazel", "Whitmore", REP, "Berlin", "Europe/London"),
    Member("minho", "민호", "서", REP, "Seoul", "Asia/Seoul"),
    Member("yuna", "유나", "강", REP, "Seoul", "Asia/Seoul"),
    Member("daniel", "Daniel", "Oh", REP, "Seoul", "Asia/Seoul"),
    Member("mina", "Mina", "Han", MARKETER, time_zone="Asia/Seoul", logs_in=True),
    Member("max", "Max", "Thalberg", MANAGER, time_zone="Europe/Berlin", logs_in=True),
    Member("ada", "Ada", "Quist", ADMINISTRATOR, time_zone="Europe/Berlin", logs_in=True),
)


def add_cast() -> None:
    """Store teams and users. Only those who are printed at the start can log in."""
    add_roles()
    password = make_password(PASSWORD)  # once: each hash is meant to take its time
    for member in CAST:
        user = User(
            username=member.username,
            email=f"{member.username}@narae.example",
            first_name=member.first_name,
            last_name=member.last_name,
            time_zone=member.time_zone,
            team=Team.objects.get_or_create(name=member.team)[0] if member.team else None,
            is_staff=member.role != REP,
        )
        user.password = password if member.logs_in else make_password(None)
        user.save()
        user.groups.add(Group.objects.get(name=member.role))


def cast_logins() -> list[DemoLogin]:
    """The logins that the demo comes with."""
    return [
        DemoLogin(f"{member.first_name} {member.last_name}", member.role, member.username, PASSWORD)
        for member in CAST
        if member.logs_in
    ]


def demo_logins() -> list[DemoLogin]:
    """The logins of the demo that still work: a changed password is nobody's business."""
    hashes = dict(User.objects.filter(is_active=True).values_list("username", "password"))
    return [
        login
        for login in cast_logins()
        if login.username in hashes and check_password(login.password, hashes[login.username])
    ]
