"""What Celery calls. Each task is a sweep that finds its work in the database, so it may run at any time."""

from celery import shared_task

from nurture import engine, enrolment, receiving, sending


@shared_task(name="nurture.enrol_moved")
def enrol_moved() -> None:
    enrolment.enrol_moved()


@shared_task(name="nurture.run_due_steps")
def run_due_steps() -> None:
    engine.run_due_steps()


@shared_task(name="nurture.long_end_set_aside")
def long_end_set_aside() -> None:
    engine.end_set_aside()


@shared_task(name="nurture.send_messages")
def send_messages() -> None:
    sending.send_queued()


@shared_task(name="nurture.judge_mail_events")
def judge_mail_events() -> None:
    receiving.judge_mail_events()
