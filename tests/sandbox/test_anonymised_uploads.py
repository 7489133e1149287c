"""The sandbox's Anonymised: uploads from pending to removed, by the clock."""

from __future__ import annotations

import pytest

from .anonymised_kit import UNKNOWN_UPLOAD, Partner


@pytest.mark.parametrize(
    ("vocabulary", "fails", "words"),
    [
        ("short", False, ["pending", "processing", "completed"]),
        ("short", True, ["pending", "processing", "failed"]),
        ("long", False, ["pending", "processing", "processed"]),
        ("long", True, ["pending", "processing", "processing_failed"]),
    ],
)
def test_an_upload_moves_with_the_clock_in_the_chosen_words(
    partner: Partner, vocabulary: str, fails: bool, words: list[str]
):
    partner.switch("vocabulary", vocabulary)
    partner.switch("fail", "1" if fails else "0")
    partner.switch("pending_seconds", "10")
    partner.switch("processing_seconds", "10")
    segment = partner.segment()
    upload = partner.upload(segment).json()["id"]
    seen = []
    for _ in range(3):
        seen.append(partner.status(segment, upload))
        partner.wait(12)
    assert seen == words


def test_a_success_becomes_active_and_the_one_before_is_removed(partner: Partner):
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait(5)
    assert partner.active(segment) == first
    second = partner.upload(segment, b"provider_id\nother\n").json()["id"]
    partner.wait(3.5)
    assert partner.active(segment) == second
    assert partner.status(segment, first) == "deletion"
    partner.wait(5)
    assert partner.status(segment, first) == "deleted"
    assert partner.box.vendors["anonymised"].control("members", {"segment": segment}) == ["other"]


@pytest.mark.parametrize(("switch", "status"), [("deletion_failed", "deletion_failed"), ("off", "completed")])
def test_what_becomes_of_a_superseded_upload_can_be_chosen(partner: Partner, switch: str, status: str):
    partner.switch("superseded", switch)
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait()
    partner.upload(segment)
    partner.wait()
    assert partner.status(segment, first) == status


def test_a_failure_leaves_the_active_upload_alone(partner: Partner):
    segment = partner.segment(published=True)
    first = partner.upload(segment).json()["id"]
    partner.wait()
    partner.switch("fail", "disk full")
    second = partner.upload(segment).json()["id"]
    partner.wait()
    detail = partner.call("GET", f"/segment/{segment}/membership/upload/{second}").json()
    assert (detail["status"], detail["details"]) == ("failed", "disk full")
    assert partner.active(segment) == first


def test_members_of_an_unpublished_segment_are_held_until_it_is_published(partner: Partner):
    segment = partner.segment()
    upload = partner.upload(segment).json()["id"]
    partner.wait()
    assert partner.active(segment) is None
    partner.switch("show_staged")
    assert partner.active(segment) == upload
    partner.switch("show_staged", "0")
    partner.call("POST", f"/segment/{segment}/publish")
    assert partner.active(segment) == upload


def test_an_upload_can_be_removed_without_ever_being_processed(partner: Partner):
    partner.switch("removed_unprocessed")
    segment = partner.segment(published=True)
    upload = partner.upload(segment).json()["id"]
    partner.wait(2)
    assert partner.status(segment, upload) == "deletion"
    partner.wait(5)
    assert partner.status(segment, upload) == "deleted"
    assert partner.active(segment) is None


@pytest.mark.parametrize("upload", [UNKNOWN_UPLOAD, "not-a-uuid"])
def test_an_unknown_upload_or_one_of_another_segment_is_404(partner: Partner, upload: str):
    first, second = partner.segment("one"), partner.segment("two")
    own = partner.upload(first).json()["id"]
    assert partner.call("GET", f"/segment/{first}/membership/upload/{upload}").status_code == 404
    assert partner.call("GET", f"/segment/{second}/membership/upload/{own}").status_code == 404


def test_the_list_is_a_bare_array_oldest_first(partner: Partner):
    segment = partner.segment()
    made = []
    for _ in range(3):
        made.append(partner.upload(segment).json()["id"])
        partner.wait()
    listed = partner.call("GET", f"/segment/{segment}/membership/upload").json()
    assert [upload["id"] for upload in listed] == made
