"""Pages of identity and profiles. No address holds an identifier of a person."""

from __future__ import annotations

from django.urls import path

from . import filter_views, identity_views, profile_views, removal_views

ONE = "identity/<int:pk>"

urlpatterns = [
    path("identity", identity_views.identity_home, name="identity"),
    path(ONE, identity_views.identity_account, name="identity_account"),
    path(f"{ONE}/look-up", identity_views.identity_look_up, name="identity_look_up"),
    path(f"{ONE}/x1id", identity_views.identity_open, name="identity_open"),
    path(f"{ONE}/x1id/export", identity_views.identity_export, name="identity_export"),
    path(f"{ONE}/remove", identity_views.identity_remove, name="identity_remove"),
    path(f"{ONE}/removals", removal_views.identity_removals, name="identity_removals"),
    path(f"{ONE}/removals/export", removal_views.identity_removals_export, name="identity_removals_export"),
    path(f"{ONE}/removals/<int:number>", removal_views.identity_receipt, name="identity_receipt"),
    path(f"{ONE}/filters", filter_views.identity_filters, name="identity_filters"),
    path(f"{ONE}/filters/export", filter_views.identity_filters_export, name="identity_filters_export"),
    path(f"{ONE}/filters/add", filter_views.identity_filter_add, name="identity_filter_add"),
    path(f"{ONE}/filters/change", filter_views.identity_filter_change, name="identity_filter_change"),
    path(f"{ONE}/filters/remove", filter_views.identity_filter_remove, name="identity_filter_remove"),
    path(f"{ONE}/profile", profile_views.profile, name="profile"),
    path(f"{ONE}/profile/erase", profile_views.profile_erase, name="profile_erase"),
]
