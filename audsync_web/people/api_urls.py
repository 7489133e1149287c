"""The API calls of people."""

from __future__ import annotations

from django.urls import path

from .api import LoginView

urlpatterns = [path("login", LoginView.as_view(), name="login")]
