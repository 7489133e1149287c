"""A segment is made and published once, whatever happens to an answer."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import CannotTell, Found, Intent, Nothing
from audsync_web.vendors.connectors.errors import UnknownOutcome
from tests.connectors.given import segment_ref, segment_spec

from .kit import Facts


class SegmentPromises(Facts):
    """Segments are never made twice."""

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

    def test_a_published_segment_has_a_public_name_where_that_is_declared(self, box: Sandbox):
        self.needs(self.can.holds_members)
        connector = self.connect(box)
        spec = segment_spec()
        remote = connector.publish_segment(segment_ref(self.create(box, connector, spec), spec))
        assert bool(remote.public_name) == self.can.public_name

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
