"""The live check of a key: login, then which of the needed permissions it has (spec section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audsync_web.vendors.connectors.base import AccountCheck
from audsync_web.vendors.connectors.errors import AuthenticationFailed

from .profiles import Profiles
from .session import Session

CHECK = "/uauth/api-key/permission-check"
NEEDED = (
    "API_BATCH_CLIENT_CREATE",
    "API_TAGS_CREATE",
    "API_TAGS_CLIENT_READ",
    "API_TAGS_READ",
    "API_ASSIGN_TAGS_EXECUTE",
    "API_BY_IDENTIFIER_CLIENT_READ",
)
FEATURES = {
    "API_BATCH_EVENTS_CREATE": "events cannot be sent",
    "CRM_LIST_FROM_SEGMENTATION_CLIENT_READ": "segmentations cannot be browsed or counted",
    "CRM_LIST_FROM_MATERIALIZATION_CLIENT_CREATE": "segmentations cannot be materialised",
    "CRM_LIST_FROM_MATERIALIZATION_CLIENT_READ": "materialised segmentations cannot be read",
    "CLIENT_EXPORTER_REPORT_CREATE": "segmentations cannot be exported",
    "API_BY_ID_CLIENT_DELETE": "profiles cannot be erased",
}
NEEDED_WITH = {"API_BATCH_EVENTS_CREATE": "sendEvents"}

REPLACED = (
    "It is not confirmed whether tags in a batch add to a profile's tags or replace them. Where other systems tag the "
    "same profiles, have tags written one by one."
)


def check_account(session: Session, profiles: Profiles, settings: Mapping[str, Any]) -> AccountCheck:
    """Which permissions are missing, by name; where the check itself is not offered, a list of tags proves the key."""
    careful = [REPLACED] if settings["tagWriteMode"] == "batch" and settings["batchTags"] != "add" else []
    try:
        reply = session.read(CHECK, method="POST", json_body=[*NEEDED, *FEATURES], accept=(404,))
    except AuthenticationFailed as error:
        if error.code != "rights_missing":
            raise
        reply = None
    granted = reply.object().get("permissions") if reply is not None and reply.ok else None
    if reply is None or not isinstance(granted, dict):
        return _by_listing_tags(profiles, careful)
    lacking = [name for name in (*NEEDED, *FEATURES) if granted.get(name) is not True]
    needed = [*NEEDED, *(name for name, setting in NEEDED_WITH.items() if settings[setting])]
    missing = [name for name in lacking if name in needed]
    lost = [f"Without {name} {FEATURES[name]}." for name in lacking if name not in needed]
    workspace = str(reply.object().get("businessProfileName") or "")[:100]
    text = "Synerise accepts the key." if not missing else "Synerise accepts the key, but it lacks permissions."
    return AccountCheck(text, missing, [*careful, *lost], {"Workspace": workspace} if workspace else {})


def _by_listing_tags(profiles: Profiles, careful: Sequence[str]) -> AccountCheck:
    tags = profiles.tags()
    warning = "Synerise did not tell which permissions the key has; a missing one shows at the first use."
    return AccountCheck("Synerise accepts the key.", (), (warning, *careful), {"Tags": str(len(tags))})
