"""Anonymised UserSync (spec "Anonymised UserSync API"; the vendor page wins where they differ).

A segment is created, published by a call, and fed by one CSV that holds its whole member list. What the vendor does not
have is not offered: it lists, reads, renames and deletes no segment, and adds or removes no single member (rule 25).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from audsync_web.vendors.connectors.base import (
    AccountCheck,
    CannotTell,
    Capabilities,
    Confirmation,
    ConfirmationState,
    Connector,
    DeliveryContext,
    Estimate,
    Finding,
    Found,
    Gate,
    HistoryEntry,
    Intent,
    Journal,
    Level,
    Nothing,
    PartPayload,
    PartRef,
    Publishing,
    RemoteSegment,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    Services,
    Totals,
)
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.errors import NotSupported, Permanent, TooLarge, unreadable
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.formats import LineFormat, PartRules, Wrap
from audsync_web.vendors.connectors.reading import utc_moment
from audsync_web.vendors.connectors.streams import BLOCK_BYTES, SizedStream

from . import wire
from .fields import FIELDS, RULES
from .session import Session
from .wire import UploadObject

logger = logging.getLogger(__name__)

SEGMENT = "/segment"
PUBLISH = "/segment/{segment}/publish"
UPLOADS = "/segment/{segment}/membership/upload"
UPLOAD = "/segment/{segment}/membership/upload/{upload}"
ACTIVE = "/segment/{segment}/membership"

HEADER = b"provider_id\n"
LONGEST_NAME = 120
LONGEST_OWN_NAME = 100
LONGEST_DAYS = 365
MOST_UPLOADS = 10_000
MOST_DETAILS = 10
CLOCK_SKEW = timedelta(seconds=120)
ACTIVATION = timedelta(minutes=30)
UPLOAD_TIMEOUT = 300.0
UPLOAD_BYTES_PER_SECOND = 2_000_000


class AnonymisedConnector(Connector):
    """One company's user at Anonymised."""

    vendor = "anonymised"
    label = "Anonymised UserSync"
    short_label = "Anonymised"
    summary = "Segments that a whole list fills. Publishing makes them sellable."
    # No call takes a publish back (E3).
    publishing = Publishing(
        "The segment becomes sellable at Anonymised. No way back is documented: AudSync cannot undo it.", is_final=True
    )
    default_base_url = "https://customer-service.anonymised.io/api/public/v3"
    capabilities = Capabilities(
        publish="call",
        uploads_before_publish=True,
        confirms=True,
        longest_days=LONGEST_DAYS,
        history=True,
        public_name=True,
    )
    identifier_rules = RULES
    fields = FIELDS

    def __init__(self, config: AccountConfig, services: Services) -> None:
        super().__init__(config, services)
        self._session = Session(config, services, self.quota_scope)

    def close(self) -> None:
        """Close pooled connections."""
        self._session.client.close()

    # --- account

    @property
    def quota_scope(self) -> str:
        """The connection: limits and tokens belong to a user on a host (A-U1)."""
        return f"{self.vendor}:{self.config.host}:{self.config.credentials['email'].lower()}"

    def check(self) -> AccountCheck:
        """Sign in where no token stands (rule 3), then look at a segment that cannot exist: 404 proves the token."""
        self._session.read(ACTIVE, {"segment": "0"}, accept=(400, 404))
        return AccountCheck(f"Signed in as {self.config.credentials['email']}.")

    # --- segments (E2 and E3)

    def create_segment(self, spec: SegmentSpec) -> RemoteSegment:
        """E2. The only record of the new segment is this answer (rule 5), so one that cannot be read is a lost one."""
        if spec.type != "core":
            raise Permanent("Anonymised knows segments of type core only.", code="unknown_type")
        reply = self._session.effect(
            SEGMENT,
            json_body={
                "name": segment_name(spec),
                "durationDays": max(1, min(spec.duration_days, LONGEST_DAYS)),
                "type": spec.type,
            },
        )
        return _readable_segment(reply)

    def reconcile_segment(self, spec: SegmentSpec, intent: Intent) -> CannotTell:
        """Segments can be neither listed nor found (rule 6): a person decides."""
        return CannotTell(
            f"The answer to creating “{segment_name(spec)}” was lost, and Anonymised lists no segments.",
            "Ask Anonymised whether the segment exists. Repeating makes a new one under another name; "
            "the first may be left over at the vendor.",
        )

    def publish_segment(self, segment: SegmentRef) -> RemoteSegment:
        """E3. Cannot be undone. Never called for a segment known to be published (A-U14)."""
        if segment.published:
            raise Permanent("The segment is published already.", code="already_published")
        return _readable_segment(self._session.effect(PUBLISH, values={"segment": segment.remote_id}))

    def reconcile_publish(self, segment: SegmentRef, intent: Intent) -> Found[RemoteSegment] | CannotTell:
        """No call reads a segment, so publishing is asked for once more (A-U14); a refusal leaves it uncertain."""
        try:
            return Found(_readable_segment(self._session.effect(PUBLISH, values={"segment": segment.remote_id})))
        except Permanent as refused:
            if refused.status is None or refused.status == 401:
                raise
            return CannotTell(
                "Whether the segment is published is uncertain: the first answer was lost, and Anonymised refused "
                f"the second call with status {refused.status}.",
                "Ask Anonymised whether the segment is published; no call of its API tells.",
            )

    # --- planning (sections 8 and 9)

    def part_rules(self, delivery: DeliveryContext) -> PartRules:
        """One file with the whole list, never split: each success replaces the one before (rule 14)."""
        return PartRules(whole_list=True, max_bytes=int(self.config.settings["maxUploadBytes"]))

    def line_format(self, delivery: DeliveryContext) -> LineFormat:
        """Header, one id a line, UTF-8, LF, no mark, no quoting (rule 8)."""
        bare = Wrap(b"", b"")
        return LineFormat(wrap=lambda op, held_by: bare, opening=HEADER, md5=True)

    def preflight(self, segment: SegmentRef, identifier: str, totals: Totals | None) -> Sequence[Finding]:
        """Whether the vendor still knows the segment, and whether an upload of it is running."""
        findings = []
        if totals is not None and not totals.members:
            findings.append(
                Finding("members", Level.BLOCKED, "The list is empty.", "Anonymised takes no empty list; add a member.")
            )
        reply = self._session.read(UPLOADS, {"segment": segment.remote_id}, accept=(404,))
        if reply.status == 404:
            fix = "Check that the vendor account belongs to the company that owns the segment."
            return [*findings, Finding("segment", Level.BLOCKED, "Anonymised does not know this segment.", fix)]
        findings.append(Finding("segment", Level.OK, "Anonymised knows the segment."))
        if any(upload.status in {RemoteStatus.QUEUED, RemoteStatus.RUNNING} for upload in _uploads(reply)):
            text = "An earlier upload to this segment is still being processed."
            findings.append(Finding("order", Level.WARNING, text, "The new list waits until it has ended."))
        return findings

    def estimate(self, delivery: DeliveryContext, totals: Totals, mean_bytes: float) -> Estimate:
        """One file with every member, however few of them change."""
        settings = self.config.settings
        size = len(HEADER) + round(totals.members * (mean_bytes + 1))
        calls = 4  # the upload, two looks at it, and the active membership
        seconds = calls / float(settings["requestsPerSecond"]) + size / UPLOAD_BYTES_PER_SECOND
        seconds += sum(self.poll_step(polls) for polls in range(2))
        limit = int(settings["maxUploadBytes"])
        notes = ["Anonymised is sent the whole list each time."]
        if size > limit:
            notes.append(_over_limit(size, limit))
        return Estimate(1, size, totals.members, calls, seconds, notes)

    def gates(self, delivery: DeliveryContext) -> Sequence[Gate]:
        """One upload of a segment at a time (rule 13), and at most one start per interval (A-U18)."""
        return (
            Gate(
                f"{self.quota_scope}:segment:{delivery.segment.remote_id}",
                interval=float(self.config.settings["minSecondsBetweenUploads"]),
                exclusive="job",
            ),
        )

    # --- sending (E4)

    def send_part(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """E4: the raw CSV with its length and MD5, from disk (rules 7–12)."""
        limit = int(self.config.settings["maxUploadBytes"])
        if part.lines < 1:
            raise Permanent(
                "Anonymised is not sent a list of 0 members: that might empty the segment, without a way back.",
                code="empty_list",
                next_step="Send a list with at least one member.",
            )
        if part.bytes > limit:
            raise TooLarge(_over_limit(part.bytes, limit), code="over_limit", next_step=_SMALLER)
        reply = self._upload(delivery.segment.remote_id, part, journal)
        upload = UploadObject.read(reply.json())
        if upload is None:
            raise unreadable("Anonymised", effect=True)
        return self._state(delivery, upload, part.lines, part.bytes, part.md5)

    def _upload(self, segment_id: str, part: PartPayload, journal: Journal) -> Reply:
        def send(bearer: Mapping[str, str], accept: tuple[int, ...]) -> Reply:
            with part.open() as source:
                return self._session.client.effect(
                    "POST",
                    UPLOADS,
                    values={"segment": segment_id},
                    headers={**bearer, "Content-Type": "text/csv", "X-Content-MD5": part.md5.lower()},
                    data=SizedStream(source, part.bytes, journal.alive),
                    timeout=UPLOAD_TIMEOUT,
                    accept=accept,
                )

        try:
            return self._session.authorised(send)
        except TooLarge as refused:
            raise TooLarge(
                f"Anonymised refused the file of {part.bytes:,} bytes as too large.",
                code="over_vendor_limit",
                next_step=_SMALLER,
                vendor_text=refused.vendor_text,
                status=refused.status,
                refused_bytes=part.bytes,
            ) from None
        except Permanent as refused:
            if refused.status == 400 and not _undamaged(part):
                raise Permanent(
                    "The prepared file is damaged on our disk, so Anonymised refused it.",
                    code="part_damaged",
                    next_step="Retry: the file is made anew.",
                    vendor_text=refused.vendor_text,
                    status=400,
                ) from None
            raise

    def reconcile_part(
        self, delivery: DeliveryContext, part: PartPayload, intent: Intent, claimed: frozenset[str]
    ) -> Found[RemoteState] | Nothing:
        """E5: an upload made since our start with our MD5, else with our rows and bytes (rule 15)."""
        for upload in self._list(delivery.segment.remote_id):
            recent = upload.created_at is None or upload.created_at >= intent.at - CLOCK_SKEW
            if recent and upload.id not in claimed and _is_ours(upload, part):
                return Found(self._state(delivery, upload, part.lines, part.bytes, part.md5))
        return Nothing()

    # --- looking (E5 to E7)

    def poll_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """E6, by the path with the slash (rule 16)."""
        upload = self._detail(delivery.segment.remote_id, part.job_id)
        state = self._state(delivery, upload, part.lines, part.bytes, part.md5)
        if state.status is RemoteStatus.QUEUED and part.memory.get("seen") == RemoteStatus.RUNNING.value:
            # A move backwards is the vendor's slip: the later state stays (spec section 6).
            logger.warning("anonymised shows an upload as %s that it was processing before", state.raw)
            return replace(state, status=RemoteStatus.RUNNING, memory={})
        return state

    def _state(self, delivery: DeliveryContext, upload: UploadObject, lines: int, size: int, md5: str) -> RemoteState:
        suspect = upload.differs_from(lines=lines, size=size, md5=md5)
        if upload.is_removal:
            return self._removed(delivery, upload, suspect)
        if upload.status is RemoteStatus.FAILED and upload.details is None:
            # Only E6 tells the reason (rule 18).
            upload = replace(upload, details=self._detail(delivery.segment.remote_id, upload.id).details)
        return upload.state(suspect)

    def _removed(self, delivery: DeliveryContext, upload: UploadObject, suspect: str) -> RemoteState:
        """Our upload is taken away before it was seen loaded: applied only if it is the active one (spec section 6)."""
        if self.active_membership(delivery.segment) == upload.id:
            return replace(
                upload.state(suspect), status=RemoteStatus.SUCCEEDED, details="Applied, though its status is a removal."
            )
        return replace(
            upload.state(suspect),
            status=RemoteStatus.FAILED,
            details=upload.details or "The vendor removed the upload before it was applied.",
            next_step="Retry; if it happens again, ask Anonymised why.",
        )

    def confirm_delivery(
        self, delivery: DeliveryContext, parts: Sequence[PartRef], since: datetime
    ) -> ConfirmationState:
        """E7 is the proof of being live (rule 19); before publication there is nothing to be live (A-U13)."""
        active, activated = self._active(delivery.segment.remote_id)
        if parts and active == parts[-1].job_id:
            when = {"activatedAt": activated.isoformat()} if activated else {}
            return ConfirmationState(Confirmation.CONFIRMED, "Live at Anonymised.", memory=when)
        if not delivery.segment.published:
            text = "Loaded before the segment was published, and live from its publishing on."
            return ConfirmationState(Confirmation.CONFIRMED, text)
        waited = self.services.clock.now() - since
        if waited < ACTIVATION:
            return ConfirmationState(
                Confirmation.PENDING,
                "Loaded; Anonymised does not show it as the active membership yet.",
                look_again=self.next_poll(waited.total_seconds(), 3),
            )
        return ConfirmationState(
            Confirmation.UNVERIFIED,
            "Loaded, but Anonymised did not show it as the active membership within 30 minutes. "
            "Ask Anonymised which list is live.",
        )

    def active_membership(self, segment: SegmentRef) -> str | None:
        """E7; its 404 is an answer: nothing is active (rule 20)."""
        return self._active(segment.remote_id)[0]

    def history(self, segment: SegmentRef | None) -> Iterator[HistoryEntry]:
        """E5, newest first; the reasons of the newest failures come from E6."""
        if segment is None:
            raise NotSupported("Anonymised lists uploads of one segment only.")
        details_left = MOST_DETAILS
        for upload in self._list(segment.remote_id):
            shown = upload
            if upload.status is RemoteStatus.FAILED and details_left:
                shown, details_left = self._detail(segment.remote_id, upload.id), details_left - 1
            yield HistoryEntry(
                upload.id,
                shown.state(),
                upload.created_at,
                upload.updated_at,
                upload.records,
                upload.bytes,
                upload.md5,
                segment.remote_id,
            )

    def _list(self, segment_id: str) -> list[UploadObject]:
        return _uploads(self._session.read(UPLOADS, {"segment": segment_id}))

    def _detail(self, segment_id: str, upload_id: str) -> UploadObject:
        reply = self._session.read(UPLOAD, {"segment": segment_id, "upload": upload_id})
        upload = UploadObject.read(reply.json())
        if upload is None:
            raise unreadable("Anonymised")
        return upload

    def _active(self, segment_id: str) -> tuple[str | None, datetime | None]:
        reply = self._session.read(ACTIVE, {"segment": segment_id}, accept=(404,))
        if reply.status == 404:
            return None, None
        answer = reply.object()
        upload_id = answer.get("activeMembershipUploadId", "")
        if upload_id is None:
            return None, None
        if not isinstance(upload_id, str) or not upload_id:
            raise unreadable("Anonymised")
        return upload_id[: wire.LONGEST_WORD], utc_moment(answer.get("createdAt"))


_SMALLER = "Ask Anonymised for a higher limit, or spread the audience over several segments."


def segment_name(spec: SegmentSpec) -> str:
    """The name sent: ours, cut, then the technical name, which is never cut; a repeated create gets a number (A-U6)."""
    ending = f" | {spec.technical_name}" + (f"-{spec.attempt}" if spec.attempt > 1 else "")
    printable = "".join(char if char.isprintable() else " " for char in spec.name).strip()
    return printable[: max(0, min(LONGEST_OWN_NAME, LONGEST_NAME - len(ending)))].rstrip() + ending


def _over_limit(size: int, limit: int) -> str:
    return f"The list makes a file of {size:,} bytes; this account takes at most {limit:,}, and a list cannot be split."


def _readable_segment(reply: Reply) -> RemoteSegment:
    found = wire.segment(reply.object())
    if found is None:
        raise unreadable("Anonymised", effect=True)
    return found


def _uploads(reply: Reply) -> list[UploadObject]:
    """The list of E5, newest first whatever its order (A-U10)."""
    listed = reply.json()
    if not isinstance(listed, list):
        raise unreadable("Anonymised")
    if len(listed) > MOST_UPLOADS:
        logger.warning("anonymised lists %d uploads of one segment; %d are read", len(listed), MOST_UPLOADS)
    found = [upload for value in listed[:MOST_UPLOADS] if (upload := UploadObject.read(value))]
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.created_at or oldest, one.updated_at or oldest), reverse=True)


def _is_ours(upload: UploadObject, part: PartPayload) -> bool:
    if upload.md5:
        return upload.md5 == part.md5.lower()
    return upload.records == part.lines and upload.bytes == part.bytes


def _undamaged(part: PartPayload) -> bool:
    digest = hashlib.md5(usedforsecurity=False)
    with part.open() as source:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest() == part.md5.lower()
