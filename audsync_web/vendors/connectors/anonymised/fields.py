"""What an Anonymised account can be set to, and how its members may be named (spec sections 1, 8 and 9)."""

from __future__ import annotations

from dataclasses import replace

from audsync_web.vendors.connectors.base import identifier_field
from audsync_web.vendors.connectors.fields import Field, credential, pacing_fields
from audsync_web.vendors.connectors.identifiers import KINDS, PLAIN

# Whatever kind the partner's provider ids are, they go byte for byte as they were synchronised (spec section 1), and
# never with anything that would need quoting (A-U17).
RULES = {
    "provider_id": PLAIN,
    "custom_id": PLAIN,
    "user_account_id": PLAIN,
    **{kind: replace(KINDS[kind].rule, case="keep") for kind in ("uuid", "email_sha256", "email_md5")},
}

FIELDS: tuple[Field, ...] = (
    credential("email", "E-mail", secret=False, help="The user that signs in at Anonymised."),
    credential("password", "Password"),
    identifier_field(RULES, "provider_id"),
    Field(
        "maxUploadBytes",
        "Largest file (bytes)",
        "integer",
        default=50_000_000,
        minimum=100,
        advanced=True,
        help="Anonymised publishes no limit. Larger lists are refused here, because a list cannot be split.",
    ),
    Field(
        "minSecondsBetweenUploads",
        "Seconds between uploads to a segment",
        "number",
        default=60,
        minimum=0,
        advanced=True,
    ),
    *pacing_fields(poll_first=5, poll_max=60, requests_per_second=2),
)
