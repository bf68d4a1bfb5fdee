"""Sending processes die at fifty random points, and the mail server misbehaves: nobody gets a message twice.

The workers are the product's own, the server speaks real SMTP, and a kill is a SIGKILL. What did not arrive is what the
database says may not have arrived: at most one message for each killed process, and those whose connection ended before
the server's answer.
"""

import random
import time
from collections import Counter

import pytest
from django.db.models import Count
from django.utils import timezone

from leads import sets
from leads.models import Consent, Contact
from nurture.models import Message, Template
from nurture.models.messages import IN_HAND, WAITING
from nurture.outbox import Recipient, queue_messages
from tests.processes import wait_until
from tests.sender_process import SenderProcesses
from tests.smtp_server import ACCEPT, DATA, DROP, RCPT, STALL, TAKE_AND_DROP, SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 50
CONTACTS = 6_000
"""more than there is time for"""
PORTION = 200
"""queued at a time: about what one process claims"""
SENDERS = 2
"""processes at a time"""
PACE = 0.003
"""seconds that the server takes for a message, so that kills hit messages under way and not only Python's start"""

Status = Message.Status


class Moody:
    """Answers as real servers do on a bad day: mostly well, now and then not."""

    MOODS = {
        RCPT: (("451 4.7.1 greylisted", 0.01), ("550 5.1.1 no such user", 0.005), (DROP, 0.005)),
        DATA: (
            ("452 4.3.1 busy", 0.01), ("554 5.6.0 content refused", 0.005), (DROP, 0.004), (TAKE_AND_DROP, 0.005),
        ),
    }  # fmt: skip
    STALLS = {RCPT: (200, 500), DATA: (100, 400)}
    """at these numbers of a stage's questions it falls silent: each costs the time of a time-out"""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.asked: Counter[str] = Counter()
        self.said: Counter[str] = Counter()

    def __call__(self, stage: str, recipient: str) -> str:
        # Waits for nothing: it is the server's pace.
        time.sleep(PACE if stage == DATA else 0)
        wish = self._mood(stage)
        self.said[wish] += 1
        return wish

    def _mood(self, stage: str) -> str:
        self.asked[stage] += 1
        if self.asked[stage] in self.STALLS[stage]:
            return STALL
        draw = self.chance.random()
        for wish, share in self.MOODS[stage]:
            if draw < share:
                return wish
            draw -= share
        return ACCEPT


@pytest.fixture
def everybody(db) -> list[int]:
    """People who agreed."""
    contacts = sets.allocate_ids(Contact, CONTACTS)
    Contact.objects.bulk_create(
        [
            Contact(pk=pk, first_name="Lead", email=f"lead{pk}@x.example", known_at=timezone.now())
            for pk in contacts
        ]
    )
    Consent.objects.bulk_create([Consent(contact_id=pk, channel="email", state="granted") for pk in contacts])
    return contacts


@pytest.fixture
def template(db) -> Template:
    return Template.objects.create(
        name="The car",
        subject="For {{ contact.first_name }}",
        html='<p>Hello <a href="https://dealer.example/">Look</a> <a href="{{ unsubscribe_url }}">No</a></p>',
    )


def test_after_fifty_kills_nobody_got_a_message_twice(installation, template, everybody):
    chance = random.Random(20261122)
    moods = Moody(7)
    waiting = list(everybody)

    def feed() -> None:
        if Message.objects.filter(status=Status.QUEUED).count() < PORTION and waiting:
            portion = [Recipient(waiting.pop()) for _ in range(min(PORTION, len(waiting)))]
            queue_messages(template.pk, portion, timezone.now())

    with SmtpServer(moods, stall_seconds=3) as server, SenderProcesses(installation, server.url) as processes:
        feed()
        senders = [processes.start() for _ in range(SENDERS)]
        for kill in range(KILLS):
            goal = len(server.received) + 1 + chance.randrange(30)

            def came_so_far(goal: int = goal) -> bool:
                feed()
                return len(server.received) >= goal

            wait_until(came_so_far, 30, "sending", processes.output)
            # Waits for nothing: the point within a message is to be random.
            time.sleep(chance.uniform(0, 2 * PACE))
            processes.kill(senders[kill % SENDERS])
            handed_over = (
                Message.objects.filter(status=Status.SENDING).values("sender").annotate(n=Count("pk"))
            )
            assert {row["n"] for row in handed_over} <= {1}  # a process, dead or alive, has begun one at most
            senders[kill % SENDERS] = processes.start()
        assert waiting, "there was not work enough for all kills"

        def all_settled() -> bool:
            """What was put off is due at once."""
            Message.objects.filter(status=Status.DEFERRED).update(due_at=timezone.now())
            return not Message.objects.filter(status__in=(*WAITING, *IN_HAND)).exists()

        wait_until(all_settled, 60, "sending the rest", processes.output)

    arrived = Counter(one.to for one in server.received)
    assert max(arrived.values()) == 1  # nobody got two
    became: dict[str, set[str]] = {}
    for address, status in Message.objects.values_list("address", "status"):
        became.setdefault(status, set()).add(address)
    refused = became.pop(Status.FAILED, set()) | became.pop(Status.BOUNCED, set())
    sent, unknown = became.pop(Status.SENT), became.pop(Status.UNKNOWN)
    assert not became
    assert sent <= set(arrived)
    assert not refused & set(arrived)
    queued = {f"lead{pk}@x.example" for pk in set(everybody) - set(waiting)}
    assert queued - set(arrived) - refused <= unknown  # what is missing is marked
    # A connection that ended before the answer leaves its reason, a killed process leaves none.
    by_kill = Message.objects.filter(status=Status.UNKNOWN, answer="").count()
    assert 0 < by_kill <= KILLS
    assert len(unknown) > by_kill
    assert all(moods.said[wish] for wish in (DROP, TAKE_AND_DROP, STALL)), moods.said
