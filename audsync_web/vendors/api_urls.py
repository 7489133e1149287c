"""The API calls of vendor accounts."""

from __future__ import annotations

from django.urls import path

from .api import VendorAccountCheckView, VendorAccountListView, VendorAccountView

urlpatterns = [
    path("vendor-accounts", VendorAccountListView.as_view(), name="vendor_accounts"),
    path("vendor-accounts/<int:vendor_account_id>", VendorAccountView.as_view(), name="vendor_account"),
    path(
        "vendor-accounts/<int:vendor_account_id>/check", VendorAccountCheckView.as_view(), name="vendor_account_check"
    ),
]
