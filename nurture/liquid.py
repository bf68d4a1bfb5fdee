"""Liquid: which variables a template uses, and what is wrong with it, said when it is saved."""

import re
from functools import lru_cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from liquid import BoundTemplate, Environment, Mode
from liquid.exceptions import LiquidError

from nurture.variables import UNSUBSCRIBE, as_tree, known_names

if TYPE_CHECKING:
    from nurture.models import Template

LOOPS_AT_MOST = 1_000
BYTES_AT_MOST = 1_000_000
ASSIGNED_AT_MOST = 100_000
ROOTS = ("contact", "company", "owner", "attributes")


class _Environment(Environment):
    """Liquid runs no code by design; the limits stop what would never end. A template stands for itself."""

    loop_iteration_limit = LOOPS_AT_MOST
    output_stream_limit = BYTES_AT_MOST
    local_namespace_limit = ASSIGNED_AT_MOST

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for tag in ("include", "render", "extends", "block", "macro", "call"):
            self.tags.pop(tag, None)


_HTML = _Environment(tolerance=Mode.STRICT, autoescape=True)
_TEXT = _Environment(tolerance=Mode.STRICT)


@lru_cache(maxsize=512)
def compiled(source: str, *, html: bool) -> BoundTemplate:
    """A template ready to render; values are escaped in HTML. Raises `LiquidError` for wrong syntax."""
    return (_HTML if html else _TEXT).from_string(source)


def variables_of(*sources: str) -> list[str]:
    """The names that the sources take from outside, sorted; by analysis, so those of branches not taken too."""
    found: set[str] = set()
    for source in sources:
        found |= set(_paths(source))
    return sorted(found & known_names())


def template_problems(template: "Template") -> dict[str, list[str]]:
    """What is wrong with a template, in words, by the name of the field."""
    problems: dict[str, list[str]] = {}
    for field in ("subject", "html", "text"):
        source = getattr(template, field)
        if source and (found := _source_problems(source, html=field == "html")):
            problems[field] = found
    if "\n" in template.subject or "\r" in template.subject:
        problems.setdefault("subject", []).append(_("A subject is one line."))
    if not problems and template.purpose != template.Purpose.TRANSACTIONAL:
        for field in ("html", "text"):
            source = getattr(template, field)
            if source and UNSUBSCRIBE not in _paths(source):
                problems[field] = [
                    _(
                        "A marketing e-mail must let people unsubscribe: add a link to {{ unsubscribe_url }}, "
                        "or make the purpose transactional."
                    )
                ]
    return problems


def _source_problems(source: str, *, html: bool) -> list[str]:
    try:
        parsed = compiled(source, html=html)
        unknown = sorted(set(_paths(source)) - known_names())
    except LiquidError as error:
        return [_in_words(error)]
    problems = [_unknown_in_words(name) for name in unknown]
    if not problems:
        try:  # a filter can be wrong in a way that only its use shows
            parsed.render(**as_tree({}), **{UNSUBSCRIBE: "https://example.com/"})
        except LiquidError as error:
            problems.append(_in_words(error))
    return problems


def _unknown_in_words(name: str) -> str:
    root = name.partition(".")[0]
    if root == "attributes":
        return _(
            "“%(name)s” is not declared; add it in Admin › Attributes, or correct it. "
            "Where some contacts have none, write {{ %(name)s | default: \"…\" }}."
        ) % {"name": name}  # fmt: skip
    return _(
        "“%(name)s” is unknown; write contact.…, company.…, owner.… or attributes.…, such as contact.first_name."
    ) % {"name": name}


def _in_words(error: LiquidError) -> str:
    place = error.context()
    if place is None:
        return _("Liquid cannot read it: %(error)s") % {"error": error.message}
    return _("Line %(line)d, Liquid cannot read it: %(error)s") % {"line": place[0], "error": error.message}


@lru_cache(maxsize=512)
def _paths(source: str) -> tuple[str, ...]:
    """The variables of a source as they are written, `contact.first_name`; `.size` of one is the one."""
    names = set()
    for found in compiled(source, html=False).analyze().globals.values():
        for variable in found:
            segments = list(variable.segments)
            if len(segments) == 3 and segments[2] == "size":
                segments.pop()
            names.add(".".join(str(segment) for segment in segments))
    return tuple(sorted(names))


class _TextOf(HTMLParser):
    """Plain text of HTML: paragraphs apart, list items with a dash, the address behind a link's words."""

    BLOCKS = frozenset(
        (
            "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "tr", "blockquote", "section",
            "header", "footer", "hr", "pre",
        )
    )  # fmt: skip
    SILENT = frozenset(("style", "script", "head", "title"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.links: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.SILENT:
            self.silent += 1
        elif tag in self.BLOCKS:
            self.parts.append("\n\n")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        elif tag == "img" and (words := dict(attrs).get("alt")):
            self.parts.append(words)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag in self.BLOCKS:
            self.parts.append("\n\n")
        elif tag == "a" and self.links:
            address = self.links.pop()
            if address and not address.startswith(("#", "mailto:")):
                self.parts.append(f" ({address})")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(re.sub(r"\s+", " ", data))

    def text(self) -> str:
        lines = [line.strip() for line in "".join(self.parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def text_of(html: str) -> str:
    """The text of an HTML template, with its Liquid left as it is."""
    kept: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\ue000{len(kept) - 1}\ue001"

    parser = _TextOf()
    parser.feed(LIQUID.sub(put_aside, html))
    parser.close()
    return re.sub("\ue000(\\d+)\ue001", lambda found: kept[int(found[1])], parser.text())


def rendered(source: str, values: dict[str, Any], *, html: bool) -> str:
    return compiled(source, html=html).render(**values)
