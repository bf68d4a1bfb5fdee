"""Companies and contacts."""

from typing import Self

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db import models
from django.db.models import ExpressionWrapper, OuterRef, Q, Subquery
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .capture import Campaign, Source
from .users import Sight, User, written_name


class Stage(models.TextChoices):
    """Where a contact stands in the funnel; the first three are the temperature stages that scores decide."""

    COLD = "cold", _("Cold")
    MQL = "mql", _("MQL")
    SQL = "sql", _("SQL")
    CUSTOMER = "customer", _("Customer")
    DISQUALIFIED = "disqualified", _("Disqualified")


TEMPERATURES = (Stage.COLD, Stage.MQL, Stage.SQL)


class Outcome(models.TextChoices):
    """How the selling ended; blank while it is open."""

    WON = "won", _("Won")
    LOST = "lost", _("Lost")


class Attribute(models.Model):
    """A declared key of `Contact.attributes`, so that its type can be enforced at every door."""

    class Type(models.TextChoices):
        TEXT = "text", _("Text")
        NUMBER = "number", _("Number")
        BOOLEAN = "boolean", _("Yes or no")
        DATE = "date", _("Date")

    key = models.CharField(_("key"), max_length=200, unique=True)
    label = models.CharField(_("label"), max_length=200, blank=True)
    type = models.CharField(_("type"), max_length=8, choices=Type, default=Type.TEXT)

    class Meta:
        verbose_name = _("attribute")
        verbose_name_plural = _("attributes")
        ordering = ["key"]

    def __str__(self) -> str:
        return self.label or self.key


class Company(models.Model):
    name = models.CharField(_("name"), max_length=200)
    domain = models.CharField(_("domain"), max_length=253, blank=True)
    external_id = models.CharField(_("id in its source"), max_length=200, blank=True)
    source = models.ForeignKey(
        Source, verbose_name=_("source"), null=True, blank=True, on_delete=models.SET_NULL
    )
    industry = models.CharField(_("industry"), max_length=100, blank=True)
    type = models.CharField(_("type"), max_length=100, blank=True)
    employees = models.PositiveIntegerField(_("employees"), null=True, blank=True)
    revenue = models.DecimalField(_("yearly revenue"), max_digits=16, decimal_places=2, null=True, blank=True)
    country = models.CharField(_("country"), max_length=100, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ["name"]
        constraints = [
            # One company per domain, and one per id of a source: what `resolve_companies` relies on.
            models.UniqueConstraint(fields=["domain"], condition=~Q(domain=""), name="company_domain_once"),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=~Q(external_id=""),
                name="company_external_id_once",
            ),
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="company_by_name"),  # the company list
            models.Index(Lower("name"), name="company_by_lower_name"),  # `resolve_companies`
        ]

    def __str__(self) -> str:
        return self.name


class ContactQuerySet(models.QuerySet["Contact"]):
    def known(self) -> Self:
        """People with a name of their own (e-mail, phone or id), neither merged away nor archived.

        Leaves out anonymous visitors: they are scored, so that nothing is lost when they make themselves
        known, but no list or figure counts them.
        """
        return self.filter(known_at__isnull=False, merged_into__isnull=True, archived_at__isnull=True)

    def visible_to(self, user: User) -> Self:
        """All contacts for people with `leads.view_all_contacts`; for a rep the team's and the unowned ones."""
        return self.within(user.sight)

    def within(self, sight: Sight) -> Self:
        """As `visible_to`, from the little that it reads of a user."""
        return self.filter(sight.sees())

    def search(self, text: str) -> Self:
        """People whose name, company, e-mail, phone or id holds words that begin with those of `text`."""
        return self.filter(pk__in=ContactSearch.objects.matching(text).values("contact_id"))

    def search_along(self, text: str) -> Self:
        """The same for a word that many have, where a few are read in the order of an index: the planner is to look at
        the words of one person after the other, and not to find everybody first."""
        query = ContactSearch.query_of(text)
        if query is None:
            return self.none()
        matches = ExpressionWrapper(Q(document=query), models.BooleanField())
        of_contact = ContactSearch.objects.filter(contact=OuterRef("pk")).values_list(matches)
        return self.filter(Subquery(of_contact))


class Contact(models.Model):
    """A person, or a visitor who has not yet said who they are (`known_at` is null)."""

    first_name = models.CharField(_("first name"), max_length=100, blank=True)
    last_name = models.CharField(_("last name"), max_length=100, blank=True)
    email = models.CharField(_("e-mail"), max_length=254, blank=True)
    phone = models.CharField(_("phone"), max_length=50, blank=True)
    job_title = models.CharField(_("job title"), max_length=150, blank=True)
    department = models.CharField(_("department"), max_length=100, blank=True)
    seniority = models.CharField(_("seniority"), max_length=50, blank=True)
    occupation = models.CharField(_("occupation"), max_length=150, blank=True)
    country = models.CharField(_("country"), max_length=100, blank=True)
    region = models.CharField(_("region"), max_length=100, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    language = models.CharField(_("language"), max_length=20, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    attributes = models.JSONField(_("attributes"), default=dict, blank=True)
    company = models.ForeignKey(
        Company,
        verbose_name=_("company"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,  # people outlive the record of their employer
        related_name="contacts",
    )
    owner = models.ForeignKey(
        User,
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,  # leads of a rep who leaves go back to the queue
        related_name="owned_contacts",
    )
    source = models.ForeignKey(
        Source,
        verbose_name=_("first source"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,  # KPIs by source would change in hindsight
        db_index=False,
    )
    campaign = models.ForeignKey(
        Campaign,
        verbose_name=_("first campaign"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,  # as with source
        db_index=False,
    )

    stage = models.CharField(_("stage"), max_length=12, choices=Stage, default=Stage.COLD, editable=False)
    stage_at = models.DateTimeField(_("in this stage since"), default=timezone.now, editable=False)
    score = models.SmallIntegerField(_("score"), default=0, editable=False)
    scored_at = models.DateTimeField(_("scored"), null=True, editable=False)
    rise = models.SmallIntegerField(
        _("points gained in 7 days"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("By what happened, without mere fading; `scoring` keeps it."),
    )
    last_active_at = models.DateTimeField(_("last active"), null=True, editable=False)
    queued_at = models.DateTimeField(
        _("waits for sales since"),
        null=True,
        editable=False,
        help_text=_("Null unless a rep is to decide; its hand-off has the details."),
    )
    outcome = models.CharField(_("outcome"), max_length=4, choices=Outcome, blank=True)
    outcome_at = models.DateTimeField(_("outcome on"), null=True, blank=True)

    created_at = models.DateTimeField(_("first seen"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, editable=False)
    known_at = models.DateTimeField(_("known since"), null=True, editable=False)
    suppressed_at = models.DateTimeField(_("suppressed"), null=True, blank=True)
    suppressed_reason = models.CharField(_("reason"), max_length=200, blank=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        null=True,
        editable=False,
        on_delete=models.PROTECT,  # old addresses must go on leading to the person
        related_name="merged_from",
        db_index=False,
    )

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        permissions = [
            ("view_all_contacts", _("Can see contacts of every team")),
            ("export_contact", _("Can export contacts")),
            ("work_inbox", _("Can work the inbox: claim, call, accept, reject")),
            ("assign_contact", _("Can give leads to other reps")),
            ("view_kpis", _("Can see the KPI pages")),
            ("export_kpis", _("Can export the figures of the KPI pages")),
        ]
        # Few on purpose: a changed score writes a new entry into each of them.
        indexes = [
            # the contact list, sorted by score; `known()` is its condition
            models.Index(
                "score", "id", name="contact_by_score",
                condition=Q(known_at__isnull=False, merged_into__isnull=True, archived_at__isnull=True),
            ),
            # the list filtered by stage, the inbox
            models.Index(
                "stage", "score", "id", name="contact_by_stage_and_score",
                condition=Q(known_at__isnull=False, merged_into__isnull=True, archived_at__isnull=True),
            ),
            # the inbox: those who wait for a rep
            models.Index(
                "score", "id", name="contact_queued",
                condition=Q(queued_at__isnull=False, merged_into__isnull=True, archived_at__isnull=True),
            ),
            # the inbox: those who rise
            models.Index(
                "rise", "id", name="contact_rising",
                condition=Q(rise__gt=0, merged_into__isnull=True, archived_at__isnull=True),
            ),
            models.Index("merged_into", name="contact_tombstones", condition=Q(merged_into__isnull=False)),
            # the admin; few rows are in them
            models.Index("archived_at", name="contact_archived", condition=Q(archived_at__isnull=False)),
            models.Index("suppressed_at", name="contact_suppressed", condition=Q(suppressed_at__isnull=False)),
            # the list and the API, of a source that few or none came from
            models.Index("source", name="contact_by_source"),
            # as before, of those won and lost
            models.Index("outcome", name="contact_by_outcome", condition=~Q(outcome="")),
            models.Index("updated_at", name="contact_by_update"),  # programs that ask for what is new
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name as it is written in the language of its letters, or the best other way to call the person."""
        named = written_name(self.first_name, self.last_name) or self.email or self.phone
        return named or str(_("Visitor %(number)d") % {"number": self.pk or 0})

    @property
    def is_known(self) -> bool:
        return self.known_at is not None


class ContactSearchQuerySet(models.QuerySet["ContactSearch"]):
    def matching(self, text: str) -> Self:
        """Those that have words beginning with each of those of `text`; none for a text without any."""
        query = ContactSearch.query_of(text)
        return self.filter(document=query) if query else self.none()


class ContactSearch(models.Model):
    """The words a contact can be found by, apart from the contact: a changed score need not index them anew.

    Written by `leads/search.py` when a name, company or identity changes.
    """

    contact = models.OneToOneField(Contact, primary_key=True, on_delete=models.CASCADE, related_name="+")
    document = SearchVectorField()

    objects = ContactSearchQuerySet.as_manager()

    class Meta:
        indexes = [GinIndex(fields=["document"], name="contact_search")]

    def __str__(self) -> str:
        return str(self.contact_id)

    @staticmethod
    def query_of(text: str) -> SearchQuery | None:
        """For words that begin with those of `text`: letters and digits, none of which is taken for query syntax."""
        words = "".join(letter if letter.isalnum() else " " for letter in text).split()[:10]
        raw = " & ".join(f"{word}:*" for word in words)
        return SearchQuery(raw, config="simple", search_type="raw") if words else None
