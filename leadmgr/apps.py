from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LeadmgrConfig(AppConfig):
    name = "leadmgr"
    verbose_name = "leadmgr"

    def ready(self) -> None:
        from leadmgr import checks  # noqa: F401 - registers the system checks
        from leadmgr.roles import add_roles

        # Permissions exist only after the last app has been migrated, and this app is listed first: Django
        # creates them in a post_migrate handler of its own, which `add_roles` calls upon.
        post_migrate.connect(add_roles, sender=self)
