"""The door for what people allow and forbid by an act of their own, such as ticking a box on a form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from leads import sets
from leads.models import Consent

Key = tuple[int, str, str]
"""contact, purpose, channel"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no to being written to or called, for a purpose, through a channel."""

    granted: bool
    purpose: str = "marketing"
    channel: str = Consent.Channel.EMAIL

    @property
    def state(self) -> str:
        return (Consent.State.GRANTED if self.granted else Consent.State.DENIED).value


@dataclass(frozen=True, slots=True)
class Given:
    """An answer with who gave it, when, and the act that proves it."""

    contact: int
    answer: Answer
    proof: str
    at: datetime

    @property
    def key(self) -> Key:
        return (self.contact, self.answer.purpose, self.answer.channel)


def record_consents(given: Sequence[Given], *, overrules: bool) -> int:
    """Store the answers in the order of their time; returns how many were new.

    What was said already is not said again. Unless `overrules`, nobody who said no is made to have said yes: whoever
    holds a public key could say so for them. The caller has locked the contacts.
    """
    if not given:
        return 0
    said = _newest(sorted({one.contact for one in given}))
    rows: list[sets.Row] = []
    for one in sorted(given, key=lambda one: one.at):
        before = said.get(one.key)
        if before == one.answer.state or (before is not None and one.answer.granted and not overrules):
            continue
        said[one.key] = one.answer.state
        rows.append((*one.key, one.answer.state, one.proof[:500], one.at))
    sets.insert_rows(Consent, ["contact", "purpose", "channel", "state", "proof", "at"], rows)
    return len(rows)


def _newest(contacts: Sequence[int]) -> dict[Key, str]:
    return {
        (contact, purpose, channel): state
        for contact, purpose, channel, state in _newest_rows().run(contacts)
    }


@cache
def _newest_rows() -> sets.Prepared:
    rows = (
        Consent.objects.filter(contact__any=sets.GIVEN_LATER)
        .order_by("contact", "purpose", "channel", "-at", "-pk")
        .distinct("contact", "purpose", "channel")
    )
    return sets.Prepared.of(rows.values_list("contact_id", "purpose", "channel", "state"))
