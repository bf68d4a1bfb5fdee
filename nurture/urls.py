"""The addresses of nurture's own pages."""

from django.urls import path

from nurture.mail_views import clicked, opened, unsubscribe_page
from nurture.outbox_views import (
    contact_messages,
    outbox,
    outbox_message,
    outbox_message_html,
    template_preview,
    template_preview_html,
)
from nurture.providers import provider_events
from nurture.views import contact_enrolment, contact_workflows

urlpatterns = [
    path("contacts/<int:contact_id>/workflows/", contact_workflows, name="contact-workflows"),
    path("contacts/<int:contact_id>/workflows/change/", contact_enrolment, name="contact-enrolment"),
    path("contacts/<int:contact_id>/messages/", contact_messages, name="contact-messages"),
    path("outbox/", outbox, name="outbox"),
    path("outbox/<int:message_id>/", outbox_message, name="outbox-message"),
    path("outbox/<int:message_id>/html/", outbox_message_html, name="outbox-message-html"),
    path("templates/<int:template_id>/preview/", template_preview, name="template-preview"),
    path("templates/<int:template_id>/preview/html/", template_preview_html, name="template-preview-html"),
    path("m/o/<str:token>.gif", opened, name="mail-open"),
    path("m/c/<str:token>", clicked, name="mail-click"),
    path("m/u/<str:token>", unsubscribe_page, name="mail-unsubscribe"),
    path("m/events/<slug:provider>/", provider_events, name="mail-events"),
]
