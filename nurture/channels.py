"""Ways out of the house: a channel takes a prepared message and says what became of it.

There is e-mail, through any of Django's e-mail backends. A further channel is one class with `open`, `send`, `close`.
"""

import contextlib
import re
import smtplib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anymail.exceptions import AnymailAPIError, AnymailRecipientsRefused
from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend

from nurture.delivery import Event
from nurture.mime import Mail, mailbox

ADDRESS_CODES = (550, 551, 553)
"""replies to a recipient which say that there is no such mailbox, unless an enhanced code says otherwise"""
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class Answer:
    """What became of handing a message over."""

    event: Event
    text: str = ""
    provider_id: str = ""


class UnreachableError(Exception):
    """Nobody takes messages now; nothing was handed over."""


class Channel(ABC):
    @abstractmethod
    def open(self) -> None:
        """Connect, or keep the connection there is. Raises `UnreachableError`."""

    @abstractmethod
    def send(self, mail: Mail, intend: Callable[[], bool], meanwhile: Callable[[], None]) -> Answer | None:
        """Hand one message over.

        `intend` commits the intent to; a channel calls it once, before the other side can have anything of the message,
        and where it says no, nothing is handed over and there is no answer. What it raises is raised. `meanwhile` is
        useful work for the time in which the other side thinks; a channel may call it once, or not.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection; never fails."""


class EmailChannel(Channel):
    """E-mail over one kept connection of the backend in the settings; opened again when it broke."""

    def __init__(self) -> None:
        self.backend: Any = get_connection()
        self.kept = False
        """the connection has served a message already"""

    def open(self) -> None:
        try:
            self.backend.open()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise UnreachableError(_words(error)) from error

    def send(self, mail: Mail, intend: Callable[[], bool], meanwhile: Callable[[], None]) -> Answer | None:
        intent = _Intent(intend)
        dialogue = getattr(self.backend, "connection", None)
        if isinstance(dialogue, _Dialogue):
            dialogue.begin(intent.commit, meanwhile)
        else:
            intent.commit()
        return self._send(mail, intent, meanwhile) if intent.agreed is not False else None

    def _send(self, mail: Mail, intent: "_Intent", meanwhile: Callable[[], None]) -> Answer | None:
        dialogue = getattr(self.backend, "connection", None)
        try:
            self.backend.send_messages([mail])
        except Exception as error:
            handed = dialogue.handed if isinstance(dialogue, _Dialogue) else True
            kept = self.kept
            if (
                not _answered(error) or getattr(dialogue, "sock", True) is None
            ):  # no socket: the server said 421
                self._drop()
            if intent.error:
                raise intent.error from None
            intent.commit()  # where the connection broke before it was asked for
            if not intent.agreed:
                return None
            if kept and not handed and _hung_up(error):
                return self._once_more(mail, intent, meanwhile)
            return judge(error, handed=handed)
        self.kept = True
        status = getattr(mail, "anymail_status", None)
        return Answer(Event.ACCEPTED, _last_reply(dialogue), (status and status.message_id) or "")

    def _once_more(self, mail: Mail, intent: "_Intent", meanwhile: Callable[[], None]) -> Answer | None:
        """Servers end a connection after so many messages, mostly without a word: the next one begins a new one."""
        try:
            self.open()
        except UnreachableError as error:
            return Answer(Event.REFUSED_FOR_NOW, str(error))
        self.backend.connection.begin(intent.commit, meanwhile)
        return self._send(mail, intent, meanwhile)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.backend.close()

    def _drop(self) -> None:
        """Forget a connection that is broken, without the farewell that would wait for an answer."""
        self.kept = False
        dialogue = getattr(self.backend, "connection", None)
        if isinstance(dialogue, smtplib.SMTP):
            self.backend.connection = None
            dialogue.close()
        else:
            self.close()


def judge(error: Exception, *, handed: bool) -> Answer:
    """What an exception of a backend means for the message. `handed`: the other side may have got all of it."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            code, reply = next(iter(refused.values()))
            text = f"{code} {_text(reply)}"
            if code < 500:
                return Answer(Event.REFUSED_FOR_NOW, text)
            return Answer(
                Event.ADDRESS_REFUSED if names_the_address(code, _text(reply)) else Event.REFUSED, text
            )
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=reply):
            return Answer(Event.REFUSED if code >= 500 else Event.REFUSED_FOR_NOW, f"{code} {_text(reply)}")
        case AnymailRecipientsRefused():
            return Answer(Event.ADDRESS_REFUSED, _words(error))
        case AnymailAPIError(status_code=int(code)) if 400 <= code < 500:
            return Answer(
                Event.REFUSED_FOR_NOW if code == TOO_MANY_REQUESTS else Event.REFUSED, _words(error)
            )
    return Answer(Event.NO_ANSWER if handed else Event.REFUSED_FOR_NOW, _words(error))


def names_the_address(code: int, reply: str) -> bool:
    """Whether a refusal of a recipient says that the mailbox does not exist, and not that we are unwelcome.

    An enhanced status code (RFC 3463) decides where there is one: 5.1.x is about the address.
    """
    if enhanced := re.match(r"5\.(\d{1,3})\.\d{1,3}\b", reply):
        return enhanced[1] == "1"
    return code in ADDRESS_CODES


class _Intent:
    """The intent to hand one message over: committed once, and what came of that."""

    def __init__(self, intend: Callable[[], bool]) -> None:
        self.intend = intend
        self.agreed: bool | None = None
        self.error: Exception | None = None

    def commit(self) -> bool:
        """Whether the message is still ours to hand over. Raises what committing raises."""
        if self.agreed is None:
            try:
                self.agreed = self.intend()
            except Exception as error:
                self.error = error
                raise
        return self.agreed


class _NotOursError(Exception):
    """Ends a dialogue whose message somebody else has taken in hand."""


class _Dialogue(smtplib.SMTP):
    """Knows whether the server may have all of a message, and uses the times in which it thinks.

    The intent is committed while the server thinks about the sender: it has nothing of the message yet.
    """

    handed = False
    """the server was ready for the message's content, so it may have got all of it"""
    last_reply = ""
    _sending_data = False
    _commit: Callable[[], bool] | None = None
    _meanwhile: Callable[[], None] | None = None

    def begin(self, commit: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
        self.handed = False
        self._commit, self._meanwhile = commit, meanwhile

    def data(self, msg: Any) -> tuple[int, bytes]:
        self._sending_data = True
        try:
            return super().data(msg)
        finally:
            self._sending_data = False

    def putcmd(self, cmd: str, args: str = "") -> None:
        super().putcmd(cmd, args)
        if self._commit and cmd == "mail":
            work, self._commit = self._commit, None
            if not work():
                raise _NotOursError

    def getreply(self) -> tuple[int, bytes]:
        if self._sending_data and self.handed and self._meanwhile:
            work, self._meanwhile = self._meanwhile, None
            work()
        code, reply = super().getreply()
        if self._sending_data:
            self.handed = self.handed or code == 354
            self.last_reply = f"{code} {_text(reply)}"
        return code, reply


class _SecureDialogue(_Dialogue, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class SmtpBackend(EmailBackend):
    """Django's SMTP backend, with dialogues that know how far they came."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SecureDialogue if self.use_ssl else _Dialogue

    def _send(self, email_message: Any) -> bool:
        """Our own mail is ready; Django would take its addresses apart once more, which takes 0.1 ms."""
        if not isinstance(email_message, Mail):
            return bool(super()._send(email_message))  # type: ignore[misc]
        content = email_message.message().as_bytes(linesep="\r\n")
        dialogue: Any = self.connection
        dialogue.sendmail(mailbox(email_message.from_email), email_message.to, content)
        return True


class FolderBackend(BaseEmailBackend):
    """Writes each message as a file into the data folder: for an installation without a mail server."""

    def send_messages(self, email_messages: Sequence[Any]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for mail in email_messages:
            name = re.sub(r"[^\w.-]", "", mail.extra_headers.get("Message-ID", "")) or "message"
            draft = folder / f"{name}.draft"
            draft.write_bytes(mail.message().as_bytes())
            draft.replace(folder / f"{name}.eml")
        return len(email_messages)


def _answered(error: Exception) -> bool:
    """Whether the server said what it did not like; the connection is in order then."""
    return isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused)


def _hung_up(error: Exception) -> bool:
    """Whether the connection was closed, and not merely silent."""
    return isinstance(error, smtplib.SMTPServerDisconnected) and not isinstance(
        error.__context__, TimeoutError
    )


def _last_reply(dialogue: Any) -> str:
    return dialogue.last_reply if isinstance(dialogue, _Dialogue) else ""


def _text(reply: Any) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
