"""The API calls of uploads and memberships."""

from __future__ import annotations

from django.urls import path

from .api.erasing import (
    ErasureLiftView,
    ErasureListView,
    ErasureRetryView,
    ErasureView,
    PersonEraseView,
    PersonSearchListView,
    PersonSearchView,
)
from .api.lifecycle import TopUpView, UploadUndoView
from .api.preflight import PreflightView
from .api.sources import SegmentationProfilesView, SegmentationUploadsView, SourcePullCancelView, SourcePullView
from .api.tus import TusCreateView, TusUploadView
from .api.uploads import (
    MembershipView,
    RejectionsView,
    UploadCancelView,
    UploadListView,
    UploadRetryView,
    UploadView,
    VendorReportView,
)

MEMBERSHIP = "segment/<int:segment_id>/membership"
SEGMENTATION = "vendor-accounts/<int:vendor_account_id>/segmentations/<str:uuid>"
UPLOAD = f"{MEMBERSHIP}/upload/<uuid:upload_id>"

urlpatterns = [
    path(MEMBERSHIP, MembershipView.as_view(), name="membership"),
    path(f"{MEMBERSHIP}/preflight", PreflightView.as_view(), name="preflight"),
    path(f"{MEMBERSHIP}/tus", TusCreateView.as_view(), name="tus"),
    path(f"{MEMBERSHIP}/tus/<uuid:tus_id>", TusUploadView.as_view(), name="tus_upload"),
    path(f"{MEMBERSHIP}/upload", UploadListView.as_view(), name="uploads"),
    path(UPLOAD, UploadView.as_view(), name="upload"),
    path(f"{SEGMENTATION}/profiles", SegmentationProfilesView.as_view(), name="segmentation_profiles"),
    path(f"{SEGMENTATION}/uploads", SegmentationUploadsView.as_view(), name="segmentation_uploads"),
    path("source-pulls/<uuid:pull_id>", SourcePullView.as_view(), name="source_pull"),
    path("source-pulls/<uuid:pull_id>/cancel", SourcePullCancelView.as_view(), name="source_pull_cancel"),
    path("person-searches", PersonSearchListView.as_view(), name="person_searches"),
    path("person-searches/<uuid:search_id>", PersonSearchView.as_view(), name="person_search"),
    path("person-searches/<uuid:search_id>/erase", PersonEraseView.as_view(), name="person_erase"),
    path("erasures", ErasureListView.as_view(), name="erasures"),
    path("erasures/<uuid:erasure_id>", ErasureView.as_view(), name="erasure"),
    path("erasures/<uuid:erasure_id>/retry", ErasureRetryView.as_view(), name="erasure_retry"),
    path("erasures/<uuid:erasure_id>/lift", ErasureLiftView.as_view(), name="erasure_lift"),
    path(f"{MEMBERSHIP}/top-up", TopUpView.as_view(), name="top_up"),
    path(f"{UPLOAD}/undo", UploadUndoView.as_view(), name="upload_undo"),
    path(f"{UPLOAD}/cancel", UploadCancelView.as_view(), name="upload_cancel"),
    path(f"{UPLOAD}/retry", UploadRetryView.as_view(), name="upload_retry"),
    path(f"{UPLOAD}/rejections", RejectionsView.as_view(), name="upload_rejections"),
    path(f"{UPLOAD}/vendor-reports/<int:vendor_account_id>", VendorReportView.as_view(), name="vendor_report"),
]
