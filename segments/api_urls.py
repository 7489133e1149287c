"""The API calls of segments."""

from __future__ import annotations

from django.urls import path

from .api import DestinationListView, DestinationView, SegmentListView, SegmentPublishView, SegmentView

urlpatterns = [
    path("segment", SegmentListView.as_view(), name="segments"),
    path("segment/<int:segment_id>", SegmentView.as_view(), name="segment"),
    path("segment/<int:segment_id>/publish", SegmentPublishView.as_view(), name="segment_publish"),
    path("segment/<int:segment_id>/destinations", DestinationListView.as_view(), name="destinations"),
    path(
        "segment/<int:segment_id>/destinations/<int:vendor_account_id>", DestinationView.as_view(), name="destination"
    ),
]
