"""The emulator of Acoustic Exchange holds to its rules, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from audsync_web.sandbox.acoustic import DEMO_ACCOUNT_KEY, DEMO_CREDENTIALS
from audsync_web.sandbox.server import Sandbox

KEY = DEMO_CREDENTIALS["authKey"]
HIDE = {"identifierName": "email", "publishFilter": True, "subscribeFilter": False}


def call(box: Sandbox, method: str, path: str, *, key: str = KEY, scheme: str = "Bearer", **more: Any):
    headers = {"Authorization": f"{scheme} {key}", "Accept": "application/json"}
    return requests.request(method, f"{box.url}/acoustic{path}", headers=headers, timeout=30, **more)


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/v1/identityfilters", {"key": "unknown"}, 401),
        ("GET", "/v1/identityfilters", {"scheme": "Basic"}, 401),
        ("GET", "/v1/identityfilters", {"key": DEMO_ACCOUNT_KEY}, 403),
        ("GET", "/v1/identityfilters", {}, 200),
        ("GET", "/v1/identityfilters/email", {}, 400),
        ("DELETE", "/v1/identityfilters", {}, 405),
        ("DELETE", "/v1/identityfilters/email", {}, 400),
        ("POST", "/v1/identityfilters", {"json": []}, 400),
        ("POST", "/v1/identityfilters", {"json": HIDE}, 400),
        ("POST", "/v1/identityfilters", {"data": "no json"}, 400),
        ("POST", "/v1/identityfilters", {"json": [{**HIDE, "publishFilter": False}]}, 400),
        ("POST", "/v1/identityfilters", {"json": [{**HIDE, "publishFilter": "true"}]}, 400),
        ("POST", "/v1/identityfilters", {"json": [{"identifierName": "email", "publishFilter": True}]}, 400),
        ("POST", "/v1/identityfilters", {"json": [{**HIDE, "identifierName": "Email"}]}, 400),
        ("POST", "/v1/identityfilters", {"json": [HIDE, HIDE]}, 400),
        ("POST", "/v1/identityfilters", {"json": [{**HIDE, "subscribeFilter": True}]}, 200),
        ("PUT", "/v1/identityfilters", {"json": [HIDE]}, 400),
        ("GET", "/v1/identity/x1-0001", {}, 200),
        ("GET", "/v1/identity/x1-0001", {"key": DEMO_ACCOUNT_KEY}, 403),
        ("GET", "/v1/identity/nobody", {}, 400),
        ("GET", "/v1/identity", {}, 400),
        ("GET", "/v1/identity/?email=x%40y.example", {}, 200),
        ("GET", "/v1/identity?email=a&phone=b", {}, 400),
        ("GET", "/v1/identity?email=a&email=b", {}, 400),
        ("GET", "/v1/identity?email=a", {"key": DEMO_ACCOUNT_KEY}, 400),
        ("GET", "/v1/identity?email=a&endpointId=412", {"key": DEMO_ACCOUNT_KEY}, 200),
        ("GET", "/v1/identity?email=a&endpointId=999", {"key": DEMO_ACCOUNT_KEY}, 403),
        ("GET", "/v1/identity?email=a&endpointId=415", {}, 403),
        ("DELETE", "/v1/identity", {}, 400),
        ("DELETE", "/v1/identity?email=a", {"key": DEMO_ACCOUNT_KEY}, 400),
    ],
)
def test_the_status_of_each_case(box: Sandbox, method: str, path: str, more: dict[str, Any], status: int):
    assert call(box, method, path, **more).status_code == status


def test_a_bad_element_rejects_the_whole_array(box: Sandbox):
    bad = {"identifierName": "phone", "publishFilter": False, "subscribeFilter": False}
    assert call(box, "POST", "/v1/identityfilters", json=[HIDE, bad]).status_code == 400
    assert call(box, "GET", "/v1/identityfilters").json() == []


def test_filter_ids_stay_over_put_and_are_new_after_delete_and_post(box: Sandbox):
    call(box, "POST", "/v1/identityfilters", json=[HIDE])
    first = call(box, "GET", "/v1/identityfilters/email").json()[0]
    call(box, "PUT", "/v1/identityfilters", json=[{**HIDE, "subscribeFilter": True}])
    assert call(box, "GET", "/v1/identityfilters/email").json()[0]["endpointFilterId"] == first["endpointFilterId"]
    call(box, "DELETE", "/v1/identityfilters/email")
    call(box, "POST", "/v1/identityfilters", json=[HIDE])
    assert call(box, "GET", "/v1/identityfilters/email").json()[0]["endpointFilterId"] != first["endpointFilterId"]


def test_filters_take_effect_on_what_destinations_receive(box: Sandbox):
    receives = box.vendors["acoustic"].control
    assert receives("receives", {"endpointId": 415})["x1-0001"] == ["cookieid", "crm_no", "email"]
    call(box, "POST", "/v1/identityfilters", json=[{**HIDE, "publishFilter": False, "subscribeFilter": True}])
    assert "email" in receives("receives", {"endpointId": 415})["x1-0001"]
    assert "email" not in receives("receives", {"endpointId": 412})["x1-0001"]
    call(box, "PUT", "/v1/identityfilters", json=[HIDE])
    assert "email" not in receives("receives", {"endpointId": 415})["x1-0001"]


def test_each_endpoint_sees_only_its_own_filters(box: Sandbox):
    call(box, "POST", "/v1/identityfilters", json=[HIDE])
    assert call(box, "GET", "/v1/identityfilters", key="demo-acoustic-crm-key").json() == []


def test_a_removal_touches_every_x1id_and_leaves_empty_ones_readable(box: Sandbox):
    removed = call(box, "DELETE", "/v1/identity?cookieid=demo-cookie-shared")
    assert removed.headers["Content-Type"] == "text/plain"
    assert removed.text.endswith(": 2")
    assert call(box, "GET", "/v1/identity/x1-0003").json() == [{"x1Id": "x1-0003", "identifiers": []}]
    assert call(box, "DELETE", "/v1/identity?cookieid=demo-cookie-shared").text.endswith(": 0")
    assert any("repeated" in text for text in box.context.ledger.violations("acoustic"))


def test_queries_are_decoded_once(box: Sandbox):
    fixture = {"x1Id": "x1-r", "identifiers": [{"name": "email", "value": "rita+news@shop.example"}]}
    box.vendors["acoustic"].control("identity", fixture)
    assert len(call(box, "GET", "/v1/identity?email=rita%2Bnews%40shop.example").json()) == 1
    assert call(box, "GET", "/v1/identity?email=rita+news%40shop.example").json() == []


def test_an_x1id_takes_no_more_than_a_thousand(box: Sandbox):
    control = box.vendors["acoustic"].control
    thousand = [{"name": "cookieid", "value": str(n)} for n in range(1000)]
    assert control("identity", {"x1Id": "x1-big", "identifiers": thousand}) == {"identifiers": 1000}
    with pytest.raises(KeyError):
        control("identity", {"x1Id": "x1-big", "identifiers": [{"name": "cookieid", "value": "one more"}]})


def test_another_accounts_endpoint_is_denied(box: Sandbox):
    other = {"account": "other", "accountKey": "o-key", "endpoints": [{"id": 7, "key": "e", "identifiers": ["email"]}]}
    box.vendors["acoustic"].control("account", other)
    assert call(box, "GET", "/v1/identity?email=a&endpointId=7", key=DEMO_ACCOUNT_KEY).status_code == 403
    assert call(box, "GET", "/v1/identity?email=a&endpointId=7", key="o-key").json() == []
