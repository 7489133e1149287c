"""The mediarithmics connector: what a client must do (spec section 11), on top of the calls of section 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    LEAVE,
    AccountCheck,
    CannotTell,
    Capabilities,
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
    ReleaseChoice,
    RemoteSegment,
    RemoteState,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    SegmentState,
    Services,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    NotSupported,
    Permanent,
    RemoteMissing,
    Transient,
)
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules
from audsync_web.vendors.connectors.identifiers import KINDS, IdentifierRule

from .api import Api, identifier
from .commands import LONGEST_DAYS, CommandFormat
from .executions import history_entry
from .fields import FIELDS, IDENTIFIERS, token_warning, validate
from .imports import Imports, import_name
from .segments import Segments, remote_segment

ADVISED_LINES = 1000
"""Below this the vendor advises against bulk import (section 7); it does not refuse."""

SEGMENT_FRESH = timedelta(seconds=60)
"""How long a segment counts as it was read before a file."""

EMPTY = ReleaseChoice("empty", "Remove every member we put in, then leave the segment")


class MediarithmicsConnector(Connector):
    """One data mart of one organisation."""

    vendor = "mediarithmics"
    label = "mediarithmics"
    short_label = "mediarithmics"
    summary = "User lists of a data mart, fed with joins and leaves."
    default_base_url = "https://api.mediarithmics.com/v1"
    capabilities = Capabilities(
        publish="immediate",
        longest_days=LONGEST_DAYS,
        expires=True,
        links_existing=True,
        cancels_parts=True,
        releases=(LEAVE, EMPTY),
        history=True,
        reports_size=True,
    )
    identifier_rules = {kind: KINDS[kind].rule for kind in IDENTIFIERS}
    fields = FIELDS

    def __init__(self, config: AccountConfig, services: Services) -> None:
        super().__init__(config, services)
        self._api = Api(config, services, self.quota_scope)
        self._segments = Segments(self._api, config.settings["datamartId"], config.settings["organisationId"])
        self._imports = Imports(self._api, config, services.clock)

    def close(self) -> None:
        """Close pooled connections."""
        self._api.close()

    # --- account

    @property
    def quota_scope(self) -> str:
        """The data mart: executions run one after the other there, whoever sends them (M-U32)."""
        return f"mediarithmics:{self.config.host}:{self.config.settings['datamartId']}"

    @classmethod
    def validate(cls, config: AccountConfig) -> None:
        """Ids are digits, account ids need a compartment, the token can stand in a header."""
        validate(config)

    def check(self) -> AccountCheck:
        """Reads one import, one segment and, where one is set, the compartments: rights on all that we need."""
        settings = self.config.settings
        next(self._imports.listed(), None)
        self._segments.probe()
        return AccountCheck(
            f"The token works for data mart {settings['datamartId']} of organisation {settings['organisationId']}.",
            missing=self._missing_compartment(),
            warnings=self._account_warnings(),
            facts={"Data mart": settings["datamartId"], "Organisation": settings["organisationId"]},
        )

    def _missing_compartment(self) -> tuple[str, ...]:
        wanted = self.config.settings["compartmentId"]
        if not wanted:
            return ()
        if wanted in self._segments.compartments():
            return ()
        return (f"Compartment {wanted} is not one of this data mart.",)

    def _account_warnings(self) -> tuple[str, ...]:
        warnings = [token_warning(self.config, self.services.clock.now().date())]
        if not self.config.settings["tokenExpiresOn"]:
            warnings.append("Enter the day on which the token ends, to be warned before.")
        if self.config.settings["identifier"].startswith("email_"):
            warnings.append("The hash of e-mail addresses must be the one that the whole data mart uses.")
        if self.config.settings["experimentalCsv"]:
            warnings.append("Files are sent as CSV, which the vendor does not document.")
        return tuple(warning for warning in warnings if warning)

    # --- segments (M8 to M10)

    def create_segment(self, spec: SegmentSpec) -> RemoteSegment:
        """Find the USER_LIST of this technical name, else create it (rule 22); a taken name is read again first."""
        found = self._segments.find(spec.technical_name)
        if found is None:
            found = self._created(spec)
        return remote_segment(self._segments.require_feedable(found))

    def _created(self, spec: SegmentSpec) -> dict[str, Any]:
        try:
            return self._segments.create(spec)
        except Permanent as refusal:
            holder = self._segments.holder(spec.technical_name) if refusal.status == 409 else None
            if holder is None:
                raise
            return holder

    def reconcile_segment(self, spec: SegmentSpec, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """Segments can be searched, so a lost answer leaves no doubt."""
        found = self.find_segment(spec)
        return Nothing() if found is None else Found(found)

    def find_segment(self, spec: SegmentSpec) -> RemoteSegment | None:
        """By exact technical name."""
        found = self._segments.find(spec.technical_name)
        return None if found is None else remote_segment(found)

    def read_segment(self, remote_id: str) -> RemoteSegment:
        """An existing segment to be linked: only one that files may be sent to (rule 21)."""
        return remote_segment(self._segments.feedable(remote_id))

    def publish_segment(self, segment: SegmentRef) -> RemoteSegment:
        """A USER_LIST is live from its creation, so nothing is called."""
        return RemoteSegment(
            segment.remote_id, SegmentState.PUBLISHED, name=segment.name, external_id=segment.technical_name
        )

    def reconcile_publish(self, segment: SegmentRef, intent: Intent) -> Found[RemoteSegment] | Nothing | CannotTell:
        """As nothing is called, nothing can be lost."""
        return Found(self.publish_segment(segment))

    def rename_segment(self, segment: SegmentRef, name: str) -> None:
        """The display name; the technical name stays as it was made."""
        self._segments.rename(segment.remote_id, name)

    def release_segment(self, segment: SegmentRef, choice: str) -> None:
        """Nothing is deleted here (rule 23). To empty means a delivery of removals, which goes out before this."""
        if choice not in (LEAVE.key, EMPTY.key):
            raise NotSupported(f"{self.label} cannot do “{choice}”.")

    # --- planning (sections 5, 7 and 8)

    def lifetime_days(self, duration_days: int) -> int | None:
        """None where the operator chose that members never leave."""
        return None if self.config.settings["neverExpires"] else super().lifetime_days(duration_days)

    def rule_for(self, identifier: str) -> IdentifierRule:
        """In CSV an identifier stands in quotes, so it may hold none."""
        rule = super().rule_for(identifier)
        if not self.config.settings["experimentalCsv"] or rule.case == "lower":
            return rule
        return IdentifierRule(r'[^\x00-\x1f\x7f"]+', "holds a quote or a control character, or is over 255 bytes")

    def part_rules(self, delivery: DeliveryContext) -> PartRules:
        """One combined file of UPDATE and DELETE lines, each member on one line only, so that order cannot matter."""
        settings = self.config.settings
        return PartRules(max_lines=settings["maxPartLines"], max_bytes=settings["maxPartBytes"])

    def line_format(self, delivery: DeliveryContext) -> LineFormat:
        """NDJSON; CSV only behind its switch."""
        settings = self.config.settings
        shape = CommandFormat(delivery, settings["compartmentId"] or "", settings["neverExpires"])
        return shape.csv() if settings["experimentalCsv"] else shape.ndjson()

    def preflight(self, segment: SegmentRef, identifier: str, totals: Totals | None) -> Sequence[Finding]:
        """The segment may still be fed, the token lasts, the load is worth a file."""
        findings = [self._segment_finding(segment)] if segment.remote_id else []
        ending = token_warning(self.config, self.services.clock.now().date())
        if ending:
            findings.append(Finding("token", Level.WARNING, ending, "Make a new token and enter it here."))
        if totals is not None and 0 < totals.sent < ADVISED_LINES:
            text = f"{totals.sent} lines: the vendor means bulk imports for more than {ADVISED_LINES}, and takes fewer."
            findings.append(Finding("load", Level.OK, text))
        return findings

    def _segment_finding(self, segment: SegmentRef) -> Finding:
        try:
            found = self._segments.feedable(segment.remote_id)
        except RemoteMissing:
            text = "mediarithmics does not know the segment, or hides it from this account."
            return Finding("segment", Level.BLOCKED, text, "Link another segment, or create a new one and switch.")
        except Permanent as refusal:
            if refusal.code != "segment_unsuitable":
                raise
            return Finding("segment", Level.BLOCKED, refusal.text, refusal.next_step)
        size = remote_segment(found).size
        shown = "" if size is None else f" {size} user points as reported by the vendor."
        return Finding("segment", Level.OK, f"The segment takes files.{shown}")

    def estimate(self, delivery: DeliveryContext, totals: Totals, mean_bytes: float) -> Estimate:
        """Files one after the other; the vendor names no processing speed, so each counts with two looks at it."""
        shape, settings = self.line_format(delivery), self.config.settings
        added, removed = totals.adds + totals.renewed, totals.removes
        size = 0.0
        for op, lines in ((Op.ADD, added), (Op.REMOVE, removed)):
            wrap = shape.wrap(op, 0) if lines else None
            size += lines * (len(wrap.prefix) + len(wrap.suffix) + mean_bytes + 1) if wrap else 0
        parts = max(-(-totals.sent // settings["maxPartLines"]), -(-int(size) // settings["maxPartBytes"]))
        calls = (1 + 4 * parts) if parts else 0
        waits = parts * sum(self.poll_step(polls) for polls in range(2))
        seconds = calls / settings["requestsPerSecond"] + waits
        return Estimate(parts, int(size), totals.sent, calls, seconds, ("The vendor names no processing speed.",))

    def gates(self, delivery: DeliveryContext) -> Sequence[Gate]:
        """One execution per data mart until it has ended (M-U32, M-U37)."""
        return (Gate(f"{self.quota_scope}:execution", exclusive="job"),)

    # --- sending (M1 and M4)

    def send_part(self, delivery: DeliveryContext, part: PartPayload, journal: Journal) -> RemoteState:
        """Post one file as one execution of the delivery's own document import (rule 8).

        A part whose execution is known and has not failed is not posted again: its state is answered as it stands.
        """
        standing = self._standing(delivery, part)
        if standing is not None:
            return standing
        memory = dict(delivery.memory)
        self._check_segment(delivery, memory, journal)
        if not memory.get("import_id") or memory.get("import_number") != self._import_number(part):
            self._open_import(delivery, memory, self._import_number(part), journal)
        try:
            return self._execute(delivery, part, memory["import_id"], journal)
        except RemoteMissing:
            # Section 3: an import that is gone is made anew, once.
            if memory.get("import_renewals"):
                raise
            memory["import_renewals"] = 1
            self._open_import(delivery, memory, self._import_number(part), journal)
            return self._execute(delivery, part, memory["import_id"], journal)

    def _import_number(self, part: PartPayload) -> int:
        """1, until a delivery has more files than one import may take; each file may be sent a second time."""
        files = max(1, int(self.config.settings["maxExecutionsPerImport"]) // 2)
        return 1 + (part.number - 1) // files

    def _standing(self, delivery: DeliveryContext, part: PartPayload) -> RemoteState | None:
        known = [str(number) for number in part.memory.get("executions", ())]
        found = self._imports.execution(_import_of(delivery, part.memory), known[-1]) if known else None
        state = self._imports.state(found, part, part.memory) if found else None
        ended_badly = state is not None and state.status.is_final and state.status is not RemoteStatus.SUCCEEDED
        return None if ended_badly else state

    def _check_segment(self, delivery: DeliveryContext, memory: dict[str, Any], journal: Journal) -> None:
        """M10 before a file goes (rule 21). What was read counts for a minute, so that a vendor that turns down one of
        our calls is not asked the ones before it again and again."""
        now, seen = self.services.clock.now(), memory.get("segment_seen_at")
        if seen and now - datetime.fromisoformat(seen) < SEGMENT_FRESH:
            return
        self._segments.feedable(delivery.segment.remote_id)
        memory["segment_seen_at"] = now.isoformat()
        journal.settle(delivery=memory)

    def _open_import(self, delivery: DeliveryContext, memory: dict[str, Any], number: int, journal: Journal) -> None:
        """M1; where it was begun before, after a look by our unique name: a lost one is taken up (rule 16)."""
        name = import_name(delivery, number, memory.get("import_renewals", 0))
        import_id = self._imports.named(name) if memory.get("import_begun") == name else ""
        if not import_id:
            memory["import_begun"] = name
            journal.settle(delivery=memory)
            journal.intend("document_import", name=name)
            import_id = self._created_import(delivery, name, memory, journal)
        memory |= {"import_id": import_id, "import_number": number}
        journal.settle(delivery=memory)

    def _created_import(self, delivery: DeliveryContext, name: str, memory: dict[str, Any], journal: Journal) -> str:
        try:
            return self._imports.create(name, self.line_format(delivery).content_type)
        except Transient:
            memory["import_begun"] = ""  # turned down: nothing was made, so there is nothing to look for
            journal.settle(delivery=memory)
            raise

    def _execute(self, delivery: DeliveryContext, part: PartPayload, import_id: str, journal: Journal) -> RemoteState:
        """M4. The intent stands until the answer's state is stored, so that nothing can be lost in between."""
        journal.intend("execution", import_id=import_id)
        found = self._imports.post(import_id, part, self.line_format(delivery).content_type, journal)
        return self._imports.adopted(found, part, import_id)

    # --- looking (M5 to M7)

    def reconcile_part(
        self, delivery: DeliveryContext, part: PartPayload, intent: Intent, claimed: frozenset[str]
    ) -> Found[RemoteState] | Nothing | CannotTell:
        """Rules 15 and 16: an execution of our own import, created since our start, that nobody holds, is ours."""
        name = str(intent.detail.get("name") or import_name(delivery, self._import_number(part)))
        import_id = str(intent.detail.get("import_id") or delivery.memory.get("import_id") or "")
        import_id = import_id or self._imports.named(name)
        held = claimed | {str(number) for number in part.memory.get("executions", ())}
        try:
            ours = self._imports.created_since(import_id, intent.at, held) if import_id else []
        except RemoteMissing:
            ours = []
        return Found(self._imports.adopted(ours[0], part, import_id)) if ours else Nothing()

    def poll_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """The execution in its import's list, with the file of failed lines when it has ended."""
        found = self._imports.execution(_import_of(delivery, part.memory), part.job_id)
        if found is None:
            details = "The vendor's list does not show this job."
            return RemoteState(RemoteStatus.UNKNOWN, job_id=part.job_id, details=details)
        state = self._imports.state(found, part, part.memory, part.job_id)
        return self._imports.with_report(found, state, part.memory)

    def cancel_part(self, delivery: DeliveryContext, part: PartRef) -> RemoteState:
        """M6, only while the job waits (M-U25); then read again, because it may have started meanwhile."""
        state = self.poll_part(delivery, part)
        if state.status is not RemoteStatus.QUEUED:
            return state
        self._imports.cancel(_import_of(delivery, part.memory), part.job_id)
        return self.poll_part(delivery, part)

    def history(self, segment: SegmentRef | None) -> Iterator[HistoryEntry]:
        """Executions of the data mart's segment imports, import by import as the vendor lists them."""
        prefix = f"{segment.technical_name} " if segment else ""
        for found in self._imports.listed(segment.technical_name if segment else ""):
            wanted = found.get("document_type") == "USER_SEGMENT" and str(found.get("name", "")).startswith(prefix)
            for execution in self._imports.executions(identifier(found.get("id"))) if wanted else ():
                yield history_entry(execution, segment.remote_id if segment else "", self.services.clock.now())


def _import_of(delivery: DeliveryContext, memory: Mapping[str, Any]) -> str:
    return str(memory.get("import_id") or delivery.memory.get("import_id") or "")
