"""What a bearer token itself tells."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime


def token_end(token: str) -> datetime | None:
    """When a JWT ends by its `exp`; None when it is no JWT or does not say. Its signature is not ours to check."""
    pieces = token.split(".")
    if len(pieces) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
