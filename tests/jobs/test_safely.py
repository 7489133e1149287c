"""One of several things that goes wrong keeps none of the others from being done, and the log tells what it was."""

from __future__ import annotations

import logging

import pytest

from audsync_web.jobs import engine, kinds
from audsync_web.jobs.leases import LeaseLost


def test_a_fault_of_one_hook_and_a_row_that_was_taken_over_keep_no_other_from_running(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def broken() -> None:
        ran.append("broken")
        raise ZeroDivisionError

    def late() -> None:
        ran.append("late")
        raise LeaseLost("uploads.delivery 7")

    monkeypatch.setattr(kinds, "_HOUSEKEEPING", [broken, late, lambda: ran.append("sound")])
    with caplog.at_level(logging.INFO, engine.__name__):
        engine.housekeeping()
    assert ran == ["broken", "late", "sound"]
    fault, taken = caplog.records
    assert (fault.levelname, fault.exc_info is not None, "broken failed" in fault.message) == ("ERROR", True, True)
    assert (taken.levelname, taken.exc_info, "late: the row was taken over" in taken.message) == ("INFO", None, True)
