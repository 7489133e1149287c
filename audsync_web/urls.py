"""Every URL of the site. An app's pages are one line here, its API calls one line in `audsync_web.api.urls`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from audsync_web.api.health import healthz, readyz

handler400 = "audsync_web.errors.bad_request"
handler403 = "audsync_web.errors.permission_denied"
handler404 = "audsync_web.errors.page_not_found"
handler500 = "audsync_web.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/", include("audsync_web.api.urls")),
    path("", include("audsync_web.people.urls")),
    path("", include("audsync_web.vendors.urls")),
    path("", include("audsync_web.vendors.identity_urls")),
    path("", include("segments.urls")),
    path("", include("uploads.urls")),
]
