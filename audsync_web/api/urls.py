"""The API's own URLs. Each app brings its calls as `api_urls`; adding one is a line below."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView

app_name = "api"
urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", TemplateView.as_view(template_name="api/docs.html"), name="docs"),
    path("public/v3/", include("audsync_web.people.api_urls")),
    path("public/v3/", include("audsync_web.vendors.api_urls")),
    path("public/v3/", include("segments.api_urls")),
    path("public/v3/", include("uploads.api_urls")),
]
