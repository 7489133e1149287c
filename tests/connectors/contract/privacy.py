"""Secrets and identifiers stay where they belong."""

from __future__ import annotations

import logging

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.errors import AuthenticationFailed

from .kit import Facts


class PrivacyPromises(Facts):
    """Nothing secret is shown or logged."""

    def _assert_silent(self, text: str) -> None:
        for hidden in [*self.secrets(), *self.members]:
            assert len(hidden) < 4 or hidden not in text

    def test_secrets_and_identifiers_reach_no_log(self, box: Sandbox, caplog: pytest.LogCaptureFixture):
        caplog.set_level(logging.DEBUG)
        connector = self.connect(box)
        connector.check()
        if self.can.holds_members:
            delivery, parts = self.planned(box, connector)
            self.engine(box, connector).deliver(delivery, parts)
        assert caplog.records, "each call leaves a line, so silence would prove nothing"
        self._assert_silent(caplog.text)

    def test_secrets_reach_neither_errors_nor_reprs(self, box: Sandbox):
        connector = self.connect(box, self.wrong_credentials)
        with pytest.raises(AuthenticationFailed) as failed:
            connector.check()
        error = failed.value
        shown = [error.text, error.next_step, error.vendor_text, error.reference, str(error), repr(error)]
        shown += [repr(connector.config), repr(connector), repr(connector.services)]
        for text in shown:
            for hidden in self.secrets():
                assert hidden not in text
