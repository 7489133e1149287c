"""Writes on companies and people. Every one is keyword-only, checked as a whole, and in the audit trail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from . import audit
from .actors import Actor, Via
from .models import ApiToken, Company, Invitation, Membership, Role, User, new_secret, normal_email, secret_hash

INVITATION_LIFETIME = timedelta(days=7)
COMPANY_SETTINGS = (
    "name",
    "keep_originals_days",
    "keep_reports_days",
    "keep_snapshots_days",
    "delete_originals_when_confirmed",
    "max_removed_share",
    "max_stored_bytes",
)


def company_create(*, slug: str, name: str, via: Via = "command") -> Company:
    """A new, empty company. Raises `ValidationError`."""
    company = Company(slug=slug, name=name.strip())
    company.full_clean()
    with transaction.atomic():
        company.save()
        audit.record(Actor(company=company, role=Role.ADMIN, via=via), "company.create", company)
    return company


def company_change(*, actor: Actor, **changes: Any) -> Company:
    """Change the company's own settings (`COMPANY_SETTINGS`); what is not named stays. Raises `ValidationError`."""
    actor.require_admin()
    unknown = set(changes) - set(COMPANY_SETTINGS)
    if unknown:
        raise TypeError(f"not settings of a company: {', '.join(sorted(unknown))}")
    with transaction.atomic():
        company = Company.objects.select_for_update().get(pk=actor.company.pk)
        before = {name: getattr(company, name) for name in changes}
        for name, value in changes.items():
            setattr(company, name, value)
        company.full_clean()
        changed = {name: [old, changes[name]] for name, old in before.items() if old != changes[name]}
        if changed:
            company.save(update_fields=list(changed))
            audit.record(actor, "company.change", company, changed=changed)
    return company


def person_add(*, actor: Actor, email: str, role: Role, password: str | None = None, name: str = "") -> Membership:
    """Give the person of this e-mail a role in the company; who is new to AudSync is made, with `password`.

    Raises `ValidationError`, also when they are in the company already. A password that exists is left alone.
    """
    actor.require_admin()
    with transaction.atomic():
        user = User.objects.filter(email=normal_email(email)).first() or _user_make(email, password, name)
        membership = Membership(user=user, company=actor.company, role=role)
        membership.full_clean()
        membership.save()
        audit.record(actor, "person.add", user, role=str(role))
    return membership


def _user_make(email: str, password: str | None, name: str) -> User:
    user = User(email=normal_email(email), name=name.strip())
    user.set_password(password)
    user.full_clean()
    user.save()
    return user


def person_invite(*, actor: Actor, email: str, role: Role) -> tuple[Invitation, str]:
    """Invite somebody for seven days; the code is returned once. An open invitation of theirs is replaced.

    Raises `ValidationError`.
    """
    actor.require_admin()
    address = normal_email(email)
    if Membership.objects.filter(company=actor.company, user__email=address).exists():
        raise ValidationError({"email": "This person is in the company already."})
    code = new_secret("join")
    invitation = Invitation(
        company=actor.company,
        email=address,
        role=role,
        hash=secret_hash(code),
        invited_by=actor.user,
        expires_at=timezone.now() + INVITATION_LIFETIME,
    )
    with transaction.atomic():
        Invitation.objects.filter(company=actor.company, email__iexact=address, accepted_at__isnull=True).delete()
        invitation.full_clean()
        invitation.save()
        audit.record(actor, "person.invite", invitation, name=address, role=str(role))
    return invitation, code


def invitation_withdraw(*, actor: Actor, invitation: Invitation) -> None:
    """Make an open invitation useless."""
    actor.require_admin()
    with transaction.atomic():
        audit.record(actor, "person.uninvite", invitation, name=invitation.email)
        invitation.delete()


def invitation_find(code: str) -> Invitation | None:
    """The open invitation of this code; None for a wrong, used or ended one."""
    found = Invitation.objects.select_related("company").filter(hash=secret_hash(code.strip()))
    return found.filter(accepted_at__isnull=True, expires_at__gt=timezone.now()).first()


def invitation_accept(
    *, invitation: Invitation, password: str, name: str = "", address: str | None = None
) -> tuple[User, Membership]:
    """Let the invited person in: a new one chooses `password`, one known to AudSync proves theirs with it.

    Raises `ValidationError`. The invitation is used up by one conditional UPDATE, so two clicks make one membership.
    """
    with transaction.atomic():
        user = _invited_user(invitation, password, name)
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at__isnull=True).update(accepted_at=timezone.now())
        if not taken:
            raise ValidationError({"code": "This invitation has been used."})
        membership, _ = Membership.objects.get_or_create(
            user=user, company=invitation.company, defaults={"role": invitation.role}
        )
        actor = Actor(invitation.company, Role(membership.role), user=user, via="page", address=address)
        audit.record(actor, "person.join", user, role=membership.role)
    return user, membership


def _invited_user(invitation: Invitation, password: str, name: str) -> User:
    user = User.objects.filter(email=normal_email(invitation.email)).first()
    if user is not None:
        if not (user.is_active and user.check_password(password)):
            raise ValidationError({"password": "You have a login already, and this is not its password."})
        return user
    _check_password(password, User(email=invitation.email, name=name), "password")
    return _user_make(invitation.email, password, name)


def _check_password(password: str, user: User, field: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from None


def person_change_role(*, actor: Actor, membership: Membership, role: Role) -> Membership:
    """Another role in the company. Raises `ValidationError` for the last admin."""
    actor.require_admin()
    with transaction.atomic():
        locked = _locked(membership)
        if role != Role.ADMIN:
            _refuse_last_admin(locked)
        if locked.role != role:
            audit.record(actor, "person.role", locked.user, role=[locked.role, str(role)])
            locked.role = role
            locked.full_clean()
            locked.save(update_fields=["role"])
    return locked


def person_remove(*, actor: Actor, membership: Membership) -> None:
    """Take a person out of the company; their tokens and keys of it end.

    Raises `ValidationError` for the last admin.
    """
    actor.require_admin()
    with transaction.atomic():
        locked = _locked(membership)
        _refuse_last_admin(locked)
        ended, _ = ApiToken.objects.filter(user=locked.user, company=locked.company).delete()
        audit.record(actor, "person.remove", locked.user, role=locked.role, tokens_ended=ended)
        locked.delete()


def _locked(membership: Membership) -> Membership:
    # The company's row is the lock: two admins who remove each other at the same time must not both succeed.
    Company.objects.select_for_update().get(pk=membership.company_id)
    return Membership.objects.select_related("user", "company").get(pk=membership.pk)


def _refuse_last_admin(membership: Membership) -> None:
    others = Membership.objects.filter(~Q(pk=membership.pk), company=membership.company, role=Role.ADMIN)
    if membership.role == Role.ADMIN and not others.filter(user__is_active=True).exists():
        raise ValidationError("The company needs an admin. Make somebody else one first.")


def person_rename(*, actor: Actor, name: str) -> User:
    """Change the name the acting person is shown under. Raises `ValidationError`."""
    user = _self(actor)
    with transaction.atomic():
        user.name = name.strip()
        user.full_clean()
        user.save(update_fields=["name"])
        audit.record(actor, "person.rename", user)
    return user


def password_change(*, actor: Actor, old: str, new: str) -> User:
    """A new password for the acting person. Their sessions elsewhere and login tokens end; API keys stay.

    Raises `ValidationError`.
    """
    user = _self(actor)
    if not user.check_password(old):
        raise ValidationError({"old": "This is not your present password."})
    _check_password(new, user, "new")
    return password_set(actor=actor, user=user, password=new)


def password_set(*, actor: Actor, user: User, password: str) -> User:
    """Set a password that has been found good; what was logged in with the old one is logged out."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        ApiToken.objects.filter(user=user, kind=ApiToken.Kind.LOGIN).delete()
        audit.record(actor, "person.password", user)
    return user


def _self(actor: Actor) -> User:
    if actor.user is None:
        raise TypeError("only a person has a name and a password")
    return User.objects.get(pk=actor.user.pk)
