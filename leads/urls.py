"""The addresses of the product's own pages about people and companies."""

from django.contrib.auth.views import LoginView
from django.urls import path

from leads.views.account import Logout, choose_language, home, preferences
from leads.views.companies import company_detail, company_list
from leads.views.contact import contact_detail, contact_edit, contact_owner
from leads.views.contact_list import contact_list
from leads.views.funnel import funnel_csv, funnel_page
from leads.views.inbox import (
    inbox,
    inbox_accept,
    inbox_assign,
    inbox_call,
    inbox_claim,
    inbox_email,
    inbox_lost,
    inbox_note,
    inbox_reject,
    inbox_release,
    inbox_reopen,
    inbox_undo,
    inbox_won,
)
from leads.views.inbox_live import inbox_live

urlpatterns = [
    path("", home, name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", Logout.as_view(), name="logout"),
    path("preferences/", preferences, name="preferences"),
    path("preferences/language/", choose_language, name="choose-language"),
    path("inbox/", inbox, name="inbox"),
    path("inbox/live/", inbox_live, name="inbox-live"),
    path("inbox/<int:contact_id>/accept/", inbox_accept, name="inbox-accept"),
    path("inbox/<int:contact_id>/reject/", inbox_reject, name="inbox-reject"),
    path("inbox/<int:contact_id>/won/", inbox_won, name="inbox-won"),
    path("inbox/<int:contact_id>/lost/", inbox_lost, name="inbox-lost"),
    path("inbox/<int:contact_id>/reopen/", inbox_reopen, name="inbox-reopen"),
    path("inbox/<int:contact_id>/claim/", inbox_claim, name="inbox-claim"),
    path("inbox/<int:contact_id>/release/", inbox_release, name="inbox-release"),
    path("inbox/<int:contact_id>/call/", inbox_call, name="inbox-call"),
    path("inbox/<int:contact_id>/email/", inbox_email, name="inbox-email"),
    path("inbox/<int:contact_id>/note/", inbox_note, name="inbox-note"),
    path("inbox/<int:contact_id>/assign/", inbox_assign, name="inbox-assign"),
    path("inbox/undo/<int:hold_id>/", inbox_undo, name="inbox-undo"),
    path("contacts/", contact_list, name="contact-list"),
    path("contacts/<int:contact_id>/", contact_detail, name="contact-detail"),
    path("contacts/<int:contact_id>/edit/", contact_edit, name="contact-edit"),
    path("contacts/<int:contact_id>/owner/", contact_owner, name="contact-owner"),
    path("companies/", company_list, name="company-list"),
    path("companies/<int:company_id>/", company_detail, name="company-detail"),
    path("kpis/", funnel_page, name="kpi-funnel"),
    path("kpis/funnel.csv", funnel_csv, name="kpi-funnel-csv"),
]
