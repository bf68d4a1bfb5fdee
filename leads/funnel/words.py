"""The funnel's figures in words: whole sentences, and no shares of a handful of people."""

from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.models import FunnelStep

from .figures import Funnel
from .periods import Period

ENOUGH = 20
"""people from whom on a share says something: of fewer, one more or less changes it by over five points"""

DAY, HOUR, MINUTE = 86_400, 3_600, 60


@dataclass(frozen=True)
class Change:
    words: str
    direction: str
    """`gain`, `loss`, or blank"""


def share_words(part: int, whole: int) -> str:
    """“62 %”; of few people “3 of 5”; blank of nobody."""
    if not whole:
        return ""
    if whole < ENOUGH:
        return _("%(part)s of %(whole)s") % {"part": part, "whole": whole}
    return percent_words(100 * part / whole)


def percent_words(percent: float) -> str:
    """Whole per cent; with a decimal below ten, where it matters, and where nearly all is not all."""
    if 0 < percent < 0.05:
        return _("under %(number)s %%") % {"number": number_format("0.1")}
    near_the_end = percent < 9.95 or 99.5 <= percent < 100
    decimals = 1 if near_the_end and round(percent, 1) != round(percent) else 0
    return _("%(number)s %%") % {
        "number": number_format(round(min(percent, 99.9) if percent < 100 else percent, decimals), decimals)
    }


def change_words(now: int, before: int) -> Change | None:
    """How many more or fewer than before, with its sign: in per cent, or in people while these are few."""
    if not now and not before:
        return None
    if now == before:
        return Change(_("as many"), "")
    sign, direction = ("+", "gain") if now > before else ("−", "loss")
    difference = abs(now - before)
    if min(now, before) < ENOUGH:
        words = ngettext("%(sign)s%(number)s person", "%(sign)s%(number)s people", difference)
        return Change(
            words % {"sign": sign, "number": number_format(difference, force_grouping=True)}, direction
        )
    return Change(sign + percent_words(100 * difference / before), direction)


def time_words(seconds: float | None) -> str:
    """A median in the largest unit that says it."""
    if seconds is None:
        return ""
    if seconds < MINUTE:
        return _("under 1 min")
    for unit, until, words in (
        (MINUTE, 90 * MINUTE, "min"),
        (HOUR, 48 * HOUR, "h"),
    ):
        if seconds < until:
            number = round(seconds / unit)
            return _("%d min") % number if words == "min" else _("%d h") % number
    number = round(seconds / DAY)
    return ngettext("%(number)d day", "%(number)d days", number) % {"number": number}


def period_words(period: Period, this_year: int | None = None) -> str:
    """“1 Aug – 22 Nov 2026”; without the year where it is `this_year`."""
    first, last = period.first, period.last
    year = first.year != last.year or first.year != this_year
    if first == last:
        return _day(first, with_year=year)
    twice = first.year != last.year
    leads = _("j M Y").startswith("Y")  # dates that begin with the year: of two days the first has it
    names = {
        "first": _day(first, with_year=year and (twice or leads)),
        "last": _day(last, with_year=year and (twice or not leads)),
    }
    return _("%(first)s – %(last)s") % names


def _day(day: date, *, with_year: bool) -> str:
    return date_format(day, _("j M Y") if with_year else _("j M"))


def reached_words(step: FunnelStep, first: date | None, last: date | None) -> str:
    """Whom a list shows that a figure leads to."""
    if first and last:
        names = {"step": step.label, "period": period_words(Period(first, last))}
        return _("Funnel: %(step)s, known %(period)s") % names
    return _("Funnel: %(step)s") % {"step": step.label}


DEFINITIONS: dict[FunnelStep, Promise] = {
    FunnelStep.CONTACT: gettext_lazy(
        "People who became known in this period: from then on an e-mail address, a phone number or an id names"
        " them. Visitors without a name and archived people are not counted; who was merged counts once."
    ),
    FunnelStep.RESPONDED: gettext_lazy(
        "Of these, the people who have done something themselves so far, such as opening a page or filling in a"
        " form. What you send or do does not count, nor what mail scanners do."
    ),
    FunnelStep.SCOREABLE: gettext_lazy(
        "People who responded and of whom enough is known to score them: an e-mail address or a phone number, and"
        " at least one of company, job title, department, seniority, occupation, country, region, city or an"
        " attribute of your own."
    ),
    FunnelStep.MQL: gettext_lazy(
        "People who have become MQL so far, even if their score has fallen since."
    ),
    FunnelStep.SQL: gettext_lazy(
        "People who have become SQL so far, even if their score has fallen since."
    ),
    FunnelStep.ACCEPTED: gettext_lazy(
        "People whom a rep has accepted so far. An acceptance that was taken back does not count."
    ),
    FunnelStep.WON: gettext_lazy("People with the outcome “won”. A win that was corrected does not count."),
}  # fmt: skip
"""what each step's figure counts"""


NARROWEST: dict[FunnelStep, Promise] = {
    FunnelStep.RESPONDED: gettext_lazy("It is narrowest at the start: %(share)s of the contacts have responded."),
    FunnelStep.SCOREABLE: gettext_lazy("It is narrowest at the data: %(share)s of those who responded can be scored."),
    FunnelStep.MQL: gettext_lazy("It is narrowest before MQL: %(share)s of the scoreable leads have got there."),
    FunnelStep.SQL: gettext_lazy("It is narrowest before SQL: %(share)s of the MQLs have got there."),
    FunnelStep.ACCEPTED: gettext_lazy("It is narrowest at the hand-off: sales accepted %(share)s of the SQLs."),
    FunnelStep.WON: gettext_lazy("It is narrowest at the end: %(share)s of the accepted leads are won."),
}  # fmt: skip


def finding(funnel: Funnel) -> str:
    """What the funnel shows, in a sentence or two; blank while there are too few people to say."""
    shares = {
        step: share
        for step in FunnelStep
        if step
        and funnel.steps[FunnelStep(step - 1)].now >= ENOUGH
        and (share := funnel.share(step)) is not None
    }
    if not shares:
        return ""
    narrowest = min(shares, key=lambda step: shares[step])
    names = {"share": percent_words(100 * shares[narrowest])}
    said = str(NARROWEST[narrowest]) % names
    if time := time_words(funnel.medians[narrowest]):
        said = _("%(finding)s Half of them took at most %(time)s.") % {"finding": said, "time": time}
    return said
