"""A vendor that is asked beside the account's own jobs: mostly while somebody waits before a page."""

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
    """The account's connector, for somebody who waits. Credentials that the vendor rejects are shown on the account."""
    with rejection_shown(account), connector_for(account, answer_within=ANSWER_WITHIN) as connector:
        yield connector


@contextmanager
def rejection_shown(account: VendorAccount) -> Iterator[None]:
    """Around calls: credentials that the vendor rejects are shown on the account as well, which needs attention then.

    A right that one call lacks says nothing about the rest of the account's work.
    """
    try:
        yield
    except AuthenticationFailed as error:
        if not error.is_of_one_right:
            account_needs_attention(account, error)
        raise
