"""Whether a person opened and clicked, or a scanner did: a pure decision, with the clock as an argument.

Mail gateways fetch every link of a mail before they deliver it, and some mail programs load all images through a
proxy, whether somebody reads or not. What they do is kept and marked, but does not score.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from nurture.models import MessageEvent

Kind, Judgement = MessageEvent.Kind, MessageEvent.Judgement

TOO_SOON = timedelta(seconds=2)
"""after sending: nobody has read it by then"""
TOGETHER = timedelta(seconds=5)
"""links all followed within so long were followed by a program; clicks are not judged earlier"""

SCANNERS = re.compile(
    r"bot\b|crawl|spider|scan|preview|prefetch|monitor|headless|phantomjs|barracuda|proofpoint|mimecast|fortimail"
    r"|symantec|messagelabs|trendmicro|sophos|forcepoint|fireeye|cisco|ironport|zscaler|cloudmark|vade|safelinks"
    r"|microsoft office|ms-office|outlook-link|facebookexternalhit|slack|telegram|whatsapp|skypeuripreview"
    r"|python|curl|wget|libwww|java/|okhttp|go-http-client|ruby|perl|php|axios|node-fetch|httpclient|nutch",
    re.IGNORECASE,
)
"""what security gateways, link previews and programs call themselves"""
PROXIES = re.compile(r"Mozilla/5\.0$")
"""Apple's Mail Privacy Protection loads every image under this bare name, read or not. The proxies of Gmail and Yahoo
fetch an image when somebody opens the mail, so their opens count."""


@dataclass(frozen=True)
class Heard:
    """An opening or a click, as far as it matters here."""

    kind: str
    at: datetime
    link: int | None = None
    agent: str = ""
    head: bool = False


def judge(
    event: Heard, *, sent_at: datetime | None, links: int, clicks: Iterable[Heard], now: datetime
) -> "MessageEvent.Judgement | None":
    """Who did it; None while it is too early to tell.

    `links` is the number of links in the mail, `clicks` are all clicks on it that are known, this one among them.
    """
    if event.head:
        return Judgement.HEAD
    agent = event.agent.strip()
    if not agent or SCANNERS.search(agent) or (event.kind == Kind.OPENED and PROXIES.match(agent)):
        return Judgement.AGENT
    if sent_at and event.at - sent_at < TOO_SOON:
        return Judgement.TOO_SOON
    if event.kind == Kind.CLICKED and links > 1:
        if _every_link(event, links, clicks):
            return Judgement.EVERY_LINK
        if now < event.at + TOGETHER:
            return None
    return Judgement.PERSON


def _every_link(event: Heard, links: int, clicks: Iterable[Heard]) -> bool:
    """Whether all links were followed within some span of `TOGETHER` that holds this click."""
    near = sorted(
        (click for click in clicks if abs(click.at - event.at) <= TOGETHER and not click.head),
        key=lambda click: click.at,
    )
    for first in near:
        span = {click.link for click in near if first.at <= click.at <= first.at + TOGETHER}
        if first.at <= event.at <= first.at + TOGETHER and len(span) >= links:
            return True
    return False
