import json
import sys
from importlib import import_module
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from leadmgr.bench import Result, Size, place

NAMES = ("ingest", "latency", "rescore", "import", "pages", "plans", "workflow", "mail")
SIZES = {
    "ingest": Size(10_000, 100_000),
    "latency": Size(10_000, 100_000),
    "import": Size(10_000, 0),
    "mail": Size(10_000, 0),
    "workflow": Size(1_000_000, 0),
}
LARGE = Size(1_000_000, 10_000_000)
COPIES = ("plans", "workflow", "mail")
"""benchmarks that furnish the base further, so that they have a copy of their own"""


class Command(BaseCommand):
    help = "Measure the product against a floor taken in the same run. The last line is JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=[*NAMES, "build"])
        parser.add_argument("--contacts", type=int)
        parser.add_argument("--interactions", type=int)
        parser.add_argument(
            "--json", action="store_true", help="nothing but the line of JSON on standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        usual = SIZES.get(name, LARGE)
        contacts = usual.contacts if options["contacts"] is None else options["contacts"]
        interactions = options["interactions"]
        if interactions is None:
            interactions = usual.interactions * contacts // usual.contacts
        if contacts < 1 or interactions < 0:
            raise CommandError("--contacts must be at least 1 and --interactions at least 0")
        size = Size(contacts, interactions)
        if name == "build":
            place.build(size, self.say)
            return
        if not place.is_bench_database():
            arguments = ["bench", name, "--contacts", str(contacts), "--interactions", str(interactions)]
            arguments += ["--json"] * options["json"]
            code = place.run_in_own_database(size, arguments, self.say, copy=name if name in COPIES else "")
            if code:
                sys.exit(code)
            return
        call_command("migrate", verbosity=0)  # the base may have been built by an older version
        module = import_module("leadmgr.bench.imports" if name == "import" else f"leadmgr.bench.{name}")
        result: Result = module.measure(size, self.say)
        if not options["json"]:
            self.say(f"{result.value:,.4g} {result.unit}, floor {result.floor:,.4g} {result.floor_unit}")
        self.stdout.write(json.dumps(result.as_dict()))

    def say(self, line: str) -> None:
        self.stderr.write(line)
