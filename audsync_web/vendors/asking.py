"""A vendor that is asked while somebody waits before a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .connectors.errors import AuthenticationFailed
from .models import VendorAccount
from .runtime import connector_for
from .services import account_needs_attention

ANSWER_WITHIN = 10.0
"""Seconds that one read may take."""


@contextmanager
def asking(account: VendorAccount) -> Iterator[Any]:
    """The account's connector. A key that the vendor rejects is shown on the account as well."""
    try:
        with connector_for(account, answer_within=ANSWER_WITHIN) as connector:
            yield connector
    except AuthenticationFailed as error:
        if error.status == 401:
            account_needs_attention(account, error)
        raise
