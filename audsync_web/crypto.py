"""Sealing of credentials and tokens at rest: authenticated encryption with keys that can be rotated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SealBroken(Exception):
    """A sealed value cannot be opened with any of the keys in AUDSYNC_ENCRYPTION_KEYS."""


def _fernet(key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        # Any long secret may be given; it is stretched to the key's size.
        return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([_fernet(key) for key in keys])


def _current() -> MultiFernet:
    return _ring(tuple(settings.ENCRYPTION_KEYS))


def seal(value: Any) -> str:
    """Seal a JSON value with the first key."""
    return _current().encrypt(json.dumps(value, separators=(",", ":")).encode()).decode("ascii")


def unseal(sealed: str) -> Any:
    """Open a sealed value with whichever key fits. Raises `SealBroken`."""
    try:
        return json.loads(_current().decrypt(sealed.encode("ascii")))
    except InvalidToken:
        raise SealBroken("A sealed value fits none of the keys in AUDSYNC_ENCRYPTION_KEYS.") from None


def derived_key(purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, made from the secret key: the same in every process, told by nothing else."""
    return hmac.digest(str(settings.SECRET_KEY).encode(), f"audsync:{purpose}".encode(), "sha256")


def reseal(sealed: str) -> str:
    """The same value sealed with the first key, without showing it to anybody."""
    try:
        return _current().rotate(sealed.encode("ascii")).decode("ascii")
    except InvalidToken:
        raise SealBroken("A sealed value fits none of the keys in AUDSYNC_ENCRYPTION_KEYS.") from None


if TYPE_CHECKING:
    _Text = models.TextField[Any, Any]
else:
    _Text = models.TextField


class SealedJSONField(_Text):
    """A JSON value that is sealed in the database and in the clear only in memory."""

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else unseal(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else seal(value)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return "(sealed)"
