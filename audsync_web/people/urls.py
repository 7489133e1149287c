"""Pages of people and companies."""

from __future__ import annotations

from django.urls import path

from . import audit_views, session_views, views

urlpatterns = [
    path("login", session_views.log_in, name="login"),
    path("logout", session_views.log_out, name="logout"),
    path("join", session_views.join, name="join"),
    path("company/switch", session_views.company_switch, name="company_switch"),
    path("company/settings", views.company_settings, name="company_settings"),
    path("account", views.account, name="account"),
    path("account/password", views.account_password, name="account_password"),
    path("people", views.people, name="people"),
    path("people/invite", views.person_invite, name="person_invite"),
    path("people/invitations/<int:pk>/withdraw", views.invitation_withdraw, name="invitation_withdraw"),
    path("people/<int:pk>/role", views.person_role, name="person_role"),
    path("people/<int:pk>/remove", views.person_remove, name="person_remove"),
    path("keys", views.keys, name="keys"),
    path("keys/<int:pk>/revoke", views.key_revoke, name="key_revoke"),
    path("audit", audit_views.audit, name="audit"),
    path("audit/export", audit_views.audit_export, name="audit_export"),
]
