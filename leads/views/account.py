"""A person's own settings, language and time zone, and the page that they begin on."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads.live import announce_logout

from .access import PageRequest, allowed
from .forms import OWN_NAMES, PreferencesForm


def home(request: HttpRequest) -> HttpResponse:
    """The page that a person works on: for those who call leads, the inbox."""
    works = request.user.is_authenticated and request.user.has_perm("leads.work_inbox")
    return redirect("inbox" if works else "contact-list")


class Logout(LogoutView):
    """Ends the session, and the open streams of its other pages with it."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.session.session_key:
            announce_logout(request.session.session_key)
        return super().post(request, *args, **kwargs)


@allowed()
def preferences(request: PageRequest) -> HttpResponse:
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        with translation.override(request.user.language or translation.get_language()):
            messages.success(request, _("Saved."))
        return redirect("preferences")
    return render(request, "leads/preferences.html", {"form": form})


@require_POST
@allowed()
def choose_language(request: PageRequest) -> HttpResponse:
    """Keep the language and return to the page where it was chosen."""
    language = request.POST.get("language", "")
    if language in OWN_NAMES:
        request.user.language = language
        request.user.save(update_fields=["language"])
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if safe else "preferences")
