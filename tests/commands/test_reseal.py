"""`manage.py reseal`: key rotation."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audsync_web.crypto import SealBroken
from audsync_web.people.models import Company
from audsync_web.vendors.models import SealedToken, VendorAccount
from tests.factories import make_vendor_account

OLD, NEW = "old-key-" + "a" * 32, "new-key-" + "b" * 32


def test_after_resealing_the_old_key_may_go(company: Company, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    account = make_vendor_account(company, credentials={"password": "vendor secret"})
    SealedToken.objects.create(key="empty", value=None)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    out = io.StringIO()
    call_command("reseal", stdout=out)
    assert "vendors.VendorAccount credentials: 1 resealed" in out.getvalue()
    assert "vendor secret" not in out.getvalue()
    settings.ENCRYPTION_KEYS = [NEW]
    assert VendorAccount.objects.get(pk=account.pk).credentials == {"password": "vendor secret"}
    settings.ENCRYPTION_KEYS = [OLD]
    with pytest.raises(SealBroken):
        VendorAccount.objects.get(pk=account.pk)


def test_a_value_that_no_key_opens_is_named_and_left_alone(company: Company, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    account = make_vendor_account(company, credentials={"password": "vendor secret"})
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match=f"vendors.VendorAccount {account.pk}"):
        call_command("reseal", stdout=io.StringIO())
    settings.ENCRYPTION_KEYS = [OLD]
    assert VendorAccount.objects.get(pk=account.pk).credentials == {"password": "vendor secret"}
