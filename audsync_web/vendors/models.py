"""A company's connected accounts at vendors, and the sealed tokens of their logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone

from audsync_web.crypto import SealedJSONField
from audsync_web.jobs.models import Job
from audsync_web.people.models import Company

from .connectors.registry import VENDOR_CHOICES, VENDORS, connector_class

if TYPE_CHECKING:
    from .connectors.base import Connector


class AccountStatus(models.TextChoices):
    """How an account stands."""

    OK = "ok", "Working"
    NEEDS_ATTENTION = "needs_attention", "Needs attention"
    PAUSED = "paused", "Paused"
    DISCONNECTED = "disconnected", "Disconnected"


class VendorAccountQuerySet(models.QuerySet["VendorAccount"]):
    """Accounts, always within one company."""

    def visible_to(self, company: Company) -> VendorAccountQuerySet:
        """The company's accounts that are still connected."""
        return self.filter(company=company).exclude(status=AccountStatus.DISCONNECTED)

    def holding_members(self) -> VendorAccountQuerySet:
        """Those whose vendor can hold a segment's members."""
        holders = [key for key in VENDORS if connector_class(key).capabilities.holds_members]
        return self.filter(vendor__in=holders)


class VendorAccount(Job):
    """One account at one vendor. As a job it re-checks its own health when `next_action_at` comes.

    `credentials` are sealed; `settings` are plain values checked against the connector's declared fields.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="vendor_accounts")
    vendor = models.CharField(max_length=20, choices=VENDOR_CHOICES)
    name = models.CharField(max_length=80)
    base_url = models.CharField(max_length=300)
    credentials = SealedJSONField()
    settings = models.JSONField(default=dict)
    quota_scope = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=AccountStatus.choices, default=AccountStatus.OK)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_text = models.CharField(max_length=300, blank=True, default="")
    check_facts = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)

    objects: ClassVar[Any] = VendorAccountQuerySet.as_manager()

    class Meta(Job.Meta):
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=AccountStatus.values), name="account_status_known"),
            models.UniqueConstraint(
                fields=["company", "name"], condition=~models.Q(status="disconnected"), name="account_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def connector(self) -> type[Connector]:
        """The connector class of this account's vendor."""
        return connector_class(self.vendor)

    @property
    def is_working(self) -> bool:
        """Whether its jobs may run."""
        return self.status == AccountStatus.OK


class SealedToken(models.Model):
    """A vendor login's token, sealed, shared by all workers; `login_holder` keeps logins single-flight."""

    key = models.CharField(max_length=300, unique=True)
    value = SealedJSONField(null=True)
    renew_at = models.DateTimeField(default=timezone.now)
    login_holder = models.CharField(max_length=40, blank=True, default="")
    login_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key
