"""Anonymised: what is told beforehand (preflight, estimate, the gate) and afterwards (history)."""

from __future__ import annotations

import pytest

from audsync_web.vendors.connectors.base import Level, SegmentRef, Totals
from audsync_web.vendors.connectors.errors import NotSupported

from .anonymised_kit import MEMBERS, Bench


def test_history_is_newest_first_with_the_vendors_figures(bench: Bench):
    bench.switch("shuffle_list")
    segment = bench.segment(published=True)
    for number in range(1, 5):
        delivery = bench.delivery(segment, number)
        bench.engine.deliver(delivery, [bench.part(delivery, MEMBERS[:number])])
    entries = list(bench.connector.history(segment))
    assert [entry.lines for entry in entries] == [4, 3, 2, 1]
    assert all(entry.md5 and entry.bytes and entry.created_at for entry in entries)
    with pytest.raises(NotSupported):
        list(bench.connector.history(None))


def test_preflight_names_what_stands_in_the_way(bench: Bench):
    segment = bench.segment()
    totals = Totals(40, 40, 0, 0, 0)
    assert {finding.level for finding in bench.connector.preflight(segment, "provider_id", totals)} == {Level.OK}
    delivery = bench.delivery(segment)
    bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    running = bench.connector.preflight(segment, "provider_id", totals)
    assert [finding.level for finding in running] == [Level.OK, Level.WARNING]
    unknown = SegmentRef("999999", "aud_k7q2_2", "x", 90, False, None)
    blocked = bench.connector.preflight(unknown, "provider_id", Totals(0, 0, 0, 0, 0))
    assert [finding.level for finding in blocked] == [Level.BLOCKED, Level.BLOCKED]
    assert all(finding.fix for finding in blocked)


def test_an_estimate_over_the_limit_says_so(bench: Bench):
    delivery = bench.delivery(bench.segment())
    fine = bench.connector.estimate(delivery, Totals(1000, 10, 0, 0, 990), 36)
    assert (fine.parts, fine.bytes, fine.lines) == (1, 12 + 1000 * 37, 1000)
    large = bench.connector.estimate(delivery, Totals(2_000_000, 1, 0, 0, 0), 36)
    assert any("at most 50,000,000" in note for note in large.notes)


def test_one_upload_of_a_segment_at_a_time_and_one_a_minute(bench: Bench):
    delivery = bench.delivery(bench.segment())
    (gate,) = bench.connect(minSecondsBetweenUploads=60).gates(delivery)
    assert (gate.interval, gate.exclusive) == (60, "job")
    assert gate.key.endswith(f":segment:{delivery.segment.remote_id}")
