"""A letter as the bytes that a mail server takes, with the headers of mail that a machine sends to many."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import cached_property, lru_cache

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from nurture.models import Template
from nurture.rendering import Letter

NOT_ASCII = bytes(range(128, 256))
LONGEST_LINE = 998  # RFC 5322, 2.1.1


@dataclass(frozen=True)
class _Ready:
    """What Django's backends ask of a message: its bytes."""

    content: bytes

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\n") -> bytes:
        return self.content if linesep == "\r\n" else self.content.replace(b"\r\n", b"\n")


class Mail(EmailMultiAlternatives):
    """A letter to one address: for providers' backends its parts, for SMTP its bytes.

    The bytes are put together here, in a tenth of the time that Python's `email` package takes, which would be the
    longest part of sending. `tests/test_mime.py` has that package read them.
    """

    def __init__(
        self, letter: Letter, *, message_id: int, address: str, purpose: str, date: datetime
    ) -> None:
        headers = {"Message-ID": message_id_header(message_id), "Auto-Submitted": "auto-generated"}
        if purpose != Template.Purpose.TRANSACTIONAL:
            headers |= {
                "Precedence": "bulk",
                "List-Unsubscribe": f"<{letter.unsubscribe_url}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
        super().__init__(letter.subject, letter.text, settings.DEFAULT_FROM_EMAIL, [address], headers=headers)
        self.attach_alternative(letter.html, "text/html")
        self.letter = letter
        self.date = date
        self.metadata = {"message": str(message_id)}  # providers give it back with their events

    def message(self) -> _Ready:  # type: ignore[override]
        return self._ready

    @cached_property
    def _ready(self) -> _Ready:
        boundary = self.extra_headers["Message-ID"].strip("<>").replace("@", ".")[:60]
        lines = [
            f"From: {_from_header(self.from_email)}",
            f"To: {self.to[0]}",
            f"Subject: {_header_text(self.letter.subject)}",
            f"Date: {format_datetime(self.date)}",
            *(f"{name}: {value}" for name, value in self.extra_headers.items()),
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
            "",
            "",
        ]
        for subtype, content in (("plain", self.letter.text), ("html", self.letter.html)):
            encoding, body = _encoded(content)
            lines += [
                f"--{boundary}",
                f'Content-Type: text/{subtype}; charset="utf-8"',
                f"Content-Transfer-Encoding: {encoding}",
                "",
                body,
            ]
        lines += [f"--{boundary}--", ""]
        return _Ready("\r\n".join(lines).encode("utf-8"))


@lru_cache(maxsize=16)
def mailbox(address: str) -> str:
    """The address without the name, as the dialogue with the server has it."""
    return parseaddr(address)[1]


def message_id_header(message_id: int) -> str:
    """Our own Message-ID: by it a bounce or a reply can be told to be of this message."""
    return f"<{message_id}.leadmgr@{mailbox(settings.DEFAULT_FROM_EMAIL).rpartition('@')[2]}>"


@lru_cache(maxsize=16)
def _from_header(address: str) -> str:
    return formataddr(parseaddr(address), charset="utf-8")


def _header_text(text: str) -> str:
    if text.isascii() and len(text) < 900:
        return text
    return Header(text, "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")


def _encoded(text: str) -> tuple[str, str]:
    """Content-Transfer-Encoding and body, with lines as the standard wants them."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if text.isascii() and all(len(line) <= LONGEST_LINE for line in lines):
        return "7bit", "\r\n".join(lines)
    content = "\r\n".join(lines).encode("utf-8")
    foreign = len(content) - len(content.translate(None, NOT_ASCII))
    if foreign * 6 > len(content):  # from a sixth on, base64 is shorter
        return "base64", base64.encodebytes(content).decode("ascii").replace("\n", "\r\n").rstrip()
    quoted = binascii.b2a_qp("\n".join(lines).encode("utf-8"), istext=True).decode("ascii")
    return "quoted-printable", re.sub(r"\r?\n", "\r\n", quoted)
