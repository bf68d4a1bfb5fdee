"""What Celery calls. Each task is a sweep that finds its work in the database, so it may run at any time."""

from celery import shared_task

from nurture import enrolment


@shared_task(name="nurture.enrol_moved")
def enrol_moved() -> None:
    enrolment.enrol_moved()
