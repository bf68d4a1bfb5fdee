"""Who may open which page: every page needs a login and permissions, a contact also has to be visible."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from leads.compiled import CompiledRows, person
from leads.models import Contact, User

MERGES_FOLLOWED = 20  # a chain of merges this long is a mistake, not a person


class PageRequest(HttpRequest):
    """A request that passed `allowed`: somebody is logged in."""

    user: User
    htmx: HtmxDetails


Page: TypeAlias = Callable[..., HttpResponseBase]


def allowed(*permissions: str) -> Callable[[Page], Page]:
    """The page is for people who are logged in and have all of `permissions`."""

    def decorate(page: Page) -> Page:
        @wraps(page)
        def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _ask_to_log_in(request)
            if not request.user.has_perms(permissions):
                raise PermissionDenied(_("Your role does not open this page. Ask an administrator for it."))
            response = page(request, *args, **kwargs)
            # A fragment and its page share an address, and neither may outlive the session in a shared cache.
            patch_vary_headers(response, ["HX-Request", "Cookie"])
            patch_cache_control(response, private=True, no_cache=True)
            return response

        return guarded

    return decorate


def contact_page(*permissions: str) -> Callable[[Page], Page]:
    """The page is about one contact: the view gets it in place of its id.

    One that the person may not see is not found; one that was merged away leads to the survivor.
    """

    def decorate(page: Page) -> Page:
        @allowed("leads.view_contact", *permissions)
        @wraps(page)
        def found(request: PageRequest, contact_id: int) -> HttpResponseBase:
            contact = find_contact(request.user, contact_id)
            if contact.pk == contact_id:
                return page(request, contact)
            here = request.resolver_match
            if request.method == "GET" and here:
                return redirect(here.view_name, contact.pk)
            return redirect("contact-detail", contact.pk)

        return found

    return decorate


def find_contact(user: User, contact_id: int) -> Contact:
    """The contact, or who survived it; raises `Http404` unless `user` may see that one."""
    for _hop in range(MERGES_FOLLOWED):
        contact = next(iter(_contact(contact_id)), None)
        if contact is None:
            break
        if contact.merged_into_id is None:
            if not _may_see(user, contact.owner_id, contact.owner_team):
                break
            found: Contact = contact
            return found
        contact_id = contact.merged_into_id
    raise Http404(_("There is no such contact, or it belongs to another team."))


_contact: CompiledRows[Any] = CompiledRows(
    Contact.objects.annotate(
        company_name=F("company__name"),
        owner_name=person("owner"),
        owner_team=F("owner__team"),
        source_name=F("source__name"),
        campaign_name=F("campaign__name"),
    ),
    column="pk",
)


def _may_see(user: User, owner_id: int | None, owner_team_id: int | None) -> bool:
    """As `visible_to`, for a contact already read."""
    if owner_id is None or owner_id == user.pk or user.has_perm("leads.view_all_contacts"):
        return True
    return user.team_id is not None and owner_team_id == user.team_id


def _ask_to_log_in(request: PageRequest) -> HttpResponse:
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    # A fragment: the whole page goes to the login and comes back to where it was.
    there = request.htmx.current_url_abs_path or "/"
    return HttpResponseClientRedirect(redirect_to_login(there).url)
