"""The signed addresses in e-mails. A token names a message (and a link in it), and can neither be guessed nor altered.

Each purpose has a salt of its own, so the address of an image does not unsubscribe anybody.
"""

from django.conf import settings
from django.core.signing import BadSignature, Signer

OPEN, CLICK, UNSUBSCRIBE = "open", "click", "unsubscribe"


class ForeignTokenError(ValueError):
    """The token is not one of ours for this purpose, or it was tampered with."""


def open_url(message_id: int) -> str:
    return f"{settings.BASE_URL}/m/o/{_sign(OPEN, str(message_id))}.gif"


def click_url(message_id: int, link: int) -> str:
    return f"{settings.BASE_URL}/m/c/{_sign(CLICK, f'{message_id}-{link}')}"


def unsubscribe_url(message_id: int) -> str:
    return f"{settings.BASE_URL}/m/u/{_sign(UNSUBSCRIBE, str(message_id))}"


def read(purpose: str, token: str) -> list[int]:
    """The numbers in a token: the message's, and for a click the link's. Raises `ForeignTokenError`."""
    try:
        return [int(number) for number in _signer(purpose).unsign(token).split("-")]
    except (BadSignature, ValueError) as error:
        raise ForeignTokenError(purpose) from error


def _sign(purpose: str, value: str) -> str:
    return _signer(purpose).sign(value)


def _signer(purpose: str) -> Signer:
    return Signer(salt=f"nurture.mail.{purpose}", sep=".")
