from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from leadmgr.bench.running import free_port, running_product
from leads.models import Contact, Stage, User

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
WIDTH, HEIGHT = 1440, 900


class Command(BaseCommand):
    help = "Take the README's screenshots from the demo data (needs the test extra and Debian's chromium)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", type=Path, default=settings.BASE_DIR / "tests" / "screenshots")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from playwright.sync_api import sync_playwright
        except ImportError as error:
            raise CommandError("Install the test extra first: .venv/bin/pip install -e '.[test]'") from error
        rep = User.objects.filter(groups__name="rep").order_by("pk").first()
        manager = User.objects.filter(groups__name="manager").order_by("pk").first()
        if rep is None or manager is None or not Contact.objects.exists():
            raise CommandError("There is no demo data here; run `manage.py up` once.")
        leads = Contact.objects.known().visible_to(rep).filter(stage=Stage.SQL)
        lead = leads.order_by("-score", "pk").first()
        if lead is None:
            raise CommandError(f"{rep} sees no SQL lead whose page could be shown.")
        pages = {
            "inbox": (rep, reverse("inbox")),
            "contact-list": (rep, reverse("contact-list")),
            "contact": (rep, reverse("contact-detail", args=[lead.pk])),
            "funnel": (manager, reverse("kpi-funnel")),
        }
        sessions = {person: _session_of(person) for person in (rep, manager)}
        port = free_port()
        options["folder"].mkdir(parents=True, exist_ok=True)
        with running_product(port), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            address = f"http://127.0.0.1:{port}"
            for name, (person, path) in pages.items():
                context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
                cookie = {"name": settings.SESSION_COOKIE_NAME, "value": sessions[person], "url": address}
                context.add_cookies([cookie])
                page = context.new_page()
                page.goto(address + path)
                page.wait_for_load_state("networkidle")
                if name == "contact":
                    page.keyboard.press("w")  # opens “why this score”
                if name in ("contact", "inbox"):
                    page.wait_for_selector("table.parts")
                target = options["folder"] / f"{name}.png"
                page.screenshot(path=target)
                self.stdout.write(str(target))
                context.close()
            browser.close()


def _session_of(user: User) -> str:
    """A session as a log-in would make it."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
