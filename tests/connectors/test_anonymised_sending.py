"""Anonymised: the file that is sent, what is refused before and after, and figures that differ."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.anonymised import DEMO_SETTINGS, OTHER_CREDENTIALS
from audsync_web.vendors.connectors.anonymised import AnonymisedConnector
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent, RemoteMissing, TooLarge

from .anonymised_kit import Bench
from .given import account_config
from .parts import FilePayload


def test_the_file_is_a_header_and_one_id_a_line(bench: Bench):
    delivery = bench.delivery(bench.segment())
    part = bench.part(delivery, ["acme-0001", "acme-0002", "acme-0003"])
    assert part.content == b"provider_id\nacme-0001\nacme-0002\nacme-0003\n"
    assert part.md5 == "85118789516f48fa299bed5362c5daca"


@pytest.mark.parametrize("kind", ["provider_id", "custom_id", "user_account_id", "uuid", "email_sha256", "email_md5"])
@pytest.mark.parametrize("value", ["a,b", 'a"b', "a\tb", "x" * 256, "é" * 128, ""])
def test_no_kind_lets_a_value_through_that_would_need_quoting(kind: str, value: str):
    assert not AnonymisedConnector.identifier_rules[kind].accepts(value)


def test_ids_keep_their_letter_case():
    assert {rule.case for rule in AnonymisedConnector.identifier_rules.values()} == {"keep"}


def test_an_empty_list_is_refused_without_a_call(bench: Bench):
    delivery = bench.delivery(bench.segment())
    empty = FilePayload(b"provider_id\n")
    with pytest.raises(Permanent, match="0 members"):
        bench.connector.send_part(delivery, empty, bench.journal)
    assert bench.calls("POST", "/upload") == 0


def test_a_file_over_our_limit_is_refused_without_a_call_and_names_the_numbers(bench: Bench):
    connector = bench.connect(maxUploadBytes=100)
    delivery = bench.delivery(bench.segment())
    with pytest.raises(TooLarge, match="492 bytes; this account takes at most 100,") as refused:
        connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert refused.value.refused_bytes is None
    assert bench.calls("POST", "/upload") == 0


def test_a_413_below_our_limit_tells_the_size_that_was_refused(bench: Bench):
    bench.switch("max_bytes", "100")
    delivery = bench.delivery(bench.segment())
    with pytest.raises(TooLarge, match="492 bytes") as refused:
        bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert refused.value.refused_bytes == 492
    assert refused.value.vendor_text == "file size exceeds maximum allowed size"


def test_a_part_damaged_on_disk_is_told_apart_from_a_bad_file(bench: Bench):
    delivery = bench.delivery(bench.segment())
    part = bench.part(delivery)
    part.content = b"provider_id\nother-0000\n"
    part.bytes = len(part.content)
    with pytest.raises(Permanent) as refused:
        bench.connector.send_part(delivery, part, bench.journal)
    assert refused.value.code == "part_damaged"


def test_a_bad_file_is_permanent_and_keeps_the_vendors_words(bench: Bench):
    delivery = bench.delivery(bench.segment())
    with pytest.raises(Permanent) as refused:
        bench.connector.send_part(delivery, FilePayload(b"a,b\nc,d\n", lines=1), bench.journal)
    assert refused.value.vendor_text == "invalid CSV header: expected exactly one column"
    assert not isinstance(refused.value, AuthenticationFailed)


def test_a_segment_of_another_company_is_missing(bench: Bench):
    other = AnonymisedConnector(
        account_config(AnonymisedConnector, bench.box.base_url("anonymised"), OTHER_CREDENTIALS, DEMO_SETTINGS),
        bench.services,
    )
    delivery = bench.delivery(bench.segment())
    with pytest.raises(RemoteMissing):
        other.send_part(delivery, bench.part(delivery), bench.journal)


@pytest.mark.parametrize(
    ("switch", "words"),
    [("wrong_count", "counts 39 rows where 40 were sent"), ("omit_md5", "")],
)
def test_figures_that_are_not_ours_make_it_suspect(bench: Bench, switch: str, words: str):
    bench.switch(switch)
    delivery = bench.delivery(bench.segment())
    state = bench.connector.send_part(delivery, bench.part(delivery), bench.journal)
    assert words in state.suspect
    assert bool(words) == bool(state.suspect)


def test_a_swallowed_first_member_is_noticed(bench: Bench):
    bench.switch("lax_header")
    delivery = bench.delivery(bench.segment())
    headerless = FilePayload(b"acme-0001\nacme-0002\n", lines=2)
    assert "counts 1 rows" in bench.connector.send_part(delivery, headerless, bench.journal).suspect
