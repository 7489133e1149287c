"""The tables of uploads. Everything is imported from here: `from uploads.models import Upload`."""

from __future__ import annotations

from .erasing import (
    CompanyQuerySet,
    ErasedHash,
    Erasure,
    ErasureStatus,
    ErasureStep,
    PersonSearch,
    SearchStatus,
    StepStatus,
    StepWhat,
)
from .partials import PartialUpload
from .sources import PULL_ENDED, PullQuerySet, PullStatus, PullWay, SourcePull
from .uploads import (
    DELIVERY_ENDED,
    PART_ENDED,
    UPLOAD_ENDED,
    Delivery,
    DeliveryQuerySet,
    DeliveryStatus,
    Mode,
    Part,
    PartStatus,
    Snapshot,
    Upload,
    UploadQuerySet,
    UploadStatus,
)

__all__ = [
    "DELIVERY_ENDED",
    "PART_ENDED",
    "PULL_ENDED",
    "UPLOAD_ENDED",
    "CompanyQuerySet",
    "Delivery",
    "DeliveryQuerySet",
    "DeliveryStatus",
    "ErasedHash",
    "Erasure",
    "ErasureStatus",
    "ErasureStep",
    "Mode",
    "Part",
    "PartStatus",
    "PartialUpload",
    "PersonSearch",
    "PullQuerySet",
    "PullStatus",
    "PullWay",
    "SearchStatus",
    "Snapshot",
    "SourcePull",
    "StepStatus",
    "StepWhat",
    "Upload",
    "UploadQuerySet",
    "UploadStatus",
]
