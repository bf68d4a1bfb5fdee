import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from leads.imports import FileError, Options, run_import


class Command(BaseCommand):
    help = "Load contacts from a CSV file with a line of column names. The last line is JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--source", required=True, metavar="NAME", help="where these people come from")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="COLUMN=FIELD",
            help="what a column means, such as Mobil=phone or Plan=attribute:plan; “-” leaves it out",
        )
        parser.add_argument(
            "--key", default="", metavar="COLUMN", help="the column with the source's own ids"
        )
        parser.add_argument(
            "--blank", action="append", default=[], metavar="VALUE", help="a value that means “not answered”"
        )
        parser.add_argument("--encoding", default="utf-8", help="of the file (utf-8)")
        parser.add_argument(
            "--rejects",
            type=Path,
            metavar="PATH",
            help="where bad rows go (FILE's name with .rejected.csv, here)",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        how = Options(
            source=options["source"],
            mapping=self.mapping(options["map"]),
            key=options["key"],
            blanks=frozenset(value.strip() for value in options["blank"]),
            encoding=options["encoding"],
            rejects=options["rejects"],
            dry_run=options["dry_run"],
        )
        with tqdm(unit=" rows", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            try:
                counts = run_import(options["file"], how, progress)
            except FileError as error:
                raise CommandError(str(error)) from None
        self.stdout.write(json.dumps(counts.as_dict()))

    def mapping(self, pairs: list[str]) -> dict[str, str]:
        mapping: dict[str, str] = {}
        for pair in pairs:
            # A column's name may hold “=”, a field never does but in an attribute's name.
            name, sign, field = pair.partition("=")
            if not sign or not name.strip() or not field.strip():
                raise CommandError(_("--map %(pair)s: write it as COLUMN=FIELD.") % {"pair": pair})
            if name.strip() in mapping:
                raise CommandError(_("--map names the column “%(name)s” twice.") % {"name": name.strip()})
            mapping[name.strip()] = field.strip()
        return mapping
