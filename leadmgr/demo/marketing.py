"""What the invented company does to be found: sources, campaigns and what they cost."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from leads.models import Campaign, CampaignCost, Source

COMPANY = "Narae Motors"
"""an invented maker of electric cars; its models are Narae 3, Narae 5 and Narae Van"""

KIND = Source.Kind


@dataclass(frozen=True)
class DemoSource:
    slug: str
    name: str
    kind: Source.Kind
    weight: int

    @property
    def pair(self) -> tuple[str, str]:
        return self.slug, self.name


SOURCES = (
    DemoSource("website", "Web site", KIND.WEBSITE, 26),
    DemoSource("google-search", "Google search", KIND.SEARCH, 18),
    DemoSource("naver-search", "Naver search", KIND.SEARCH, 14),
    DemoSource("google-ads", "Google Ads", KIND.AD, 9),
    DemoSource("kakao", "Kakao channel", KIND.SOCIAL, 8),
    DemoSource("linkedin", "LinkedIn", KIND.SOCIAL, 7),
    DemoSource("showroom", "Showroom", KIND.EVENT, 6),
    DemoSource("fleet-fair", "Fleet fair", KIND.EVENT, 3),
    DemoSource("referral", "Referral", KIND.REFERRAL, 5),
    DemoSource("carleads", "CarLeads content vendor", KIND.VENDOR, 4),
)


@dataclass(frozen=True)
class DemoCampaign:
    slug: str
    name: str
    source: tuple[str, str]
    days_ago: int
    days: int
    monthly_cost: int
    always_on: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        return self.slug, self.name


def _source(slug: str) -> tuple[str, str]:
    return next(source.pair for source in SOURCES if source.slug == slug)


CAMPAIGNS = (
    DemoCampaign("search-electric-car", "Search: electric car", _source("google-ads"), 548, 548, 4200, True),
    DemoCampaign("narae-5-launch", "Narae 5 launch", _source("linkedin"), 470, 60, 9000),
    DemoCampaign("seoul-ev-week", "Seoul EV week", _source("showroom"), 395, 12, 12000),
    DemoCampaign("fleet-goes-electric", "Your fleet goes electric", _source("linkedin"), 330, 75, 5200),
    DemoCampaign("winter-range", "How far in winter?", _source("kakao"), 290, 45, 2600),
    DemoCampaign("leipzig-fleet-fair", "Leipzig fleet fair", _source("fleet-fair"), 205, 10, 14000),
    DemoCampaign("drive-it-home", "Drive it home for a weekend", _source("naver-search"), 130, 60, 6100),
    DemoCampaign("narae-van-preview", "Narae Van preview", _source("carleads"), 48, 48, 7400),
)
SWING = 0.12  # how far the spending of a month strays from plan


def add_marketing(random: Random, now: datetime) -> None:
    """Store sources, campaigns, and their cost month by month."""
    sources = {
        source.slug: Source.objects.create(
            slug=source.slug, name=source.name, kind=source.kind, created_at=now - timedelta(days=560)
        )
        for source in SOURCES
    }
    costs = []
    for campaign in CAMPAIGNS:
        starts = (now - timedelta(days=campaign.days_ago)).date()
        ends = starts + timedelta(days=campaign.days)
        row = Campaign.objects.create(
            slug=campaign.slug,
            name=campaign.name,
            source=sources[campaign.source[0]],
            starts_on=starts,
            ends_on=None if campaign.always_on else ends,
            created_at=now - timedelta(days=campaign.days_ago + 10),
        )
        for day in _months(starts, min(ends, now.date())):
            amount = Decimal(round(campaign.monthly_cost * random.uniform(1 - SWING, 1 + SWING)))
            costs.append(CampaignCost(campaign=row, day=day, amount=amount, currency="USD"))
    CampaignCost.objects.bulk_create(costs)


def _months(first: date, last: date) -> list[date]:
    """The first day of the campaign, then the first of each month until it ends."""
    days = [first]
    month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    while month <= last:
        days.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return days
