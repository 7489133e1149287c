"""The fields of a mediarithmics account: every limit and every unconfirmed choice of the spec that one may set."""

from __future__ import annotations

from datetime import date

from audsync_web.vendors.connectors.base import identifier_field
from audsync_web.vendors.connectors.errors import InvalidConfiguration
from audsync_web.vendors.connectors.fields import AccountConfig, Field, credential, pacing_fields

IDENTIFIERS = ("email_sha256", "email_md5", "user_account_id", "user_agent_id")
HARD_LIMIT_BYTES = 100_000_000
"""M-U29: the vendor advises "100M" a file; above that nothing is sent, whatever the setting."""

FIELDS: tuple[Field, ...] = (
    credential("apiToken", "API token", help="A long-term token of a technical user who may edit the data mart."),
    Field("datamartId", "Data mart id", required=True),
    Field("organisationId", "Organisation id", required=True),
    identifier_field(IDENTIFIERS, "email_sha256"),
    Field(
        "compartmentId",
        "Compartment id",
        help="The namespace of user account ids. Needed when members are named by user account id.",
    ),
    Field("tokenExpiresOn", "Token ends on", "day", help="As the vendor's console shows it; you are warned before."),
    Field(
        "neverExpires",
        "Members never leave by themselves",
        "boolean",
        default=False,
        help="Overrides the duration of the segments: members stay until a file removes them.",
    ),
    Field(
        "priority",
        "Priority of imports",
        "choice",
        choices=(("LOW", "Low"), ("MEDIUM", "Medium"), ("HIGH", "High")),
        help="Left to the vendor unless chosen.",
        advanced=True,
    ),
    *pacing_fields(poll_first=5, poll_max=60, requests_per_second=2),
    Field(
        "maxPartBytes",
        "Largest file (bytes)",
        "integer",
        default=50_000_000,
        minimum=1_000,
        maximum=HARD_LIMIT_BYTES,
        advanced=True,
    ),
    Field("maxPartLines", "Most lines a file", "integer", default=500_000, minimum=1, advanced=True),
    Field(
        "maxExecutionsPerImport",
        "Most executions an import",
        "integer",
        default=200,
        minimum=1,
        maximum=200,
        help="Half of them are files: each may be sent a second time.",
        advanced=True,
    ),
    Field(
        "stalledMinutes",
        "A job that does not respond fails after (minutes)",
        "integer",
        default=120,
        minimum=1,
        advanced=True,
    ),
    Field("pageSize", "Items a page", "integer", default=100, minimum=1, maximum=500, advanced=True),
    Field(
        "experimentalCsv",
        "Send CSV instead of NDJSON (experimental)",
        "boolean",
        default=False,
        help="The vendor does not document its CSV. Only after a trial with the vendor.",
        advanced=True,
    ),
)


def validate(config: AccountConfig) -> None:
    """Refuse settings that cannot work together, all faults at once."""
    settings, errors = config.settings, {}
    for name in ("datamartId", "organisationId"):
        if not (settings[name].isascii() and settings[name].isdigit()):
            errors[name] = "must be a number of digits only"
    if settings["identifier"] == "user_account_id" and not settings["compartmentId"]:
        errors["compartmentId"] = "is needed when members are named by user account id"
    if settings["tokenExpiresOn"] and token_ends_on(config) is None:
        errors["tokenExpiresOn"] = "must be a day like 2027-03-31"
    token = config.credentials["apiToken"]
    if not token.isascii() or not token.isprintable() or " " in token:
        errors["apiToken"] = "holds a space or another character that no token has; enter the bare token"
    if errors:
        raise InvalidConfiguration(errors)


def token_ends_on(config: AccountConfig) -> date | None:
    """The last day of the token, where somebody has typed it in."""
    try:
        return date.fromisoformat(config.settings["tokenExpiresOn"] or "")
    except ValueError:
        return None


def token_warning(config: AccountConfig, today: date) -> str:
    """What to say about the token's end: nothing until 30 days before, and again in its last week (rule 3)."""
    ends = token_ends_on(config)
    if ends is None:
        return ""
    left = (ends - today).days
    if left > 30:
        return ""
    if left < 0:
        return f"The API token ended on {ends.isoformat()}."
    when = "today" if left == 0 else f"in {left} day{'' if left == 1 else 's'}"
    urgency = "Replace it now: the" if left <= 7 else "The"
    return f"{urgency} API token ends {when}, on {ends.isoformat()}."
