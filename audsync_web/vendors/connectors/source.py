"""The source capability: vendors whose own audiences can be read, and turned into an upload for any of our segments.

Asked for by `capabilities.sources`. Identifiers of people pass through here: they are never logged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import RemoteMissing


class SnapshotExpired(RemoteMissing):
    """A materialisation or export whose life is over: make it once more, then give up."""

    default_code = "snapshot_expired"


@dataclass(frozen=True)
class SourceProfile:
    """One profile of a source. `identifiers` go by our kinds; a kind that the profile lacks is left out."""

    profile_id: str
    identifiers: Mapping[str, str] = field(repr=False)
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class SourcePage:
    """A page of profiles. `matching` is the size of the whole where the vendor tells it; `last` that none follows."""

    profiles: Sequence[SourceProfile]
    offset: int
    matching: int | None
    last: bool


@dataclass(frozen=True)
class Materialisation:
    """A frozen list of a segmentation's profiles at the vendor."""

    materialisation_id: str
    count: int | None
    ends_at: datetime


@dataclass(frozen=True)
class ExportTask:
    """A frozen export of chosen fields. `estimated` is not exact; reading must be over by `ends_at`."""

    task_id: str
    columns: Sequence[str]
    estimated: int | None
    ends_at: datetime


class SourceConnector(ABC):
    """Reading a vendor's segmentations. Every method raises the error families."""

    @classmethod
    @abstractmethod
    def freezing_needs(cls, settings: Mapping[str, Any]) -> str:
        """What an account of these settings lacks to materialise and export, in words that follow "it"; empty where it
        lacks nothing. Reading page by page is always possible."""

    @abstractmethod
    def segmentation_page(
        self, uuid: str, *, limit: int = 100, offset: int = 0, recognised: bool | None = None, search: str = ""
    ) -> SourcePage:
        """The profiles in a segmentation now, from `offset` (0 is the first)."""

    @abstractmethod
    def materialise(self, uuid: str) -> Materialisation:
        """Freeze a segmentation. Effectful; a lost answer leaves a snapshot that ends by itself."""

    @abstractmethod
    def read_materialisation(self, materialisation: Materialisation, *, offset: int = 0) -> SourcePage:
        """A page of a frozen segmentation; `SnapshotExpired` when its life is over."""

    @abstractmethod
    def start_export(self, uuid: str, kinds: Sequence[str], *, name: str) -> ExportTask:
        """Freeze the chosen identifier kinds of a segmentation. Effectful, like `materialise`."""

    @abstractmethod
    def read_export(self, task: ExportTask, *, limit: int = 10_000, offset: int = 0) -> SourcePage:
        """Rows of an export; `SnapshotExpired` when its life is over."""


@dataclass(frozen=True)
class ProfileView:
    """One profile as the vendor shows it."""

    profile_id: str
    identifiers: Mapping[str, str] = field(repr=False)
    tags: Sequence[str] = ()
    is_anonymous: bool = False
    last_active_at: datetime | None = None


class ProfileConnector(ABC):
    """Looking a person up at a vendor, and erasing them there. Asked for by `capabilities.sources` as well."""

    @abstractmethod
    def find_profile(self, kind: str, value: str) -> ProfileView | None:
        """The profile that has an identifier, None when there is none."""

    @abstractmethod
    def profile_tags(self, profile_id: str) -> Mapping[str, str]:
        """The tags of a profile: the vendor's tag id → name."""

    @abstractmethod
    def erase_profile(self, custom_id: str) -> bool:
        """Delete a profile for good; False when there is none. Effectful, and never part of feeding a list."""
