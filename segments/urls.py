"""Pages of segments."""

from __future__ import annotations

from django.urls import path

from . import destination_views, list_views, views

urlpatterns = [
    path("segments", list_views.segments, name="segments"),
    path("segments/export", list_views.segments_export, name="segments_export"),
    path("segments/new", views.segment_new, name="segment_new"),
    path("segments/<int:pk>", views.segment_one, name="segment"),
    path("segments/<int:pk>/live", views.segment_live, name="segment_live"),
    path("segments/<int:pk>/publish", views.segment_publish, name="segment_publish"),
    path("segments/<int:pk>/rename", views.segment_rename, name="segment_rename"),
    path("segments/<int:pk>/archive", views.segment_archive, name="segment_archive"),
    path("segments/<int:pk>/restore", views.segment_restore, name="segment_restore"),
    path("segments/<int:pk>/destinations/new", destination_views.destination_new, name="destination_new"),
    path(
        "segments/<int:pk>/destinations/<int:destination_pk>/remove",
        destination_views.destination_remove,
        name="destination_remove",
    ),
    path(
        "segments/<int:pk>/destinations/<int:destination_pk>/renew",
        destination_views.destination_renew,
        name="destination_renew",
    ),
    path(
        "segments/<int:pk>/destinations/<int:destination_pk>/delete-left",
        destination_views.left_segment_delete,
        name="left_segment_delete",
    ),
    path(
        "segments/<int:pk>/destinations/<int:destination_pk>/retry",
        destination_views.destination_retry,
        name="destination_retry",
    ),
]
