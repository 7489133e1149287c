"""The list of segments: filter, search, sort, pages, export, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from audsync_web.people.models import Company, User
from audsync_web.vendors.models import VendorAccount
from segments.models import Destination, DestinationStatus, Segment, SegmentStatus
from tests.conftest import LoggedIn
from tests.factories import make_vendor_account

PAGE_QUERIES = 9


def make_segment(company: Company, name: str, **fields: Any) -> Segment:
    segment: Segment = Segment.objects.create(company=company, name=name, duration_days=90, **fields)
    return segment


def give(segment: Segment, account: VendorAccount, members: int | None = None) -> Destination:
    destination: Destination = Destination.objects.create(
        segment=segment,
        vendor_account=account,
        identifier="provider_id",
        status=DestinationStatus.CREATED,
        remote_id=f"remote-{segment.pk}",
    )
    if members is not None:
        destination.snapshots.create(members=members)
    return destination


@pytest.fixture
def several(company: Company, other_company: Company) -> dict[str, Segment]:
    """Three segments in use, one put away, one of somebody else."""
    euro = make_vendor_account(company, "anonymised", name="Anonymised EU")
    seat = make_vendor_account(company, "xandr", name="Xandr seat")
    found = {
        name: make_segment(company, name, status=status)
        for name, status in (("beta", "created"), ("Alpha", "published"), ("gamma", "failed"))
    }
    give(found["beta"], euro, 300)
    give(found["Alpha"], euro, 100)
    give(found["Alpha"], seat, 200)
    give(found["gamma"], seat)
    found["old"] = make_segment(company, "old", status=SegmentStatus.ARCHIVED)
    make_segment(other_company, "theirs")
    return found


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [row.name for row in answer.context["rows"]]


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["gamma", "Alpha", "beta"]),
        ({"sort": "created"}, ["beta", "Alpha", "gamma"]),
        ({"sort": "name"}, ["Alpha", "beta", "gamma"]),
        ({"sort": "-name"}, ["gamma", "beta", "Alpha"]),
        ({"sort": "-size"}, ["beta", "Alpha", "gamma"]),
        ({"sort": "size"}, ["gamma", "Alpha", "beta"]),
        ({"status": "published"}, ["Alpha"]),
        ({"status": "archived"}, ["old"]),
        ({"status": "all", "sort": "name"}, ["Alpha", "beta", "gamma", "old"]),
        ({"vendor": "xandr"}, ["gamma", "Alpha"]),
        ({"q": "ALPH"}, ["Alpha"]),
        ({"q": "100%"}, []),
        ({"status": "nonsense", "sort": "upwards", "vendor": "nobody"}, ["gamma", "Alpha", "beta"]),
    ],
)
def test_the_list_is_filtered_and_sorted_by_its_url(
    query: dict[str, str], found: list[str], logged_in: LoggedIn, marketer: User
) -> None:
    assert names(logged_in(marketer).get("/segments", query)) == found


def test_a_segment_is_found_by_its_id_and_by_its_ids_at_vendors(
    several: dict[str, Segment], logged_in: LoggedIn, marketer: User
) -> None:
    client, beta = logged_in(marketer), several["beta"]
    for text in (str(beta.pk), beta.technical_name, f"remote-{beta.pk}"):
        assert "beta" in names(client.get("/segments", {"q": text}))
    assert names(client.get("/segments", {"q": "remote-"})) == []


def test_the_list_is_filtered_by_account(several: dict[str, Segment], logged_in: LoggedIn, marketer: User) -> None:
    account = VendorAccount.objects.get(name="Anonymised EU")
    assert names(logged_in(marketer).get("/segments", {"account": account.pk})) == ["Alpha", "beta"]
    assert names(logged_in(marketer).get("/segments", {"account": "9" * 30})) == ["gamma", "Alpha", "beta"]


def test_members_are_those_of_the_fullest_destination(
    several: dict[str, Segment], logged_in: LoggedIn, marketer: User
) -> None:
    rows = logged_in(marketer).get("/segments").context["rows"]
    assert {row.name: row.size for row in rows} == {"Alpha": 200, "beta": 300, "gamma": 0}


@pytest.mark.parametrize("sort", ["name", "-size", "-created"])
def test_pages_go_on_where_the_last_one_ended_in_every_order(
    sort: str, company: Company, logged_in: LoggedIn, marketer: User
) -> None:
    account = make_vendor_account(company)
    for number in range(55):
        give(make_segment(company, f"Segment {number:02}"), account, number // 2)
    client = logged_in(marketer)
    first = client.get("/segments", {"sort": sort})
    second = client.get(first.context["older_url"])
    assert len(names(first) + names(second)) == len({*names(first), *names(second)}) == 55
    assert names(client.get(second.context["newer_url"])) == names(first)
    assert "sort=" in first.context["older_url"]


def test_a_cursor_that_is_none_of_this_list_is_404(logged_in: LoggedIn, marketer: User) -> None:
    assert logged_in(marketer).get("/segments", {"cursor": "nonsense"}).status_code == 404


def test_a_list_of_many_is_counted_so_far_and_no_further(company: Company, logged_in: LoggedIn, marketer: User) -> None:
    Segment.objects.bulk_create(Segment(company=company, name=f"s{n}", duration_days=1) for n in range(1001))
    assert logged_in(marketer).get("/segments").context["summary"] == "1\u202f000+ segments"


def test_the_list_costs_the_same_for_few_and_for_many(
    several: dict[str, Segment],
    company: Company,
    logged_in: LoggedIn,
    marketer: User,
    django_assert_max_num_queries: Any,
) -> None:
    client, account = logged_in(marketer), make_vendor_account(company)
    for _ in range(2):
        with django_assert_max_num_queries(PAGE_QUERIES):
            client.get("/segments")
        for number in range(30):
            give(make_segment(company, f"more {number}"), account, number)


def test_the_export_holds_what_the_filter_shows_and_runs_no_formula(
    several: dict[str, Segment], company: Company, logged_in: LoggedIn, marketer: User
) -> None:
    make_segment(company, "=cmd()", status="published")
    answer: Any = logged_in(marketer).get("/segments/export", {"status": "published", "sort": "name"})
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 3
    assert "'=cmd()" in lines[1]
    assert several["Alpha"].technical_name in lines[2]
    assert "Anonymised EU: created; Xandr seat: created" in lines[2]


def test_a_filter_swaps_in_the_lines_alone(several: dict[str, Segment], logged_in: LoggedIn, marketer: User) -> None:
    answer = logged_in(marketer).get("/segments", {"q": "alp"}, headers={"HX-Request": "true"})
    assert "<html" not in answer.content.decode()
    assert names(answer) == ["Alpha"]


def test_an_empty_company_is_led_to_its_first_segment(logged_in: LoggedIn, manager: User, marketer: User) -> None:
    assert 'href="/segments/new"' in logged_in(manager).get("/segments").content.decode()
    assert 'href="/segments/new"' not in logged_in(marketer).get("/segments").content.decode()
    assert "Clear the filter" in logged_in(manager).get("/segments", {"q": "x"}).content.decode()
