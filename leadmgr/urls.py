"""Every address of the product."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("leads.urls")),
    path("", include("scoring.urls")),
    path("", include("nurture.urls")),
    path("", include("leadmgr.api_urls")),
    path("admin/", admin.site.urls),
]
