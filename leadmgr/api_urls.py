"""The addresses of the REST API, its token, its schema and its documentation."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.routers import DefaultRouter
from rest_framework.throttling import AnonRateThrottle
from rest_framework.viewsets import ViewSetMixin

from leads.api import views as leads_api
from scoring import api as scoring_api


class TokenTries(AnonRateThrottle):
    """Slows the guessing of passwords."""

    rate = "10/min"


class TokenView(ObtainAuthToken):
    """Your token, for your user name and password; send it as `Authorization: Token …`."""

    throttle_classes = [TokenTries]


VIEWSETS: dict[str, type[ViewSetMixin]] = {
    "contacts": leads_api.ContactViewSet,
    "companies": leads_api.CompanyViewSet,
    "interactions": leads_api.InteractionViewSet,
    "stages": leads_api.StageChangeViewSet,
    "scores": scoring_api.ScoreViewSet,
    "kinds": leads_api.KindViewSet,
    "sources": leads_api.SourceViewSet,
    "campaigns": leads_api.CampaignViewSet,
    "segments": leads_api.SegmentViewSet,
}
router = DefaultRouter()
for name, viewset in VIEWSETS.items():
    # Without a name of its own a route would be called as the product's page is, such as “contact-list”.
    router.register(name, viewset, basename=f"api-{name}")

urlpatterns = [
    path("api/", include(router.urls)),
    path(
        "api/contacts/<int:contact>/score/", scoring_api.ContactScoreView.as_view(), name="contact-score-api"
    ),
    path("api/token/", TokenView.as_view(), name="api-token"),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="api-schema"), name="api-docs"),
]
