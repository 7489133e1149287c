"""Pages of uploads, their history, and the overview."""

from __future__ import annotations

from django.urls import path

from . import history, overview, receipt, rejections, views

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("overview/live", overview.overview_live, name="overview_live"),
    path("uploads/new", views.upload_new, name="upload"),
    path("uploads/<uuid:pk>", views.upload_one, name="upload_one"),
    path("uploads/<uuid:pk>/board", views.upload_board, name="upload_board"),
    path("uploads/<uuid:pk>/preflight", views.upload_preflight, name="upload_preflight"),
    path("uploads/<uuid:pk>/go", views.upload_go, name="upload_go"),
    path("uploads/<uuid:pk>/cancel", views.upload_cancel, name="upload_cancel"),
    path("uploads/<uuid:pk>/retry", views.upload_retry, name="upload_retry"),
    path("uploads/<uuid:pk>/rejections", rejections.upload_rejections, name="upload_rejections"),
    path("uploads/<uuid:pk>/receipt", receipt.upload_receipt, name="upload_receipt"),
    path("deliveries/<int:pk>/retry", views.delivery_retry, name="delivery_retry"),
    path("deliveries/<int:pk>/vendor-report", rejections.delivery_vendor_report, name="delivery_vendor_report"),
    path("segments/<int:pk>/uploads", views.segment_uploads, name="segment_uploads"),
    path("history", history.uploads, name="history"),
    path("history/deliveries", history.deliveries, name="history_deliveries"),
    path("history/export", history.uploads_export, name="history_export"),
    path("history/deliveries/export", history.deliveries_export, name="history_deliveries_export"),
]
