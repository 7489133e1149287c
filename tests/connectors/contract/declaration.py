"""A connector says what it is, and refuses what it is not."""

from __future__ import annotations

import pytest

from audsync_web.sandbox.server import Sandbox
from audsync_web.vendors.connectors.base import SegmentRef
from audsync_web.vendors.connectors.errors import InvalidConfiguration, NotSupported
from audsync_web.vendors.connectors.fields import Field, read_values
from audsync_web.vendors.connectors.registry import VENDORS
from tests.connectors.given import segment_spec

from .kit import Facts

PACING = {"pollFirstSeconds", "pollMaxSeconds", "requestsPerSecond"}


class DeclarationPromises(Facts):
    """What it declares is complete, and nothing else is taken."""

    def test_the_registry_finds_it_under_its_key_and_label(self):
        assert self.connector_type.vendor == self.vendor
        assert self.connector_type.label == VENDORS[self.vendor][0]

    def test_it_says_in_its_own_words_what_it_is(self):
        """Pages have no words of their own for a vendor: what is not declared here stands nowhere."""
        told = self.connector_type
        assert told.short_label
        assert told.short_label in told.label
        assert told.summary.endswith(".")
        assert "\n" not in told.summary

    def test_what_publishing_brings_about_is_told_where_it_is_a_call(self):
        told = self.connector_type.publishing
        assert (told is not None) == (self.can.publish == "call")
        if told is not None:
            assert told.text.endswith(".")
            assert self.connector_type.short_label in told.text

    def test_declared_fields_are_complete_typed_and_unique(self):
        fields = self.connector_type.fields
        names = [f.name for f in fields]
        assert len(names) == len(set(names))
        assert set(names) >= PACING
        assert any(f.secret for f in fields)
        for declared in fields:
            self._check_field(declared)

    @staticmethod
    def _check_field(declared: Field) -> None:
        assert declared.label
        assert declared.name[0].islower()
        assert declared.name.isalnum(), f"{declared.name} is not camelCase"
        assert not (declared.secret and declared.group == "settings"), f"{declared.name}: secrets are credentials"
        assert (declared.type == "choice") == bool(declared.choices)
        if declared.default is not None:
            read = read_values((declared,), declared.group, {declared.name: declared.default})
            assert read[declared.name] == declared.default, f"{declared.name}: its default is not of its type"

    def test_identifier_choices_are_the_kinds_that_it_has_rules_for(self):
        self.needs(self.can.holds_members)
        declared = next(f for f in self.connector_type.fields if f.name == "identifier")
        offered = {key for key, _ in declared.choices}
        assert declared.default in offered
        assert offered <= set(self.connector_type.identifier_rules)

    def test_an_unknown_setting_is_refused_with_one_line(self):
        with pytest.raises(InvalidConfiguration) as refused:
            read_values(self.connector_type.fields, "settings", {**self.demo_settings, "noSuchThing": 1})
        assert list(refused.value.errors) == ["noSuchThing"]
        assert "\n" not in str(refused.value)

    def test_every_missing_credential_is_named_at_once(self):
        needed = {f.name for f in self.connector_type.fields if f.group == "credentials" and f.required}
        with pytest.raises(InvalidConfiguration) as refused:
            read_values(self.connector_type.fields, "credentials", {})
        assert set(refused.value.errors) == needed

    def test_demo_settings_and_credentials_are_declared(self):
        self.config("http://127.0.0.1:1")

    def test_what_it_cannot_do_is_refused_as_not_supported(self, box: Sandbox):
        connector = self.connect(box)
        if not self.can.history:
            with pytest.raises(NotSupported):
                list(connector.history(None))
        if not self.can.links_existing:
            with pytest.raises(NotSupported):
                connector.read_segment("1")
        if not self.can.holds_members:
            with pytest.raises(NotSupported):
                connector.create_segment(segment_spec())
        unknown = SegmentRef("1", "aud_k7q2_1", "x", 30, True, None)
        with pytest.raises(NotSupported):
            connector.release_segment(unknown, "no-such-choice")
