"""What a page shows once, after a redirect: loading that page again must neither make it anew nor show it again."""

from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest

from audsync_web.crypto import SealBroken, seal, unseal

logger = logging.getLogger(__name__)

PREFIX = "once:"


def keep_once(request: HttpRequest, name: str, value: Any) -> None:
    """Keep a JSON value for the next page of this session; sealed, because sessions lie in the database."""
    request.session[PREFIX + name] = seal(value)


def take_once(request: HttpRequest, name: str) -> Any:
    """What was kept under `name`, and it is gone with that; None when there is nothing."""
    sealed = request.session.pop(PREFIX + name, None)
    if sealed is None:
        return None
    try:
        return unseal(sealed)
    except SealBroken:
        logger.warning("What a session kept to be shown once was sealed with a key that is no longer there.")
        return None
