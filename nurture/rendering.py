"""From a wording and its values to the e-mail that somebody reads. Pure: the same today and in a year."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nurture import links
from nurture.liquid import compiled
from nurture.models import TemplateVersion
from nurture.variables import UNSUBSCRIBE, as_tree

ANCHOR = re.compile(r"""(<a\b[^>]*?\bhref\s*=\s*)("([^"]*)"|'([^']*)')""", re.IGNORECASE)
ORIGIN = re.compile(r"https?://[^\s/?#\"'<>{}|\\()\[\]]+(?=[\s/?#\"'<>)\]]|$)", re.IGNORECASE)
URL = re.compile(r"https?://[^\s<>()\"']*[^\s<>()\"'.,;:!?]", re.IGNORECASE)
END_OF_BODY = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class Letter:
    """An e-mail as it is read."""

    subject: str
    html: str
    text: str
    links: tuple[str, ...]
    """the addresses that its links lead to, each once: a click names one by its place"""
    unsubscribe_url: str


def render(version: TemplateVersion, values: Mapping[str, Any], message_id: int, *, tracked: bool) -> Letter:
    """The e-mail of a wording with the values of a message.

    Tracked, as it is sent, its links lead through us and an image tells that it was opened; otherwise, as it is
    shown to colleagues, it does neither. Raises `liquid.exceptions.LiquidError`, which validation makes rare.
    """
    tree = as_tree(values)
    way_out = links.unsubscribe_url(message_id)
    tree[UNSUBSCRIBE] = way_out
    subject = " ".join(compiled(version.subject, html=False).render(**tree).split())
    written = compiled(version.html, html=True).render(**tree)
    text = compiled(version.text, html=False).render(**tree)
    found = _Links(_origins(version.html, version.text), message_id if tracked else None)
    written = ANCHOR.sub(found.lead_through_us, written)
    if tracked:
        text = URL.sub(found.lead_through_us_too, text)
        image = f'<img src="{links.open_url(message_id)}" width="1" height="1" alt="">'
        body_end = END_OF_BODY.search(written)
        place = body_end.start() if body_end else len(written)
        written = written[:place] + image + written[place:]
    return Letter(subject, written, text, tuple(found.targets), way_out)


class _Links:
    """The links of an e-mail that may lead through us.

    Only those to a place (scheme and host) that the wording itself names: a value of the contact, which anybody can
    fill in a form, must not make us redirect to a place of their choice.
    """

    def __init__(self, origins: frozenset[str], message_id: int | None) -> None:
        self.origins = origins
        self.message_id = message_id
        self.targets: list[str] = []
        self.through_us: dict[str, str] = {}
        """the signed addresses that stand for the targets"""

    def lead_through_us(self, found: re.Match[str]) -> str:
        target = html.unescape(found[3] if found[3] is not None else found[4]).strip()
        origin = ORIGIN.match(target)
        if not origin or origin[0].lower() not in self.origins:
            return found[0]
        if target not in self.targets:
            if self.message_id is not None:
                self.through_us[target] = links.click_url(self.message_id, len(self.targets))
            self.targets.append(target)
        return f'{found[1]}"{self.through_us[target]}"' if self.message_id is not None else found[0]

    def lead_through_us_too(self, found: re.Match[str]) -> str:
        """In the text: the links that the HTML has."""
        return self.through_us.get(found[0], found[0])


@lru_cache(maxsize=512)
def _origins(*sources: str) -> frozenset[str]:
    return frozenset(origin.lower() for source in sources for origin in ORIGIN.findall(source))
