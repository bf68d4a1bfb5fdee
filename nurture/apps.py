from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NurtureConfig(AppConfig):
    name = "nurture"
    verbose_name = _("Nurture")

    def ready(self) -> None:
        from anymail.signals import tracking

        from leads.registry import Panel, registry
        from nurture.merging import move_enrolments, move_messages
        from nurture.providers import heard_from_provider

        registry.bells["stage-changed"] = "nurture.enrol_moved"
        registry.bells["due-enrolments"] = "nurture.run_due_steps"
        registry.bells["queued-messages"] = "nurture.send_messages"
        registry.bells["message-events"] = "nurture.judge_mail_events"
        registry.merge_participants += [move_enrolments, move_messages]
        registry.contact_panels.append(Panel(_("Workflows"), "contact-workflows"))
        registry.contact_panels.append(Panel(_("Messages"), "contact-messages"))
        # The only signal that we listen to: anymail tells what providers report in no other way.
        tracking.connect(heard_from_provider, dispatch_uid="nurture.providers")
