import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from tqdm import tqdm

from scoring.models import Rescore
from scoring.rescore import RescoreRunningError, rescore_now


class Command(BaseCommand):
    help = "Score every contact now. The last line is JSON."

    def handle(self, *args: Any, **options: Any) -> None:
        begun = time.monotonic()
        with tqdm(unit=" contacts", disable=None) as bar:

            def progress(rescore: Rescore) -> None:
                bar.total = rescore.last
                bar.update(min(rescore.position, rescore.last) - bar.n)

            try:
                rescore = rescore_now(progress)
            except RescoreRunningError as error:
                raise CommandError(_("Another rescore is under way; it will finish by itself.")) from error
        seconds = round(time.monotonic() - begun, 3)
        self.stdout.write(
            json.dumps({"scored": rescore.scored, "changed": rescore.changed, "seconds": seconds})
        )
