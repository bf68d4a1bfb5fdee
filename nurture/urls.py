"""The addresses of nurture's own pages."""

from django.urls import path

from nurture.mail_views import clicked, opened, unsubscribe_page
from nurture.providers import provider_events
from nurture.views import contact_enrolment, contact_workflows

urlpatterns = [
    path("contacts/<int:contact_id>/workflows/", contact_workflows, name="contact-workflows"),
    path("contacts/<int:contact_id>/workflows/change/", contact_enrolment, name="contact-enrolment"),
    path("m/o/<str:token>.gif", opened, name="mail-open"),
    path("m/c/<str:token>", clicked, name="mail-click"),
    path("m/u/<str:token>", unsubscribe_page, name="mail-unsubscribe"),
    path("m/events/<slug:provider>/", provider_events, name="mail-events"),
]
