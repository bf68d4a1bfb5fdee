"""The addresses of nurture's own pages."""

from django.urls import path

from nurture.views import contact_enrolment, contact_workflows

urlpatterns = [
    path("contacts/<int:contact_id>/workflows/", contact_workflows, name="contact-workflows"),
    path("contacts/<int:contact_id>/workflows/change/", contact_enrolment, name="contact-enrolment"),
]
