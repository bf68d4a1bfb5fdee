"""What reps fill in about a lead: a call and its outcome, an e-mail, a note, why it goes back, who gets it."""

from datetime import date
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.contacting import CallOutcome
from leads.models import RejectionReason, User

NOTE_LONGEST = 4000


class NotedForm(forms.Form):
    note = forms.CharField(max_length=NOTE_LONGEST, required=False)


class NoteForm(forms.Form):
    note = forms.CharField(max_length=NOTE_LONGEST)


class CallForm(NotedForm):
    outcome = forms.ChoiceField(choices=CallOutcome.choices)
    call_back_at = forms.DateTimeField(required=False, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])

    def clean(self) -> dict[str, Any]:
        told: dict[str, Any] = super().clean() or {}
        if told.get("outcome") != CallOutcome.CALL_BACK:
            told["call_back_at"] = None
        elif "call_back_at" in told and told["call_back_at"] is None:
            self.add_error("call_back_at", _("Say when they want to be called back."))
        elif told.get("call_back_at") and told["call_back_at"] < timezone.now():
            self.add_error("call_back_at", _("That time is past. Choose a later one."))
        return told


class RejectForm(forms.Form):
    rejection = forms.ModelChoiceField(RejectionReason.objects.filter(active=True))
    note = forms.CharField(max_length=300, required=False)
    recycle_on = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    def clean_recycle_on(self) -> date | None:
        day: date | None = self.cleaned_data["recycle_on"]
        if day and day <= timezone.localdate():
            raise forms.ValidationError(_("Choose a day after today."))
        return day


class LostForm(forms.Form):
    why = forms.CharField(max_length=300, required=False)


class AssignForm(forms.Form):
    owner = forms.ModelChoiceField(User.objects.none(), required=False)

    def __init__(self, data: Any, people: QuerySet[User]) -> None:
        super().__init__(data)
        field: Any = self.fields["owner"]
        field.queryset = people
