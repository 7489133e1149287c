"""Acoustic Exchange: filters, look-up and removal against the strict sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audsync_web.sandbox import acoustic as sandbox
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors import acoustic
from audsync_web.vendors.connectors.acoustic import AcousticConnector
from audsync_web.vendors.connectors.errors import (
    AuthenticationFailed,
    InvalidConfiguration,
    NotSupported,
    NotYet,
    Permanent,
    Transient,
    UnknownOutcome,
)
from audsync_web.vendors.connectors.identity import filter_findings

from .canned_server import Canned, CannedServer
from .contract import ConnectorContract
from .fakes import services
from .given import account_config

EMAIL = "person-1@example.invalid"


class TestAcousticContract(ConnectorContract):
    vendor = "acoustic"
    wrong_credentials = {"authKey": "wrong-acoustic-key"}


def connect(box: Sandbox, *, level: str = "endpoint", key: str = sandbox.DEMO_CREDENTIALS["authKey"], **settings: Any):
    if level == "account":
        key, settings = sandbox.DEMO_ACCOUNT_KEY, {"endpointId": sandbox.DEMO_ENDPOINT, **settings}
    config = account_config(AcousticConnector, f"{box.url}/acoustic", {"authKey": key}, {"keyLevel": level, **settings})
    return AcousticConnector(config, services(box.context.clock))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch):
    """Tests do not wait for a vendor to come back, but for those that say so."""
    monkeypatch.setattr(acoustic, "PATIENCE", 0.0)
    monkeypatch.setattr(acoustic, "FIRST_PAUSE", 0.01)


def asked(box: Sandbox, method: str):
    """Paths of the requests of one method, as the ledger shows them."""
    return [entry.path for entry in box.context.ledger.entries("acoustic") if entry.method == method]


def switch(box: Sandbox, name: str, value: str = "1x"):
    box.context.faults.set(f"acoustic.{name}", value)


# --- keys


def test_an_account_key_needs_the_endpoints_id():
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(AcousticConnector, "https://x.example", {"authKey": "k"}, {"keyLevel": "account"})
    assert list(refused.value.errors) == ["endpointId"]


def test_the_check_tells_what_each_key_may_do(box: Sandbox):
    assert connect(box).check().facts["Filters"] == "0"
    checked = connect(box, level="account").check()
    assert checked.warnings
    assert not checked.missing
    assert box.context.ledger.violations() == []


def test_filters_with_an_account_key_are_refused_without_a_call(box: Sandbox):
    connector = connect(box, level="account")
    for call in (
        connector.list_filters,
        lambda: connector.find_filter("email"),
        lambda: connector.save_filter("email", publish=True, subscribe=False),
        lambda: connector.remove_filter("email"),
        lambda: connector.identifiers_of("x1-0001"),
    ):
        with pytest.raises(NotSupported):
            call()
    assert box.context.ledger.entries("acoustic") == []


def test_a_wrong_key_is_called_that_by_the_name_of_its_field(box: Sandbox):
    with pytest.raises(AuthenticationFailed, match="authentication key: it is wrong"):
        connect(box, key="nobody-s-key").check()
    assert len(box.context.ledger.entries("acoustic")) == 1


def test_a_denied_key_says_what_to_look_at_and_is_not_tried_again(box: Sandbox):
    switch(box, "key_denied", "1")
    with pytest.raises(AuthenticationFailed) as denied:
        connect(box).list_filters()
    assert "does not let it do that" in denied.value.text
    assert "level" in denied.value.next_step
    assert len(asked(box, "GET")) == 1


def test_a_base_url_copied_with_its_version_is_understood(box: Sandbox):
    config = account_config(AcousticConnector, f"{box.url}/acoustic/v1/", sandbox.DEMO_CREDENTIALS)
    assert AcousticConnector(config, services(box.context.clock)).list_filters() == ()


# --- filters


def test_a_filter_is_added_changed_and_removed_with_the_right_verbs(box: Sandbox):
    connector = connect(box)
    added = connector.save_filter("customer id", publish=False, subscribe=True)
    assert (added.publish, added.subscribe, added.endpoint_id) == (False, True, str(sandbox.DEMO_ENDPOINT))
    changed = connector.save_filter("customer id", publish=True, subscribe=True)
    assert changed.publish
    assert changed.filter_id == added.filter_id
    assert connector.find_filter("customer id") == changed
    assert connector.find_filter("email") is None
    assert connector.remove_filter("customer id") is True
    assert connector.remove_filter("customer id") is False
    assert connector.list_filters(fresh=True) == ()
    assert [len(asked(box, method)) for method in ("POST", "PUT", "DELETE")] == [1, 1, 1]
    assert box.context.ledger.violations() == []


def test_a_filter_that_filters_nothing_is_refused_here_and_says_what_to_do(box: Sandbox):
    with pytest.raises(Permanent) as refused:
        connect(box).save_filter("email", publish=False, subscribe=False)
    assert "remove the filter" in refused.value.text
    assert box.context.ledger.entries("acoustic") == []


def test_an_unregistered_name_is_the_vendors_refusal(box: Sandbox):
    with pytest.raises(Permanent) as refused:
        connect(box).save_filter("shoe_size", publish=True, subscribe=False)
    assert refused.value.status == 400
    assert "registered" in refused.value.vendor_text


@pytest.mark.parametrize("fault", ["drop_after_filter", "error_after_filter"])
def test_a_saved_filter_whose_answer_was_lost_is_found_in_the_list(box: Sandbox, fault: str):
    switch(box, fault)
    assert connect(box).save_filter("email", publish=True, subscribe=False).publish
    assert len(asked(box, "POST")) == 1
    assert box.context.ledger.violations() == []


def test_a_filter_that_never_arrived_is_told_and_not_repeated(box: Sandbox):
    switch(box, "drop_before_filter")
    with pytest.raises(UnknownOutcome) as lost:
        connect(box).save_filter("email", publish=True, subscribe=False)
    assert "before repeating" in lost.value.next_step
    assert len(asked(box, "POST")) == 1
    assert connect(box).save_filter("email", publish=True, subscribe=False).publish


@pytest.mark.parametrize("fault", ["drop_after_unfilter", "error_after_unfilter"])
def test_a_removed_filter_whose_answer_was_lost_is_seen_to_be_gone(box: Sandbox, fault: str):
    connector = connect(box)
    connector.save_filter("email", publish=True, subscribe=False)
    switch(box, fault)
    assert connector.remove_filter("email") is True
    assert len(asked(box, "DELETE")) == 1


@pytest.mark.parametrize("lost", ["", "drop_after_filter"])
def test_a_change_whose_list_cannot_be_read_is_not_called_a_failure(box: Sandbox, lost: str):
    connector = connect(box)
    if lost:
        switch(box, lost)
    switch(box, "blind_after_filter", "9x")
    with pytest.raises(UnknownOutcome) as unseen:
        connector.save_filter("email", publish=True, subscribe=False)
    assert "Look at the list again" in unseen.value.next_step
    box.context.faults.set("acoustic.blind_after_filter", None)
    assert [held.identifier_name for held in connector.list_filters(fresh=True)] == ["email"]


def test_a_filter_that_shows_neither_flag_is_not_said_to_hide_anything():
    rows = [{"identifierName": "email", "publishFilter": None}, {"identifierName": "phone"}, {}, "?"]
    with CannedServer(Canned(200, json.dumps(rows).encode())) as server:
        connector = AcousticConnector(account_config(AcousticConnector, server.url, {"authKey": "k"}), services())
        found = connector.list_filters()
    assert [(held.identifier_name, held.reach) for held in found] == [("email", ""), ("phone", "")]
    assert "not known" in found[0].effect
    assert "may hold back" in filter_findings(found, "email")[0].text


def test_both_spellings_and_numbers_for_ids_are_read(box: Sandbox):
    switch(box, "odd_spellings", "1")
    switch(box, "numeric_ids", "1")
    switch(box, "extra_fields", "1")
    saved = connect(box).save_filter("email", publish=True, subscribe=False)
    assert saved.filter_id.isdigit()
    assert saved.endpoint_id == "412"
    assert saved.publish


def test_a_list_is_kept_for_a_minute_unless_a_fresh_one_is_wanted(box: Sandbox):
    connector = connect(box)
    connector.list_filters()
    connector.list_filters()
    assert len(asked(box, "GET")) == 1
    connector.list_filters(fresh=True)
    box.context.clock.advance(61)
    connector.list_filters()
    assert len(asked(box, "GET")) == 3


def test_a_filter_on_the_kind_a_delivery_needs_is_a_finding(box: Sandbox):
    connector = connect(box)
    connector.save_filter("email", publish=True, subscribe=False)
    connector.save_filter("cookieid", publish=False, subscribe=True)
    found = filter_findings(connector.list_filters(), "email")
    assert [finding.level for finding in found] == ["warning"]
    assert filter_findings(connector.list_filters(), "uuid") == []


# --- identities


def test_an_x1id_shows_its_identifiers_and_an_unknown_one_is_none(box: Sandbox):
    connector = connect(box)
    found = connector.identifiers_of("x1-0001")
    assert [(one.name, one.endpoint_id) for one in found.identifiers] == [
        ("email", "412"),
        ("cookieid", "412"),
        ("crm_no", "415"),
    ]
    assert EMAIL not in repr(found)
    assert connector.identifiers_of("x1-nobody") is None
    for fault in ("unknown_as_404", "unknown_as_empty"):
        switch(box, fault, "1")
        assert connector.identifiers_of("x1-nobody") is None
    assert box.context.ledger.violations() == []


@pytest.mark.parametrize(
    ("answered", "shown"), [("x1-9", None), ("X1-1", "X1-1"), ("", "x1-1"), ("x1-1", "x1-1"), (None, "x1-1")]
)
def test_whoever_opens_one_x1id_is_not_shown_another(answered: str | None, shown: str | None):
    rows = [{"x1Id": answered, "identifiers": [{"name": "email", "value": EMAIL}]}]
    with CannedServer(Canned(200, json.dumps(rows).encode())) as server:
        connector = AcousticConnector(account_config(AcousticConnector, server.url, {"authKey": "k"}), services())
        found = connector.identifiers_of("x1-1")
    assert (found.x1_id if found else None) == shown


def test_an_x1id_that_is_listed_twice_is_one_person():
    held = [{"name": "email", "value": EMAIL, "endpointId": number} for number in (412, 415)]
    rows = [{"x1Id": "x1-1", "identifiers": [one]} for one in held] + [{"error": "odd"}]
    with CannedServer(Canned(200, json.dumps(rows).encode())) as server:
        connector = AcousticConnector(account_config(AcousticConnector, server.url, {"authKey": "k"}), services())
        (found,) = connector.x1ids_of("email", EMAIL)
    assert [one.endpoint_id for one in found.identifiers] == ["412", "415"]


def test_an_x1id_near_its_limit_warns(box: Sandbox):
    many = [{"name": "cookieid", "value": f"c-{n}"} for n in range(950)]
    box.vendors["acoustic"].control("identity", {"x1Id": "x1-full", "identifiers": many})
    connector = connect(box)
    assert "950" in connector.identifiers_of("x1-full").warning
    assert connector.identifiers_of("x1-0001").warning == ""


@pytest.mark.parametrize("level", ["endpoint", "account"])
def test_the_x1ids_of_an_identifier_are_found_with_either_key(box: Sandbox, level: str):
    connector = connect(box, level=level)
    assert [one.x1_id for one in connector.x1ids_of("cookieid", "demo-cookie-shared")] == ["x1-0002", "x1-0003"]
    assert connector.x1ids_of("email", "nobody@example.invalid") == []
    assert box.context.ledger.violations() == []


@pytest.mark.parametrize("value", ["rita+news@shop.example", "a b&c=d", "50%", "ü/ö?#", "{x}"])
def test_values_are_encoded_so_that_the_vendor_reads_them_back(box: Sandbox, value: str):
    fixture = {"x1Id": "x1/odd", "identifiers": [{"name": "customer id", "value": value}]}
    box.vendors["acoustic"].control("identity", fixture)
    connector = connect(box)
    assert [one.x1_id for one in connector.x1ids_of("customer id", value)] == ["x1/odd"]
    assert connector.identifiers_of("x1/odd").identifiers[0].value == value
    assert box.context.ledger.violations() == []


@pytest.mark.parametrize("name", ["", "endpointId", "{Email}"])
def test_names_that_cannot_be_asked_are_refused_here(box: Sandbox, name: str):
    with pytest.raises(Permanent):
        connect(box).x1ids_of(name, "x")
    assert box.context.ledger.entries("acoustic") == []


@pytest.mark.parametrize(("fault", "count"), [("", 2), ("json_count", 2), ("silent_count", None)])
def test_removal_tells_the_vendors_count(box: Sandbox, fault: str, count: int | None):
    if fault:
        switch(box, fault, "1")
    connector = connect(box)
    assert connector.remove_identity("cookieid", "demo-cookie-shared") == count
    assert connector.x1ids_of("cookieid", "demo-cookie-shared") == []
    if count:
        assert connector.remove_identity("cookieid", "demo-cookie-shared") == 0


@pytest.mark.parametrize("fault", ["drop_before_remove", "drop_after_remove", "error_after_remove"])
def test_a_removal_whose_answer_was_lost_is_never_repeated_by_itself(box: Sandbox, fault: str):
    switch(box, fault)
    connector = connect(box)
    with pytest.raises(UnknownOutcome) as lost:
        connector.remove_identity("email", EMAIL)
    assert "Look the identifier up first" in lost.value.next_step
    assert len(asked(box, "DELETE")) == 1
    if connector.x1ids_of("email", EMAIL):
        assert connector.remove_identity("email", EMAIL) == 1
    assert connector.x1ids_of("email", EMAIL) == []
    assert box.context.ledger.violations() == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_look_that_fails_is_made_again_and_a_change_is_not(status: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(acoustic, "PATIENCE", 2.0)
    found = json.dumps([{"x1Id": "x1-1", "identifiers": [{"name": "email", "value": EMAIL, "endpointId": 412}]}])

    def answers(then: bytes) -> Any:
        coming = iter([Canned(status, b"{}", {"Retry-After": "1"} if status == 429 else {})])
        return lambda method, path: next(coming, Canned(200, then))

    with CannedServer(answers(found.encode())) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        assert [one.x1_id for one in AcousticConnector(config, services()).x1ids_of("email", EMAIL)] == ["x1-1"]
        assert len(server.requests) == 2
    with CannedServer(answers(b"1")) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        with pytest.raises((Transient, UnknownOutcome)):
            AcousticConnector(config, services()).remove_identity("email", EMAIL)
        assert len(server.requests) == 1


def test_a_key_has_one_request_in_flight(box: Sandbox):
    connector = connect(box)
    with connector.services.pacer.inside(f"{connector.quota_scope}:call", places=1), pytest.raises(NotYet):
        connector.list_filters()
    assert connector.list_filters() == ()


def test_exchange_calls_kinds_as_the_account_says(box: Sandbox):
    connector = connect(box, identifierNames=["email=email", "custom_id=customer id", "email=Email"])
    assert connector.identifier_names == {"email": ["email", "Email"], "custom_id": ["customer id"]}
    assert connector.save_filter("customer id", publish=True, subscribe=False).kind == "custom_id"
    found = [one.text for one in filter_findings(connector.list_filters(), "custom_id")]
    assert "“customer id”" in found[0]


@pytest.mark.parametrize("pair", ["email", "email=", "nonsense=email", "email=endpointId", "email={x}"])
def test_names_that_exchange_could_not_be_asked_for_are_refused(pair: str):
    with pytest.raises(InvalidConfiguration) as refused:
        AcousticConnector.validate(
            account_config(AcousticConnector, "https://x.example", {"authKey": "k"}, {"identifierNames": [pair]})
        )
    assert "identifierNames" in refused.value.errors


def test_being_throttled_pauses_the_key_for_everyone(box: Sandbox):
    switch(box, "throttle")
    connector = connect(box)
    with pytest.raises(Transient) as slowed:
        connector.remove_identity("email", EMAIL)
    assert slowed.value.retry_after == 2
    with pytest.raises(NotYet):
        connector.x1ids_of("email", EMAIL)
    box.context.clock.advance(3)
    assert connector.remove_identity("email", EMAIL) == 1


def test_what_the_vendor_says_about_a_person_is_cut_out():
    with CannedServer(Canned(400, b'{"message": "bad value person-1@example.invalid for you"}')) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        with pytest.raises(Permanent) as refused:
            AcousticConnector(config, services()).remove_identity("email", EMAIL)
    assert refused.value.vendor_text == "bad value … for you"


def test_nor_is_what_else_the_person_is_known_by():
    said = {"message": 'C-183 is one of jane@mail.example and {"name": "crm_no", "value": "C-184"}'}
    with CannedServer(Canned(400, json.dumps(said).encode())) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        with pytest.raises(Permanent) as refused:
            AcousticConnector(config, services()).remove_identity("crm_no", "C-183")
    assert refused.value.vendor_text == '••• is one of … and {"name": "crm_no", "value": "…"}'


@pytest.mark.parametrize(
    "shown", ["person+1%40example.invalid", "person%2B1%40Example.invalid", "person%2b1%40example.invalid"]
)
def test_nor_is_it_told_as_it_stands_in_the_address(shown: str):
    said = f"No handler for /v1/identity?email={shown}."
    with CannedServer(Canned(500, said.encode())) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        with pytest.raises(UnknownOutcome) as lost:
            AcousticConnector(config, services()).remove_identity("email", "person+1@example.invalid")
    assert lost.value.vendor_text == "No handler for /v1/identity?email=•••."


@pytest.mark.parametrize(
    "body", [b'{"x1Id": "x1-1", "identifiers": [{"value": "person-1@example.invalid"}]}', b"hello"]
)
def test_an_answer_about_people_that_cannot_be_read_is_not_repeated_in_the_error(body: bytes):
    with CannedServer(Canned(200, body)) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        connector = AcousticConnector(config, services())
        for call in (lambda: connector.identifiers_of("x1-1"), lambda: connector.x1ids_of("phone", "1")):
            with pytest.raises(Transient) as refused:
                call()
            assert (refused.value.code, refused.value.vendor_text) == ("answer_unreadable", "")


def test_a_pause_that_exchange_asks_for_is_kept_whole(box: Sandbox):
    connector = connect(box)
    with CannedServer(Canned(429, b"{}", {"Retry-After": "600"})) as server:
        config = account_config(AcousticConnector, server.url, {"authKey": "k"})
        connector = AcousticConnector(config, services(box.context.clock))
        with pytest.raises(Transient):
            connector.list_filters()
        box.context.clock.advance(599)
        with pytest.raises(NotYet):
            connector.list_filters()
        assert len(server.requests) == 1


def test_no_value_reaches_the_ledger_or_a_log(box: Sandbox, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    connector = connect(box)
    connector.x1ids_of("email", EMAIL)
    connector.remove_identity("email", EMAIL)
    connector.identifiers_of("x1-0001")
    assert EMAIL not in caplog.text
    assert "x1-0001" not in caplog.text
    assert EMAIL not in repr(box.context.ledger.entries())
    assert EMAIL not in repr(box.vendors["acoustic"].control("requests", {}))
