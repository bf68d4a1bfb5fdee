"""Every address of the product."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def healthz(request: HttpRequest) -> HttpResponse:
    """Answers as soon as the web server serves; asks neither the database nor the broker."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("", include("leads.urls")),
    path("", include("scoring.urls")),
    path("", include("nurture.urls")),
    path("", include("leadmgr.api_urls")),
    path("v1/", include("leads.tracking.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
]
