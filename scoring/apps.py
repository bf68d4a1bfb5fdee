from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScoringConfig(AppConfig):
    name = "scoring"
    verbose_name = _("Scoring")

    def ready(self) -> None:
        from leads.registry import Panel, registry
        from scoring.fields import score_fields
        from scoring.merging import move_scores

        registry.bells["touched"] = "scoring.score_touched"
        registry.condition_fields.append(score_fields)
        registry.merge_participants.append(move_scores)
        registry.contact_panels.append(Panel(_("Score"), "contact-score"))
