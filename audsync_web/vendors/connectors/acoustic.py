"""Acoustic Exchange: identity filters, identity look-up and removal. It holds no segments and takes no members.

Reads like the spec: keys (section 2), filters (4), identities (5), limits (6). Audience syndication (7) is not built.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from .base import AccountCheck, Capabilities, Connector, Services
from .client import Reply, VendorClient
from .errors import (
    MAX_VENDOR_TEXT,
    ConnectorError,
    InvalidConfiguration,
    NotSupported,
    Permanent,
    Transient,
    UnknownOutcome,
    not_naming,
    unreadable,
)
from .fields import AccountConfig, Field, credential, fingerprint, pacing_fields
from .identifiers import KINDS, kind_of_header
from .identity import BOTH_FALSE, LONGEST_NAME, Identity, IdentityConnector, IdentityEntry, IdentityFilter
from .reading import impersonal

FILTERS = "/v1/identityfilters"
ONE_FILTER = "/v1/identityfilters/{name}"
IDENTITY = "/v1/identity"
ONE_IDENTITY = "/v1/identity/{x1_id}"

NOT_FOUND = (400, 404)
"""Exchange answers 400 for a filter that is not there; for an unknown x1Id nothing is promised (section 5.1)."""
LIST_AGE = timedelta(minutes=1)
COUNT = re.compile(r"(\d+)\D*$")
NO_ONE = "audsync-check@example.invalid"
USUAL_NAMES = ["email=email", "phone=phone"]
DENIALS: dict[int | None, tuple[str, str]] = {
    401: (
        "Exchange rejected the authentication key: it is wrong, or was replaced.",
        "Enter the authentication key that Exchange shows for the endpoint, or that Acoustic gave for the account.",
    ),
    403: (
        "Exchange knows the authentication key, and does not let it do that.",
        "Check the key's level, and the endpoint id where the account's key is used.",
    ),
}
FIRST_PAUSE = 1.0
PATIENCE = 5.0
"""Seconds that a look waits for Exchange to come back: its caller waits, too. Jobs look again later by themselves."""


class AcousticConnector(Connector, IdentityConnector):
    """One key of an Exchange account: an endpoint's own key, or the account's key with the endpoint's id."""

    vendor = "acoustic"
    label = "Acoustic Exchange"
    short_label = "Acoustic Exchange"
    summary = "Holds no segments: governs which identifiers may leave, and cleans wrong ones."
    default_base_url = ""
    capabilities = Capabilities(holds_members=False, identity=True)
    identifier_rules: ClassVar = {}
    fields = (
        credential("authKey", "Authentication key", help="Issued for an endpoint, or by Acoustic for the account."),
        Field(
            "keyLevel",
            "The key is for",
            "choice",
            default="endpoint",
            choices=(("endpoint", "One endpoint"), ("account", "The whole account")),
            help="Filters and the look-up by x1Id need an endpoint's key.",
        ),
        Field("endpointId", "Endpoint id", help="Needed with the account's key; an endpoint's key names its own."),
        Field(
            "identifierNames",
            "Names of identifiers",
            "list",
            default=USUAL_NAMES,
            help="How Exchange calls our kinds, as kind=name, exactly as they were registered there. One person "
            f"is looked for and erased by these. A kind may have several. Kinds: {', '.join(KINDS)}.",
        ),
        *pacing_fields(poll_first=60, poll_max=900, requests_per_second=2),
    )

    def __init__(self, config: AccountConfig, services: Services) -> None:
        super().__init__(config, services)
        self._filters: tuple[datetime, Sequence[IdentityFilter]] | None = None
        self._client = VendorClient(
            # Every path starts with /v1; an address that was copied with it is understood.
            base_url=config.base_url.rstrip("/").removesuffix("/v1"),
            vendor=self.vendor,
            allow_private_hosts=services.allow_private_hosts,
            user_agent=services.user_agent,
            pace=self._pace,
            describe=_describe,
            throttled=self._throttled,
            secrets=(config.credentials["authKey"],),
            answer_within=services.answer_within,
        )

    def close(self) -> None:
        """Close pooled connections."""
        self._client.close()

    # --- keys and the account (spec section 2)

    @property
    def quota_scope(self) -> str:
        """Exchange publishes no limits; ours hold by key, which is the only owner that we know."""
        return f"acoustic:{self.config.host}:{fingerprint(self.config.credentials['authKey'])}"

    @classmethod
    def validate(cls, config: AccountConfig) -> None:
        """An account-level key needs the endpoint's id in each identity call (section 2.1)."""
        errors = {}
        if config.settings["keyLevel"] == "account" and not config.settings["endpointId"]:
            errors["endpointId"] = "is needed with an account-level key"
        if wrong := [pair for pair in config.settings["identifierNames"] or () if not _is_name_of_kind(pair)]:
            errors["identifierNames"] = f"must be pairs of kind=name; this is none: {wrong[0][:60]}"
        if errors:
            raise InvalidConfiguration(errors)

    @property
    def offers_filters(self) -> bool:
        """The key is the endpoint selector of filters, so an account-level key has none (section 2.1)."""
        return bool(self.config.settings["keyLevel"] == "endpoint")

    @property
    def identifier_names(self) -> Mapping[str, Sequence[str]]:
        """Exchange knows identifiers by the names that they were registered under, which only the company knows."""
        found: dict[str, list[str]] = {}
        for pair in self.config.settings.get("identifierNames", USUAL_NAMES) or ():
            kind, _, name = pair.partition("=")
            found.setdefault(kind.strip(), []).append(name.strip())
        return found

    def check(self) -> AccountCheck:
        """List the filters; with an account-level key look up an identifier that nobody has."""
        if self.offers_filters:
            filters = self.list_filters(fresh=True)
            facts = {"Filters": str(len(filters)), "Key level": "endpoint"}
            return AccountCheck("Exchange accepts the endpoint's key.", facts=facts)
        self.x1ids_of("email", NO_ONE)
        return AccountCheck(
            "Exchange accepts the account's key.",
            warnings=("Identity filters and the look-up by x1Id need an endpoint-level key.",),
            facts={"Endpoint": self._endpoint_id, "Key level": "account"},
        )

    # --- filters (spec section 4)

    def list_filters(self, *, fresh: bool = False) -> Sequence[IdentityFilter]:
        """`GET /v1/identityfilters`; kept for at most a minute (section 8, rule 13)."""
        now = self.services.clock.now()
        if not fresh and self._filters is not None and now - self._filters[0] < LIST_AGE:
            return self._filters[1]
        self._need_endpoint_key()
        with self._explained():
            reply = self._look(FILTERS)
        read = (_filter(row) for row in _objects(reply))
        filters = tuple(self._told_kind(held) for held in read if held.identifier_name)
        self._filters = (now, filters)
        return filters

    def _told_kind(self, held: IdentityFilter) -> IdentityFilter:
        kinds = (kind for kind, names in self.identifier_names.items() if held.identifier_name in names)
        return replace(held, kind=next(kinds, kind_of_header(held.identifier_name) or ""))

    def find_filter(self, name: str) -> IdentityFilter | None:
        """`GET /v1/identityfilters/{name}`; 400 says that there is none (section 8, rule 5)."""
        self._need_endpoint_key()
        with self._explained():
            reply = self._look(ONE_FILTER, values={"name": name}, accept=NOT_FOUND)
        rows = [_filter(row) for row in _objects(reply)] if reply.ok else []
        return next((held for held in rows if held.identifier_name == name), None)

    def save_filter(self, name: str, *, publish: bool, subscribe: bool) -> IdentityFilter:
        """List, then POST where there is none and PUT where there is one, then list again (section 8, rule 6)."""
        if not publish and not subscribe:
            raise Permanent(BOTH_FALSE, code="filter_filters_nothing", next_step="Turn one on, or remove the filter.")
        held = self._held(name)
        body = [{"identifierName": name, "publishFilter": publish, "subscribeFilter": subscribe}]
        lost = self._change("PUT" if held else "POST", FILTERS, json_body=body)
        now_held = self._held_after(lost, name)
        if now_held is not None and (now_held.publish, now_held.subscribe) == (publish, subscribe):
            return now_held
        raise lost or UnknownOutcome(
            "Exchange took the filter, but its list does not show it so.",
            code="filter_not_shown",
            next_step="Look at the list again in a minute.",
        )

    def remove_filter(self, name: str) -> bool:
        """`DELETE /v1/identityfilters/{name}`, one a call; 400 and 404 mean that it is gone already (section 4.3)."""
        if self._held(name) is None:
            return False
        lost = self._change("DELETE", ONE_FILTER, values={"name": name}, accept=NOT_FOUND)
        if self._held_after(lost, name) is None:
            return True
        raise lost or UnknownOutcome(
            "Exchange answered, but its list still shows the filter.",
            code="filter_not_removed",
            next_step="Look at the list again in a minute.",
        )

    def _held(self, name: str) -> IdentityFilter | None:
        """The filter of that name in a fresh list; names are compared exactly (section 4.3)."""
        return next((held for held in self.list_filters(fresh=True) if held.identifier_name == name), None)

    def _held_after(self, lost: UnknownOutcome | None, name: str) -> IdentityFilter | None:
        """As `_held`, once a change was sent: without the list nobody knows what came of it."""
        try:
            return self._held(name)
        except ConnectorError as error:
            raise lost or UnknownOutcome(
                f"Exchange took the change, and then its list could not be read: {error.text}",
                code="filters_not_read",
                next_step="Look at the list again before repeating it.",
                vendor_text=error.vendor_text,
                status=error.status,
            ) from None

    def _change(self, method: str, path: str, **call: Any) -> UnknownOutcome | None:
        """One effectful filter call. A lost answer is given back, because the list that follows tells the outcome."""
        self._filters = None
        try:
            with self._explained():
                self._act(method, path, **call)
        except UnknownOutcome as lost:
            lost.next_step = "Exchange does not show the change yet. Look at the list again before repeating it."
            return lost
        return None

    # --- identities (spec section 5)

    def identifiers_of(self, x1_id: str) -> Identity | None:
        """`GET /v1/identity/{x1Id}`, with an endpoint-level key only; 400, 404 and `[]` mean not found."""
        self._need_endpoint_key()
        with self._explained(x1_id):
            reply = self._look(ONE_IDENTITY, values={"x1_id": x1_id}, accept=NOT_FOUND)
        found = [_identity(row) for row in _objects(reply)] if reply.ok else []
        # Whoever opens one x1Id is not shown another; an answer that names none is about the one that was asked for.
        mine = [one for one in found if one.x1_id.casefold() in (x1_id.casefold(), "")]
        return replace(mine[0], x1_id=mine[0].x1_id or x1_id) if mine else None

    def x1ids_of(self, name: str, value: str) -> Sequence[Identity]:
        """`GET /v1/identity?{name}={value}`; the query parameter's name is the identifier's name (section 5.2)."""
        with self._explained(value):
            reply = self._look(IDENTITY, params=self._pair(name, value), accept=NOT_FOUND)
        return _merged(_identity(row) for row in _objects(reply)) if reply.ok else []

    def remove_identity(self, name: str, value: str) -> int | None:
        """`DELETE /v1/identity?{name}={value}`: everywhere, without undo, sent once (section 5.3)."""
        try:
            with self._explained(value):
                reply = self._act("DELETE", IDENTITY, params=self._pair(name, value), accept=(404,))
        except UnknownOutcome as lost:
            lost.next_step = "Look the identifier up first; remove it again only if it is still there."
            raise
        if not reply.ok:
            return 0
        count = COUNT.search(reply.text)
        return int(count.group(1)) if count else None

    def _pair(self, name: str, value: str) -> dict[str, str]:
        """The one pair of an identity query, with the endpoint's id where the key does not name one."""
        if not name or not value:
            raise Permanent("An identifier's name and value are both needed.", code="identifier_incomplete")
        if not _is_askable(name):
            raise Permanent("Exchange cannot be asked for an identifier of that name.", code="identifier_name_refused")
        return {name: value} if self.offers_filters else {name: value, "endpointId": self._endpoint_id}

    # --- calls (spec sections 2 and 6)

    @property
    def _endpoint_id(self) -> str:
        return str(self.config.settings["endpointId"] or "")

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.config.credentials['authKey']}", "Accept": "application/json"}

    def _need_endpoint_key(self) -> None:
        if not self.offers_filters:
            raise NotSupported(
                "This needs an endpoint-level key; the account is connected with an account-level one.",
                code="endpoint_key_needed",
                next_step="Connect the endpoint with its own key.",
            )

    def _look(self, path: str, **call: Any) -> Reply:
        """A GET, again after growing pauses while Exchange fails or asks to slow down (sections 6 and 8, rule 11)."""
        pause = FIRST_PAUSE
        until = time.monotonic() + min(PATIENCE, (self.services.answer_within or 2 * PATIENCE) / 2)
        while True:
            try:
                with self._alone():
                    return self._client.read("GET", path, headers=self._headers, **call)
            except Transient as error:
                wait = max(pause, error.retry_after or 0.0)
                if time.monotonic() + wait > until:
                    raise
            time.sleep(wait)
            pause *= 2

    def _act(self, method: str, path: str, **call: Any) -> Reply:
        """A call that changes something: sent once."""
        with self._alone():
            return self._client.effect(method, path, headers=self._headers, **call)

    def _alone(self) -> AbstractContextManager[None]:
        """One request in flight (section 6)."""
        return self.services.pacer.inside(f"{self.quota_scope}:call", places=1)

    def _pace(self, _method: str) -> None:
        per_second = float(self.config.settings["requestsPerSecond"])
        self.services.pacer.take(f"{self.quota_scope}:requests", per_second=per_second)

    def _throttled(self, seconds: float) -> None:
        self.services.pacer.pause(f"{self.quota_scope}:requests", seconds, "Exchange asks us to slow down.")

    @contextmanager
    def _explained(self, value: str = "") -> Iterator[None]:
        """Keep the person's `value` out of what Exchange says, and say what 401 and 403 mean there (section 2.1)."""
        try:
            with not_naming(value):
                yield
        except ConnectorError as error:
            if error.status in DENIALS:
                error.text, error.next_step = DENIALS[error.status]
            raise


def _is_askable(name: str) -> bool:
    """Whether an identifier can be asked for: its name becomes that of a query parameter (section 5.2)."""
    return name != "endpointId" and not any(letter in name for letter in "{}")


def _is_name_of_kind(pair: str) -> bool:
    kind, _, name = (part.strip() for part in pair.partition("="))
    return kind in KINDS and 0 < len(name) <= LONGEST_NAME and _is_askable(name)


def _objects(reply: Reply) -> list[dict[str, Any]]:
    """The objects of an answer's array; anything else in it is passed over. What names people is never repeated."""
    rows = reply.json()
    if not isinstance(rows, list):
        raise unreadable("Exchange")
    return [row for row in rows if isinstance(row, dict)]


def _filter(row: dict[str, Any]) -> IdentityFilter:
    """A filter in either spelling of the page, ids as text (section 4.1)."""
    return IdentityFilter(
        filter_id=_text(row.get("endpointFilterId", row.get("endpointFilterID"))),
        endpoint_id=_text(row.get("endpointId", row.get("endpointID"))),
        identifier_name=_text(row.get("identifierName")),
        publish=_flag(row.get("publishFilter", row.get("publisherFilter"))),
        subscribe=_flag(row.get("subscribeFilter", row.get("subscriberFilter"))),
    )


def _identity(row: dict[str, Any]) -> Identity:
    listed = row.get("identifiers")
    entries = [
        IdentityEntry(_text(one.get("name")), _text(one.get("value")), _text(one.get("endpointId")))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    return Identity(_text(row.get("x1Id")), entries)


def _merged(found: Iterable[Identity]) -> list[Identity]:
    """One of each x1Id, however often it is listed: each is a person. What names no x1Id is none."""
    merged: dict[str, Identity] = {}
    for one in found:
        known = merged.get(one.x1_id)
        merged[one.x1_id] = replace(one, identifiers=[*known.identifiers, *one.identifiers]) if known else one
    merged.pop("", None)
    return list(merged.values())


def _text(value: Any) -> str:
    """Ids come as text or number; both are kept as text, cut to what any id may be."""
    return "" if value is None else str(value)[:MAX_VENDOR_TEXT]


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def _describe(reply: Reply) -> str:
    """No error body is documented: the usual words where there are some, else the start of the body (section 2)."""
    body = reply.object()
    words = [body.get(key) for key in ("message", "error", "description")]
    said = next((word for word in words if isinstance(word, str) and word), reply.opening)
    return impersonal(said, ("value",))
