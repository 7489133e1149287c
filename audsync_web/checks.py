"""Start-up checks: what is set and unknown, weak, or open to others."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

PREFIX = "AUDSYNC_"
TEXTS = (
    "AUDSYNC_DATA_DIR",
    "AUDSYNC_SECRET_KEY",
    "AUDSYNC_ENCRYPTION_KEYS",
    "AUDSYNC_ALLOWED_HOSTS",
    "AUDSYNC_STORAGE_URL",
    "AUDSYNC_LOG_LEVEL",
)
KNOWN = {
    *TEXTS,
    *(f"{name}_FILE" for name in TEXTS),
    "AUDSYNC_HTTPS",
    "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS",
    "AUDSYNC_MAX_UPLOAD_BYTES",
}
SHORTEST_SECRET = 32


@register()
def unknown_variables(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A misspelt variable is otherwise a setting that silently does nothing."""
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in KNOWN)
    return [
        Warning(
            f"{name} is set, and AudSync knows no such variable.", hint="Look for a misspelling.", id="audsync.W001"
        )
        for name in unknown
    ]


@register(Tags.security)
def weak_secrets(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Short secrets can be guessed."""
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < SHORTEST_SECRET:
        found.append(_weak("AUDSYNC_SECRET_KEY", "audsync.W002"))
    if any(len(key) < SHORTEST_SECRET for key in settings.ENCRYPTION_KEYS):
        found.append(_weak("AUDSYNC_ENCRYPTION_KEYS", "audsync.W003"))
    return found


def _weak(name: str, code: str) -> CheckMessage:
    text = f"{name} has fewer than {SHORTEST_SECRET} characters."
    return Warning(text, hint="Take a long random one; keep the old encryption key behind it and run reseal.", id=code)


@register(Tags.security)
def open_doors(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Settings that are right on one's own machine and wrong where others can reach it."""
    reachable = [host for host in settings.ALLOWED_HOSTS if not _is_local(host)]
    found: list[CheckMessage] = []
    if reachable and not settings.HTTPS:
        text = "Others may reach this server, and AUDSYNC_HTTPS is not set: cookies and tokens travel in the clear."
        hint = "Put it behind a proxy that speaks HTTPS and set AUDSYNC_HTTPS=1."
        found.append(Warning(text, hint=hint, id="audsync.W004"))
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts under which the server is reached."
        found.append(Warning("AUDSYNC_ALLOWED_HOSTS allows any host name.", hint=hint, id="audsync.W005"))
    if reachable and settings.ALLOW_PRIVATE_VENDOR_HOSTS:
        text = "AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS lets people point vendor accounts at machines of this network."
        found.append(Warning(text, hint="Unset it outside of trials.", id="audsync.W006"))
    return found


def _is_local(host: str) -> bool:
    if host in {"localhost", "testserver"}:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@register(Tags.security)
def private_data_folder(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Keys, files and the database of the embedded mode are the service's alone."""
    try:
        mode = stat.S_IMODE(settings.DATA_DIR.stat().st_mode)
    except OSError:
        return []
    if not mode & 0o077:
        return []
    text = f"The data folder can be entered by other users of this machine (mode {mode:04o})."
    return [Warning(text, hint=f"chmod 700 {settings.DATA_DIR}", id="audsync.W007")]
