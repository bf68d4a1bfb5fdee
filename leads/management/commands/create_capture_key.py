from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.models import CaptureKey, Source


class Command(BaseCommand):
    help = "Make a key with which a site or system sends events. It is shown once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for; its ids belong to the source of that name")
        parser.add_argument("--kind", choices=CaptureKey.Kind.values, default=CaptureKey.Kind.SERVER.value)

    def handle(self, *args: Any, **options: Any) -> None:
        name, kind = options["name"].strip(), options["kind"]
        slug = slugify(name, allow_unicode=True)[:100]
        if not slug or len(name) > 100:
            raise CommandError(_("The name must have 1 to 100 characters, letters or digits among them."))
        if CaptureKey.objects.filter(name=name).exists():
            raise CommandError(
                _("There is a key named “%(name)s” already; choose another name.") % {"name": name}
            )
        source, created = Source.objects.get_or_create(
            slug=slug,
            defaults={"name": name, "kind": Source.Kind.APP if kind == "server" else Source.Kind.WEBSITE},
        )
        _row, key = CaptureKey.issue(name=name, kind=kind, source=source)
        if created:
            self.stderr.write(_("Made the source “%(source)s”.") % {"source": source.slug})
        if kind == CaptureKey.Kind.BROWSER:
            self.stderr.write(_("Add the origins of your pages to the key in Admin › Capture keys."))
        self.stdout.write(key)
