"""The API calls of segments."""

from __future__ import annotations

from django.urls import path

from .api import (
    DestinationListView,
    DestinationRenewView,
    DestinationView,
    ReplacedListView,
    ReplacedView,
    SegmentListView,
    SegmentPublishView,
    SegmentView,
)

DESTINATION = "segment/<int:segment_id>/destinations/<int:vendor_account_id>"

urlpatterns = [
    path("segment", SegmentListView.as_view(), name="segments"),
    path("segment/<int:segment_id>", SegmentView.as_view(), name="segment"),
    path("segment/<int:segment_id>/publish", SegmentPublishView.as_view(), name="segment_publish"),
    path("segment/<int:segment_id>/destinations", DestinationListView.as_view(), name="destinations"),
    path(DESTINATION, DestinationView.as_view(), name="destination"),
    path(f"{DESTINATION}/renew", DestinationRenewView.as_view(), name="destination_renew"),
    path("segment/<int:segment_id>/replaced", ReplacedListView.as_view(), name="replaced_list"),
    path("segment/<int:segment_id>/replaced/<int:destination_id>", ReplacedView.as_view(), name="replaced"),
]
