"""What Celery calls. Each task is a sweep that finds its work in the database, so it may run at any time."""

from celery import shared_task

from leads import ingest
from leads.funnel import count_funnel


@shared_task(name="leads.long_forget_messages")
def long_forget_messages() -> None:
    ingest.forget_messages()


@shared_task(name="leads.long_count_funnel")
def long_count_funnel() -> None:
    count_funnel()
