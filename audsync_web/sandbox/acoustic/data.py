"""What Exchange holds: accounts with endpoints and their filters, and x1Ids with identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_IDENTIFIERS = 1000

DEMO_ENDPOINT_KEY = "demo-acoustic-endpoint-key"
DEMO_ACCOUNT_KEY = "demo-acoustic-account-key"
DEMO_CREDENTIALS = {"authKey": DEMO_ENDPOINT_KEY}
DEMO_SETTINGS = {"keyLevel": "endpoint"}
DEMO_ENDPOINT = 412
DEMO_CRM_KEY = "demo-acoustic-crm-key"
DEMO_CRM_ENDPOINT = 415


@dataclass(frozen=True)
class Filter:
    """One rule on one endpoint and one identifier; its id stays over PUT."""

    id: int
    endpoint: int
    name: str
    publish: bool
    subscribe: bool


@dataclass(frozen=True)
class Identifier:
    """One named id of a person, and the endpoint that it came from."""

    name: str
    value: str
    endpoint: int


@dataclass
class Endpoint:
    """A registered application: its key, the identifier names it declared, its filters by name."""

    id: int
    key: str
    names: frozenset[str]
    filters: dict[str, Filter] = field(default_factory=dict)


@dataclass
class Account:
    """A customer account. Nothing is shared between two of them."""

    name: str
    key: str
    endpoints: dict[int, Endpoint] = field(default_factory=dict)
    identities: dict[str, list[Identifier]] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Whose key was shown; `endpoint` is None for an account-level key."""

    account: Account
    endpoint: Endpoint | None

    @property
    def level(self) -> str:
        """The key's level in words."""
        return "endpoint" if self.endpoint else "account"


def demo_accounts() -> list[Account]:
    """What a fresh sandbox holds: one account with two endpoints and three x1Ids, two of which share a cookie id."""
    site = Endpoint(
        DEMO_ENDPOINT, DEMO_ENDPOINT_KEY, frozenset({"email", "cookieid", "phone", "loyalty_no", "customer id"})
    )
    crm = Endpoint(DEMO_CRM_ENDPOINT, DEMO_CRM_KEY, frozenset({"email", "crm_no"}))
    shared = Identifier("cookieid", "demo-cookie-shared", DEMO_ENDPOINT)
    identities = {
        "x1-0001": [
            Identifier("email", "person-1@example.invalid", DEMO_ENDPOINT),
            Identifier("cookieid", "demo-cookie-1", DEMO_ENDPOINT),
            Identifier("crm_no", "demo-crm-1", DEMO_CRM_ENDPOINT),
        ],
        "x1-0002": [Identifier("email", "person-2@example.invalid", DEMO_ENDPOINT), shared],
        "x1-0003": [shared],
    }
    return [Account("demo", DEMO_ACCOUNT_KEY, {site.id: site, crm.id: crm}, identities)]
