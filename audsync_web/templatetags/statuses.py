"""The face of every status word: its tone and its shape, so that colour never speaks alone."""

from __future__ import annotations

from typing import NamedTuple


class Face(NamedTuple):
    """A tone (`ok run wait warn bad mute`) and the icon that carries the same meaning without colour."""

    tone: str
    icon: str


UNKNOWN = Face("mute", "help-circle")

# Uploads, deliveries, segments and destinations use the words of design sections 4.6 and 7.3; the last group serves
# vendor accounts, preflight cells, people and keys.
FACES: dict[str, Face] = {
    "receiving": Face("run", "download"),
    "inspecting": Face("run", "list-search"),
    "ready": Face("wait", "circle-dashed"),
    "delivering": Face("run", "send"),
    "queued": Face("wait", "clock"),
    "preparing": Face("run", "adjustments"),
    "sending": Face("run", "send"),
    "submitted": Face("run", "check"),
    "processing": Face("run", "loader-2"),
    "pending": Face("wait", "clock"),
    "completed": Face("ok", "circle-check"),
    "partial": Face("warn", "circle-half-2"),
    "failed": Face("bad", "circle-x"),
    "cancelling": Face("wait", "ban"),
    "cancelled": Face("mute", "ban"),
    "superseded": Face("mute", "replace"),
    "staged": Face("wait", "player-pause"),
    "needs attention": Face("warn", "alert-triangle"),
    "checking with the vendor": Face("run", "zoom-question"),
    "stalled": Face("warn", "hourglass"),
    "created": Face("wait", "circle-dashed"),
    "creating": Face("run", "circle-plus"),
    "publishing": Face("run", "cloud-upload"),
    "published": Face("ok", "broadcast"),
    "archived": Face("mute", "archive"),
    "removing": Face("run", "trash"),
    "running": Face("run", "loader-2"),
    "succeeded": Face("ok", "circle-check"),
    "healthy": Face("ok", "heartbeat"),
    "unchecked": Face("mute", "help-circle"),
    "checking": Face("run", "loader-2"),
    "paused": Face("wait", "player-pause"),
    "disconnected": Face("mute", "unlink"),
    "passed": Face("ok", "circle-check"),
    "warning": Face("warn", "alert-triangle"),
    "blocked": Face("bad", "alert-octagon"),
    "active": Face("ok", "circle-check"),
    "invited": Face("wait", "mail"),
    "expired": Face("mute", "hourglass"),
    "revoked": Face("mute", "ban"),
}


def status_word(status: object) -> str:
    """The status in one spelling: lower case, words parted by spaces (`NEEDS_ATTENTION` → `needs attention`)."""
    return " ".join(str(status).replace("_", " ").split()).lower()


def status_face(status: object) -> Face:
    """The face of a status; a word that nobody knows gets a neutral one and is never hidden."""
    return FACES.get(status_word(status), UNKNOWN)


def status_label(status: object) -> str:
    """What people read: a known word as a sentence starts, an unknown one exactly as it came."""
    word = status_word(status)
    return word[:1].upper() + word[1:] if word in FACES else str(status)
