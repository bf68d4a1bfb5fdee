"""The workflows that an installation starts with, one for each stage of the way to the test drive and after."""

from django.db import transaction

from leads.models import Stage
from nurture.models import Track, Workflow

TRACK = "Nurture"
WORKFLOWS = (
    ("Keep warm", Stage.COLD),
    ("See it, drive it", Stage.MQL),
    ("Book a test drive", Stage.SQL),
    ("Welcome", Stage.CUSTOMER),
)


@transaction.atomic
def add_starter_workflows() -> None:
    """Add the starter's workflows unless there is any workflow."""
    if Workflow.objects.exists():
        return
    track, _created = Track.objects.get_or_create(name=TRACK)
    for order, (name, stage) in enumerate(WORKFLOWS, 1):
        Workflow.objects.create(name=name, track=track, stages=[stage.value], order=order)
