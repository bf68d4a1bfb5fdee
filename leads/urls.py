"""The addresses of the product's own pages about people and companies."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.generic import RedirectView

from leads.views.account import choose_language, preferences
from leads.views.companies import company_detail, company_list
from leads.views.contact import contact_detail, contact_edit, contact_owner
from leads.views.contact_list import contact_list
from leads.views.funnel import funnel_csv, funnel_page

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="contact-list"), name="home"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("preferences/", preferences, name="preferences"),
    path("preferences/language/", choose_language, name="choose-language"),
    path("contacts/", contact_list, name="contact-list"),
    path("contacts/<int:contact_id>/", contact_detail, name="contact-detail"),
    path("contacts/<int:contact_id>/edit/", contact_edit, name="contact-edit"),
    path("contacts/<int:contact_id>/owner/", contact_owner, name="contact-owner"),
    path("companies/", company_list, name="company-list"),
    path("companies/<int:company_id>/", company_detail, name="company-detail"),
    path("kpis/", funnel_page, name="kpi-funnel"),
    path("kpis/funnel.csv", funnel_csv, name="kpi-funnel-csv"),
]
