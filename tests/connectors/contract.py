"""What every connector promises, as one class that each vendor's tests inherit; a vendor supplies facts only.

    class TestXandrContract(ConnectorContract):
        vendor = "xandr"
        wrong_credentials = {"password": "wrong-password"}
        members = [str(n) for n in range(1, 41)]

The sandbox module `audsync_web.sandbox.<vendor>` gives `DEMO_CREDENTIALS` and `DEMO_SETTINGS`. Switches are called by
their usual names; `switches` maps one to the vendor's own (or to None where the vendor has no such thing):

    throttle                 the next request is answered 429 with Retry-After
    server_error             the next request is answered 500
    drop_before_<effect>     the connection closes before the effect was done
    drop_after_<effect>      the connection closes after the effect was done
    unknown_status           a job that is not finished shows a word that nobody knows
    extra_fields             every JSON answer holds fields that nobody knows
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

import pytest
import requests

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import (
    CannotTell,
    Capabilities,
    Connector,
    DeliveryContext,
    Found,
    Intent,
    Nothing,
    RemoteSegment,
    RemoteStatus,
    SegmentRef,
    SegmentSpec,
    Totals,
)
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    InvalidConfiguration,
    NotSupported,
    Permanent,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.fields import AccountConfig, Field, read_values
from audsync_web.vendors.connectors.formats import Op
from audsync_web.vendors.connectors.registry import VENDORS, connector_class

from .fakes import (
    Canned,
    CannedServer,
    FilePayload,
    InMemoryPacer,
    MiniEngine,
    account_config,
    additions,
    delivery_context,
    make_parts,
    segment_ref,
    segment_spec,
    services,
)

PACING = {"pollFirstSeconds", "pollMaxSeconds", "requestsPerSecond"}


class ConnectorContract:
    """Inherit, name it `Test…`, and fill in the facts below."""

    vendor: ClassVar[str]
    base_path: ClassVar[str] = ""
    """What follows `<sandbox>/<vendor>` in the base URL."""
    wrong_credentials: ClassVar[Mapping[str, str]]
    """The credential fields to change so that the vendor rejects them."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Added to the sandbox's `DEMO_SETTINGS`."""
    members: ClassVar[Sequence[str]] = ()
    """At least 20 identifiers that the sandbox takes and knows, of the account's kind."""
    switches: ClassVar[Mapping[str, str | None]] = {}
    effects: ClassVar[Mapping[str, Sequence[str]]] = {"create": ["create"], "publish": ["publish"], "send": ["send"]}
    """Effectful calls within creating, publishing and sending; empty where it makes none."""
    settle_seconds: ClassVar[float] = 120.0
    """After so long every phase of the sandbox is over and a new segment may be fed."""

    # -- what a vendor may override

    def prepare(self, box: Sandbox) -> None:
        """Bring the sandbox into the state that the flow needs (members known, segments there …)."""

    def remote_members(self, box: Sandbox, remote_id: str) -> set[str]:
        """Who is in a remote segment now."""
        return set(box.vendors[self.vendor].control("members", {"segment": remote_id}))

    def remote_segments(self, box: Sandbox) -> int:
        """How many segments the vendor holds."""
        return len(box.vendors[self.vendor].state()["segments"])

    # -- helpers

    @property
    def connector_type(self) -> type[Connector]:
        return connector_class(self.vendor)

    @property
    def can(self) -> Capabilities:
        return self.connector_type.capabilities

    @property
    def demo_credentials(self) -> dict[str, str]:
        return dict(import_module(f"audsync_web.sandbox.{self.vendor}").DEMO_CREDENTIALS)

    @property
    def demo_settings(self) -> dict[str, Any]:
        given = dict(import_module(f"audsync_web.sandbox.{self.vendor}").DEMO_SETTINGS)
        return {**given, **self.settings}

    @pytest.fixture
    def box(self) -> Iterator[Sandbox]:
        with Sandbox() as box:
            self.prepare(box)
            yield box

    def config(self, url: str, credentials: Mapping[str, str] | None = None) -> AccountConfig:
        return account_config(
            self.connector_type, url, {**self.demo_credentials, **(credentials or {})}, self.demo_settings
        )

    def connect(self, box: Sandbox, credentials: Mapping[str, str] | None = None) -> Connector:
        """A connector to the sandbox, on the sandbox's clock."""
        config = self.config(f"{box.url}/{self.vendor}{self.base_path}", credentials)
        return self.connector_type(config, services(box.context.clock))

    def switch(self, box: Sandbox, name: str, value: str | None = "1x") -> None:
        """Set a switch by its usual name; skips the test where the vendor has none."""
        own = self.switches.get(name, name)
        if own is None:
            pytest.skip(f"{self.vendor} has no switch for {name}")
        box.context.faults.set(f"{self.vendor}.{own}", value)

    def needs(self, ability: bool) -> None:
        if not ability:
            pytest.skip(f"{self.vendor} has no such ability")

    def violations(self, box: Sandbox) -> list[str]:
        return box.context.ledger.violations(self.vendor)

    def engine(self, box: Sandbox, connector: Connector) -> MiniEngine:
        return MiniEngine(connector, box.context.clock.advance)

    def create(self, box: Sandbox, connector: Connector, spec: SegmentSpec) -> RemoteSegment:
        remote = connector.create_segment(spec)
        box.context.clock.advance(self.settle_seconds)
        return remote

    def live_segment(self, box: Sandbox, connector: Connector) -> SegmentRef:
        """A segment that may be fed: created, and published where that comes first."""
        spec = segment_spec()
        remote = self.create(box, connector, spec)
        if not self.can.uploads_before_publish:
            remote = connector.publish_segment(segment_ref(remote, spec))
        return segment_ref(remote, spec, published=not self.can.uploads_before_publish or self.can.publish != "call")

    def delivery(self, box: Sandbox, connector: Connector, segment: SegmentRef, number: int = 1) -> DeliveryContext:
        identifier = str(connector.config.settings["identifier"])
        return delivery_context(segment, identifier, box.context.clock, number=number, days=self.can.longest_days)

    def planned(self, box: Sandbox, connector: Connector) -> tuple[DeliveryContext, list[FilePayload]]:
        delivery = self.delivery(box, connector, self.live_segment(box, connector))
        return delivery, make_parts(connector, delivery, additions(self.members))

    # -- declaration

    def test_the_registry_finds_it_under_its_key_and_label(self):
        assert self.connector_type.vendor == self.vendor
        assert self.connector_type.label == VENDORS[self.vendor][0]

    def test_declared_fields_are_complete_typed_and_unique(self):
        fields = self.connector_type.fields
        names = [f.name for f in fields]
        assert len(names) == len(set(names))
        assert set(names) >= PACING
        assert any(f.secret for f in fields)
        for declared in fields:
            self._check_field(declared)

    @staticmethod
    def _check_field(declared: Field) -> None:
        assert declared.label
        assert declared.name[0].islower()
        assert declared.name.isalnum(), f"{declared.name} is not camelCase"
        assert not (declared.secret and declared.group == "settings"), f"{declared.name}: secrets are credentials"
        assert (declared.type == "choice") == bool(declared.choices)
        if declared.default is not None:
            read = read_values((declared,), declared.group, {declared.name: declared.default})
            assert read[declared.name] == declared.default, f"{declared.name}: its default is not of its type"

    def test_identifier_choices_are_the_kinds_that_it_has_rules_for(self):
        self.needs(self.can.holds_members)
        declared = next(f for f in self.connector_type.fields if f.name == "identifier")
        offered = {key for key, _ in declared.choices}
        assert declared.default in offered
        assert offered <= set(self.connector_type.identifier_rules)

    def test_an_unknown_setting_is_refused_with_one_line(self):
        with pytest.raises(InvalidConfiguration) as refused:
            read_values(self.connector_type.fields, "settings", {**self.demo_settings, "noSuchThing": 1})
        assert list(refused.value.errors) == ["noSuchThing"]
        assert "\n" not in str(refused.value)

    def test_every_missing_credential_is_named_at_once(self):
        needed = {f.name for f in self.connector_type.fields if f.group == "credentials" and f.required}
        with pytest.raises(InvalidConfiguration) as refused:
            read_values(self.connector_type.fields, "credentials", {})
        assert set(refused.value.errors) == needed

    def test_demo_settings_and_credentials_are_declared(self):
        self.config("http://127.0.0.1:1")

    # -- account

    def test_check_passes_with_working_credentials(self, box: Sandbox):
        connector = self.connect(box)
        answer = connector.check()
        assert answer.text
        assert not answer.missing
        assert self.violations(box) == []

    def test_wrong_credentials_are_an_authentication_failure(self, box: Sandbox):
        with pytest.raises(AuthenticationFailed) as failed:
            self.connect(box, self.wrong_credentials).check()
        assert failed.value.next_step

    def test_quota_scope_is_the_vendors_not_ours(self, box: Sandbox):
        connector = self.connect(box)
        assert connector.quota_scope.startswith(self.vendor)
        assert connector.quota_scope == self.connect(box).quota_scope
        for secret in self._secrets():
            assert secret not in connector.quota_scope

    def test_every_request_takes_its_place_in_the_scope(self, box: Sandbox):
        connector = self.connect(box)
        connector.check()
        pacer = connector.services.pacer
        assert isinstance(pacer, InMemoryPacer)
        taken = pacer.taken
        assert taken
        assert all(key.startswith(self.vendor) for key, _, _ in taken)
        assert any(key.startswith(connector.quota_scope) for key, _, _ in taken)

    # -- trouble

    def test_being_throttled_is_transient_with_the_vendors_wish(self, box: Sandbox):
        connector = self.connect(box)
        self.switch(box, "throttle")
        with pytest.raises(Transient) as slowed:
            connector.check()
        assert slowed.value.retry_after is not None
        assert slowed.value.retry_after > 0

    def test_a_failing_vendor_is_transient_on_reads(self, box: Sandbox):
        connector = self.connect(box)
        self.switch(box, "server_error", "1")
        with pytest.raises(Transient):
            connector.check()

    def test_an_unreachable_vendor_is_transient(self):
        config = self.config("http://127.0.0.1:9")
        with pytest.raises(Transient):
            self.connector_type(config, services()).check()

    def test_every_request_has_timeouts(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch):
        seen: list[Any] = []
        original = requests.Session.send

        def watched(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            seen.append(options.get("timeout"))
            return original(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", watched)
        connector = self.connect(box)
        connector.check()
        if self.can.holds_members:
            delivery, parts = self.planned(box, connector)
            self.engine(box, connector).deliver(delivery, parts)
        assert seen
        for timeout in seen:
            assert isinstance(timeout, tuple)
            assert all(isinstance(value, (int, float)) and value > 0 for value in timeout)

    def test_a_redirect_to_another_host_is_refused_and_not_followed(self):
        with (
            CannedServer(Canned()) as target,
            CannedServer(Canned(302, b"", {"Location": f"{target.url}/elsewhere"})) as moved,
        ):
            connector = self.connector_type(self.config(moved.url + self.base_path), services())
            with pytest.raises(Permanent):
                connector.check()
            assert moved.requests
            assert target.requests == []

    def test_a_private_address_is_refused_unless_allowed(self, box: Sandbox):
        config = self.config(f"{box.url}/{self.vendor}{self.base_path}")
        connector = self.connector_type(config, services(allow_private_hosts=False))
        with pytest.raises(Permanent) as refused:
            connector.check()
        assert refused.value.code == "private_address"
        assert box.context.ledger.entries(self.vendor) == []

    def test_answers_that_are_no_json_are_trouble_of_the_known_families(self):
        with CannedServer(Canned(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})) as proxy:
            connector = self.connector_type(self.config(proxy.url + self.base_path), services())
            with pytest.raises(ConnectorError):
                connector.check()

    # -- privacy

    def _secrets(self) -> list[str]:
        secret = {f.name for f in self.connector_type.fields if f.secret}
        values = [value for name, value in {**self.demo_credentials}.items() if name in secret]
        return values + [value for name, value in self.wrong_credentials.items() if name in secret]

    def _assert_silent(self, text: str) -> None:
        for hidden in [*self._secrets(), *self.members]:
            assert len(hidden) < 4 or hidden not in text

    def test_secrets_and_identifiers_reach_no_log(self, box: Sandbox, caplog: pytest.LogCaptureFixture):
        caplog.set_level(logging.DEBUG)
        connector = self.connect(box)
        connector.check()
        if self.can.holds_members:
            delivery, parts = self.planned(box, connector)
            self.engine(box, connector).deliver(delivery, parts)
        assert caplog.records, "each call leaves a line, so silence would prove nothing"
        self._assert_silent(caplog.text)

    def test_secrets_reach_neither_errors_nor_reprs(self, box: Sandbox):
        connector = self.connect(box, self.wrong_credentials)
        with pytest.raises(AuthenticationFailed) as failed:
            connector.check()
        error = failed.value
        shown = [error.text, error.next_step, error.vendor_text, error.reference, str(error), repr(error)]
        shown += [repr(connector.config), repr(connector), repr(connector.services)]
        for text in shown:
            for hidden in self._secrets():
                assert hidden not in text

    # -- segments

    def test_a_segment_is_created_under_its_technical_name(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        before = self.remote_segments(box)
        remote = connector.create_segment(segment_spec())
        assert remote.remote_id
        assert self.remote_segments(box) == before + len(self.effects["create"][:1])
        assert self.violations(box) == []

    def test_publishing_makes_it_published(self, box: Sandbox):
        self.needs(self.can.holds_members and self.can.publish == "call")
        connector = self.connect(box)
        spec = segment_spec()
        remote = self.create(box, connector, spec)
        assert connector.publish_segment(segment_ref(remote, spec)).state == "published"
        assert self.violations(box) == []

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_create_whose_answer_was_lost_leaves_at_most_one_segment(self, box: Sandbox, moment: str):
        self.needs(self.can.holds_members and bool(self.effects["create"]))
        connector = self.connect(box)
        spec, before = segment_spec(), self.remote_segments(box)
        intent = Intent("create", box.context.clock.now(), {})
        self.switch(box, f"drop_{moment}_{self.effects['create'][0]}")
        with pytest.raises(UnknownOutcome):
            connector.create_segment(spec)
        answer = connector.reconcile_segment(spec, intent)
        if isinstance(answer, CannotTell):
            assert answer.text
            assert answer.next_step
            return
        assert isinstance(answer, Found if moment == "after" else Nothing)
        made = answer.value if isinstance(answer, Found) else connector.create_segment(spec)
        assert made.remote_id
        assert self.remote_segments(box) == before + 1
        assert self.violations(box) == []

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_publish_whose_answer_was_lost_is_looked_into(self, box: Sandbox, moment: str):
        self.needs(self.can.holds_members and self.can.publish == "call" and bool(self.effects["publish"]))
        connector = self.connect(box)
        spec = segment_spec()
        segment = segment_ref(self.create(box, connector, spec), spec)
        self.switch(box, f"drop_{moment}_{self.effects['publish'][0]}")
        intent = Intent("publish", box.context.clock.now(), {})
        with pytest.raises(UnknownOutcome):
            connector.publish_segment(segment)
        answer = connector.reconcile_publish(segment, intent)
        if isinstance(answer, CannotTell):
            assert answer.next_step
            return
        published = answer.value if isinstance(answer, Found) else connector.publish_segment(segment)
        assert published.state == "published"
        assert self.violations(box) == []

    # -- planning

    def test_parts_stay_within_the_rules(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        rules = connector.part_rules(delivery)
        assert sum(part.lines for part in parts) == len(self.members)
        assert not rules.whole_list or len(parts) == 1
        for part in parts:
            assert rules.max_lines is None or part.lines <= rules.max_lines
            assert rules.max_bytes is None or part.bytes <= rules.max_bytes
            assert rules.max_wire_bytes is None or part.bytes <= rules.max_wire_bytes

    def test_an_estimate_counts_parts_bytes_and_calls(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, _ = self.planned(box, connector)
        small = connector.estimate(delivery, Totals(100, 100, 0, 0, 0), 36.0)
        large = connector.estimate(delivery, Totals(1_000_000, 1_000_000, 0, 0, 0), 36.0)
        assert 1 <= small.parts <= large.parts
        assert 0 < small.bytes < large.bytes
        assert small.calls >= 1
        assert 0 < small.seconds <= large.seconds

    def test_gates_belong_to_the_vendor_and_have_sane_figures(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, _ = self.planned(box, connector)
        for gate in connector.gates(delivery):
            assert gate.key.startswith(self.vendor)
            assert gate.interval >= 0
            assert gate.most_waiting is None or gate.most_waiting > 0

    # -- sending

    def test_members_arrive_and_every_part_ends_well(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        states = self.engine(box, connector).deliver(delivery, parts)
        assert [state.status for state in states] == [RemoteStatus.SUCCEEDED] * len(parts)
        assert all(state.raw and not state.suspect for state in states)
        if self.can.publish == "call" and not delivery.segment.published:
            connector.publish_segment(delivery.segment)
        box.context.clock.advance(self.settle_seconds)
        assert self.remote_members(box, delivery.segment.remote_id) == set(self.members)
        assert self.violations(box) == []

    def test_removed_members_are_gone(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        engine = self.engine(box, connector)
        engine.deliver(delivery, parts)
        box.context.clock.advance(self.settle_seconds)
        gone, kept = set(self.members[:5]), set(self.members[5:])
        later = self.delivery(box, connector, delivery.segment, number=2)
        whole = connector.part_rules(later).whole_list
        rows = additions(sorted(kept)) if whole else [(Op.REMOVE, value) for value in sorted(gone)]
        engine.deliver(later, make_parts(connector, later, rows))
        if self.can.publish == "call" and not delivery.segment.published:
            connector.publish_segment(delivery.segment)
        box.context.clock.advance(self.settle_seconds)
        assert self.remote_members(box, delivery.segment.remote_id) == kept
        assert self.violations(box) == []

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_send_whose_answer_was_lost_ends_with_the_right_members_once(self, box: Sandbox, moment: str):
        self.needs(self.can.holds_members and bool(self.effects["send"]))
        for effect in self.effects["send"]:
            with Sandbox() as fresh:
                self.prepare(fresh)
                self._lose_an_answer(fresh, f"drop_{moment}_{effect}")

    def _lose_an_answer(self, box: Sandbox, switch: str) -> None:
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        self.switch(box, switch)
        engine = self.engine(box, connector)
        states = engine.deliver(delivery, parts)
        assert all(state.status is RemoteStatus.SUCCEEDED for state in states), switch
        assert len({state.job_id for state in states}) == len(states), "a vendor job is never claimed twice"
        if self.can.publish == "call" and not delivery.segment.published:
            connector.publish_segment(delivery.segment)
        box.context.clock.advance(self.settle_seconds)
        assert self.remote_members(box, delivery.segment.remote_id) == set(self.members)
        assert self.violations(box) == [], switch

    def test_a_job_that_another_part_holds_is_never_adopted(self, box: Sandbox):
        self.needs(self.can.holds_members and bool(self.effects["send"]))
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        engine = self.engine(box, connector)
        intent = Intent("send", box.context.clock.now(), {})
        state = engine.send(delivery, parts[0])
        answer = connector.reconcile_part(delivery, parts[0], intent, frozenset({state.job_id}))
        assert not (isinstance(answer, Found) and answer.value.job_id == state.job_id)

    def test_an_unknown_status_word_is_kept_and_not_taken_for_an_end(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        self.switch(box, "unknown_status", "1")
        state = self.engine(box, connector).send(delivery, parts[0])
        seen = [state]
        for _ in range(20):
            if seen[-1].status is RemoteStatus.UNKNOWN or seen[-1].status.is_final:
                break
            box.context.clock.advance(1)
            seen.append(connector.poll_part(delivery, parts[0].ref(seen[-1], box.context.clock.now())))
        assert seen[-1].status is RemoteStatus.UNKNOWN
        assert seen[-1].raw
        assert not seen[-1].status.is_final

    def test_unknown_fields_are_ignored(self, box: Sandbox):
        self.needs(self.can.holds_members)
        self.switch(box, "extra_fields", "1")
        connector = self.connect(box)
        connector.check()
        delivery, parts = self.planned(box, connector)
        states = self.engine(box, connector).deliver(delivery, parts)
        assert all(state.status is RemoteStatus.SUCCEEDED for state in states)

    # -- what it cannot do

    def test_what_it_cannot_do_is_refused_as_not_supported(self, box: Sandbox):
        connector = self.connect(box)
        if not self.can.history:
            with pytest.raises(NotSupported):
                list(connector.history(None))
        if not self.can.links_existing:
            with pytest.raises(NotSupported):
                connector.read_segment("1")
        if not self.can.holds_members:
            with pytest.raises(NotSupported):
                connector.create_segment(segment_spec())
        unknown = SegmentRef("1", "aud_k7q2_1", "x", 30, True, None)
        with pytest.raises(NotSupported):
            connector.release_segment(unknown, "no-such-choice")
