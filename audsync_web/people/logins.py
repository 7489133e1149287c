"""Logging in, by page and by API: the same throttle, the same check, the same time for unknown e-mails."""

from __future__ import annotations

from django.contrib.auth import authenticate
from django.contrib.sessions.models import Session
from django.utils import timezone

from audsync_web.jobs.kinds import on_housekeeping

from . import throttle
from .models import User, normal_email

WRONG_PAIR = "The e-mail address or the password is wrong."


def login_check(*, email: str, password: str, address: str | None) -> User | None:
    """The person, or None for a wrong pair, whichever half is wrong. Raises `throttle.TooManyTries`.

    An unknown e-mail costs a password hash as well (Django's backend sees to it), so the time tells nothing.
    """
    throttle.count_try(address, email)
    user = authenticate(username=normal_email(email), password=password)
    if not isinstance(user, User):
        return None
    throttle.forgive(address, email)
    return user


@on_housekeeping
def forget_ended_sessions() -> None:
    """Delete sessions of browsers that nobody can use any more."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
