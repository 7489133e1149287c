"""What a Synerise account and its destinations can be set to (spec sections 1, 4.2, 5 and 9)."""

from __future__ import annotations

from audsync_web.vendors.connectors.base import identifier_field
from audsync_web.vendors.connectors.fields import Field, credential, pacing_fields

REGIONS = (
    ("https://api.synerise.com", "Azure EU"),
    ("https://api.azu.synerise.com", "Azure US"),
    ("https://api.geb.synerise.com", "Google Cloud"),
)
REGION_HELP = "A workspace lives in one region: " + ", ".join(f"{label} {url}" for url, label in REGIONS) + "."

MOST_ITEMS = 1000
MOST_BYTES = 950_000
"""Of one request: a megabyte is the vendor's bound, in whichever unit (section 5)."""


def _limit(name: str, label: str, default: int, minimum: int, maximum: int | None = None, help: str = "") -> Field:
    return Field(name, label, "integer", default=default, minimum=minimum, maximum=maximum, help=help, advanced=True)


FIELDS: tuple[Field, ...] = (
    credential("apiKey", "Workspace API key", help="A key of the workspace, not of a profile. " + REGION_HELP),
    identifier_field(("custom_id", "email", "phone", "uuid"), "custom_id"),
    Field(
        "phoneRegion",
        "Country of telephone numbers",
        help="Two letters, such as PL: numbers are brought to E.164, those without a country code as of this country.",
    ),
    Field(
        "workspace",
        "Workspace",
        help="Its name or GUID, where several keys of one workspace are connected, so that they share its limits.",
    ),
    Field("tagColour", "Tag colour", default="#1a936f", help="A colour in hexadecimal digits, for new tags."),
    Field(
        "tagWriteMode",
        "Tags are written",
        "choice",
        default="batch",
        choices=(("batch", "with the profile batch"), ("assign", "one by one")),
        help="One by one where other systems tag the same profiles: exact, and two further calls a member.",
    ),
    Field(
        "batchTags",
        "Tags in a batch",
        "choice",
        default="unknown",
        choices=(("unknown", "not known"), ("add", "add to the profile's"), ("replace", "replace the profile's")),
        help="Unless they are known to add, a batch carries all tags of a member that AudSync manages in this account.",
    ),
    Field(
        "sendEvents",
        "Send events",
        "boolean",
        default=False,
        help="Leave an event on the profile of each member who joins or leaves.",
    ),
    Field(
        "unconfirmedEndpoints",
        "Use unconfirmed calls",
        "boolean",
        default=False,
        help="Materialising and exporting segmentations start by calls whose paths Synerise does not publish.",
    ),
    Field("graceMinutes", "Verify for (minutes)", "number", default=15, minimum=0, maximum=1440),
    _limit("sampleSize", "Members read back", 20, 0, 200, "In each direction, to see that a delivery is live."),
    Field("countTolerance", "Count may differ by (share)", "number", default=0.01, minimum=0, maximum=1, advanced=True),
    _limit("batchItems", "Members in a batch", MOST_ITEMS, 1, MOST_ITEMS),
    _limit("maxPartBytes", "Bytes in a batch", MOST_BYTES, 2_000, MOST_BYTES),
    _limit("singleItems", "Members in a part sent one by one", 100, 1, MOST_ITEMS),
    Field(
        "appearMinutes",
        "Wait for new profiles (minutes)",
        "number",
        default=5,
        minimum=0,
        maximum=120,
        help="When tags are written one by one, a new profile shows some time after its batch.",
        advanced=True,
    ),
    _limit("listPageSize", "Profiles in a page", 100, 1, 100),
    _limit("exportPageRows", "Rows in an export page", 10_000, 1, 10_000),
    Field("exportBudgetMinutes", "Read an export within (minutes)", "number", default=90, minimum=1, maximum=120),
    *pacing_fields(poll_first=5, poll_max=60, requests_per_second=5),
)

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field(
        "segmentationUuid",
        "Segmentation (UUID)",
        help="One made in Synerise as “profile has this tag”. Its count then proves that a delivery is live.",
    ),
    Field(
        "version",
        "Tag version",
        "integer",
        default=1,
        minimum=1,
        maximum=999,
        help="From 2 on the tag's name ends in -v2 and so on; a deleted tag's name is never used again.",
        advanced=True,
    ),
)
