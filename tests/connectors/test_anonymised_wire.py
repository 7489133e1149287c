"""Anonymised: what the vendor writes is read in every form, without a server."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from audsync_web.vendors.connectors.anonymised import wire
from audsync_web.vendors.connectors.client import Reply
from audsync_web.vendors.connectors.reading import utc_moment
from audsync_web.vendors.connectors.tokens import token_end


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T08:16:02Z", datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)),
        ("2026-11-22T08:16:02.1Z", datetime(2026, 11, 22, 8, 16, 2, 100_000, tzinfo=UTC)),
        ("2026-11-22T08:15:30.120934Z", datetime(2026, 11, 22, 8, 15, 30, 120_934, tzinfo=UTC)),
        ("2026-11-22T08:15:30.123456789Z", datetime(2026, 11, 22, 8, 15, 30, 123_456, tzinfo=UTC)),
        ("2026-11-22T10:16:02+02:00", datetime(2026, 11, 22, 8, 16, 2, tzinfo=UTC)),
        ("yesterday", None),
        (1_700_000_000, None),
        (None, None),
    ],
)
def test_times_are_read_with_any_number_of_digits(text: Any, moment: datetime | None):
    assert utc_moment(text) == moment


def test_what_it_says_names_nobody():
    said = f"row 3: jo@northwind.example and {'a1' * 32}"
    upload = wire.UploadObject.read({"id": "u-1", "status": "failed", "details": said})
    assert upload is not None
    assert upload.details == "row 3: … and …"
    assert wire.describe(Reply(400, {}, json.dumps({"error": said}).encode())) == "row 3: … and …"
    assert wire.describe(Reply(502, {}, b"<p>jo@northwind.example</p>")) == "<p>…</p>"


@pytest.mark.parametrize("value", [None, [], "x", {}, {"id": True}, {"id": ""}, {"id": {"a": 1}}])
def test_what_holds_no_id_is_no_upload(value: Any):
    assert wire.UploadObject.read(value) is None


@pytest.mark.parametrize("value", [{}, {"id": "5x"}, {"id": "-5"}, {"id": True}, {"id": 1.5}])
def test_what_holds_no_whole_number_is_no_segment(value: Any):
    assert wire.segment(value) is None


def test_numbers_may_come_as_texts():
    found = wire.segment({"id": "24518", "status": "created", "size": "12"})
    assert found is not None
    assert (found.remote_id, found.size) == ("24518", 12)
    upload = wire.UploadObject.read({"id": "0b9f", "recordsCount": "40", "uploadedBytes": "900"})
    assert upload is not None
    assert upload.differs_from(lines=40, size=900, md5="") == ""
    assert "41" in upload.differs_from(lines=41, size=900, md5="")


def test_a_segment_needs_no_more_than_its_id_and_keeps_an_unknown_status():
    found = wire.segment({"id": 5, "status": "archived", "future": 1})
    assert found is not None
    assert (found.remote_id, found.state, found.raw_state) == ("5", "unknown", "archived")


@pytest.mark.parametrize("claims", [{"exp": 1_800_000_000}, {"exp": "x"}, {"exp": 1e30}, {}, []])
def test_the_end_of_a_token_is_read_where_it_is_told(claims: Any):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    told = isinstance(claims, dict) and claims.get("exp") == 1_800_000_000
    assert token_end(f"h.{body}.s") == (datetime.fromtimestamp(1_800_000_000, UTC) if told else None)
