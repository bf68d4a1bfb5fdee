"""The workflows and e-mails that an installation starts with: one for each stage of the way to the test drive.

They are a car dealer's; marketers change them, or write their own. Links lead to `SITE` until then.
"""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from leads.models import Attribute, Stage
from nurture.models import Step, Template, Track, Workflow

TRACK = "Nurture"
SITE = "https://www.example.com"
MODEL = "model"
"""the attribute with the model that a lead asked about"""
DAY = 24 * 60


@dataclass(frozen=True)
class Mail:
    name: str
    subject: str
    paragraphs: tuple[str, ...]
    link: tuple[str, str]
    """its words, and where on the site it leads"""

    @property
    def html(self) -> str:
        words, path = self.link
        paragraphs = [
            'Hello {{ contact.first_name | default: "there" }},',
            *self.paragraphs,
            f'<a href="{SITE}{path}">{words}</a>',
            '{{ owner.name | default: "Your team at the showroom" }}',
        ]
        body = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        return f'{body}\n<p><small><a href="{{{{ unsubscribe_url }}}}">No more such e-mails</a></small></p>\n'


@dataclass(frozen=True)
class Does:
    """A step; `next` and `otherwise` are positions."""

    kind: str
    mail: Mail | None = None
    minutes: int | None = None
    condition: dict[str, Any] = field(default_factory=dict)
    next: int | None = None
    otherwise: int | None = None


def send(mail: Mail) -> Does:
    return Does("send_email", mail=mail)


def wait(days: int, next: int | None = None) -> Does:  # noqa: A002 (as the column)
    return Does("wait", minutes=days * DAY, next=next)


def branch(kind: str, within_days: int, otherwise: int | None = None) -> Does:
    """Whether they did something lately, at least once."""
    condition = {"count": {"kind": kind, "within_days": within_days}, "op": "at_least", "value": 1}
    return Does("branch", condition=condition, otherwise=otherwise)


END = Does("end")

YOUR_MODEL = Mail(
    "Your model",
    'Your {{ attributes.model | default: "next car" }}',
    (
        'you asked about the {{ attributes.model | default: "cars that we build" }}. Here is what people want to '
        "know first: how far it goes, how long it charges, and what fits into the boot.",
    ),
    ("See what it can do", "/models"),
)  # fmt: skip
COSTS = Mail(
    "What it costs, what it saves",
    "What it costs, and what it saves",
    (
        "a car costs more than its price. We have put together what people"
        '{% if contact.city %} in {{ contact.city }}{% endif %} pay for electricity, tax and service in a year, beside '
        "what they paid for petrol.",
    ),
    ("Work it out for yourself", "/costs"),
)  # fmt: skip
STILL_LOOKING = Mail(
    "Still looking?",
    "Still looking?",
    ("choosing a car takes time, and that is fine. These are the three questions that helped others most.",),
    ("Read the three questions", "/guide"),
)
COME_BY = Mail(
    "Come by",
    "There is a car waiting for you to sit in",
    (
        'the {{ attributes.model | default: "whole range" }} stands in our showroom. Come by without an appointment; '
        "there is coffee, and nobody will push you.",
    ),
    ("How to find us", "/directions"),
)  # fmt: skip
DRIVE_IT = Mail(
    "See it, drive it",
    'See the {{ attributes.model | default: "car" }}, drive it',
    (
        "you have looked at it from all sides. What no page can show is how it drives. Half an hour is enough, and "
        "you need nothing but your licence.",
    ),
    ("Choose a time", "/test-drive"),
)  # fmt: skip
YOUR_WAY = Mail(
    "Your way to us",
    "Your way to us",
    ("here is where we are, where you can park and charge, and when it is quiet.",),
    ("Open the map", "/directions"),
)
WEEKEND = Mail(
    "Drive it home for a weekend",
    "Drive it home for a weekend",
    (
        "half an hour tells you how a car drives. A weekend tells you whether it fits your life. Take one home from "
        "Friday to Monday; it costs you nothing.",
    ),
    ("Ask for a weekend", "/weekend"),
)  # fmt: skip
ADVISER = Mail(
    "Who will call you",
    '{{ owner.first_name | default: "We" }} will call you',
    (
        'thank you for your interest{% if company.name %}, also on behalf of {{ company.name }}{% endif %}. '
        '{{ owner.name | default: "One of us" }} will call you within the next hours to find a time for your test '
        "drive.",
    ),
    ("Choose a time yourself", "/test-drive"),
)  # fmt: skip
TIME = Mail(
    "A time that suits you",
    "A time that suits you",
    ("we have not found each other yet. Tell us when it suits you, in the evening or on Saturday too.",),
    ("Choose a time", "/test-drive"),
)
WELCOME = Mail(
    "Welcome",
    'Welcome, {{ contact.first_name | default: "and good driving" }}',
    (
        "thank you for choosing us. These are the five things that new drivers are glad to know in the first week.",
    ),
    ("The first week", "/first-week"),
)
FIRST_MONTH = Mail(
    "The first month",
    'How is your {{ attributes.model | default: "car" }}?',
    ("a month has passed. If anything is not as you thought it would be, tell us: we read every answer.",),
    ("Tell us how it is", "/feedback"),
)


@dataclass(frozen=True)
class Starter:
    name: str
    stage: Stage
    steps: tuple[Does, ...]


WORKFLOWS = (
    Starter(
        "Keep warm",
        Stage.COLD,
        (
            send(YOUR_MODEL),
            wait(3),
            branch("message_clicked", 30, otherwise=6),
            send(COSTS),
            wait(7, next=8),
            wait(4),
            send(STILL_LOOKING),
            wait(14),
            send(COME_BY),
            END,
        ),
    ),
    Starter(
        "See it, drive it",
        Stage.MQL,
        (
            send(DRIVE_IT),
            wait(2),
            branch("directions_viewed", 14, otherwise=6),
            send(YOUR_WAY),
            END,
            wait(5),
            send(WEEKEND),
            END,
        ),
    ),
    Starter(
        "Book a test drive",
        Stage.SQL,
        (
            send(ADVISER),
            wait(1),
            branch("meeting_held", 30, otherwise=5),
            END,
            send(TIME),
            END,
        ),
    ),
    Starter("Welcome", Stage.CUSTOMER, (send(WELCOME), wait(30), send(FIRST_MONTH), END)),
)


@transaction.atomic
def add_starter_workflows(*, steps: bool = True) -> None:
    """Add the starter's workflows, with what they do, unless there is any workflow."""
    if Workflow.objects.exists():
        return
    Attribute.objects.get_or_create(key=MODEL, defaults={"label": "Model of interest"})
    track, _created = Track.objects.get_or_create(name=TRACK)
    for order, starter in enumerate(WORKFLOWS, 1):
        Workflow.objects.create(name=starter.name, track=track, stages=[starter.stage.value], order=order)
    if steps:
        add_starter_steps()


@transaction.atomic
def add_starter_steps() -> None:
    """Add what the starter's workflows do, with their e-mails, to those that do nothing yet."""
    wanted = {starter.name: starter.steps for starter in WORKFLOWS}
    for workflow in Workflow.objects.filter(name__in=wanted, steps=None):
        _add_steps(workflow, wanted[workflow.name])


def _add_steps(workflow: Workflow, wanted: tuple[Does, ...]) -> None:
    steps = [
        Step(
            workflow=workflow,
            position=position,
            kind=does.kind,
            template=_template(does.mail) if does.mail else None,
            wait_minutes=does.minutes,
            condition=does.condition,
        )
        for position, does in enumerate(wanted, 1)
    ]
    for step in steps:
        _save(step)
    for step, does in zip(steps, wanted, strict=True):
        step.next = steps[does.next - 1] if does.next else None
        step.otherwise = steps[does.otherwise - 1] if does.otherwise else None
        if step.next or step.otherwise:
            _save(step)


def _template(mail: Mail) -> Template:
    template = Template.objects.filter(name=mail.name).first()
    if template is None:
        template = Template(name=mail.name, subject=mail.subject, html=mail.html)
        _save(template)
    return template


def _save(row: Step | Template) -> None:
    """Save through the checks that the admin makes."""
    row.full_clean()
    row.save()
