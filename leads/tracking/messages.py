"""Messages of the tracking specification as events. A wrong one is refused with its field and the remedy."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.consents import Answer
from leads.identity import Claim, IdentityError, anonymous_key, email_key, external_key
from leads.ingest import Event
from leads.models import CaptureKey, Consent
from leads.tracking.names import kind_name
from leads.tracking.traits import TraitError, Traits, read_company, read_traits

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(minutes=5)
"""a time this far ahead is a clock that runs fast, and counts as now"""
TARGET_LONGEST, KEYWORD_LONGEST, NAME_LONGEST = 500, 200, 100
VALUE_BELOW = Decimal("1e12")
SECONDS_BELOW = 2**31
TARGET_PROPERTIES = (
    "target", "path", "url", "form", "form_name", "formName", "form_id", "formId", "product", "product_id", "sku",
    "subject", "file", "title", "name", "label",
)  # fmt: skip
CONSENT_CATEGORIES = {
    "marketing": "email", **{f"marketing_{channel}": channel for channel in Consent.Channel.values}
}  # fmt: skip
CONSENT_KINDS = ("subscribed", "unsubscribed")
SENTIMENTS = {"negative": -1, "neutral": 0, "positive": 1}


class MessageError(ValueError):
    """The message cannot be stored; the text names the field and the remedy."""


@dataclass
class Reader:
    """What is needed to read the messages of one request."""

    key: CaptureKey
    received_at: datetime
    kinds: Mapping[str, tuple[str, str]]
    """event name, as a kind lists it or in `kind_name` form → slug and channel"""
    traits: Traits
    sent_at: Any = None
    """the batch's own, for messages that have none"""
    skews: dict[Any, timedelta] = field(default_factory=dict)

    def read(self, message: Any) -> Event:
        """The message as an event. Raises `MessageError`."""
        if not isinstance(message, dict):
            raise MessageError(_("must be an object"))
        type_ = message.get("type")
        try:
            match type_:
                case "track":
                    return self._track(message)
                case "page":
                    return self._view(message, "page_viewed")
                case "screen":
                    return self._view(message, "screen_viewed")
                case "identify":
                    return self._identify(message)
                case "group":
                    return self._group(message)
                case "alias":
                    return self._alias(message)
        except (IdentityError, TraitError) as error:
            raise MessageError(str(error)) from error
        raise MessageError(
            _("type: must be one of track, page, screen, identify, group, alias; it was “%(type)s”")
            % {"type": str(type_)[:40]}
        )

    def _track(self, message: dict[str, Any]) -> Event:
        name = message.get("event")
        if not isinstance(name, str) or not name.strip():
            raise MessageError(_("event: must be the name of what happened, such as “Form Submitted”"))
        kind = self.kinds.get(name) or self.kinds.get(kind_name(name))
        if kind is None:
            raise MessageError(
                _("event: there is no interaction kind “%(name)s”; add it, or add the name to a kind, in Admin ›"
                  " Interaction kinds") % {"name": name[:80]}
            )  # fmt: skip
        return self._event(message, *kind, properties=self._object(message, "properties"))

    def _view(self, message: dict[str, Any], slug: str) -> Event:
        properties = dict(self._object(message, "properties"))
        for key in ("name", "category"):
            if isinstance(message.get(key), str):
                properties.setdefault(key, message[key])
        return self._event(message, *self.kinds[slug], properties=properties)

    def _identify(self, message: dict[str, Any]) -> Event:
        traits = self._object(message, "traits")
        return self._event(message, *self.kinds["identified"], properties={}, traits=traits)

    def _group(self, message: dict[str, Any]) -> Event:
        group_id = self._id(message, "groupId")
        if not group_id:
            raise MessageError(_("groupId: must be the company's id"))
        event = self._event(message, *self.kinds["company_joined"], properties={})
        event.claim.company = read_company({**self._object(message, "traits"), "id": group_id})
        event.target = event.claim.company.name if event.claim.company else group_id
        return event

    def _alias(self, message: dict[str, Any]) -> Event:
        previous, user = self._id(message, "previousId"), self._id(message, "userId")
        if not previous or not user:
            raise MessageError(_("alias: needs previousId and userId"))
        return self._event({**message, "anonymousId": previous}, *self.kinds["identified"], properties={})

    def _event(
        self,
        message: dict[str, Any],
        kind: str,
        channel: str,
        *,
        properties: dict[str, Any],
        traits: dict[str, Any] | None = None,
    ) -> Event:
        context = self._object(message, "context")
        event = Event(
            kind=kind,
            claim=self._claim(message, context, traits),
            occurred_at=self._occurred_at(message),
            message_id=self._id(message, "messageId"),
            channel=channel,
            properties=properties,
        )
        if properties:
            self._read_properties(event, properties)
        campaign = context.get("campaign")
        if isinstance(campaign, dict):
            self._read_campaign(event, campaign)
        event.consents = _consents(event.kind, self._object(context, "consent"))
        if not event.target:
            page = context.get("page")
            if isinstance(page, dict) and isinstance(page.get("path"), str):
                event.target = page["path"][:TARGET_LONGEST]
        return event

    def _claim(
        self, message: dict[str, Any], context: dict[str, Any], traits: dict[str, Any] | None
    ) -> Claim:
        names = []
        user_id = self._id(message, "userId")
        if user_id:
            names.append(external_key(user_id, self.key.source.slug))
        anonymous_id = self._id(message, "anonymousId")
        cached = context.get("traits")
        known = traits if traits is not None else {}
        email = known.get("email") or (cached.get("email") if isinstance(cached, dict) else None)
        if email is not None and not isinstance(email, str):
            raise MessageError(_("traits.email: must be a text"))
        if email and email.strip():
            names.append(email_key(email))
        elif user_id and "@" in user_id:
            # Many sites use the address as the user's id.
            with suppress(IdentityError):
                names.append(email_key(user_id))
        if not names and not anonymous_id:
            raise MessageError(_("needs a userId, an anonymousId or traits.email"))
        claim = Claim(names=tuple(names), browser=anonymous_key(anonymous_id) if anonymous_id else None)
        if known:
            read_traits(known, claim, self.traits)
        return claim

    def _occurred_at(self, message: dict[str, Any]) -> datetime:
        """When it happened by our clock: the sender's clock is off by what `sentAt` was from its arrival."""
        stamp = message.get("originalTimestamp", message.get("timestamp"))
        if stamp is None:
            return self.received_at
        occurred = self._time(stamp, "timestamp")
        sent = message.get("sentAt", self.sent_at)
        if sent is not None:
            if sent not in self.skews:
                self.skews[sent] = self.received_at - self._time(sent, "sentAt")
            try:
                occurred += self.skews[sent]
            except OverflowError as error:
                raise MessageError(_("timestamp: lies outside of all time")) from error
        if occurred > self.received_at:
            if occurred > self.received_at + CLOCK_TOLERANCE:
                raise MessageError(
                    _("timestamp: “%(time)s” lies in the future; set the clock, or send sentAt so that it can be"
                      " corrected") % {"time": str(stamp)[:40]}
                )  # fmt: skip
            return self.received_at
        if occurred < EARLIEST:
            raise MessageError(
                _("timestamp: “%(time)s” lies before the year 2000; send the time it happened")
                % {"time": str(stamp)[:40]}
            )
        return occurred

    @staticmethod
    def _time(value: Any, name: str) -> datetime:
        try:
            time = datetime.fromisoformat(value)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        except (TypeError, ValueError) as error:
            raise MessageError(
                _("%(field)s: must be an ISO 8601 time such as 2026-11-22T15:20:00Z; it was “%(value)s”")
                % {"field": name, "value": str(value)[:40]}
            ) from error

    @staticmethod
    def _object(message: dict[str, Any], name: str) -> dict[str, Any]:
        value = message.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise MessageError(_("%(field)s: must be an object") % {"field": name})
        return value

    @staticmethod
    def _id(message: dict[str, Any], name: str) -> str:
        value = message.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise MessageError(_("%(field)s: must be a text or a whole number") % {"field": name})
        return str(value).strip()

    def _read_properties(self, event: Event, properties: dict[str, Any]) -> None:
        for name in TARGET_PROPERTIES:
            value = properties.get(name)
            if isinstance(value, str) and value:
                event.target = (urlsplit_path(value) if name == "url" else value)[:TARGET_LONGEST]
                break
        keyword = properties.get("keyword", properties.get("query", properties.get("search")))
        if isinstance(keyword, str):
            event.keyword = keyword[:KEYWORD_LONGEST]
        duration = properties.get("duration_s", properties.get("duration"))
        if duration is not None:
            if (
                isinstance(duration, bool)
                or not isinstance(duration, int | float)
                or not 0 <= duration < SECONDS_BELOW
            ):
                raise MessageError(_("properties.duration: must be seconds, a number from 0"))
            event.duration_s = int(duration)
        for name in ("value", "revenue", "total"):
            if properties.get(name) is not None:
                event.value = self._money(properties[name], name)
                break
        currency = properties.get("currency")
        if isinstance(currency, str) and re.fullmatch(r"[A-Za-z]{3}", currency):
            event.currency = currency.upper()
        sentiment = properties.get("sentiment")
        if isinstance(sentiment, str):
            event.sentiment = SENTIMENTS.get(sentiment.lower())
        elif isinstance(sentiment, int | float) and not isinstance(sentiment, bool):
            event.sentiment = (sentiment > 0) - (sentiment < 0)

    @staticmethod
    def _money(value: Any, name: str) -> Decimal:
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise InvalidOperation
            amount = Decimal(str(value))
            if not amount.is_finite() or abs(amount) >= VALUE_BELOW:
                raise InvalidOperation
        except InvalidOperation as error:
            raise MessageError(
                _("properties.%(field)s: must be an amount such as 19.90; it was “%(value)s”")
                % {"field": name, "value": str(value)[:40]}
            ) from error
        return amount.quantize(Decimal("0.01"))

    @staticmethod
    def _read_campaign(event: Event, campaign: dict[str, Any]) -> None:
        source, name, term = campaign.get("source"), campaign.get("name"), campaign.get("term")
        if isinstance(source, str) and (slug := slugify(source, allow_unicode=True)[:NAME_LONGEST]):
            event.source = (slug, source[:NAME_LONGEST])
        if isinstance(name, str) and (slug := slugify(name, allow_unicode=True)[:NAME_LONGEST]):
            event.campaign = (slug, name[:NAME_LONGEST])
        if isinstance(term, str) and not event.keyword:
            event.keyword = term[:KEYWORD_LONGEST]


def _consents(kind: str, consent: dict[str, Any]) -> tuple[Answer, ...]:
    """What the message allows or forbids: `context.consent.categoryPreferences` as the specification has it, where
    “marketing” means e-mail and “marketing_sms” another channel; other categories are about cookies.

    Subscribing and unsubscribing say it by themselves.
    """
    preferences = consent.get("categoryPreferences", {})
    if not isinstance(preferences, dict):
        raise MessageError(
            _("%(field)s: must be an object") % {"field": "context.consent.categoryPreferences"}
        )
    answers = {CONSENT_CATEGORIES["marketing"]: kind == "subscribed"} if kind in CONSENT_KINDS else {}
    for category, channel in CONSENT_CATEGORIES.items():
        if category in preferences:
            if not isinstance(preferences[category], bool):
                raise MessageError(
                    _("%(field)s: must be true or false")
                    % {"field": f"context.consent.categoryPreferences.{category}"}
                )
            answers[channel] = preferences[category]
    return tuple(Answer(granted, channel=channel) for channel, granted in answers.items())


def urlsplit_path(url: str) -> str:
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return url
