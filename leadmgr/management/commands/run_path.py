from typing import Any

from django.core.management.base import BaseCommand

from leadmgr.path import PATH


class Command(BaseCommand):
    help = "Run every sweep once, in the order of the data, without Celery."

    def handle(self, *args: Any, **options: Any) -> None:
        for sweep in PATH:
            done = sweep.run()
            self.stdout.write(f"{sweep.name}: {done if done is not None else 'nothing to do'}")
