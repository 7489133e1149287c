"""The API's calls on vendor accounts. Credentials are never shown; settings only to managers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.paging import PAGE_PARAMETERS, page_response
from audsync_web.api.permissions import ManagerWrites
from audsync_web.api.times import api_time
from audsync_web.api.views import ApiView
from audsync_web.people.access import get_visible_or_404
from audsync_web.people.actors import Actor

from .models import AccountStatus, VendorAccount
from .services import account_check

# The API says the words of people: `needs attention`, as destinations and deliveries do.
STATUS_WORDS = {status.value: status.value.replace("_", " ") for status in AccountStatus}
ACCOUNT_STATUSES = [(word, word) for key, word in STATUS_WORDS.items() if key != AccountStatus.DISCONNECTED]


class VendorAccountSerializer(serializers.Serializer[Any]):
    """A vendor account. `settings` and `baseUrl` are shown to managers and admins only."""

    id = serializers.IntegerField()
    vendor = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=ACCOUNT_STATUSES)
    holdsMembers = serializers.BooleanField()  # noqa: N815  # the API's own words
    identifier = serializers.CharField(allow_null=True)
    createdAt = serializers.DateTimeField()  # noqa: N815
    checkedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815
    checkText = serializers.CharField()  # noqa: N815
    error = serializers.CharField(allow_null=True)
    nextStep = serializers.CharField(allow_null=True)  # noqa: N815
    warnings = serializers.ListField(child=serializers.CharField())
    baseUrl = serializers.CharField(required=False)  # noqa: N815
    settings = serializers.DictField(required=False)


class VendorAccountPageSerializer(serializers.Serializer[Any]):
    """A page of vendor accounts, newest first."""

    results = VendorAccountSerializer(many=True)
    next = serializers.URLField(allow_null=True)


def account_shape(account: VendorAccount, actor: Actor) -> dict[str, Any]:
    """An account as this person may see it."""
    shape: dict[str, Any] = {
        "id": account.pk,
        "vendor": account.vendor,
        "name": account.name,
        "status": STATUS_WORDS[account.status],
        "holdsMembers": account.connector.capabilities.holds_members,
        "identifier": account.settings.get("identifier"),
        "createdAt": api_time(account.created_at),
        "checkedAt": api_time(account.checked_at),
        "checkText": account.check_text,
        "error": account.error_text or None,
        "nextStep": account.next_step or None,
        "warnings": list(account.warnings),
    }
    if actor.manages:
        secret = {field.name for field in account.connector.fields if field.secret}
        shape["baseUrl"] = account.base_url
        shape["settings"] = {name: value for name, value in account.settings.items() if name not in secret}
    return shape


class VendorAccountListView(ApiView):
    """The company's vendor accounts."""

    @extend_schema(
        operation_id="vendor_account_list", parameters=PAGE_PARAMETERS, responses={200: VendorAccountPageSerializer}
    )
    def get(self, request: Request) -> Response:
        """The connected accounts, newest first."""
        rows = VendorAccount.objects.visible_to(self.company)
        return page_response(request, rows, lambda account: account_shape(account, self.actor))


class VendorAccountView(ApiView):
    """One vendor account."""

    @extend_schema(operation_id="vendor_account_read", responses={200: VendorAccountSerializer})
    def get(self, request: Request, vendor_account_id: int) -> Response:
        """The account."""
        account = get_visible_or_404(VendorAccount.objects.all(), self.company, pk=vendor_account_id)
        return Response(account_shape(account, self.actor))


class VendorAccountCheckView(ApiView):
    """The live check."""

    permission_classes = (ManagerWrites,)

    @extend_schema(operation_id="vendor_account_check", request=None, responses={200: VendorAccountSerializer})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """Prove the credentials by a harmless call now; the account's status and error tell the outcome."""
        account = get_visible_or_404(VendorAccount.objects.all(), self.company, pk=vendor_account_id)
        return Response(account_shape(account_check(actor=self.actor, account=account), self.actor))
