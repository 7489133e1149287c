"""mediarithmics: a waiting job can be cancelled, and what really happened is told."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import RemoteStatus

from .mediarithmics_kit import asked, clean, connect, members, planned, switch
from .mini_engine import MiniEngine


def test_a_waiting_job_can_be_cancelled_and_nothing_of_it_is_applied(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    ended = connector.cancel_part(delivery, parts[0].ref(begun, None))
    assert (ended.status, ended.raw) == (RemoteStatus.CANCELLED, "CANCELED")
    box.context.clock.advance(60)
    assert members(box, delivery.segment) == set()
    assert clean(box)


def test_a_running_job_is_not_asked_to_stop(box: Sandbox):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    box.context.clock.advance(2.5)
    assert connector.cancel_part(delivery, parts[0].ref(begun, None)).status is RemoteStatus.RUNNING
    assert asked(box, "POST", "/action") == 0


@pytest.mark.parametrize("trouble", ["m6.drop_after", "m6.drop_before", "m6.409", "m6.ok_error"])
def test_cancelling_tells_what_really_happened(box: Sandbox, trouble: str):
    connector = connect(box)
    delivery, parts = planned(box, connector)
    begun = MiniEngine(connector, box.context.clock.advance).send(delivery, parts[0])
    switch(box, trouble)
    after = connector.cancel_part(delivery, parts[0].ref(begun, None))
    was_done = trouble in ("m6.drop_after", "m6.ok_error")
    assert after.status is (RemoteStatus.CANCELLED if was_done else RemoteStatus.QUEUED)
