"""Rules that decide which destinations a file can feed, and the words for when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audsync_web.people.models import Company
from audsync_web.vendors.connectors.identifiers import KINDS, conversion
from segments.models import Destination, Segment

from .engine.refusal import FileRefused
from .models import Upload


def destinations_for_upload(segment: Segment) -> list[Destination]:
    """The destinations an upload goes to: all that are part of the segment and not being removed."""
    rows = segment.destinations.current().select_related("vendor_account", "segment__company").order_by("pk")
    return list(rows)


def destinations_of(upload: Any) -> list[Destination]:
    """The destinations of one upload: all of its segment's, or those that its origin names (an undo)."""
    found = destinations_for_upload(upload.segment)
    named = upload.origin.get("undo", {}).get("sources")
    return found if named is None else [row for row in found if str(row.pk) in named]


def takes(destination: Destination, kind: str) -> bool:
    """Whether a file of this kind can feed the destination, as it is or hashed."""
    return conversion(kind, destination.identifier) is not None


def why_not(destination: Destination, kind: str) -> str:
    """Why a destination cannot be fed with a kind."""
    account, wanted = destination.vendor_account, KINDS[destination.identifier].label
    return f"{account.name} is fed with “{wanted}”; a file of “{KINDS[kind].label}” cannot become that."


def feed_instead(destination: Destination) -> str:
    """What can be done where a file does not suit a destination: what it is fed with is settled when it is added."""
    wanted = KINDS[destination.identifier].label
    return (
        f"Upload a file that has “{wanted}”. If this one does, upload it again and say so of its column (kind "
        f"{destination.identifier}). Or add another destination that takes this file."
    )


def cannot_take(destination: Destination, kind: str) -> str:
    """Why a destination cannot be fed with a kind, and what can be done."""
    return f"{why_not(destination, kind)} {feed_instead(destination)}"


ALL_ERASED = "Everybody in this file was erased, and AudSync keeps erased people out of every file."
LIFTED_BY = "Nothing is to be done. An admin can lift an erasure."


def nobody_to_send(destination: Destination, erased: int, held: int) -> tuple[str, str]:
    """Why nobody of a file goes to a destination that takes its kind, and how to mend it.

    `held` are all whom it holds back, `erased` those of them who are kept out after an erasure.
    """
    if erased == held:
        return ALL_ERASED, LIFTED_BY
    account, label = destination.vendor_account, KINDS[destination.identifier].label
    return f"Nobody in this file fits: {account.name} is fed with “{label}”.", feed_instead(destination)


def require_taker(destinations: Sequence[Destination], kind: str) -> None:
    """Raise `FileRefused` when no destination can take the kind."""
    if any(takes(destination, kind) for destination in destinations):
        return
    if not destinations:
        raise FileRefused("no_destination", "this segment has no destination; add a vendor account to it first")
    wanted = sorted({_by_both_names(destination.identifier) for destination in destinations})
    raise FileRefused(
        "kind_not_taken",
        f"No destination of this segment can take {_by_both_names(kind)}; it is fed with {' or '.join(wanted)}. "
        "Upload a file that has that. If this one does, say so of its column (kind).",
    )


def _by_both_names(kind: str) -> str:
    """A kind as the pages call it, and as programs do: both read this refusal."""
    return f"“{KINDS[kind].label}” ({kind})"


def caution_of(upload: Upload, company: Company) -> float:
    """The share of a destination that this upload may remove before the page asks a second time."""
    return company.max_removed_share if upload.max_removed_share is None else upload.max_removed_share
