"""The emulator of Synerise holds to its rules, whoever asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from audsync_web.sandbox.server import Sandbox
from audsync_web.sandbox.synerise import DEMO_CREDENTIALS, DEMO_PROFILE_KEY, DEMO_SEGMENTATION, DEMO_TAG
from audsync_web.sandbox.synerise.auth import MFA_CODE

LOGIN = "/uauth/v2/auth/login/profile"
NOBODY = "00000000-0000-4000-8000-000000000000"
EXPORT = {
    "name": "x",
    "fields": ["email"],
    "agreementFilter": "NONE",
    "segmentationHash": DEMO_SEGMENTATION,
    "excludedIds": [],
}
EVENT = {"type": "custom", "action": "audience.join", "label": "joined", "client": {"customId": "a"}}


class Client:
    """A client that can leave out what a good one sends."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.token = self("POST", LOGIN, json=DEMO_CREDENTIALS, token="").json()["token"]

    def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        version: str | None = "4.4",
        content: str | None = None,
        **more: Any,
    ) -> requests.Response:
        headers = {"Accept": "application/json"}
        bearer = self.token if token is None else token
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        if version:
            headers["Api-Version"] = version
        if content:
            headers["Content-Type"] = content
        url = f"{self.box.url}/synerise{path}"
        return requests.request(method, url, headers=headers, timeout=30, **more)


@pytest.fixture
def call(box: Sandbox) -> Client:
    return Client(box)


def switch(box: Sandbox, name: str, value: str | None = "1x") -> None:
    box.context.faults.set(f"synerise.{name}", value)


def profile(call: Client, custom_id: str) -> dict[str, Any]:
    call.box.context.clock.advance(1)
    found: dict[str, Any] = call("GET", f"/v4/clients/by-custom-id/{custom_id}").json()
    return found


def send(call: Client, *items: dict[str, Any]) -> requests.Response:
    return call("POST", "/v4/clients/batch", json=list(items))


# --- authentication


def test_only_a_workspace_key_logs_in_at_both_paths(call: Client):
    for path in (LOGIN, "/v4/auth/login/profile"):
        assert call("POST", path, json=DEMO_CREDENTIALS, token="").json()["token"].count(".") == 2
        assert call("POST", path, json={"apiKey": "unknown"}, token="").status_code == 401
        assert call("POST", path, json={"apiKey": DEMO_PROFILE_KEY}, token="").status_code == 401


def test_an_expired_token_says_so_and_cannot_be_refreshed(call: Client):
    assert call("GET", "/v4/auth/refresh/profile").status_code == 200
    call.box.context.clock.advance(3601)
    expired = call("GET", "/v4/clients/tags")
    assert (expired.status_code, expired.json()["error"]) == (401, "Token expired.")
    assert call("GET", "/v4/auth/refresh/profile").status_code == 401
    assert call("GET", "/v4/clients/tags", token="garbage").status_code == 401
    assert call("GET", "/v4/clients/tags", token="").status_code == 401


def test_a_missing_permission_is_403_and_told_by_the_check(box: Sandbox, call: Client):
    switch(box, "missing_permissions", "API_TAGS_CLIENT_READ")
    assert call("GET", "/v4/clients/tags").status_code == 403
    told = call("POST", "/uauth/api-key/permission-check", json=["API_TAGS_CLIENT_READ", "API_TAGS_READ", "NONE"])
    assert told.json()["permissions"] == {"API_TAGS_CLIENT_READ": False, "API_TAGS_READ": True, "NONE": False}


def test_a_user_needs_both_factors_and_a_workspace(box: Sandbox, call: Client):
    box.vendors["synerise"].control("user", {"name": "ops", "password": "pw", "mfa": True})
    first = call("POST", "/uauth/auth/login/user", json={"username": "ops", "password": "pw", "deviceId": "d"}).json()
    assert first["mfaMethods"] == ["TOTP_AUTHENTICATOR"]
    token = first["token"]
    assert call("GET", "/v4/clients/tags", token=token).status_code == 403
    assert call("GET", "/uauth/business-profile/", token=token).status_code == 403
    verify = "/uauth/auth/login/user/mfa/verification"
    good = {"verificationCode": MFA_CODE, "deviceId": "d"}
    assert call("POST", f"{verify}?mfaType=PIGEON", json=good, token=token).status_code == 400
    wrong = call("POST", f"{verify}?mfaType=EMAIL", json={"verificationCode": "0"}, token=token)
    assert wrong.status_code == 401
    token = call("POST", f"{verify}?mfaType=EMAIL", json=good, token=token).json()["token"]
    guid = call("GET", "/uauth/business-profile/", token=token).json()[0]["businessProfileGuid"]
    choose = "/uauth/auth/login/user/profile"
    assert call("POST", f"{choose}/{NOBODY}", token=token).status_code == 404
    token = call("POST", f"{choose}/{guid}", token=token).json()["token"]
    assert call("GET", "/v4/clients/tags", token=token).status_code == 200
    assert call("GET", "/uauth/business-profile/current", token=token).json()["data"]["businessProfileGuid"] == guid


def test_a_device_is_remembered_for_eight_hours(box: Sandbox, call: Client):
    box.vendors["synerise"].control("user", {"name": "ops", "password": "pw", "mfa": True})
    who = {"username": "ops", "password": "pw", "deviceId": "d"}
    token = call("POST", "/uauth/auth/login/user", json=who).json()["token"]
    verify = "/uauth/auth/login/user/mfa/verification?mfaType=EMAIL"
    call("POST", verify, json={"verificationCode": MFA_CODE, "deviceId": "d"}, token=token)
    assert call("POST", "/uauth/auth/login/user", json=who).json()["mfaMethods"] == []
    box.context.clock.advance(8 * 3600 + 1)
    assert call("POST", "/uauth/auth/login/user", json=who).json()["mfaMethods"]


# --- headers and bodies


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/v4/clients/tags", {"version": None}, 400),
        ("GET", "/v4/clients/tags", {"version": "4.3"}, 400),
        ("POST", "/v4/tags", {"version": None, "json": {"name": "a"}}, 200),
        ("POST", "/v4/tags", {"version": "4.0", "json": {"name": "a"}}, 400),
        ("POST", "/v4/tags", {"json": {"color": "#ffffff"}}, 400),
        ("POST", "/v4/tags", {"data": "{", "content": "application/json"}, 400),
        ("POST", "/v4/tags", {"data": "a=b", "content": "application/x-www-form-urlencoded"}, 415),
        ("POST", "/v4/clients/batch", {"json": {}}, 400),
        ("POST", "/v4/clients/batch", {"json": []}, 400),
        ("POST", "/v4/clients/batch", {"json": [{"customId": str(n)} for n in range(1001)]}, 400),
        ("POST", "/v4/clients/batch", {"json": [{"customId": "x" * 1_000_001}]}, 413),
        ("POST", "/v4/clients/batch", {"json": [{"customId": "x"}]}, 202),
        ("DELETE", "/v4/tags/1", {}, 404),
        ("DELETE", "/v4/tags/77", {}, 404),
        ("POST", "/v4/clients/1/tags/1", {}, 404),
        ("DELETE", "/v4/clients/501/tags/77", {}, 404),
        ("GET", "/v4/clients/by-shoe/12", {}, 400),
        ("GET", "/v4/clients/by-custom-id/nobody", {}, 404),
        ("GET", "/v4/server/time", {"token": "", "version": None}, 200),
        ("GET", "/crm/v1/segmentations/no-uuid/clients", {}, 400),
        ("GET", f"/crm/v1/segmentations/{NOBODY}/clients", {}, 404),
        ("GET", f"/crm/v1/segmentations/{DEMO_SEGMENTATION}/clients?limit=-1", {}, 400),
        ("GET", f"/crm/v1/segmentations/{DEMO_SEGMENTATION}/clients?recognized=maybe", {}, 400),
        ("GET", "/crm/v1/clients/list/77", {}, 404),
        ("POST", "/client-exporter/v2/export/clients/task", {"json": EXPORT}, 200),
        ("POST", "/client-exporter/v2/export/clients/task", {"json": {**EXPORT, "excludedIds": [1]}}, 400),
        ("POST", "/client-exporter/v2/export/clients/task", {"json": {**EXPORT, "agreementFilter": "ALL"}}, 400),
        ("POST", "/client-exporter/v2/export/clients/task", {"json": {**EXPORT, "segmentationHash": NOBODY}}, 404),
        ("GET", "/client-exporter/v2/export/clients/task/9001?limit=10001", {}, 404),
        ("POST", "/v4/events/batch", {"json": [EVENT]}, 202),
        ("POST", "/v4/events/batch", {"json": [EVENT] * 1001}, 400),
        ("POST", "/v4/events/batch", {"json": [EVENT, {**EVENT, "client": {"uuid": NOBODY}}]}, 400),
        ("POST", "/v4/events/batch", {"json": [{**EVENT, "label": ""}]}, 400),
        ("POST", "/v4/events/batch", {"json": [{**EVENT, "label": "x" * 65}]}, 400),
        ("POST", "/v4/events/batch", {"json": [{**EVENT, "action": "a b"}]}, 400),
        ("POST", "/v4/events/batch", {"json": [{**EVENT, "params": {"a": None}}]}, 400),
        ("GET", "/analytics-backend/analytics/definitions-manager/expressions?filter=ALL", {}, 400),
        ("GET", "/analytics-backend/analytics/definitions-manager/aggregates?sort=name,asc", {}, 200),
        ("GET", "/analytics-backend/analytics/definitions-manager/aggregates?sort=name", {}, 400),
        ("GET", "/v4/no-such-thing", {}, 404),
    ],
)
def test_the_status_of_each_case(call: Client, method: str, path: str, more: dict[str, Any], status: int):
    assert call(method, path, **more).status_code == status


def test_unconfirmed_paths_can_be_absent(box: Sandbox, call: Client):
    switch(box, "unconfirmed_absent", "1")
    assert call("POST", "/crm/v1/clients/list", json={"segment": DEMO_SEGMENTATION}).status_code == 404


# --- the batch


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"firstName": "x"}, "customId"),
        ({"customId": "a\u2028b"}, "customId"),
        ({"email": "no-address"}, "email"),
        ({"phone": "12"}, "phone"),
        ({"uuid": "not-a-uuid"}, "uuid"),
        ({"customId": "a", "sex": "YES"}, "sex"),
        ({"customId": "a", "birthDate": "1899-12-31"}, "birthDate"),
        ({"customId": "a", "birthDate": "2000-02-30"}, "birthDate"),
        ({"customId": "a", "tags": ["x" * 21]}, "tags"),
        ({"customId": "a", "tags": "one"}, "tags"),
        ({"customId": "a", "city": "\x00"}, "city"),
    ],
)
def test_a_bad_item_is_named_and_the_good_ones_are_queued(call: Client, item: dict[str, Any], field: str):
    answer = send(call, {"customId": "good", "tags": ["t"]}, item)
    assert answer.status_code == 207
    (entry,) = answer.json()
    assert entry["field"] == f"list[1].{field}"
    assert profile(call, "good")["tags"] == ["t"]


def test_what_batches_brought_is_counted_without_what_was_refused(box: Sandbox, call: Client):
    send(call, {"customId": "a"}, {"customId": "b"}, {"email": "nobody"})
    send(call, {"customId": "a"})
    assert requests.post(f"{box.url}/_control/synerise/taken", timeout=10).json() == 3


def test_batches_show_after_a_while(call: Client):
    send(call, {"customId": "later"})
    assert call("GET", "/v4/clients/by-custom-id/later").status_code == 404
    assert profile(call, "later")["customId"] == "later"


@pytest.mark.parametrize(("mode", "tags"), [("replace", ["b"]), ("append", ["a", "b"])])
def test_tags_replace_or_add_as_the_switch_says(box: Sandbox, call: Client, mode: str, tags: list[str]):
    switch(box, "tags_mode", mode)
    send(call, {"customId": "p", "tags": ["a"]})
    send(call, {"customId": "p", "tags": ["b"]})
    send(call, {"customId": "p"})
    assert profile(call, "p")["tags"] == tags


def test_null_removes_what_is_absent_stays(call: Client):
    send(call, {"customId": "p", "city": "Oslo", "attributes": {"size": 4, "shoe": 40, "email": "ignored"}})
    send(call, {"customId": "p", "attributes": {"size": None}})
    found = profile(call, "p")
    assert found["attributes"] == {"shoe": 40}
    assert found["city"] == "Oslo"
    send(call, {"customId": "p", "city": None})
    assert profile(call, "p")["city"] is None
    assert any("null" in text for text in call.box.context.ledger.violations("synerise"))


def test_profiles_are_matched_by_identifier_in_order(call: Client):
    send(call, {"customId": "c1", "email": "one@x.example", "phone": "+48 111 222"})
    send(call, {"email": "one@x.example", "city": "Oslo"}, {"customId": "c2", "phone": "+48 111 222"})
    send(call, {"phone": "+48 111 222", "zipCode": "1"}, {"clientId": 999_999})
    assert (profile(call, "c1")["city"], profile(call, "c1")["zipCode"]) == ("Oslo", "1")
    assert profile(call, "c2")["clientId"] != profile(call, "c1")["clientId"]


def test_a_uuid_belongs_to_one_profile(call: Client):
    send(call, {"customId": "c1", "uuid": NOBODY})
    profile(call, "c1")
    assert send(call, {"customId": "c2", "uuid": NOBODY}).json()[0]["field"] == "list[0].uuid"


# --- tags


def test_a_tag_is_one_by_name_and_gone_after_its_cache(box: Sandbox, call: Client):
    send(call, {"customId": "p", "tags": ["t"]})
    client = profile(call, "p")["clientId"]
    tag = call("POST", "/v4/tags", json={"name": "t", "color": "#123456"}).json()["id"]
    assert call("POST", "/v4/tags", json={"name": "t"}).json()["id"] == tag
    assert call("DELETE", f"/v4/tags/{tag}").status_code == 204
    assert call("DELETE", f"/v4/tags/{tag}").status_code == 404
    assert call("DELETE", f"/v4/clients/{client}/tags/{tag}").status_code == 204
    assert call("POST", f"/v4/clients/{client}/tags/{tag}").json()["tagId"] == tag
    assert profile(call, "p")["tags"] == ["t"]
    box.context.clock.advance(2)
    assert profile(call, "p")["tags"] == []
    assert call("POST", f"/v4/clients/{client}/tags/{tag}").status_code == 404


# --- snapshots, events, erasure


def test_snapshots_are_frozen_and_end(box: Sandbox, call: Client):
    made = call("POST", "/crm/v1/clients/list", json={"segment": DEMO_SEGMENTATION}).json()
    task = call("POST", "/client-exporter/v2/export/clients/task", json=EXPORT).json()
    assert (made["count"], task["columnOrder"]) == (250, ["id", "email"])
    for status in (204, 404):
        assert call("DELETE", "/v4/clients/by-custom-id/demo-crm-000001").status_code == status
    assert call("DELETE", "/v4/clients/by-customid/demo-crm-000002").status_code == 204
    listed = call("GET", f"/crm/v1/clients/list/{made['materializationId']}?limit=100&offset=200").json()
    assert len(listed["customers"]) == 50
    reading = f"/client-exporter/v2/export/clients/task/{task['taskId']}"
    assert len(call("GET", reading).json()) == 250
    assert call("GET", reading + "?limit=10001").status_code == 400
    live = call("GET", f"/crm/v1/segmentations/{DEMO_SEGMENTATION}/clients").json()
    assert (live["matching"], live["limit"], len(live["customers"])) == (248, 25, 25)
    box.context.clock.advance(7201)
    fresh = Client(box)
    assert fresh("GET", reading).status_code == 404


def test_a_future_event_is_stored_as_now_and_a_salt_overwrites(box: Sandbox, call: Client):
    salted = {**EVENT, "eventSalt": "s-1", "time": "2020-01-01T00:00:00+00:00"}
    call("POST", "/v4/events/batch", json=[salted])
    call("POST", "/v4/events/batch", json=[{**salted, "params": {"n": 2}}])
    call("POST", "/v4/events/batch", json=[{**EVENT, "time": "2999-01-01T00:00:00Z"}])
    stored = box.vendors["synerise"].control("events", {})
    assert [event.get("params") for event in stored] == [{"n": 2}, None]
    assert stored[1]["time"] < "2999"


# --- faults and the ledger


@pytest.mark.parametrize(("fault", "status"), [("server_error", 500), ("unavailable", 503), ("throttle", 429)])
def test_faults_are_answered_and_used_up(box: Sandbox, call: Client, fault: str, status: int):
    switch(box, fault)
    answer = call("GET", "/v4/clients/tags")
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) is (status == 429)
    box.context.clock.advance(3)
    assert call("GET", "/v4/clients/tags").status_code == 200


def test_dropped_connections_come_before_or_after_the_work(box: Sandbox, call: Client):
    for fault, applied in (("drop_before_batch", 404), ("drop_after_batch", 200)):
        switch(box, fault)
        with pytest.raises(requests.ConnectionError):
            send(call, {"customId": fault})
        box.context.clock.advance(1)
        assert call("GET", f"/v4/clients/by-custom-id/{fault}").status_code == applied


@pytest.mark.parametrize(
    "items",
    [
        [{"customId": "a", "tags": None}],
        [{"customId": "a", "agreements": {"email": True}}],
        [{"customId": "a", "countryCode": "NO"}],
        [{"customId": "a"}, {"customId": "a"}],
        [{"customId": f"{n:04d}" + "x" * 950} for n in range(999)],
    ],
)
def test_what_only_a_careless_client_sends_is_noted(box: Sandbox, call: Client, items: list[dict[str, Any]]):
    assert send(call, *items).status_code == 202
    assert len(box.context.ledger.violations("synerise")) == 1


def test_neither_identifiers_nor_secrets_reach_the_ledger(box: Sandbox, call: Client):
    profile(call, "somebody-special")
    call("DELETE", "/v4/clients/by-custom-id/somebody-special")
    shown = repr(box.context.ledger.entries())
    assert "somebody-special" not in shown
    assert call.token not in shown
    assert DEMO_CREDENTIALS["apiKey"] not in shown


def test_a_hundred_thousand_members_are_taken_and_listed(box: Sandbox, call: Client):
    session = requests.Session()
    headers = {"Authorization": f"Bearer {call.token}", "Api-Version": "4.4", "Content-Type": "application/json"}
    for batch in range(100):
        items = [{"customId": f"m-{batch}-{n}", "tags": ["big"]} for n in range(1000)]
        url = f"{box.url}/synerise/v4/clients/batch"
        assert session.post(url, data=json.dumps(items), headers=headers, timeout=30).status_code == 202
    box.context.clock.advance(1)
    assert box.vendors["synerise"].state()["memberships"]["big"]["count"] == 100_000
    box.vendors["synerise"].control("segmentation", {"uuid": NOBODY, "tags": ["big", DEMO_TAG]})
    page = call("GET", f"/crm/v1/segmentations/{NOBODY}/clients?offset=99990&limit=100").json()
    assert (page["matching"], len(page["customers"])) == (100_250, 100)
