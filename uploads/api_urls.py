"""The API calls of uploads and memberships."""

from __future__ import annotations

from django.urls import path

from .api import MembershipView, RejectionsView, UploadCancelView, UploadListView, UploadRetryView, UploadView
from .api_lifecycle import TopUpView, UploadUndoView
from .api_preflight import PreflightView
from .tus import TusCreateView, TusUploadView

MEMBERSHIP = "segment/<int:segment_id>/membership"
UPLOAD = f"{MEMBERSHIP}/upload/<uuid:upload_id>"

urlpatterns = [
    path(MEMBERSHIP, MembershipView.as_view(), name="membership"),
    path(f"{MEMBERSHIP}/preflight", PreflightView.as_view(), name="preflight"),
    path(f"{MEMBERSHIP}/tus", TusCreateView.as_view(), name="tus"),
    path(f"{MEMBERSHIP}/tus/<uuid:tus_id>", TusUploadView.as_view(), name="tus_upload"),
    path(f"{MEMBERSHIP}/upload", UploadListView.as_view(), name="uploads"),
    path(UPLOAD, UploadView.as_view(), name="upload"),
    path(f"{MEMBERSHIP}/top-up", TopUpView.as_view(), name="top_up"),
    path(f"{UPLOAD}/undo", UploadUndoView.as_view(), name="upload_undo"),
    path(f"{UPLOAD}/cancel", UploadCancelView.as_view(), name="upload_cancel"),
    path(f"{UPLOAD}/retry", UploadRetryView.as_view(), name="upload_retry"),
    path(f"{UPLOAD}/rejections", RejectionsView.as_view(), name="upload_rejections"),
]
