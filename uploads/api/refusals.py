"""What the API answers where something of an upload is refused: each reason, whichever call met it, as one code."""

from __future__ import annotations

from rest_framework import status
from rest_framework.exceptions import APIException

from audsync_web.api.errors import ApiError, Conflict, as_api_exception
from uploads import files
from uploads.engine.refusal import FileRefused
from uploads.intake.bodies import BodyCut
from uploads.intake.partials import OffsetConflict, TooManyBytes
from uploads.services import UploadConflict


def as_refusal(error: Exception) -> APIException | None:
    """The answer to what was refused; None for a fault of ours."""
    if isinstance(error, FileRefused):
        return _of_file(error)
    if isinstance(error, UploadConflict | OffsetConflict):
        return Conflict(str(error))
    if isinstance(error, files.StorageFull):
        return ApiError(status.HTTP_507_INSUFFICIENT_STORAGE, error.text)
    if isinstance(error, BodyCut):
        # Mostly nobody hears it.
        return ApiError(status.HTTP_400_BAD_REQUEST, "The body ended before its announced length. Nothing was kept.")
    if isinstance(error, TooManyBytes):
        return ApiError(status.HTTP_400_BAD_REQUEST, "More bytes were sent than announced.")
    return as_api_exception(error)


def _of_file(refusal: FileRefused) -> ApiError:
    too_large = refusal.code == "too_large"
    return ApiError(
        status.HTTP_413_REQUEST_ENTITY_TOO_LARGE if too_large else status.HTTP_400_BAD_REQUEST, refusal.message
    )
