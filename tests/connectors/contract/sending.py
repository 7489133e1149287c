"""What is sent arrives once and is followed to its end."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Found, Intent, RemoteStatus
from audsync_web.vendors.connectors.formats import Op
from tests.connectors.parts import additions, make_parts

from .kit import Facts


class SendingPromises(Facts):
    """The right members are there in the end, once."""

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

    def test_a_worker_that_dies_with_the_answer_in_hand_leaves_enough_to_find_the_job(self, box: Sandbox):
        """Between the answer and its storing nothing but the journal is kept, and it must lead to the same job."""
        self.needs(self.can.holds_members and bool(self.effects["send"]))
        connector = self.connect(box)
        delivery, parts = self.planned(box, connector)
        engine = self.engine(box, connector)
        told, journal = engine.answered(delivery, parts[0])
        assert engine.resume(delivery, parts[0], journal).job_id == told.job_id
        assert self.violations(box) == []

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
