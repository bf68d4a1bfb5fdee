"""How far people have come in the funnel, and the figures that the funnel page adds up.

`leads/funnel/` keeps all of it; nothing else writes these tables.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .capture import Source
from .people import Contact


class FunnelStep(models.IntegerChoices):
    """The funnel, from its mouth down. Who reached a step is counted in all steps before it as well."""

    CONTACT = 0, _("Contacts")
    RESPONDED = 1, _("Responded")
    SCOREABLE = 2, _("Scoreable")
    MQL = 3, _("MQL")
    SQL = 4, _("SQL")
    ACCEPTED = 5, _("Accepted")
    WON = 6, _("Won")

    @property
    def slug(self) -> str:
        """As addresses and files name it."""
        return self.name.lower()


class Milestones(models.Model):
    """When a known contact reached each step of the funnel: one row per person who is counted.

    It survives the person's erasure without saying whose it was, so that figures of the past stay true.
    """

    contact = models.OneToOneField(
        Contact,
        null=True,
        on_delete=models.SET_NULL,  # erasing a person leaves an anonymous count
        related_name="milestones",
        db_constraint=False,  # written by one sweep for contacts that it has just read; a check per row costs more
    )
    # The cohort: the day, in the company's time zone, on which the person became known, and the first source.
    day = models.DateField()
    source = models.ForeignKey(
        Source, null=True, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    reached = models.SmallIntegerField(choices=FunnelStep)
    # Bit n: step n counts only because a later step was reached, so it took no time of its own.
    skipped = models.SmallIntegerField(default=0)
    known_at = models.DateTimeField()
    responded_at = models.DateTimeField(null=True)
    scoreable_at = models.DateTimeField(null=True)
    mql_at = models.DateTimeField(null=True)
    sql_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    won_at = models.DateTimeField(null=True)
    erased = models.BooleanField(default=False, help_text="The person was erased, and the figures know it.")

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index("source", "day", name="milestones_of_cohort"),  # counting a cell anew
            models.Index("reached", "day", name="milestones_reached"),  # the contact list, from a figure
            # the sweep: those whose contact is gone since the last one
            models.Index("id", name="milestones_to_erase", condition=Q(contact__isnull=True, erased=False)),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.get_reached_display()}"


class FunnelTouch(models.Model):
    """A contact whose milestones are to be looked at again; append-only, as `Touch` and for the same reason."""

    contact = models.ForeignKey(Contact, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.contact_id)


class FunnelStale(models.Model):
    """A cohort day of a source whose figures are to be counted anew; append-only."""

    day = models.DateField()
    source = models.ForeignKey(
        Source, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day} {self.source_id}"


class FunnelCell(models.Model):
    """How many of the people of one cohort day and source have reached a step."""

    day = models.DateField()
    source = models.ForeignKey(
        Source, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    step = models.SmallIntegerField(choices=FunnelStep)
    people = models.IntegerField()
    erased = models.IntegerField(help_text="Of these, people whose data was erased since.")
    # Element n, from 0: how many had reached the step n days after their cohort day; ends where it is all of them.
    by_age = ArrayField(models.IntegerField())

    class Meta:
        default_permissions = ()
        constraints = [
            # the page, which reads a range of days
            models.UniqueConstraint(
                fields=["day", "source", "step"], name="funnel_cell_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.get_step_display()}: {self.people}"


class FunnelTime(models.Model):
    """A cell's histogram of the time from the step before; `leads/funnel/times.py` says what a bucket is."""

    day = models.DateField()
    source = models.ForeignKey(
        Source, null=True, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    step = models.SmallIntegerField(choices=FunnelStep)
    bucket = models.SmallIntegerField()
    people = models.IntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index("day", "source", name="funnel_time_of_day")]  # the page, a cell counted anew

    def __str__(self) -> str:
        return f"{self.day} {self.get_step_display()} {self.bucket}: {self.people}"


class FunnelState(models.Model):
    """One row: how far the figures are, and by which definitions."""

    fingerprint = models.CharField(max_length=64)
    counted_at = models.DateTimeField(
        null=True, help_text="All that had happened until then is in the figures."
    )
    seconds = models.FloatField(default=0, help_text="What counting the stale cells took the last time.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.counted_at)


class KpiExport(models.Model):
    """Who took figures out of the product, and which."""

    by = models.ForeignKey(
        "leads.User",
        verbose_name=_("by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    page = models.CharField(_("page"), max_length=50)
    query = models.CharField(_("filters"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("export of figures")
        verbose_name_plural = _("exports of figures")
        ordering = ["-at", "-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.page} {self.query}"
