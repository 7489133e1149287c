"""Pages of what follows an upload, of sources, and of erasing a person."""

from __future__ import annotations

from django.urls import path

from . import erase_views, lifecycle_views, source_views

urlpatterns = [
    path("segments/<int:pk>/ending", lifecycle_views.segment_expiry, name="segment_expiry"),
    path("segments/<int:pk>/top-up", lifecycle_views.segment_top_up, name="segment_top_up"),
    path("uploads/<uuid:pk>/undo", lifecycle_views.upload_undo, name="upload_undo"),
    path("vendor-accounts/<int:pk>/segmentations", source_views.segmentations, name="segmentations"),
    path("vendor-accounts/<int:pk>/segmentations/export", source_views.source_pulls_export, name="source_pulls_export"),
    path("vendor-accounts/<int:pk>/segmentations/<uuid:segmentation>", source_views.segmentation, name="segmentation"),
    path("source-pulls/<uuid:pk>", source_views.source_pull, name="source_pull"),
    path("source-pulls/<uuid:pk>/live", source_views.source_pull_live, name="source_pull_live"),
    path("source-pulls/<uuid:pk>/cancel", source_views.source_pull_cancel, name="source_pull_cancel"),
    path("erase", erase_views.erase, name="erase"),
    path("erase/export", erase_views.erasures_export, name="erasures_export"),
    path("erase/searches/<uuid:pk>", erase_views.person_search, name="person_search"),
    path("erase/searches/<uuid:pk>/live", erase_views.person_search_live, name="person_search_live"),
    path("erase/searches/<uuid:pk>/erase", erase_views.person_erase, name="person_erase"),
    path("erasures/<uuid:pk>", erase_views.erasure, name="erasure"),
    path("erasures/<uuid:pk>/live", erase_views.erasure_live, name="erasure_live"),
    path("erasures/<uuid:pk>/retry", erase_views.erasure_retry, name="erasure_retry"),
    path("erasures/<uuid:pk>/lift", erase_views.erasure_lift, name="erasure_lift"),
]
