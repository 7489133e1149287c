"""What an API call answers when the vendor, asked in the request, could not or would not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from rest_framework import status

from audsync_web.api.errors import ApiError, Conflict

from .connectors.errors import ConnectorError, NotSupported, Permanent, Transient, UnknownOutcome

IN_PRESENT_STATE = frozenset({"account_paused", "endpoint_key_needed"})
# The vendor's answers, and our own checks, that lie in what was asked for.
ASKED_WRONGLY = frozenset(
    {
        "identifier_incomplete",
        "identifier_refused",
        "identifier_name_refused",
        "filter_filters_nothing",
        "bad_path",
    }
)


@contextmanager
def vendor_asked() -> Iterator[None]:
    """Turn the connector's errors into answers: 400 what was asked wrongly, 409 what the account cannot do now,
    502 what the vendor refused or left open, 503 with Retry-After what may succeed later."""
    try:
        yield
    except ConnectorError as error:
        raise answer_to(error) from None


def answer_to(error: ConnectorError) -> ApiError:
    """The API's answer to one error: what happened, what to do, and the vendor's own words."""
    text = told(error)
    if isinstance(error, UnknownOutcome):
        return ApiError(status.HTTP_502_BAD_GATEWAY, text)
    if isinstance(error, Transient):
        wait = {"Retry-After": str(max(1, ceil(error.retry_after)))} if error.retry_after else None
        return ApiError(status.HTTP_503_SERVICE_UNAVAILABLE, text, wait)
    if isinstance(error, NotSupported) or error.code in IN_PRESENT_STATE:
        return Conflict(text)
    wrongly = error.code in ASKED_WRONGLY or (isinstance(error, Permanent) and error.status == 400)
    return ApiError(status.HTTP_400_BAD_REQUEST if wrongly else status.HTTP_502_BAD_GATEWAY, text)


def told(error: ConnectorError) -> str:
    """An error in one line."""
    said = f"The vendor says: {error.vendor_text}" if error.vendor_text else ""
    return " ".join(part for part in (error.text, error.next_step, said) if part)
