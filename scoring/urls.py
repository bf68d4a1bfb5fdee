"""The addresses of scoring's own pages."""

from django.urls import path

from scoring.views import contact_score

urlpatterns = [
    path("contacts/<int:contact_id>/score/", contact_score, name="contact-score"),
]
