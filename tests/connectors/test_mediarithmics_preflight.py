"""mediarithmics: what is told beforehand (preflight and estimate) and afterwards (history)."""

from __future__ import annotations

from dataclasses import replace

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Level, RemoteStatus, Totals
from audsync_web.vendors.connectors.formats import Op

from .mediarithmics_kit import HASHES, connect, fed, planned
from .mini_engine import MiniEngine
from .parts import additions


def test_preflight_says_what_stands_in_the_way(box: Sandbox):
    connector = connect(box, tokenExpiresOn=box.context.clock.now().date().isoformat())
    segment = fed(connector)
    levels = {f.check: f.level for f in connector.preflight(segment, "email_sha256", Totals(5, 5, 0, 0, 0))}
    assert levels == {"segment": Level.OK, "token": Level.WARNING, "load": Level.OK}
    for number in ("90002", "90003", "1"):
        finding = connector.preflight(replace(segment, remote_id=number), "email_sha256", None)[0]
        assert finding.level is Level.BLOCKED
        assert finding.fix


def test_history_shows_executions_newest_first_and_of_one_segment_only_its_own(box: Sandbox):
    connector = connect(box, maxPartLines=20, pageSize=1)
    engine = MiniEngine(connector, box.context.clock.advance)
    delivery, parts = planned(box, connector)
    engine.deliver(delivery, parts)
    entries = list(connector.history(delivery.segment))
    assert [entry.lines for entry in entries] == [20, 20]
    assert entries[0].created_at is not None
    assert entries[1].created_at is not None
    assert entries[0].created_at > entries[1].created_at
    assert all(entry.state.status is RemoteStatus.SUCCEEDED and entry.updated_at for entry in entries)
    assert len(list(connector.history(None))) == 2
    assert list(connector.history(replace(delivery.segment, technical_name="aud_k7q2_1"))) == []


def test_an_estimate_is_what_the_file_really_takes(box: Sandbox):
    connector = connect(box, maxPartLines=15)
    rows = sorted(additions(HASHES[:30]) + [(Op.REMOVE, value) for value in HASHES[30:]])
    delivery, parts = planned(box, connector, rows)
    estimate = connector.estimate(delivery, Totals(40, 30, 0, 10, 0), 64.0)
    assert (estimate.parts, estimate.lines) == (len(parts), 40)
    assert estimate.bytes == sum(part.bytes for part in parts)
    nothing = connector.estimate(delivery, Totals(40, 0, 0, 0, 40), 64.0)
    assert (nothing.parts, nothing.calls, nothing.seconds) == (0, 0, 0)
