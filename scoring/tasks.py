"""What Celery calls. Each task is a sweep that finds its work in the database, so it may run at any time."""

from celery import shared_task

from scoring import rescore, rises, touches


@shared_task(name="scoring.score_touched")
def score_touched() -> None:
    touches.score_touched()


@shared_task(name="scoring.long_rescore")
def long_rescore() -> None:
    rescore.rescore_if_due()


@shared_task(name="scoring.refresh_rises")
def refresh_rises() -> None:
    rises.refresh_rises()
