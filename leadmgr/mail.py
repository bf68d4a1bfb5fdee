"""Reads the settings of outgoing mail from the environment; a bad value stops the start.

| variable | meaning | without it |
| --- | --- | --- |
| LEADMGR_MAIL_URL | the mail server: smtp://user:password@host:25, smtp+tls:// (STARTTLS) or smtps:// (TLS) | files in the data folder |
| LEADMGR_MAIL_FROM | the sender, such as "Hanbit Motors <news@hanbit.example>" | no-reply@ the host of LEADMGR_BASE_URL |
| LEADMGR_MAIL_PROVIDER | a provider that django-anymail knows, such as postmark, instead of a mail server | none |
| LEADMGR_MAIL_TIMEOUT | seconds that the mail server may be silent; a message without an answer by then is unknown | 20 |
| ANYMAIL_… | that provider's settings, such as ANYMAIL_POSTMARK_SERVER_TOKEN | |
| ANYMAIL_WEBHOOK_SECRET | "user:password" with which the provider's webhook calls; needed with a provider | |
"""  # noqa: E501

from collections.abc import Mapping
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

SCHEMES = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
"""scheme → usual port"""


def mail_settings(environment: Mapping[str, str], data_dir: Path, host: str) -> dict[str, Any]:
    """Django's and anymail's settings. Raises `ImproperlyConfigured`."""
    url, provider = environment.get("LEADMGR_MAIL_URL", ""), environment.get("LEADMGR_MAIL_PROVIDER", "")
    if url and provider:
        raise ImproperlyConfigured("Set LEADMGR_MAIL_URL or LEADMGR_MAIL_PROVIDER, not both.")
    found: dict[str, Any] = {
        "DEFAULT_FROM_EMAIL": _sender(environment.get("LEADMGR_MAIL_FROM", ""), host),
        "EMAIL_TIMEOUT": _seconds(environment.get("LEADMGR_MAIL_TIMEOUT", "20")),
        "EMAIL_FILE_PATH": str(data_dir / "outbox"),
        "MAIL_PROVIDER": provider,
        "ANYMAIL": {
            name.removeprefix("ANYMAIL_"): value
            for name, value in environment.items()
            if name.startswith("ANYMAIL_")
        },
    }
    if provider:
        return found | _provider(provider, found["ANYMAIL"])
    if url:
        return found | _server(url)
    return found | {"EMAIL_BACKEND": "nurture.channels.FolderBackend"}


def _sender(text: str, host: str) -> str:
    if not text:
        return f"leadmgr <no-reply@{host if '.' in host and not host[-1].isdigit() else 'localhost'}>"
    address = parseaddr(text)[1]
    if "@" not in address or not address.isascii() or any(sign in text for sign in "\r\n"):
        raise ImproperlyConfigured(
            f"LEADMGR_MAIL_FROM is {text!r}; it must be an address, such as Hanbit Motors <news@hanbit.example>"
        )
    return text


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 3600:
        raise ImproperlyConfigured(f"LEADMGR_MAIL_TIMEOUT is {text!r}; it must be a whole number of seconds")
    return int(text)


def _server(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in SCHEMES or not parts.hostname or port == 0:
        raise ImproperlyConfigured(
            "LEADMGR_MAIL_URL must look like smtp+tls://user:password@mail.example.com:587; "
            "the scheme is one of " + ", ".join(SCHEMES)
        )
    return {
        "EMAIL_BACKEND": "nurture.channels.SmtpBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port or SCHEMES[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
    }


def _provider(provider: str, anymail: Mapping[str, str]) -> dict[str, Any]:
    if not provider.isidentifier() or find_spec(f"anymail.backends.{provider}") is None:
        raise ImproperlyConfigured(
            f"LEADMGR_MAIL_PROVIDER is {provider!r}; it must be a provider of django-anymail, such as postmark"
        )
    if ":" not in anymail.get("WEBHOOK_SECRET", ""):
        raise ImproperlyConfigured(
            "LEADMGR_MAIL_PROVIDER needs ANYMAIL_WEBHOOK_SECRET, a random user:password, "
            "or anybody could report bounces of your contacts."
        )
    return {"EMAIL_BACKEND": f"anymail.backends.{provider}.EmailBackend"}
