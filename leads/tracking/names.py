"""Which kind an event name means: the names that marketers list for each kind, and its own."""

import re
import time
from dataclasses import dataclass, field

from leads.models import InteractionKind

KINDS_KEPT_SECONDS = 1.0


def kind_name(event: str) -> str:
    """An event name as kinds are compared: “Email Link Clicked” and “email_link_clicked” are one."""
    return re.sub(r"[\W_]+", "_", event.strip().lower()).strip("_")


@dataclass
class _Kinds:
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    loaded_at: float = float("-inf")


_kinds = _Kinds()


def known_kinds() -> dict[str, tuple[str, str]]:
    """Every name by which an event can mean a kind → the kind's slug and channel.

    Kept for a second: reading and comparing them anew is a tenth of what a batch of events costs.
    """
    now = time.monotonic()
    if now - _kinds.loaded_at > KINDS_KEPT_SECONDS:
        _kinds.names, _kinds.loaded_at = _load_kinds(), now
    return _kinds.names


def _load_kinds() -> dict[str, tuple[str, str]]:
    names: dict[str, tuple[str, str]] = {}
    listed: dict[str, tuple[str, str]] = {}
    for slug, channel, aliases in InteractionKind.objects.values_list("slug", "channel", "aliases"):
        for alias in aliases:
            names.setdefault(kind_name(alias), (slug, channel))
            listed.setdefault(alias, (slug, channel))
        names[kind_name(slug)] = (slug, channel)
    # “Email Sent” is listed for what a mailing does, though a rep's own mail is `email_sent`.
    return listed | names
