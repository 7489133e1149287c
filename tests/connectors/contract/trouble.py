"""Trouble on the way is told apart, and no call leaves the vendor's own host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import ConnectorError, Permanent, Transient
from tests.connectors.canned_server import Canned, CannedServer
from tests.connectors.fakes import services

from .kit import Facts


class TroublePromises(Facts):
    """Every failure is of a known family; every call has its limits."""

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

    def test_somebody_who_waits_is_answered_in_time(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch):
        seen: list[tuple[str | None, Any]] = []
        original = requests.Session.send

        def watched(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
            seen.append((request.method, options["timeout"][1]))
            return original(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", watched)
        config = self.config(f"{box.url}/{self.vendor}{self.base_path}")
        self.connector_type(config, replace(services(box.context.clock), answer_within=3.5)).check()
        assert 3.5 in {seconds for _, seconds in seen}
        assert {seconds for method, seconds in seen if method == "GET"} <= {3.5}

    def test_its_connections_are_closed(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch):
        closed: list[requests.Session] = []
        monkeypatch.setattr(requests.Session, "close", lambda session: closed.append(session))
        connector = self.connect(box)
        connector.check()
        connector.close()
        assert len(closed) == 1

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
