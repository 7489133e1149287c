"""Pages of uploads, their history and the overview; of what follows an upload, of sources, of erasing a person."""

from __future__ import annotations

from django.urls import path

from .views import erasing, history, lifecycle, overview, receipt, rejections, sources, upload

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/live", overview.overview_live, name="overview_live"),
    path("uploads/new", upload.upload_new, name="upload"),
    path("uploads/<uuid:pk>", upload.upload_one, name="upload_one"),
    path("uploads/<uuid:pk>/board", upload.upload_board, name="upload_board"),
    path("uploads/<uuid:pk>/preflight", upload.upload_preflight, name="upload_preflight"),
    path("uploads/<uuid:pk>/go", upload.upload_go, name="upload_go"),
    path("uploads/<uuid:pk>/cancel", upload.upload_cancel, name="upload_cancel"),
    path("uploads/<uuid:pk>/retry", upload.upload_retry, name="upload_retry"),
    path("uploads/<uuid:pk>/rejections", rejections.upload_rejections, name="upload_rejections"),
    path("uploads/<uuid:pk>/receipt", receipt.upload_receipt, name="upload_receipt"),
    path("deliveries/<int:pk>/retry", upload.delivery_retry, name="delivery_retry"),
    path("deliveries/<int:pk>/vendor-report", rejections.delivery_vendor_report, name="delivery_vendor_report"),
    path("segments/<int:pk>/uploads", upload.segment_uploads, name="segment_uploads"),
    path("history", history.uploads, name="history"),
    path("history/deliveries", history.deliveries, name="history_deliveries"),
    path("history/export", history.uploads_export, name="history_export"),
    path("history/deliveries/export", history.deliveries_export, name="history_deliveries_export"),
    path("segments/<int:pk>/ending", lifecycle.segment_expiry, name="segment_expiry"),
    path("segments/<int:pk>/top-up", lifecycle.segment_top_up, name="segment_top_up"),
    path("uploads/<uuid:pk>/undo", lifecycle.upload_undo, name="upload_undo"),
    path("vendor-accounts/<int:pk>/segmentations", sources.segmentations, name="segmentations"),
    path("vendor-accounts/<int:pk>/segmentations/export", sources.source_pulls_export, name="source_pulls_export"),
    path("vendor-accounts/<int:pk>/segmentations/<uuid:segmentation>", sources.segmentation, name="segmentation"),
    path("source-pulls/<uuid:pk>", sources.source_pull, name="source_pull"),
    path("source-pulls/<uuid:pk>/live", sources.source_pull_live, name="source_pull_live"),
    path("source-pulls/<uuid:pk>/cancel", sources.source_pull_cancel, name="source_pull_cancel"),
    path("erase", erasing.erase, name="erase"),
    path("erase/export", erasing.erasures_export, name="erasures_export"),
    path("erase/searches/<uuid:pk>", erasing.person_search, name="person_search"),
    path("erase/searches/<uuid:pk>/live", erasing.person_search_live, name="person_search_live"),
    path("erase/searches/<uuid:pk>/erase", erasing.person_erase, name="person_erase"),
    path("erasures/<uuid:pk>", erasing.erasure, name="erasure"),
    path("erasures/<uuid:pk>/live", erasing.erasure_live, name="erasure_live"),
    path("erasures/<uuid:pk>/retry", erasing.erasure_retry, name="erasure_retry"),
    path("erasures/<uuid:pk>/lift", erasing.erasure_lift, name="erasure_lift"),
]
