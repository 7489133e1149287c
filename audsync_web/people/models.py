"""People and what they belong to: a role in each of several companies; nothing is visible outside one's own."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

COMPANY_KEY_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
COMPANY_KEY_LENGTH = 4


class Role(models.TextChoices):
    """What a person may do in one company (design section 1)."""

    MANAGER = "manager", "Client success manager"
    MARKETER = "marketer", "Marketer"
    ADMIN = "admin", "Admin"


class UserManager(BaseUserManager["User"]):
    """Finds people by e-mail whatever its letter case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=normal_email(username or ""))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person with a hashed password; without one nobody can log in as them."""
        user = self.model(email=normal_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


def normal_email(email: str) -> str:
    """E-mail addresses are compared trimmed and in lower case."""
    return email.strip().lower()


class User(AbstractBaseUser):
    """A person, known by e-mail."""

    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    def __str__(self) -> str:
        return self.name or self.email


def new_company_key() -> str:
    """Four random characters that stand in every technical segment name of the company (design section 7.4)."""
    return "".join(secrets.choice(COMPANY_KEY_LETTERS) for _ in range(COMPANY_KEY_LENGTH))


class Company(models.Model):
    """A tenant, with its own settings of retention and caution."""

    slug = models.SlugField(unique=True, max_length=60)
    name = models.CharField(max_length=120)
    key = models.CharField(max_length=COMPANY_KEY_LENGTH, unique=True, default=new_company_key, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    keep_originals_days = models.PositiveSmallIntegerField(default=30)
    keep_reports_days = models.PositiveSmallIntegerField(default=30)
    keep_snapshots_days = models.PositiveSmallIntegerField(default=90)
    delete_originals_when_confirmed = models.BooleanField(default=False)
    max_removed_share = models.FloatField(default=0.2)
    """The share of a segment that an upload may remove before the page asks a second time."""
    max_stored_bytes = models.BigIntegerField(null=True, blank=True)
    """Quota of stored originals; None is unlimited."""

    class Meta:
        verbose_name_plural = "companies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(max_removed_share__gte=0, max_removed_share__lte=1),
                name="company_removed_share_is_share",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in a company."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "company"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.company_id} as {self.role}"


def new_secret(prefix: str) -> str:
    """A secret to be shown once: recognisable by its prefix, unguessable by its 256 bits."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def secret_hash(secret: str) -> str:
    """What is stored of a secret. Random 256 bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiToken(models.Model):
    """A bearer of one person in one company: a login's token with an end, or a named API key."""

    class Kind(models.TextChoices):
        LOGIN = "login", "Login"
        KEY = "key", "API key"

    kind = models.CharField(max_length=5, choices=Kind.choices)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, blank=True)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    LOGIN_LIFETIME: ClassVar[timedelta] = timedelta(hours=24)

    class Meta:
        indexes = [models.Index(fields=["company", "kind", "-created_at"], name="token_by_company")]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=["login", "key"]), name="token_kind_known"),
            models.CheckConstraint(
                condition=models.Q(kind="key") | models.Q(expires_at__isnull=False), name="login_token_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.hint}"


class Invitation(models.Model):
    """A link that lets somebody join a company and choose a password; used once, ends by itself."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"), "company", condition=models.Q(accepted_at__isnull=True), name="invitation_open_once"
            ),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="invitation_role_known"),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"


class LoginThrottle(models.Model):
    """Failed logins of one (address, e-mail) pair or one address, counted in a window."""

    key = models.CharField(max_length=64, unique=True)
    failures = models.PositiveIntegerField(default=0)
    window_ends_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class AuditEntry(models.Model):
    """Who did what, when, from where. Never a secret, never an identifier of a person in an audience."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, null=True, related_name="audit_entries")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    who = models.CharField(max_length=254)
    via = models.CharField(max_length=10)
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    object_name = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["company", "-at", "-id"], name="audit_by_company"),
            models.Index(fields=["company", "object_name", "id"], name="audit_by_name"),
            models.Index(fields=["company", "action", "-at", "-id"], name="audit_by_action"),
            models.Index(fields=["company", "user", "-at", "-id"], name="audit_by_user"),
            models.Index(fields=["company", "object_type", "object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["company", "object_id", "-id"], name="audit_by_object_id"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
