from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NurtureConfig(AppConfig):
    name = "nurture"
    verbose_name = _("Nurture")

    def ready(self) -> None:
        from leads.registry import Panel, registry
        from nurture.merging import move_enrolments

        registry.bells["stage-changed"] = "nurture.enrol_moved"
        registry.bells["due-enrolments"] = "nurture.run_due_steps"
        registry.bells["queued-messages"] = "nurture.send_messages"
        registry.merge_participants.append(move_enrolments)
        registry.contact_panels.append(Panel(_("Workflows"), "contact-workflows"))
