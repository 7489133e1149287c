"""What a Xandr account is configured with (design section 7.2; spec sections 1, 6, 7 and 14)."""

from __future__ import annotations

from audsync_web.vendors.connectors.base import identifier_field
from audsync_web.vendors.connectors.fields import Field, credential, pacing_fields

from .layout import LAYOUT_FIELDS, TYPE_CODES
from .upload import MOST_FILE_BYTES

CONSOLE_HOST = "api.appnexus.com"
IMPBUS_HOST = "api.adnxs.com"

FIELDS: tuple[Field, ...] = (
    credential("username", "User name", secret=False, help="A user of the member with API access."),
    credential("password", "Password"),
    Field("memberId", "Member id", "integer", required=True, minimum=1, help="The number of your seat."),
    identifier_field(TYPE_CODES, "xandr_id"),
    Field(
        "hostStyle",
        "API host",
        "choice",
        default="auto",
        choices=(("auto", "By the API address"), ("console", "Console"), ("impbus", "Impbus")),
        help=f"Impbus is {IMPBUS_HOST}; everything else is taken for the Console.",
    ),
    Field(
        "uploadHosts",
        "Upload hosts",
        "list",
        default=[".adnxs.net"],
        help="Ends of host names that files may be sent to.",
        advanced=True,
    ),
    *LAYOUT_FIELDS,
    Field(
        "matchRateFloor",
        "Least match rate (%)",
        "number",
        minimum=0,
        maximum=100,
        help="A finished file under it is marked for a look.",
    ),
    *pacing_fields(poll_first=60, poll_max=900, requests_per_second=1.25),
    Field(
        "minSecondsBetweenUploads",
        "Seconds between uploads of the member",
        "number",
        default=60,
        minimum=0,
        advanced=True,
    ),
    Field("newSegmentWaitMinutes", "Wait for a new segment (minutes)", "number", default=20, minimum=0, advanced=True),
    Field("maxWaitingJobs", "Most waiting jobs", "integer", default=200, minimum=1, maximum=200, advanced=True),
    Field("quotaPauseMinutes", "Pause on a used-up quota (minutes)", "number", default=60, minimum=0, advanced=True),
    Field(
        "maxPartBytes",
        "Largest part (bytes, unpacked)",
        "integer",
        default=300_000_000,
        minimum=1000,
        maximum=MOST_FILE_BYTES,
        advanced=True,
    ),
    Field("maxPartLines", "Most lines a part", "integer", minimum=1, advanced=True),
    Field(
        "sendTokenToUploadHost",
        "Send the session token to the upload host",
        "boolean",
        default=False,
        help="Only if Xandr asks for it: the address itself is the secret.",
        advanced=True,
    ),
)
