"""Bearer tokens: those of a login, which end by themselves, and API keys with a name. Stored as hashes only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audsync_web.jobs.kinds import on_housekeeping

from . import audit
from .actors import Actor, NotAllowed
from .models import ApiToken, Membership, Role, new_secret, secret_hash

LOGIN_PREFIX = "audt"
KEY_PREFIX = "audk"
USE_WRITTEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Bearer:
    """Who a valid token stands for."""

    token: ApiToken
    membership: Membership


def login_token_issue(*, actor: Actor) -> str:
    """A token for the acting person in the actor's company, good for 24 hours. Shown once."""
    if actor.user is None:
        raise TypeError("only a person can log in")
    secret = new_secret(LOGIN_PREFIX)
    with transaction.atomic():
        token = ApiToken.objects.create(
            kind=ApiToken.Kind.LOGIN,
            user=actor.user,
            company=actor.company,
            hash=secret_hash(secret),
            hint=_hint(secret),
            expires_at=timezone.now() + ApiToken.LOGIN_LIFETIME,
        )
        audit.record(actor, "person.login", token, name=actor.user.email)
    return secret


def key_create(*, actor: Actor, name: str, days: int | None = None) -> tuple[ApiToken, str]:
    """An API key of the acting person in this company, for `days` or without end. The secret is returned once.

    Raises `ValidationError`.
    """
    if actor.user is None:
        raise TypeError("an API key belongs to a person")
    secret = new_secret(KEY_PREFIX)
    token = ApiToken(
        kind=ApiToken.Kind.KEY,
        user=actor.user,
        company=actor.company,
        name=name.strip(),
        hash=secret_hash(secret),
        hint=_hint(secret),
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
    )
    if not token.name:
        raise ValidationError({"name": "Give the key a name, so that you know it again."})
    token.full_clean()
    with transaction.atomic():
        token.save()
        lifetime = {} if days is None else {"days": days}
        audit.record(actor, "key.create", token, name=token.name, **lifetime)
    return token, secret


def key_revoke(*, actor: Actor, token: ApiToken) -> None:
    """End a key at once: one's own, or anybody's for an admin."""
    if not actor.administers and (actor.user is None or token.user_id != actor.user.pk):
        raise NotAllowed("Only admins may revoke the keys of others.")
    with transaction.atomic():
        audit.record(actor, "key.revoke", token, name=token.name)
        token.delete()


def _hint(secret: str) -> str:
    return f"{secret[:4]}…{secret[-4:]}"


def bearer_find(secret: str) -> Bearer | None:
    """Who the token stands for; None when it is unknown, has ended, or its person has left the company."""
    token = ApiToken.objects.select_related("user", "company").filter(hash=secret_hash(secret)).first()
    if token is None or not token.user.is_active:
        return None
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return None
    membership = Membership.objects.filter(user=token.user, company=token.company).first()
    if membership is None:
        return None
    _note_use(token)
    return Bearer(token, membership)


def _note_use(token: ApiToken) -> None:
    """Write down that it was used, at most once a minute: a busy script must not write with every call."""
    now = timezone.now()
    if token.last_used_at is not None and token.last_used_at > now - USE_WRITTEN_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_WRITTEN_EVERY)
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


def bearer_actor(bearer: Bearer, address: str | None) -> Actor:
    """The person behind a token, acting through the API."""
    token = bearer.token
    role = Role(bearer.membership.role)
    return Actor(company=token.company, role=role, user=token.user, via="api", address=address)


@on_housekeeping
def forget_ended_tokens() -> None:
    """Delete login tokens that ended more than a day ago; ended keys stay in the list until somebody revokes them."""
    yesterday = timezone.now() - timedelta(days=1)
    ApiToken.objects.filter(kind=ApiToken.Kind.LOGIN, expires_at__lt=yesterday).delete()
