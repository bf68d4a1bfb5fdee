import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from leads.identity import IdentityError, email_key
from leads.models import Contact, Identity
from scoring.evaluate import explain


class Command(BaseCommand):
    help = "Show the parts of a contact's score."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("contact", help="e-mail address or id")
        parser.add_argument("--json", action="store_true", help="one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        contact = find_contact(options["contact"])
        explanation = explain(contact)
        if options["json"]:
            live = contact.enrolments.filter(left_at__isnull=True).order_by("entered_at")
            self.stdout.write(
                json.dumps(
                    {
                        "score": explanation.score,
                        "stage": contact.stage,
                        "workflows": list(live.values_list("workflow__name", flat=True)),
                        "as_of": explanation.as_of.isoformat(),
                        "parts": [{"rule": part.rule, "points": part.points} for part in explanation.parts],
                    },
                    ensure_ascii=False,
                )
            )
            return
        self.stdout.write(f"{contact.name}: {explanation.score} ({contact.get_stage_display()})")
        for part in explanation.parts:
            self.stdout.write(f"{part.points:+9.3f}  {part.rule}")


def find_contact(text: str) -> Contact:
    """The contact with this e-mail or id; follows a merge. Raises `CommandError` in words."""
    if text.isdigit():
        contact = Contact.objects.filter(pk=int(text)).select_related("merged_into").first()
    else:
        try:
            _kind, _namespace, value = email_key(text)
        except IdentityError as error:
            raise CommandError(str(error)) from error
        named = (
            Identity.objects.filter(kind=Identity.Kind.EMAIL, value=value).select_related("contact").first()
        )
        contact = named.contact if named else None
    if contact is None:
        raise CommandError(_("There is no contact “%(contact)s”.") % {"contact": text})
    return contact.merged_into or contact
