"""What pages show of an upload besides its board: facts of the file, reasons of rejections, what happened when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.html import format_html

from audsync_web.people.models import Company
from audsync_web.templatetags.formats import format_bytes, format_count, format_share
from audsync_web.vendors.connectors.identifiers import KINDS
from segments.models import Destination
from uploads.engine.reasons import REASONS, reason_text
from uploads.models import Delivery, DeliveryStatus, Mode, Upload
from uploads.rules import takes

from .board import Board
from .forms import UploadForm

DELIVERY_ENDINGS = {
    DeliveryStatus.COMPLETED: ("ok", "has it"),
    DeliveryStatus.PARTIAL: ("warn", "has a part of it"),
    DeliveryStatus.FAILED: ("bad", "failed"),
    DeliveryStatus.CANCELLED: ("mute", "was cancelled"),
    DeliveryStatus.SUPERSEDED: ("mute", "was superseded by a newer upload"),
}
UPLOAD_TONES = {"completed": "ok", "partial": "warn", "failed": "bad", "cancelled": "mute"}
WAYS = {"page": "on this page", "api": "over the API", "command": "by a command", "system": "by AudSync"}


def facts_of(upload: Upload) -> list[tuple[str, Any]]:
    """The file in facts, for the list of names and values."""
    options = upload.check_options
    unknown = "not known" if upload.has_ended else "not known yet"
    facts: list[tuple[str, Any]] = [
        ("File", upload.file_name or "no name"),
        ("Size", format_bytes(upload.bytes)),
        ("Identifier kind", KINDS[upload.kind].label if upload.kind in KINDS else unknown),
        ("Encoding", (options.get("encoding") or "utf-8").upper()),
        ("Mode", upload.get_mode_display()),
        ("Brought by", f"{upload.uploaded_by or 'AudSync'} {WAYS.get(upload.via, '')}".strip()),
    ]
    if upload.blank_lines:
        facts.append(("Blank lines", f"{format_count(upload.blank_lines)}, which are no rows"))
    for name, value in (("MD5", upload.md5), ("SHA-256", upload.sha256)):
        facts.append((name, format_html("<code>{}</code>", value) if value else unknown))
    if upload.max_removed_share is not None and upload.mode != Mode.ADD:
        facts.append(("May remove", f"at most {format_share(upload.max_removed_share)} of a destination's members"))
    return facts


def reasons_of(upload: Upload) -> list[dict[str, Any]]:
    """Why rows were rejected, the most frequent reason first: what is wrong, how to mend it, how often."""
    rule = KINDS[upload.kind].rule if upload.kind in KINDS else None
    counted = sorted(upload.rejected_by_reason.items(), key=lambda item: -item[1])
    return [
        {
            "code": code,
            "text": f"The value {reason_text(code, rule)}" if code in REASONS else code,
            "fix": REASONS[code].what_to_do if code in REASONS else "",
            "count": count,
        }
        for code, count in counted
    ]


def happened(board: Board) -> list[dict[str, Any]]:
    """What happened, in order of time."""
    upload = board.upload
    events = [_event("Received", upload.created_at, f"{format_bytes(upload.bytes)}", "ok")]
    if upload.started_at:
        events.append(_event("Check began", upload.started_at))
    if upload.accepted_at:
        events.append(_event("Deliveries began", upload.accepted_at))
    if upload.cancel_requested_at:
        events.append(_event("Asked to stop", upload.cancel_requested_at, tone="warn"))
    for row in board.rows:
        events += _delivery_events(row.delivery)
    if upload.finished_at:
        word = "Held until publish" if board.word == DeliveryStatus.STAGED else upload.get_status_display()
        events.append(_event(word, upload.finished_at, tone=UPLOAD_TONES.get(upload.status, "mute")))
    return sorted(events, key=lambda event: event["at"])


def _delivery_events(delivery: Delivery) -> Iterator[dict[str, Any]]:
    name = delivery.destination.vendor_account.name
    if delivery.planned_at:
        parts = "1 part" if delivery.parts_total == 1 else f"{format_count(delivery.parts_total)} parts"
        told = f"{format_count(delivery.sent)} changes in {parts}"
        yield _event(f"{name}: compared", delivery.planned_at, told if delivery.sent else "nothing to send")
    if delivery.first_sent_at:
        yield _event(f"{name}: first part sent", delivery.first_sent_at, tone="run")
    if delivery.attention_since and not delivery.has_ended:
        yield _event(f"{name}: needs attention", delivery.attention_since, delivery.error_text, "warn")
    if delivery.finished_at:
        tone, words = DELIVERY_ENDINGS[DeliveryStatus(delivery.status)]
        yield _event(f"{name} {words}", delivery.finished_at, tone=tone)


def _event(title: str, at: Any, text: str = "", tone: str = "mute") -> dict[str, Any]:
    return {"title": title, "at": at, "text": text, "tone": tone}


def formats_for_browser() -> list[dict[str, Any]]:
    """The identifier kinds as the browser needs them to read a file's header itself."""
    return [{"key": kind.key, "label": kind.label, "spellings": [kind.key, *kind.spellings]} for kind in KINDS.values()]


def segments_for_browser(company: Company, form: UploadForm) -> dict[str, list[dict[str, Any]]]:
    """What each offered segment is fed with: its destinations' accounts and identifier kinds, and the kinds of a file
    that can become those, by segment id."""
    offered = [pk for pk, _ in form.fields["segment"].widget.choices if pk]
    rows = Destination.objects.current().filter(segment__company=company, segment__in=offered)
    fed: dict[str, list[dict[str, Any]]] = {str(pk): [] for pk in offered}
    for row in rows.select_related("vendor_account").only("segment_id", "identifier", "vendor_account__name"):
        fed[str(row.segment_id)].append(
            {
                "name": row.vendor_account.name,
                "kind": row.identifier,
                "label": KINDS[row.identifier].label,
                "takes": [kind for kind in KINDS if takes(row, kind)],
            }
        )
    return fed
