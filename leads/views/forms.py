"""What people fill in on the product's own pages."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, User
from leads.models.users import validate_time_zone


class ContactForm(forms.ModelForm[Contact]):
    """A contact's own columns. E-mail, phone and ids name the person and have doors of their own."""

    class Meta:
        model = Contact
        fields = (
            "first_name", "last_name", "job_title", "department", "seniority", "occupation",
            "country", "region", "city", "language", "time_zone",
        )  # fmt: skip
        help_texts = {"time_zone": _("A name such as Asia/Seoul; shows what time it is there.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["autocomplete"] = "off"  # the browser knows the rep's own name, not the lead's
            if self.errors.get(name):
                field.widget.attrs["aria-invalid"] = "true"

    def clean_time_zone(self) -> str:
        value: str = self.cleaned_data["time_zone"]
        if value:
            validate_time_zone(value)
        return value


class PreferencesForm(forms.ModelForm[User]):
    language = forms.ChoiceField(label=_("Language"), required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), required=False, help_text=_("All times on the pages are shown in it.")
    )

    class Meta:
        model = User
        fields = ("language", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name]
        company_zone = _("The company's: %(zone)s") % {"zone": settings.TIME_ZONE}
        self.fields["language"].choices = [("", _("As the browser says")), *OWN_NAMES.items()]  # type: ignore[attr-defined]
        self.fields["time_zone"].choices = [("", company_zone), ("UTC", "UTC"), *zones]  # type: ignore[attr-defined]


OWN_NAMES = {"en": "English", "ko": "한국어"}
"""Each language in its own words, so that whoever needs it finds it."""
