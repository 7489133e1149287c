"""An account is checked, and its calls have one scope."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import AuthenticationFailed
from tests.connectors.fakes import InMemoryPacer, services

from .kit import Facts


class AccountPromises(Facts):
    """Credentials are proved, and every call takes its place."""

    def test_check_passes_with_working_credentials(self, box: Sandbox):
        connector = self.connect(box)
        answer = connector.check()
        assert answer.text
        assert not answer.missing
        assert self.violations(box) == []

    def test_wrong_credentials_are_an_authentication_failure(self, box: Sandbox):
        with pytest.raises(AuthenticationFailed) as failed:
            self.connect(box, self.wrong_credentials).check()
        assert failed.value.next_step

    def test_quota_scope_is_the_vendors_not_ours(self, box: Sandbox):
        connector = self.connect(box)
        assert connector.quota_scope.startswith(self.vendor)
        assert connector.quota_scope == self.connect(box).quota_scope
        for secret in self.secrets():
            assert secret not in connector.quota_scope

    def test_quota_scope_belongs_to_one_host(self):
        """Whoever connects an address of their own cannot pause, or keep out, those who are at the vendor's."""
        scopes = {
            self.connector_type(self.config(f"https://{host}.example"), services()).quota_scope for host in ("a", "b")
        }
        assert len(scopes) == 2

    def test_one_host_has_one_scope_however_its_address_is_written(self):
        """Else one of two accounts would go on while the vendor has asked the other to wait."""
        hosts = ("a.example", "A.Example", "a.example:443", "a.example.", "a.example:")
        scopes = {self.connector_type(self.config(f"https://{host}"), services()).quota_scope for host in hosts}
        assert len(scopes) == 1
        other = self.connector_type(self.config("https://a.example:8443"), services()).quota_scope
        assert other not in scopes

    def test_every_request_takes_its_place_in_the_scope(self, box: Sandbox):
        connector = self.connect(box)
        connector.check()
        pacer = connector.services.pacer
        assert isinstance(pacer, InMemoryPacer)
        taken = pacer.taken
        assert taken
        assert all(key.startswith(self.vendor) for key, _, _ in taken)
        assert any(key.startswith(connector.quota_scope) for key, _, _ in taken)
