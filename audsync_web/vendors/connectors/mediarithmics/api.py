"""Transport of the mediarithmics API: the bare token, the envelope, paging, errors (spec sections 2 and 3).

Ids are text for us, whatever the vendor sends; numbers may come as text, be null or be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from audsync_web.vendors.connectors.base import Services
from audsync_web.vendors.connectors.client import Reply, VendorClient
from audsync_web.vendors.connectors.errors import Permanent, Transient, unreadable
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.reading import impersonal, whole
from audsync_web.vendors.connectors.streams import SizedStream

from .commands import WIRE_FIELD

FILE_TIMEOUT = 300.0
"""Seconds that the answer to a posted file may take: the vendor checks a file before it answers (spec section 6)."""
LARGEST_ERROR_FILE = 20 * 1024 * 1024
"""M-U27: an error file is fetched up to this size."""
MAX_TEXT = 500

Values = Mapping[str, str | int]


class Api:
    """The calls of one account, unwrapped. Reads are `one` and `pages`; everything else has an effect."""

    def __init__(self, config: AccountConfig, services: Services, quota_scope: str) -> None:
        self._settings = config.settings
        self._token = config.credentials["apiToken"]
        pace_key = f"{quota_scope}:requests"
        per_second = float(config.settings["requestsPerSecond"])
        self._client = VendorClient(
            base_url=config.base_url,
            vendor=config.vendor,
            allow_private_hosts=services.allow_private_hosts,
            user_agent=services.user_agent,
            pace=lambda _: services.pacer.take(pace_key, per_second=per_second),
            throttled=lambda seconds: services.pacer.pause(pace_key, seconds, "mediarithmics asks us to slow down."),
            describe=_said,
            refer=_reference,
            secrets=(self._token,),
            answer_within=services.answer_within,
        )

    def close(self) -> None:
        """Close pooled connections."""
        self._client.close()

    @property
    def _headers(self) -> dict[str, str]:
        # No scheme word; the page's own samples send the bare token (M-U3).
        return {"Authorization": self._token}

    def one(self, path: str, values: Values, **params: str) -> dict[str, Any]:
        """Read one resource."""
        reply = self._client.read("GET", path, values=values, params=params or None, headers=self._headers)
        return _object(reply, effect=False)

    def pages(self, path: str, values: Values, **params: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page; ends rightly with and without `total` (M-U4)."""
        asked, first, before = int(self._settings["pageSize"]), 0, None
        while True:
            paging = {**params, "first_result": first, "max_results": asked}
            reply = self._client.read("GET", path, values=values, params=paging, headers=self._headers)
            items = _unwrapped(reply, effect=False)
            if not isinstance(items, list):
                raise unreadable("mediarithmics")
            if items == before:
                return  # a list that knows no paging gives its first page for ever
            yield from (item for item in items if isinstance(item, dict))
            first, before = first + len(items), items
            total = whole(reply.object().get("total"))
            size = min(asked, whole(reply.object().get("max_results")) or asked)
            if not items or (total is not None and first >= total) or (total is None and len(items) < size):
                return

    def call(self, method: str, path: str, values: Values, body: Any, **params: str) -> dict[str, Any]:
        """A call with an effect and a JSON body, sent once."""
        reply = self._client.effect(
            method, path, values=values, params=params or None, json_body=body, headers=self._headers
        )
        return _object(reply, effect=True)

    def post_file(self, path: str, values: Values, content_type: str, body: SizedStream) -> dict[str, Any]:
        """Post a file as the raw body, from disk and with its length, sent once."""
        headers = {**self._headers, "Content-Type": content_type}
        reply = self._client.effect("POST", path, values=values, data=body, headers=headers, timeout=FILE_TIMEOUT)
        return _object(reply, effect=True)

    def data_file(self, uri: str) -> bytes:
        """M7, the file behind an opaque URI: always asked of the configured host, so the token goes nowhere else."""
        reply = self._client.read(
            "GET", "/data_file/data", params={"uri": uri}, headers=self._headers, max_bytes=LARGEST_ERROR_FILE
        )
        if reply.object().get("status") == "error":
            raise _refused(reply, effect=False)
        return reply.body


def _unwrapped(reply: Reply, *, effect: bool) -> Any:
    """The payload of a 2xx. `status: error` is a failure all the same, and so is an answer without data."""
    body = reply.object()
    if body.get("status") == "error":
        raise _refused(reply, effect=effect)
    if body.get("data") is None:
        raise unreadable("mediarithmics", effect=effect)
    return body["data"]


def _refused(reply: Reply, *, effect: bool) -> Permanent | Transient:
    """An error behind a 2xx. Its code tells nothing of what would help, and to ask again does no harm; to send does."""
    family = Permanent if effect else Transient
    return family(
        "The vendor answered with an error.",
        next_step="Give the vendor's support the reference of the error.",
        vendor_text=_said(reply),
        status=reply.status,
        reference=_reference(reply),
    )


def _object(reply: Reply, *, effect: bool) -> dict[str, Any]:
    data = _unwrapped(reply, effect=effect)
    if not isinstance(data, dict):
        raise unreadable("mediarithmics", effect=effect)
    return data


def _said(reply: Reply) -> str:
    body = reply.object()
    said, code = text(body.get("error")) or _impersonal(reply.opening), text(body.get("error_code"))
    return f"{said} ({code})" if code else said


def _reference(reply: Reply) -> str:
    """The vendor's own number of a failure: it looks like a person's UUID, and is none."""
    found = reply.object().get("error_id")
    return found[:100] if isinstance(found, str) else ""


# --- tolerant reading ------------------------------------------------------------------------------------------------


def cut(said: str, most: int = MAX_TEXT) -> str:
    """Vendor text made fit to keep: short, and without what names a person."""
    return _impersonal(said[: most * 4])[:most]


def _impersonal(said: str) -> str:
    return impersonal(said, WIRE_FIELD.values())


def text(value: Any) -> str:
    """A vendor's text, empty when it is none."""
    return cut(value) if isinstance(value, str) else ""


def identifier(value: Any) -> str:
    """An id as text: the vendor sends digits as text at the top level and as numbers in nested copies (section 4)."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()[:100]


def moment(value: Any) -> datetime | None:
    """A time in epoch milliseconds, None when missing or out of any calendar."""
    millis = whole(value)
    try:
        return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
