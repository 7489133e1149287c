"""Telling a full disk from a fault of ours: it passes, and nothing that was accepted may be lost by it."""

from __future__ import annotations

import errno

from django.db import OperationalError

DISK_IS_FULL = "The disk is full. Nothing that was accepted is lost; make room, or try again later."
_FULL = {errno.ENOSPC, errno.EDQUOT}
# What SQLite and PostgreSQL say.
_WORDS = ("disk is full", "no space left on device", "disk full")


def is_no_room(error: BaseException | None) -> bool:
    """Whether an exception, or what led to it, is a file system or a database without room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, OperationalError) and any(word in str(error).lower() for word in _WORDS):
            return True
        error = error.__cause__ or error.__context__
    return False
