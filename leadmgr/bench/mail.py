"""E-mails out of the queue over real SMTP, against a bare smtplib loop that sends the same bodies, written before."""

import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.base import analyse
from leadmgr.bench.memory import peak_mb
from leads.models import Contact
from nurture.mime import Mail
from nurture.models import Message, Template
from nurture.outbox import Recipient, queue_messages
from nurture.rendering import render
from nurture.sending import send_queued

ROUNDS = 11
PORTION = 1_000
"""messages of a round"""

PARAGRAPH = (
    '<tr><td align="left" style="font-size:0px;padding:10px 25px;word-break:break-word;">\n'
    '<div style="font-family:Ubuntu, Helvetica, Arial, sans-serif;font-size:13px;line-height:1.4;color:#1b1f24;">\n'
    "It has room for five, charges in twenty minutes and drives six hundred kilometres with one charge.\n"
    "</div></td></tr>\n"
)
"""as the usual tools for responsive mail write a paragraph"""
HTML = (
    "<html><body><h1>Your {{ contact.job_title | default: 'new' }} car</h1>\n"
    "<p>Hello {{ contact.first_name | default: 'there' }}, {{ company.name | default: 'your company' }} may know it:</p>\n"
    + PARAGRAPH
    * 30
    + '<p><a href="https://www.example.com/cars?c={{ contact.country | url_encode }}">Look at it</a>'
    ' <a href="https://www.example.com/drive">Drive it</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
    "</body></html>"
)
CONSENTS = """
INSERT INTO leads_consent (contact_id, purpose, channel, state, proof, at)
SELECT id, 'marketing', 'email', 'granted', '', created_at FROM leads_contact
WHERE NOT EXISTS (SELECT FROM leads_consent WHERE contact_id = leads_contact.id)
"""


def measure(size: Size, say: Say) -> Result:
    """Rounds of the floor and of the product in turn, of which the middle ratio is reported: the product waits for
    three processes where the floor waits for two, so whatever else the machine does slows it more."""
    with connection.cursor() as cursor:
        cursor.execute(CONSENTS)
    Message.objects.all().delete()
    analyse()
    template, _created = Template.objects.update_or_create(
        name="Bench", defaults={"subject": "A car, {{ contact.first_name }}", "html": HTML, "repeat_days": 0}
    )
    contacts = list(Contact.objects.known().exclude(email="").order_by("pk").values_list("pk", flat=True))
    portion = min(PORTION, len(contacts))
    floor_seconds, seconds, queueing = 0.0, 0.0, 0.0
    floors, ours = [], []
    with mail_server() as port:
        settings.EMAIL_BACKEND = "nurture.channels.SmtpBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        for number in range(-1, ROUNDS):
            begun = time.perf_counter()
            queue_messages(template.pk, [Recipient(pk) for pk in contacts[:portion]], timezone.now())
            queueing += time.perf_counter() - begun
            bodies = [
                _body(message)
                for message in Message.objects.filter(status="queued").select_related("version")
            ]
            floor = _floor(port, bodies)
            begun = time.perf_counter()
            sent = 0
            while sent < portion:
                accepted = send_queued()
                if not accepted:
                    raise RuntimeError(f"{sent} of {portion} messages were sent")
                sent += accepted
            product = time.perf_counter() - begun
            if number < 0:
                continue  # warms up both
            say(f"round {number + 1}: {portion / product:,.0f} messages/s, floor {portion / floor:,.0f}")
            floor_seconds, seconds = floor_seconds + floor, seconds + product
            floors.append(round(portion / floor, 1))
            ours.append(round(portion / product, 1))
    messages = ROUNDS * portion
    Message.objects.all().delete()
    value, bare = messages / seconds, messages / floor_seconds
    ratios = [own / other for own, other in zip(ours, floors, strict=True)]
    return Result(
        name="mail",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(value, 1),
        unit="messages/s over SMTP",
        floor=round(bare, 1),
        floor_unit="messages/s by bare smtplib",
        ratio=round(median(ratios), 4),
        rss_mb=peak_mb(),
        detail={
            "messages": messages,
            "bytes": len(bodies[0][1]),
            "rounds": ours,
            "floor_rounds": floors,
            "ratio_of_sums": round(value / bare, 4),
            "queued_per_s": round((ROUNDS + 1) * portion / queueing),
        },
    )


def _body(message: Message) -> tuple[str, bytes]:
    """A message as it is sent: its address and its bytes."""
    letter = render(message.version, message.values, message.pk, tracked=True)
    mail = Mail(
        letter,
        message_id=message.pk,
        address=message.address,
        purpose=message.version.purpose,
        date=timezone.now(),
    )
    return message.address, mail.message().as_bytes(linesep="\r\n")


def _floor(port: int, bodies: list[tuple[str, bytes]]) -> float:
    """Seconds for the same bodies, over one kept connection, without a database."""
    begun = time.perf_counter()
    with smtplib.SMTP("127.0.0.1", port) as server:
        for address, body in bodies:
            server.sendmail("no-reply@localhost", [address], body)
    return time.perf_counter() - begun


@contextmanager
def mail_server() -> Iterator[int]:
    """The sink, in a process of its own; yields its port."""
    command = [sys.executable, "-m", "leadmgr.bench.smtp_sink"]
    server: subprocess.Popen[Any] = subprocess.Popen(  # noqa: S603
        command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    )
    output: Any = server.stdout
    try:
        line = output.readline()
        if not line:
            raise RuntimeError("The mail server did not start; it needs aiosmtpd: pip install -e '.[test]'")
        yield int(line)
    finally:
        server.terminate()
        server.wait(10)
        output.close()
