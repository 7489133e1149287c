"""Whether a delivery is live: sampled read-backs, or the linked segmentation's count (spec sections 4.2, 4.6, 4.9).

`delivery.memory` gives `sample`: {"added": […], "removed": […]}, and optionally `expected`: how many members the
segment must hold now, and `before`: how many it held. `looks` and nothing else is this module's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from audsync_web.vendors.connectors.base import (
    Clock,
    Confirmation,
    ConfirmationState,
    DeliveryContext,
    PartRef,
    SegmentRef,
)
from audsync_web.vendors.connectors.errors import Permanent

from .batches import digest
from .profiles import Profiles
from .sources import Sources


class Confirming:
    """Looks at the vendor until it shows what was delivered, or the grace time is over."""

    def __init__(self, profiles: Profiles, sources: Sources, settings: Mapping[str, Any], clock: Clock) -> None:
        self._profiles = profiles
        self._sources = sources
        self._settings = settings
        self._clock = clock

    def look(self, delivery: DeliveryContext, parts: Sequence[PartRef], since: datetime) -> ConfirmationState:
        """One look; the answer after the grace time is “accepted, not verified”, never a failure."""
        over = self._clock.now() - since >= timedelta(minutes=float(self._settings["graceMinutes"]))
        sample = self._sample(delivery, parts)
        checked, wrong = self._sampled(delivery, sample, all_of_them=over)
        if checked and not wrong:
            agree = "1 member read back agrees" if checked == 1 else f"{checked} members read back agree"
            return ConfirmationState(Confirmation.CONFIRMED, f"Seen at Synerise: {agree}.")
        counted = self._counted(delivery)
        if counted:
            return ConfirmationState(Confirmation.CONFIRMED, counted)
        chosen = sum(map(len, (delivery.memory.get("sample") or {}).values()))
        nobody_left = not any(sample.values()) if chosen else _everybody_was_refused(parts)
        if nobody_left and (over or not segmentation_of(delivery.segment)):
            return ConfirmationState(Confirmation.UNVERIFIED, _all_refused(chosen))
        if over:
            return ConfirmationState(Confirmation.UNVERIFIED, _unverified(checked, wrong))
        looks = int(delivery.memory.get("looks", 0))
        again = min(
            float(self._settings["pollMaxSeconds"]), float(self._settings["pollFirstSeconds"]) * 1.5 ** min(looks, 64)
        )
        return ConfirmationState(
            Confirmation.PENDING, "Synerise has taken the batches and applies them.", again, {"looks": looks + 1}
        )

    @staticmethod
    def _sample(delivery: DeliveryContext, parts: Sequence[PartRef]) -> dict[str, list[str]]:
        """Who may be read back, by direction: the members that were chosen, without those that Synerise refused."""
        sample = delivery.memory.get("sample") or {}
        left_out = {value for part in parts for value in part.memory.get("leftOut", ())}
        return {way: [value for value in values if digest(value) not in left_out] for way, values in sample.items()}

    def _sampled(
        self, delivery: DeliveryContext, sample: Mapping[str, Sequence[str]], *, all_of_them: bool
    ) -> tuple[int, int]:
        """How many of the sample were read and how many disagree; one disagreement is enough until the last look."""
        most = int(self._settings["sampleSize"])
        checked = wrong = 0
        for direction, wanted in (("added", True), ("removed", False)):
            for value in sample.get(direction, ())[:most]:
                has = self._has_tag(delivery, value)
                checked += has is not None
                wrong += has is not None and has is not wanted
                if wrong and not all_of_them:
                    return checked, wrong
        return checked, wrong

    def _has_tag(self, delivery: DeliveryContext, value: str) -> bool | None:
        try:
            profile = self._profiles.find(delivery.identifier, value)
        except Permanent as error:
            if error.code == "bad_path" or error.status == 400:
                return None  # this one cannot be asked for, which says nothing about the delivery
            raise
        return profile is not None and delivery.segment.remote_id in profile.tags

    def _counted(self, delivery: DeliveryContext) -> str:
        """What the linked segmentation's count proves; empty where it proves nothing: it must tell the membership that
        was wanted from the one before."""
        expected, uuid = delivery.memory.get("expected"), segmentation_of(delivery.segment)
        if not uuid or not isinstance(expected, int):
            return ""
        slack = max(1.0, expected * float(self._settings["countTolerance"]))
        before = delivery.memory.get("before")
        if isinstance(before, int) and abs(expected - before) <= slack:
            return ""
        try:
            matching = self._sources.matching(uuid)
        except Permanent:
            return ""  # a segmentation that cannot be read proves nothing; preflight tells why
        if matching is None or abs(matching - expected) > slack:
            return ""
        return f"Seen at Synerise: the linked segmentation counts {matching:,} of {expected:,} members."


def segmentation_of(segment: SegmentRef) -> str:
    """The UUID of the segmentation that is linked to a destination, empty where none is."""
    return str(segment.options.get("segmentationUuid") or segment.memory.get("segmentationUuid") or "")


def _everybody_was_refused(parts: Sequence[PartRef]) -> bool:
    return bool(parts) and all(len(part.memory.get("leftOut", ())) >= part.adds + part.removes > 0 for part in parts)


def _all_refused(chosen: int) -> str:
    if not chosen:
        return "Not verified: Synerise refused everybody that it was sent."
    those = "the one member that was" if chosen == 1 else f"all {chosen} members that were"
    return f"Not verified: Synerise refused {those} to be read back."


def _unverified(checked: int, wrong: int) -> str:
    if not checked:
        return "Accepted, not verified: there was nothing to read back."
    return f"Accepted, not verified: of {checked} members read back, {wrong} do not show it yet."
