"""mediarithmics: settings, the API token and its end, rights, and being asked to slow down."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from audsync_web.sandbox.mediarithmics import DEMO_CREDENTIALS, DEMO_SETTINGS
from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import AuthenticationFailed, InvalidConfiguration, NotYet, Transient
from audsync_web.vendors.connectors.mediarithmics import MediarithmicsConnector
from audsync_web.vendors.connectors.mediarithmics.fields import token_warning

from .given import account_config
from .mediarithmics_kit import clean, connect, switch


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"datamartId": "acme"}, {"datamartId"}),
        ({"organisationId": "٣٤"}, {"organisationId"}),
        ({"identifier": "user_account_id"}, {"compartmentId"}),
        ({"tokenExpiresOn": "next spring"}, {"tokenExpiresOn"}),
        ({"datamartId": "x", "identifier": "user_account_id"}, {"datamartId", "compartmentId"}),
    ],
)
def test_settings_that_cannot_work_are_named_all_at_once(settings: dict[str, Any], wrong: set[str]):
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(MediarithmicsConnector, "https://x.example/v1", DEMO_CREDENTIALS, {**DEMO_SETTINGS, **settings})
    assert set(refused.value.errors) == wrong


@pytest.mark.parametrize("token", ["Bearer demo-token", "demo\ntoken", "demo-tök€n"])
def test_a_token_that_cannot_stand_bare_in_a_header_is_refused_before_a_call(token: str):
    with pytest.raises(InvalidConfiguration) as refused:
        account_config(MediarithmicsConnector, "https://x.example/v1", {"apiToken": token}, DEMO_SETTINGS)
    assert set(refused.value.errors) == {"apiToken"}
    assert token not in str(refused.value)


def test_a_part_can_never_be_set_above_the_hard_limit():
    with pytest.raises(InvalidConfiguration):
        account_config(
            MediarithmicsConnector,
            "https://x.example/v1",
            DEMO_CREDENTIALS,
            {**DEMO_SETTINGS, "maxPartBytes": 100_000_001},
        )


@pytest.mark.parametrize(
    ("day", "word"),
    [
        ("2026-12-23", ""),
        ("2026-12-22", "in 30 days"),
        ("2026-11-29", "Replace it now: the API token ends in 7 days"),
        ("2026-11-23", "in 1 day,"),
        ("2026-11-22", "today"),
        ("2026-11-21", "ended on 2026-11-21"),
    ],
)
def test_the_end_of_a_token_is_told_30_days_and_7_days_ahead(day: str, word: str):
    config = account_config(
        MediarithmicsConnector, "https://x.example", DEMO_CREDENTIALS, {**DEMO_SETTINGS, "tokenExpiresOn": day}
    )
    said = token_warning(config, date(2026, 11, 22))
    assert word in said
    assert bool(said) == bool(word)


def test_the_check_names_a_compartment_that_is_not_there(box: Sandbox):
    account = {"identifier": "user_account_id"}
    assert connect(box, **account, compartmentId="1042").check().missing == ()
    assert "4711" in connect(box, **account, compartmentId="4711").check().missing[0]
    assert clean(box)


def test_the_check_warns_of_a_hash_that_must_be_the_data_marts(box: Sandbox):
    assert any("hash" in warning for warning in connect(box).check().warnings)
    assert not any("hash" in w for w in connect(box, identifier="user_agent_id").check().warnings)


def test_another_organisations_data_mart_is_a_missing_right(box: Sandbox):
    with pytest.raises(AuthenticationFailed) as denied:
        connect(box, datamartId="1472").check()
    assert denied.value.code == "rights_missing"
    assert len(denied.value.reference) == 36


def test_being_asked_to_slow_down_holds_everyone_of_the_data_mart(box: Sandbox):
    connector = connect(box)
    switch(box, "429")
    with pytest.raises(Transient):
        connector.check()
    with pytest.raises(NotYet):
        connector.check()
    box.context.clock.advance(3)
    connector.check()
