from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class LeadsConfig(AppConfig):
    name = "leads"
    verbose_name = _("Leads")

    def ready(self) -> None:
        from leads import checks, sets  # noqa: F401 - registers the system checks and the `any` lookup
        from leads.kinds import add_shipped_kinds
        from leads.rejections import add_rejection_reasons

        # Django's own hook for rows that belong to the schema. It runs after every migrate, so an upgrade
        # brings new kinds; what people changed stays.
        post_migrate.connect(add_shipped_kinds, sender=self)
        post_migrate.connect(add_rejection_reasons, sender=self)
