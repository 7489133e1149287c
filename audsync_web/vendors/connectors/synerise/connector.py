"""Synerise: a segment is a profile tag, members are profiles that have it (spec sections 3 to 5 and 7)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    LEAVE,
    AccountCheck,
    CannotTell,
    Capabilities,
    ConfirmationState,
    Connector,
    DeliveryContext,
    Estimate,
    Finding,
    Found,
    Gate,
    Intent,
    Journal,
    Level,
    Nothing,
    PartPayload,
    PartRef,
    ReleaseChoice,
    RemoteSegment,
    RemoteState,
    SegmentRef,
    SegmentSpec,
    SegmentState,
    Services,
    Steps,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    InvalidConfiguration,
    NotYet,
    Permanent,
    RemoteMissing,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.fields import AccountConfig, fingerprint
from audsync_web.vendors.connectors.formats import LineFormat, PartRules
from audsync_web.vendors.connectors.reading import utc_moment, whole
from audsync_web.vendors.connectors.source import (
    ExportTask,
    Materialisation,
    ProfileConnector,
    ProfileView,
    SourceConnector,
    SourcePage,
)

from . import planning
from .batches import Batches, after_lost_answer, from_memory, state_of, to_memory
from .confirming import Confirming, segmentation_of
from .events import Events
from .fields import DESTINATION_FIELDS, FIELDS, REGIONS
from .living import LivingTags, tag_missing, without_tags
from .permissions import check_account
from .profiles import Profiles
from .session import Session
from .singles import Singles, Walked
from .sources import MOST_IN_A_PAGE, UNCONFIRMED_OFF, Sources
from .wire import RULES, BatchAnswer, Tag, tag_name

DELETE_TAG = ReleaseChoice("delete_tag", "Delete the tag at Synerise; the profiles stay")
EMPTY = ReleaseChoice(
    "empty", "Take the tag from every profile in the linked segmentation, and keep it", needs="segmentationUuid"
)
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
EMPTYING_SLICE = timedelta(seconds=60)


class SyneriseConnector(Connector, SourceConnector, ProfileConnector):
    """One workspace, by one of its API keys.

    Deliveries of an account run one at a time: a batch carries the tags of all segments that hold the member, so two
    at once could each write a set that lacks what the other just wrote.
    """

    vendor = "synerise"
    label = "Synerise"
    short_label = "Synerise"
    summary = "Profiles gain or lose a tag. Its segmentations can be a source, too."
    default_base_url = REGIONS[0][0]
    base_urls = REGIONS
    capabilities = Capabilities(
        publish="immediate",
        confirms=True,
        account_exclusive=True,
        neighbours=True,
        links_existing=True,
        releases=(LEAVE, DELETE_TAG, EMPTY),
        sources=True,
    )
    identifier_rules = RULES
    renewed_by = DELETE_TAG.key
    fields = FIELDS
    destination_fields = DESTINATION_FIELDS

    def __init__(self, config: AccountConfig, services: Services) -> None:
        super().__init__(config, services)
        self._session = Session(config, services, self.quota_scope)
        self._batches = Batches(self._session)
        self._delivering = Profiles(self._session)
        self._singles = Singles(self._delivering, services.clock)
        self._living = LivingTags(self._delivering)
        self._events = Events(self._session)
        # Everything else may be asked for while a delivery goes on.
        self._beside = self._session.beside()
        self._profiles = Profiles(self._beside)
        self._sources = Sources(self._beside, config.settings, services.clock)
        self._confirming = Confirming(self._profiles, self._sources, config.settings, services.clock)

    def close(self) -> None:
        """Close pooled connections."""
        self._session.client.close()

    # --- account (section 3)

    @property
    def quota_scope(self) -> str:
        """Limits belong to the workspace. A key does not name it, so the key stands for it unless a setting does."""
        known = str(self.config.settings["workspace"] or "").lower() or fingerprint(self.config.credentials["apiKey"])
        return f"synerise:{self.config.host}:{known}"

    @classmethod
    def validate(cls, config: AccountConfig) -> None:
        """Colours are hexadecimal; events cannot name a profile by telephone number (section 4.5)."""
        errors: dict[str, str] = {}
        if not COLOUR.fullmatch(str(config.settings["tagColour"])):
            errors["tagColour"] = "must be a colour like #1a936f"
        if config.settings["sendEvents"] and config.settings["identifier"] == "phone":
            errors["sendEvents"] = "events cannot name a profile by telephone number"
        if errors:
            raise InvalidConfiguration(errors)

    def check(self) -> AccountCheck:
        """Log in and ask which permissions the key has."""
        return check_account(self._beside, self._profiles, self.config.settings)

    # --- segments (section 4.1)

    def create_segment(self, spec: SegmentSpec) -> RemoteSegment:
        """Create the tag. Synerise answers with the existing one where the name is taken."""
        name = self._name(spec)
        return self._remote(self._profiles.create_tag(name, str(self.config.settings["tagColour"])), spec.options)

    def reconcile_segment(self, spec: SegmentSpec, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """Tags can be listed, so a lost create is found by its name."""
        found = self.find_segment(spec)
        return Found(found) if found is not None else Nothing()

    def find_segment(self, spec: SegmentSpec) -> RemoteSegment | None:
        """The tag of this segment's name, where there is one."""
        tag = self._profiles.tag(self._name(spec))
        return None if tag is None else self._remote(tag, spec.options)

    def read_segment(self, remote_id: str) -> RemoteSegment:
        """An existing tag by its name or number."""
        tags = self._profiles.tags()
        tag = next((tag for tag in tags if tag.name == remote_id), None)
        tag = tag or next((tag for tag in tags if str(tag.tag_id) == remote_id), None)
        if tag is None:
            raise RemoteMissing("Synerise has no such tag.", next_step="Give the tag's name as Synerise shows it.")
        return self._remote(tag, {}, SegmentState.PUBLISHED)

    def publish_segment(self, segment: SegmentRef) -> RemoteSegment:
        """Synerise has no publish: live is a tag that exists, and a linked segmentation that answers (section 4.9)."""
        tag = self._need_tag(segment, self._profiles)
        uuid = segmentation_of(segment)
        size = self._sources.matching(uuid) if uuid else None
        return RemoteSegment(
            tag.name, SegmentState.PUBLISHED, "tag exists", tag.name, size=size, memory={"tagId": tag.tag_id}
        )

    def reconcile_publish(self, segment: SegmentRef, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """Publishing changes nothing at Synerise, so it is simply done again."""
        return Nothing()

    def release_segment(self, segment: SegmentRef, choice: str) -> None:
        """Leave the tag, delete its definition, or take it from every profile that the segmentation shows."""
        if choice == DELETE_TAG.key:
            tag_id = self._tag_id(segment, self._profiles)
            if tag_id is not None:
                self._profiles.delete_tag(tag_id)
        elif choice == EMPTY.key:
            self._empty(segment)
        else:
            super().release_segment(segment, choice)

    def _empty(self, segment: SegmentRef) -> None:
        """Page through the linked segmentation; those who lost the tag leave it, so this may be taken up anywhere."""
        uuid, tag_id = segmentation_of(segment), self._tag_id(segment, self._profiles)
        if not uuid or tag_id is None:
            raise Permanent(
                "Emptying a tag needs a segmentation that lists its profiles.",
                code="segmentation_needed",
                next_step="Link a segmentation, deliver an empty list first, or delete the tag.",
            )
        started, kept, last = self.services.clock.now(), 0, False
        while not last:
            page = self._sources.page(uuid, MOST_IN_A_PAGE, kept, None, "")
            holders = [profile for profile in page.profiles if segment.remote_id in profile.tags]
            for profile in holders:
                self._profiles.unassign(profile.profile_id, tag_id)
                if self.services.clock.now() - started > EMPTYING_SLICE:
                    raise NotYet("Still taking the tag from profiles.", retry_after=1.0)
            kept += len(page.profiles) - len(holders)
            last = page.last

    def _name(self, spec: SegmentSpec) -> str:
        """A repeated create and a chosen version both end in a name that was not used before (section 7.13)."""
        return tag_name(spec.technical_name, max(spec.attempt, whole(spec.options.get("version")) or 1))

    def _remote(
        self, tag: Tag, options: Mapping[str, Any], state: SegmentState = SegmentState.CREATED
    ) -> RemoteSegment:
        memory: dict[str, Any] = {"tagId": tag.tag_id}
        if options.get("segmentationUuid"):
            memory["segmentationUuid"] = str(options["segmentationUuid"])
        return RemoteSegment(tag.name, state, "tag exists", tag.name, memory=memory)

    @staticmethod
    def _tag_id(segment: SegmentRef, profiles: Profiles) -> int | None:
        """The tag's number: by its name, else as stored; None when neither is known.

        A name that came back after its tag was deleted has another number, and by the old one nobody loses it.
        """
        tag = profiles.tag(segment.remote_id)
        return whole(segment.memory.get("tagId")) if tag is None else tag.tag_id

    @staticmethod
    def _need_tag(segment: SegmentRef, profiles: Profiles) -> Tag:
        tag = profiles.tag(segment.remote_id)
        if tag is None:
            raise tag_missing()
        return tag

    # --- planning (sections 4.2 and 5)

    @property
    def asks_for_neighbours(self) -> bool:
        """Only where a batch carries tags that may replace those of the member's other segments."""
        return planning.carries_the_whole_set(self.config.settings)

    def part_rules(self, delivery: DeliveryContext) -> PartRules:
        """At most 1000 items and 950,000 bytes; removals apart."""
        return planning.rules(self.config.settings)

    def line_format(self, delivery: DeliveryContext) -> LineFormat:
        """JSON arrays of profiles with their managed tags."""
        return planning.shape(delivery, self.config.settings)

    def preflight(self, segment: SegmentRef, identifier: str, totals: Totals | None) -> Sequence[Finding]:
        """The tag, the linked segmentation, and how long those who leave take."""
        tag = self._profiles.tag(segment.remote_id)
        findings = [
            Finding("segment", Level.OK, f"The tag {segment.remote_id} exists at Synerise.")
            if tag is not None
            else Finding(
                "segment", Level.BLOCKED, "The tag no longer exists at Synerise.", "Make the destination anew."
            )
        ]
        if uuid := segmentation_of(segment):
            findings.append(self._segmentation_finding(uuid))
        per_second = float(self.config.settings["requestsPerSecond"])
        return findings + planning.leaver_findings(totals, per_second)

    def _segmentation_finding(self, uuid: str) -> Finding:
        try:
            matching = self._sources.matching(uuid)
        except Permanent as error:
            fix = error.next_step or "Check the UUID, and that the key may read segmentations."
            return Finding("segmentation", Level.WARNING, f"The linked segmentation cannot be read: {error.text}", fix)
        return Finding("segmentation", Level.OK, f"The linked segmentation counts {matching or 0:,} profiles now.")

    def estimate(self, delivery: DeliveryContext, totals: Totals, mean_bytes: float) -> Estimate:
        """Calls and seconds under the pace that is set."""
        return planning.estimate(delivery, totals, mean_bytes, self.config.settings)

    def gates(self, delivery: DeliveryContext) -> Sequence[Gate]:
        """One batch in flight in a workspace (section 5)."""
        return (Gate(f"{self.quota_scope}:batch", exclusive="call"),)

    # --- sending

    def send_part(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """A batch, or members one by one from the stored cursor on; what was done before is not done again."""
        try:
            if part.removes:
                return self._send_leavers(delivery, part, journal)
            return self._send_batch(delivery, part, journal)
        except UnknownOutcome as lost:
            raise after_lost_answer(part, journal, lost) from None

    @classmethod
    def has_begun(cls, memory: Mapping[str, object]) -> bool:
        """After a lost answer the call is made again; until it is answered nobody knows whether it was taken."""
        return bool(memory.get("lost"))

    def _send_batch(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        answer = self._batch_answer(delivery, part, journal)
        if answer.taken and self.config.settings["tagWriteMode"] == "assign":
            answer = self._assign(delivery, part, journal, answer)
        return state_of(part, answer, self._tell(delivery, part, journal, answer))

    def _batch_answer(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> BatchAnswer:
        stored = part.memory.get("answer")
        if stored is not None:
            return from_memory(stored)
        living = without_tags(part, self._gone_neighbours(delivery))
        tags = self.config.settings["tagWriteMode"] == "batch"
        answer = self._batches.send(living, journal, tags=tags)
        if self.config.settings["sendEvents"] or not tags:
            now = self.services.clock.now().isoformat()
            steps = Steps(part.lines, answer.refused).as_memory() if tags and answer.taken else {}
            journal.settle(part={"answer": to_memory(answer), "queuedAt": now, **steps})
        return answer

    def _gone_neighbours(self, delivery: DeliveryContext) -> frozenset[str]:
        """The tags of other segments that were deleted. Raises where it is this segment's own: a batch would bring its
        name back, and with it only those who join now, while all who had it are taken for members still."""
        own = delivery.segment.remote_id
        named = filter(None, delivery.neighbours) if self.asks_for_neighbours else ()
        gone = self._living.gone({own, *named})
        if own in gone:
            raise tag_missing()
        return gone

    def _assign(
        self, delivery: DeliveryContext, part: PartPayload, journal: Journal, answer: BatchAnswer
    ) -> BatchAnswer:
        tag = self._need_tag(delivery.segment, self._delivering)
        queued_at = utc_moment(part.memory.get("queuedAt")) or self.services.clock.now()
        patience = timedelta(minutes=float(self.config.settings["appearMinutes"]))

        def act(row: int, value: str) -> str:
            if row in answer.refused:
                return answer.refused[row]
            return self._singles.assign(delivery.identifier, value, (tag.tag_id, tag.name), queued_at, patience)

        refused = self._singles.walk(part, journal, "assign", act).refused
        return BatchAnswer(True, answer.status, dict(sorted({**answer.refused, **refused}.items())))

    def _send_leavers(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """Look each member up and unassign; where the tag itself is gone, nobody has it."""
        tag_id = self._tag_id(delivery.segment, self._delivering)
        walked = Walked({}, range(len(part.rows())))  # nobody is looked up, so nobody is known to be there
        if tag_id is not None:
            number = tag_id
            walked = self._singles.walk(
                part,
                journal,
                "unassign",
                lambda _row, value: self._singles.unassign(delivery.identifier, value, number),
            )
        answer = BatchAnswer(True, 200, dict(walked.refused))
        # An event about somebody who has no profile would give them one, whom perhaps somebody has just erased.
        state = state_of(part, answer, self._tell(delivery, part, journal, answer, nobody=walked.nobody))
        return replace(state, raw="unassigned")

    def _tell(
        self,
        delivery: DeliveryContext,
        part: PartPayload,
        journal: Journal,
        answer: BatchAnswer,
        *,
        nobody: Collection[int] = (),
    ) -> str:
        """Events for those who joined or left, where they are wanted."""
        if not self.config.settings["sendEvents"] or not answer.taken:
            return ""
        return self._events.send(delivery, part, journal, {*answer.refused, *nobody})

    def reconcile_part(
        self, delivery: DeliveryContext, part: PartPayload, intent: Intent, claimed: frozenset[str]
    ) -> Found[RemoteState] | Nothing | CannotTell:
        """Each call may be repeated without harm, and repeating tells more than looking: send again from the cursor."""
        return Nothing()

    @property
    def sample_size(self) -> int:
        """As many as the account's setting says."""
        return int(self.config.settings["sampleSize"])

    def confirm_delivery(
        self, delivery: DeliveryContext, parts: Sequence[PartRef], since: datetime
    ) -> ConfirmationState:
        """Queued is not live: read members back, or count the linked segmentation, within the grace time."""
        return self._confirming.look(delivery, parts, since)

    # --- as a source (section 4.6)

    @classmethod
    def freezing_needs(cls, settings: Mapping[str, Any]) -> str:
        """The paths of both calls are unconfirmed, so a switch allows them (section 7.20)."""
        return "" if settings.get("unconfirmedEndpoints") else UNCONFIRMED_OFF

    def segmentation_page(
        self, uuid: str, *, limit: int = 100, offset: int = 0, recognised: bool | None = None, search: str = ""
    ) -> SourcePage:
        """The profiles in a segmentation now."""
        return self._sources.page(uuid, limit, offset, recognised, search)

    def materialise(self, uuid: str) -> Materialisation:
        """Freeze a segmentation."""
        return self._sources.materialise(uuid)

    def read_materialisation(self, materialisation: Materialisation, *, offset: int = 0) -> SourcePage:
        """A page of a frozen segmentation."""
        return self._sources.read_materialisation(materialisation, offset)

    def start_export(self, uuid: str, kinds: Sequence[str], *, name: str) -> ExportTask:
        """Freeze the chosen identifier kinds of a segmentation."""
        return self._sources.export(uuid, kinds, name)

    def read_export(self, task: ExportTask, *, limit: int = 10_000, offset: int = 0) -> SourcePage:
        """Rows of an export."""
        return self._sources.read_export(task, limit, offset)

    # --- profiles (sections 4.3 and 4.4)

    def find_profile(self, kind: str, value: str) -> ProfileView | None:
        """The profile that has an identifier."""
        self.rule_for(kind)
        return self._profiles.find(kind, value)

    def profile_tags(self, profile_id: str) -> Mapping[str, str]:
        """The tags of a profile by number."""
        return self._profiles.tags_of(profile_id)

    def erase_profile(self, custom_id: str) -> bool:
        """Delete a profile for good: a separate, confirmed act, never part of feeding a list (section 7.14)."""
        return self._profiles.erase(custom_id)
