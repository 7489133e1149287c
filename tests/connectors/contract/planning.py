"""What is planned fits the vendor's rules."""

from __future__ import annotations

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import Totals

from .kit import Facts


class PlanningPromises(Facts):
    """Parts, estimates and gates are sane."""

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
