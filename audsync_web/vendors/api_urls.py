"""The API calls of vendor accounts."""

from __future__ import annotations

from django.urls import path

from .api import VendorAccountCheckView, VendorAccountListView, VendorAccountView
from .identity_api import ByX1IdView, FilterListView, FilterView, RemoveView, SearchView
from .profile_api import ProfileEraseView, ProfileSearchView

ONE = "vendor-accounts/<int:vendor_account_id>"

urlpatterns = [
    path("vendor-accounts", VendorAccountListView.as_view(), name="vendor_accounts"),
    path("vendor-accounts/<int:vendor_account_id>", VendorAccountView.as_view(), name="vendor_account"),
    path(
        "vendor-accounts/<int:vendor_account_id>/check", VendorAccountCheckView.as_view(), name="vendor_account_check"
    ),
    path(f"{ONE}/identity-filters", FilterListView.as_view(), name="identity_filters"),
    # `path`, because an identifier's name may hold a slash.
    path(f"{ONE}/identity-filters/<path:identifier_name>", FilterView.as_view(), name="identity_filter"),
    path(f"{ONE}/identities/by-x1id", ByX1IdView.as_view(), name="identities_by_x1id"),
    path(f"{ONE}/identities/search", SearchView.as_view(), name="identities_search"),
    path(f"{ONE}/identities/remove", RemoveView.as_view(), name="identities_remove"),
    path(f"{ONE}/profiles/search", ProfileSearchView.as_view(), name="profiles_search"),
    path(f"{ONE}/profiles/erase", ProfileEraseView.as_view(), name="profiles_erase"),
]
