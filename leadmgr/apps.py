from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class LeadmgrConfig(AppConfig):
    name = "leadmgr"
    verbose_name = "leadmgr"

    def ready(self) -> None:
        from leadmgr import checks  # noqa: F401 - registers the system checks
        from leadmgr.roles import add_roles

        # The signal is sent for apps with models only, so it is heard from the last of ours.
        post_migrate.connect(add_roles, sender=apps.get_app_config("nurture"))
