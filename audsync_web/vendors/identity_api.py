"""The API's calls on identity: filters, look-ups and removal. Managers and admins only.

Identifiers of people come and go in bodies, never in an address. Filters have the vendor's own property names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from audsync_web.api.errors import ApiError, Conflict, error_line
from audsync_web.api.paging import DEFAULT_LIMIT, MAX_LIMIT, PAGE_PARAMETERS, whole_number
from audsync_web.api.permissions import Manager
from audsync_web.api.times import api_time
from audsync_web.api.views import ApiView
from audsync_web.people.access import get_visible_or_404

from . import identity
from .api_faults import told, vendor_asked
from .connectors.errors import ConnectorError
from .connectors.identity import Identity, IdentityFilter
from .identity import LONGEST_NAME, LONGEST_VALUE, FilterExists, FilterMissing, State
from .models import VendorAccount
from .removals import GONE, LOST, NOTHING, REMOVED, STILL, Receipt

MOST_FILTERS = 100


def body_text(longest: int) -> serializers.CharField:
    """A text of a body, taken letter for letter."""
    return serializers.CharField(max_length=longest, trim_whitespace=False)


class StrictBoolean(serializers.BooleanField):
    """A real `true` or `false`: a filter is no place for guessing."""

    def to_internal_value(self, data: Any) -> bool:
        """The boolean; words and numbers are refused."""
        if not isinstance(data, bool):
            raise serializers.ValidationError("must be true or false")
        return data


class FilterInputSerializer(serializers.Serializer[Any]):
    """A filter to add or change. The two flags must not both be false."""

    identifierName = body_text(LONGEST_NAME)  # noqa: N815  # the vendor's own words, as all below
    publishFilter = StrictBoolean(help_text="True: passed to no destination at all.")  # noqa: N815
    subscribeFilter = StrictBoolean(help_text="True: not passed to this endpoint.")  # noqa: N815


class FilterSerializer(FilterInputSerializer):
    """A filter as the vendor holds it."""

    endpointFilterId = serializers.CharField()  # noqa: N815
    endpointId = serializers.CharField()  # noqa: N815
    effect = serializers.CharField(help_text="What it does, in one sentence.")


class FilterPageSerializer(serializers.Serializer[Any]):
    """A page of filters, by name."""

    results = FilterSerializer(many=True)
    next = serializers.URLField(allow_null=True)


class X1IdSerializer(serializers.Serializer[Any]):
    """An x1Id to open."""

    x1Id = body_text(LONGEST_VALUE)  # noqa: N815


class PairSerializer(serializers.Serializer[Any]):
    """An identifier."""

    name = body_text(LONGEST_NAME)
    value = body_text(LONGEST_VALUE)


class RemovalSerializer(PairSerializer):
    """An identifier to remove everywhere; `confirm` is the value once more."""

    confirm = body_text(LONGEST_VALUE)


class EntrySerializer(serializers.Serializer[Any]):
    """One identifier of an x1Id and the endpoint that it came from."""

    name = serializers.CharField()
    value = serializers.CharField()
    endpointId = serializers.CharField()  # noqa: N815


class IdentitySerializer(serializers.Serializer[Any]):
    """An x1Id and its identifiers, up to 1,000; `warning` says that it is nearly full."""

    x1Id = serializers.CharField()  # noqa: N815
    identifiers = EntrySerializer(many=True)
    warning = serializers.CharField(allow_null=True)


class HoldersSerializer(serializers.Serializer[Any]):
    """The x1Ids that hold an identifier, each showing only it; `warning` when they are several."""

    results = IdentitySerializer(many=True)
    next = serializers.URLField(allow_null=True)
    warning = serializers.CharField(allow_null=True)


class ReceiptSerializer(serializers.Serializer[Any]):
    """What came of a removal. `found` x1Ids held the identifier before, the vendor says that it changed `removed`
    (null: it did not say), and `left` held it at the look-up afterwards (null: that could not be made)."""

    receipt = serializers.IntegerField()
    name = serializers.CharField()
    outcome = serializers.ChoiceField(
        choices=[REMOVED, STILL, NOTHING, GONE],
        help_text="`still there`: the vendor said that it is done, and the look-up afterwards still found it.",
    )
    found = serializers.IntegerField()
    removed = serializers.IntegerField(allow_null=True)
    left = serializers.IntegerField(allow_null=True)
    details = serializers.CharField(allow_null=True)
    endedAt = serializers.DateTimeField()  # noqa: N815


def _one_or_some(name: str, serializer: type[serializers.Serializer[Any]]) -> PolymorphicProxySerializer:
    """An object, or an array of such objects."""
    return PolymorphicProxySerializer(
        component_name=name, serializers=[serializer, serializer(many=True)], resource_type_field_name=None, many=False
    )


FILTERS_IN = _one_or_some("IdentityFilterInput", FilterInputSerializer)
FILTERS_OUT = _one_or_some("IdentityFilterSaved", FilterSerializer)


def filter_shape(held: IdentityFilter) -> dict[str, Any]:
    """A filter as the API shows it."""
    return {
        "endpointFilterId": held.filter_id,
        "endpointId": held.endpoint_id,
        "identifierName": held.identifier_name,
        "publishFilter": held.publish,
        "subscribeFilter": held.subscribe,
        "effect": held.effect,
    }


def identity_shape(one: Identity) -> dict[str, Any]:
    """An x1Id as the API shows it."""
    entries = [{"name": e.name, "value": e.value, "endpointId": e.endpoint_id} for e in one.identifiers]
    return {"x1Id": one.x1_id, "identifiers": entries, "warning": one.warning or None}


def receipt_shape(receipt: Receipt) -> dict[str, Any]:
    """A removal's outcome as the API shows it."""
    return {
        "receipt": receipt.number,
        "name": receipt.name,
        "outcome": receipt.outcome,
        "found": receipt.found,
        "removed": receipt.changed,
        "left": receipt.left,
        "details": told(receipt.error) if receipt.error else None,
        "endedAt": api_time(receipt.ended_at),
    }


class IdentityView(ApiView):
    """A call on an account whose vendor governs identifiers; another account is 404."""

    permission_classes = (Manager,)

    def account(self, vendor_account_id: int) -> VendorAccount:
        """The account, 404 for a stranger's and for one of a vendor without identity calls."""
        account = get_visible_or_404(VendorAccount, self.company, pk=vendor_account_id)
        if not account.connector.capabilities.identity:
            raise Http404
        return account

    def given(self, serializer: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The checked body."""
        checked = serializer(data=self.request.data)
        checked.is_valid(raise_exception=True)
        return dict(checked.validated_data)


class FilterListView(IdentityView):
    """The filters of the key's endpoint."""

    @extend_schema(
        operation_id="identity_filter_list", parameters=PAGE_PARAMETERS, responses={200: FilterPageSerializer}
    )
    def get(self, request: Request, vendor_account_id: int) -> Response:
        """The filters as the vendor holds them now, by name."""
        account = self.account(vendor_account_id)
        limit = whole_number(request, "limit", default=DEFAULT_LIMIT, minimum=1, maximum=MAX_LIMIT)
        after = _read_cursor(request)
        with vendor_asked():
            found = identity.filters_of(actor=self.actor, account=account)
        found = [held for held in found if _key(held) > after] if after else found
        page = found[:limit]
        following = _next(request, page[-1]) if len(found) > limit else None
        return Response({"results": [filter_shape(held) for held in page], "next": following})

    @extend_schema(operation_id="identity_filter_add", request=FILTERS_IN, responses={201: FILTERS_OUT})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """Add one filter (an object) or some (an array). 409 where one of them is there already."""
        return self._save(vendor_account_id, "absent", status.HTTP_201_CREATED)

    @extend_schema(operation_id="identity_filter_change", request=FILTERS_IN, responses={200: FILTERS_OUT})
    def put(self, request: Request, vendor_account_id: int) -> Response:
        """Change one filter (an object) or some (an array). 404 where one of them is not there."""
        return self._save(vendor_account_id, "present", status.HTTP_200_OK)

    def _save(self, vendor_account_id: int, when: State, code: int) -> Response:
        account = self.account(vendor_account_id)
        body: Any = self.request.data
        many = isinstance(body, list)
        wanted = _checked_filters(body if many else [body], many=many)
        saved: list[dict[str, Any]] = []
        for row in wanted:
            saved.append(self._save_one(account, row, when, saved))
        return Response(saved if many else saved[0], status=code)

    def _save_one(
        self, account: VendorAccount, row: dict[str, Any], when: State, saved: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """One filter a call at the vendor, so a refusal tells which of the earlier ones are saved."""
        name = row["identifierName"]
        try:
            with vendor_asked():
                return filter_shape(
                    identity.filter_save(
                        actor=self.actor,
                        account=account,
                        name=name,
                        publish=row["publishFilter"],
                        subscribe=row["subscribeFilter"],
                        when=when,
                    )
                )
        except FilterExists:
            raise Conflict(f"{name} has a filter already; PUT changes it.{_saved(saved)}") from None
        except FilterMissing:
            raise ApiError(status.HTTP_404_NOT_FOUND, f"{name} has no filter; POST adds one.{_saved(saved)}") from None
        except ApiError as refusal:
            if not saved:
                raise
            raise ApiError(refusal.status_code, f"{name}: {refusal.detail}{_saved(saved)}", refusal.headers) from None


class FilterView(IdentityView):
    """The filter of one identifier name."""

    @extend_schema(operation_id="identity_filter_read", responses={200: FilterSerializer})
    def get(self, request: Request, vendor_account_id: int, identifier_name: str) -> Response:
        """The filter; 404 when there is none."""
        account = self.account(vendor_account_id)
        try:
            with vendor_asked():
                found = identity.filter_of(actor=self.actor, account=account, name=identifier_name)
        except FilterMissing:
            raise Http404 from None
        return Response(filter_shape(found))

    @extend_schema(operation_id="identity_filter_remove", responses={204: None})
    def delete(self, request: Request, vendor_account_id: int, identifier_name: str) -> Response:
        """Remove the filter, so that the identifier passes again; 404 when there is none."""
        account = self.account(vendor_account_id)
        with vendor_asked():
            removed = identity.filter_remove(actor=self.actor, account=account, name=identifier_name)
        if not removed:
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)


class ByX1IdView(IdentityView):
    """One x1Id."""

    @extend_schema(operation_id="identity_by_x1id", request=X1IdSerializer, responses={200: IdentitySerializer})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """All identifiers of an x1Id, with an endpoint's own key only; 404 when the vendor does not know it."""
        account = self.account(vendor_account_id)
        x1_id = self.given(X1IdSerializer)["x1Id"]
        with vendor_asked():
            found = identity.open_x1id(actor=self.actor, account=account, x1_id=x1_id)
        if found is None:
            raise Http404
        return Response(identity_shape(found))


class SearchView(IdentityView):
    """The x1Ids of an identifier."""

    @extend_schema(operation_id="identity_search", request=PairSerializer, responses={200: HoldersSerializer})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """The x1Ids that hold an identifier; none is an empty list."""
        account = self.account(vendor_account_id)
        given = self.given(PairSerializer)
        with vendor_asked():
            found = identity.look_up(actor=self.actor, account=account, name=given["name"], value=given["value"])
        rows = [identity_shape(one) for one in found.identities]
        return Response({"results": rows, "next": None, "warning": found.warning or None})


class RemoveView(IdentityView):
    """The removal of an identifier."""

    @extend_schema(operation_id="identity_remove", request=RemovalSerializer, responses={200: ReceiptSerializer})
    def post(self, request: Request, vendor_account_id: int) -> Response:
        """Remove an identifier from every x1Id and every endpoint of the application, for good.

        `confirm` must be the value; it is looked up before and after, and sent once. 502 when the vendor's answer was
        lost and the identifier is still there: look it up before removing it again.
        """
        account = self.account(vendor_account_id)
        given = self.given(RemovalSerializer)
        with vendor_asked():
            receipt = identity.remove(actor=self.actor, account=account, **given)
            if receipt.outcome == LOST and isinstance(receipt.error, ConnectorError):
                raise receipt.error
        return Response(receipt_shape(receipt))


# --- bodies and cursors ----------------------------------------------------------------------------------------------


def _checked_filters(rows: Sequence[Any], *, many: bool) -> list[dict[str, Any]]:
    """Every filter of the body checked before the first is sent; a fault in one names it."""
    if not rows or len(rows) > MOST_FILTERS:
        raise ApiError(status.HTTP_400_BAD_REQUEST, f"An array must have 1 to {MOST_FILTERS} filters.")
    faults, wanted = [], []
    for index, row in enumerate(rows):
        checked = FilterInputSerializer(data=row)
        fault = _filter_fault(checked)
        if fault:
            faults.append(f"[{index}] {fault}" if many else fault)
        else:
            wanted.append(dict(checked.validated_data))
    if faults:
        raise ApiError(status.HTTP_400_BAD_REQUEST, "; ".join(faults))
    names = [row["identifierName"] for row in wanted]
    if len(set(names)) < len(names):
        raise ApiError(status.HTTP_400_BAD_REQUEST, "An identifier stands in the array more than once.")
    return wanted


def _filter_fault(checked: FilterInputSerializer) -> str:
    if not checked.is_valid():
        return error_line(checked.errors)
    row = checked.validated_data
    try:
        identity.filter_checked(row["identifierName"], publish=row["publishFilter"], subscribe=row["subscribeFilter"])
    except ValidationError as faults:
        renamed = {"name": "identifierName"}
        return error_line({renamed.get(key, key): lines for key, lines in faults.message_dict.items()})
    return ""


def _saved(saved: Sequence[dict[str, Any]]) -> str:
    names = ", ".join(row["identifierName"] for row in saved)
    return f" Saved before it: {names}." if names else ""


def _key(held: IdentityFilter) -> tuple[str, str]:
    return held.identifier_name.casefold(), held.identifier_name


def _next(request: Request, last: IdentityFilter) -> str:
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(last.identifier_name.encode()).decode("ascii")
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _read_cursor(request: Request) -> tuple[str, str] | None:
    raw = request.query_params.get("cursor")
    if not raw:
        return None
    try:
        name = base64.b64decode(raw.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise ApiError(status.HTTP_400_BAD_REQUEST, "cursor: The cursor is not one of this list.") from None
    return name.casefold(), name
