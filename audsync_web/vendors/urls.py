"""Pages of vendor accounts."""

from __future__ import annotations

from django.urls import path

from . import list_views, views

urlpatterns = [
    path("vendor-accounts", list_views.accounts, name="vendor_accounts"),
    path("vendor-accounts/live", list_views.accounts_live, name="vendor_accounts_live"),
    path("vendor-accounts/export", list_views.accounts_export, name="vendor_accounts_export"),
    path("vendor-accounts/new", views.account_new, name="vendor_account_new"),
    path("vendor-accounts/<int:pk>", views.account_one, name="vendor_account"),
    path("vendor-accounts/<int:pk>/health", views.account_health, name="vendor_account_health"),
    path("vendor-accounts/<int:pk>/check", views.account_check, name="vendor_account_check"),
    path("vendor-accounts/<int:pk>/change", views.account_change, name="vendor_account_change"),
    path("vendor-accounts/<int:pk>/rename", views.account_rename, name="vendor_account_rename"),
    path("vendor-accounts/<int:pk>/pause", views.account_pause, name="vendor_account_pause"),
    path("vendor-accounts/<int:pk>/resume", views.account_resume, name="vendor_account_resume"),
    path("vendor-accounts/<int:pk>/disconnect", views.account_disconnect, name="vendor_account_disconnect"),
    path("vendor-accounts/<int:pk>/history", list_views.account_history, name="vendor_account_history"),
]
