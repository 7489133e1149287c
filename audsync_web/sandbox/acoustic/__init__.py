"""Acoustic Exchange as a strict emulator: identity filters, identity look-up and removal (spec sections 4, 5 and 9).

Bodies of errors have one shape, which is this sandbox's choice: `{"status", "error", "message"}`.

Faults, each `acoustic.<name>`:

- `delay`: seconds before every answer
- `throttle`: 429; `retry_after` gives its Retry-After in seconds (default 2, `none` for no header)
- `server_error`: 500 on any call, nothing done · `unavailable`: 503 likewise
- `key_rejected`: 401 · `key_denied`: 403
- `drop_before` / `drop_after`: any call; the connection breaks before or after the work was done
- `drop_before_filter` / `drop_after_filter` / `error_after_filter`: POST and PUT of filters; the last does it, then 500
- `drop_before_unfilter` / `drop_after_unfilter` / `error_after_unfilter`: the same for DELETE of a filter
- `blind_after_filter`: 500 on the list of filters once one was written or removed
- `drop_before_remove` / `drop_after_remove` / `error_after_remove`: the same for DELETE of an identity
- `unavailable_after_remove`: does it, then 503 with Retry-After · `keep_removed`: answers as if it had, and does not
- `numeric_ids`: ids as numbers · `odd_spellings`: `endpointFilterID` and `publisherFilter`, as the page slips
- `extra_fields`: filters and identities hold fields that nobody knows
- `json_count`: the count line of a removal wrapped in JSON · `silent_count`: an empty answer to a removal
- `unknown_as_404`: 404 instead of 400 for what is not there · `unknown_as_empty`: an empty list for an unknown x1Id

Controls (`POST /_control/acoustic/<action>`): `account` {account, accountKey, endpoints: [{id, key, identifiers}]};
`identity` {account, x1Id, identifiers: [{name, value, endpointId}]}; `identities` {account} gives all of them;
`receives` {endpointId}: the identifier names that this destination would be sent, by x1Id; `requests`: what was asked.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from audsync_web.sandbox.framework import Context, DropConnection, Request, Response, VendorSandbox

from .data import (
    DEMO_ACCOUNT_KEY,
    DEMO_CREDENTIALS,
    DEMO_ENDPOINT,
    DEMO_SETTINGS,
    MOST_IDENTIFIERS,
    Account,
    Caller,
    Endpoint,
    Filter,
    Identifier,
    demo_accounts,
)

__all__ = ["DEMO_ACCOUNT_KEY", "DEMO_CREDENTIALS", "DEMO_ENDPOINT", "DEMO_SETTINGS", "AcousticSandbox"]


class Refused(Exception):
    """An error answer: status and message."""

    def __init__(self, status: int, message: str, wait: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait
        self.message = message


class AcousticSandbox(VendorSandbox):
    """The identity calls of Exchange over a few accounts in memory."""

    name: ClassVar[str] = "acoustic"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, Caller] = {}
        self._next_filter = 3100
        self._filters_changed = False
        self._removed: set[tuple[str, str, str]] = set()
        self._requests: deque[dict[str, str]] = deque(maxlen=1000)
        for account in demo_accounts():
            self._register(account)

    # --- fixtures and controls

    def _register(self, account: Account) -> None:
        self._accounts[account.name] = account
        self._keys[account.key] = Caller(account, None)
        for endpoint in account.endpoints.values():
            self._keys[endpoint.key] = Caller(account, endpoint)

    def state(self) -> dict[str, Any]:
        """Filters and x1Ids by account; how many identifiers each holds, not which."""
        with self.lock:
            return {
                name: {
                    "filters": [self._shown(f) for e in account.endpoints.values() for f in e.filters.values()],
                    "x1Ids": {x1: len(held) for x1, held in list(account.identities.items())[:1000]},
                    "x1IdCount": len(account.identities),
                }
                for name, account in self._accounts.items()
            }

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """The test controls of the module docstring."""
        with self.lock:
            if action == "account":
                made = [Endpoint(int(e["id"]), e["key"], frozenset(e["identifiers"])) for e in arguments["endpoints"]]
                by_id = {endpoint.id: endpoint for endpoint in made}
                self._register(Account(arguments["account"], arguments["accountKey"], by_id))
                return {}
            if action == "identity":
                return self._add_identity(arguments)
            if action == "identities":
                held = self._accounts[arguments.get("account", "demo")].identities
                return {x1: [self._identifier(one) for one in ids] for x1, ids in held.items()}
            if action == "receives":
                return self._received_by(int(arguments["endpointId"]))
            if action == "requests":
                return list(self._requests)
        raise KeyError(action)

    def _add_identity(self, arguments: dict[str, Any]) -> dict[str, Any]:
        held = self._accounts[arguments.get("account", "demo")].identities.setdefault(arguments["x1Id"], [])
        new = [
            Identifier(one["name"], one["value"], int(one.get("endpointId", DEMO_ENDPOINT)))
            for one in arguments["identifiers"]
        ]
        if len(set(held) | set(new)) > MOST_IDENTIFIERS:
            raise KeyError(f"an x1Id holds at most {MOST_IDENTIFIERS} identifiers")
        held.extend(one for one in dict.fromkeys(new) if one not in held)
        return {"identifiers": len(held)}

    def _received_by(self, number: int) -> dict[str, list[str]]:
        """Names that a destination is sent: published filters hide from all, subscribed ones from their endpoint."""
        account = next(a for a in self._accounts.values() if number in a.endpoints)
        hidden = {f.name for e in account.endpoints.values() for f in e.filters.values() if f.publish}
        hidden |= {f.name for f in account.endpoints[number].filters.values() if f.subscribe}
        return {
            x1: sorted({one.name for one in held if one.name not in hidden}) for x1, held in account.identities.items()
        }

    # --- one request

    def handle(self, request: Request) -> Response:
        """Answer one call; every refusal is an error body."""
        pieces = request.segments()
        request.shown_path = _shown_path(pieces, request)
        try:
            self._early_faults()
            caller = self._caller(request)
            self._note(request, caller)
            with self.lock:
                response = self._route(request, pieces, caller)
        except Refused as refused:
            return self._error(refused)
        if self.fault("drop_after"):
            raise DropConnection
        return response

    def _early_faults(self) -> None:
        if self.fault("drop_before"):
            raise DropConnection
        for name, status in (("key_rejected", 401), ("key_denied", 403), ("server_error", 500), ("unavailable", 503)):
            if self.fault(name):
                raise Refused(status, f"fault {name}")
        if self.fault("throttle"):
            raise Refused(429, "Too many requests")

    def _before(self, effect: str) -> None:
        if self.fault(f"drop_before_{effect}"):
            raise DropConnection

    def _after(self, effect: str) -> None:
        if self.fault(f"drop_after_{effect}"):
            raise DropConnection
        if self.fault(f"error_after_{effect}"):
            raise Refused(500, "System error")

    def _caller(self, request: Request) -> Caller:
        scheme, _, key = request.header("authorization").partition(" ")
        caller = self._keys.get(key) if scheme == "Bearer" else None
        if caller is None:
            request.violate("no known key as Bearer")
            raise Refused(401, "Not authenticated")
        return caller

    def _note(self, request: Request, caller: Caller) -> None:
        self._requests.append({"method": request.method, "path": request.shown_path, "keyLevel": caller.level})
        if "application/json" not in request.header("accept"):
            request.violate("Accept: application/json is missing")

    def _route(self, request: Request, pieces: list[str], caller: Caller) -> Response:
        if pieces[:2] == ["v1", "identityfilters"] and len(pieces) <= 3:
            return self._filters(request, pieces[2:], caller)
        if pieces[:2] == ["v1", "identity"] and len(pieces) <= 3:
            rest = [piece for piece in pieces[2:] if piece]
            return self._identity(request, rest, caller)
        raise Refused(404, "No such resource")

    # --- filters (spec section 4)

    def _filters(self, request: Request, rest: list[str], caller: Caller) -> Response:
        endpoint = caller.endpoint
        if endpoint is None:
            request.violate("filters asked with an account-level key")
            raise Refused(403, "An endpoint-level key is needed")
        if request.method == "GET":
            return self._read_filters(endpoint, rest)
        self._filters_changed = True
        if request.method in {"POST", "PUT"} and not rest:
            return self._write_filters(request, endpoint)
        if request.method == "DELETE" and rest:
            return self._delete_filter(endpoint, rest[0])
        request.violate("method not offered here")
        raise Refused(405, "Method not allowed")

    def _read_filters(self, endpoint: Endpoint, rest: list[str]) -> Response:
        if not rest:
            if self._filters_changed and self.fault("blind_after_filter"):
                raise Refused(500, "The list is out of order")
            return Response.of([self._shown(f) for f in endpoint.filters.values()])
        held = endpoint.filters.get(rest[0])
        if held is None:
            raise Refused(self._unknown(), "No filter for that identifier")
        return Response.of([self._shown(held)])

    def _write_filters(self, request: Request, endpoint: Endpoint) -> Response:
        self._before("filter")
        if request.media_type != "application/json":
            request.violate("Content-Type: application/json is missing")
        try:
            rows = request.json()
        except ValueError:
            rows = None
        checked = self._checked_rows(request, rows, endpoint)
        for row in checked:
            held = endpoint.filters.get(row["identifierName"])
            if held is None:
                self._next_filter += 1
            number = held.id if held else self._next_filter
            endpoint.filters[row["identifierName"]] = Filter(
                number, endpoint.id, row["identifierName"], row["publishFilter"], row["subscribeFilter"]
            )
        self._after("filter")
        return Response.of([])

    def _checked_rows(self, request: Request, rows: Any, endpoint: Endpoint) -> list[dict[str, Any]]:
        if not isinstance(rows, list) or not rows:
            request.violate("body is not an array with an element")
            raise Refused(400, "An array with at least one element is needed")
        if len(rows) > 1:
            request.violate("several elements in one call")
        for row in rows:
            fault = _row_fault(row, endpoint, request.method)
            if fault:
                request.violate(fault)
                raise Refused(400, fault)
        if len({row["identifierName"] for row in rows}) < len(rows):
            raise Refused(400, "The same identifier twice")
        return rows

    def _delete_filter(self, endpoint: Endpoint, name: str) -> Response:
        self._before("unfilter")
        if endpoint.filters.pop(name, None) is None:
            raise Refused(self._unknown(), "No filter for that identifier")
        self._after("unfilter")
        return Response()

    def _shown(self, held: Filter) -> dict[str, Any]:
        numeric, odd = self.faults.on("acoustic.numeric_ids"), self.faults.on("acoustic.odd_spellings")
        return {
            "endpointFilterID" if odd else "endpointFilterId": held.id if numeric else str(held.id),
            "endpointId": held.endpoint if numeric else str(held.endpoint),
            "identifierName": held.name,
            "publisherFilter" if odd else "publishFilter": held.publish,
            "subscribeFilter": held.subscribe,
            **self._extra(),
        }

    # --- identities (spec section 5)

    def _identity(self, request: Request, rest: list[str], caller: Caller) -> Response:
        if rest and request.method == "GET":
            return self._read_x1id(request, rest[0], caller)
        if rest or request.method not in {"GET", "DELETE"}:
            request.violate("method not offered here")
            raise Refused(405, "Method not allowed")
        name, value = self._pair(request, caller)
        pair = (caller.account.name, name, value)
        if request.method == "GET":
            self._removed.discard(pair)
            return Response.of(self._holders(caller.account, name, value))
        if pair in self._removed:
            request.violate("a removal was repeated without a look-up in between")
        self._removed.add(pair)
        return self._remove(caller.account, name, value)

    def _read_x1id(self, request: Request, x1_id: str, caller: Caller) -> Response:
        if caller.endpoint is None:
            request.violate("an x1Id asked with an account-level key")
            raise Refused(403, "An endpoint-level key is needed")
        held = caller.account.identities.get(x1_id)
        if held is None:
            if self.faults.on("acoustic.unknown_as_empty"):
                return Response.of([])
            raise Refused(self._unknown(), "No such x1Id")
        return Response.of([{"x1Id": x1_id, "identifiers": [self._identifier(o) for o in held], **self._extra()}])

    def _pair(self, request: Request, caller: Caller) -> tuple[str, str]:
        given = {name: values for name, values in request.query.items() if name != "endpointId"}
        if len(given) != 1 or len(next(iter(given.values()))) != 1:
            request.violate("not exactly one identifier pair in the query")
            raise Refused(400, "Exactly one identifier is needed")
        name, (value,) = next(iter(given.items()))
        if "{" in name or "}" in name:
            request.violate("literal braces in the query")
        self._check_endpoint(request, caller)
        return name, value

    def _check_endpoint(self, request: Request, caller: Caller) -> None:
        number = request.one("endpointId")
        if not number and caller.endpoint is None:
            request.violate("account-level key without endpointId")
            raise Refused(400, "endpointId is needed with an account-level key")
        if not number:
            return
        foreign = not number.isdigit() or int(number) not in caller.account.endpoints
        if foreign or (caller.endpoint and caller.endpoint.id != int(number)):
            request.violate("endpointId does not belong to the key")
            raise Refused(403, "Not authorized for that endpoint")

    def _holders(self, account: Account, name: str, value: str) -> list[dict[str, Any]]:
        found = []
        for x1_id, held in account.identities.items():
            same = [self._identifier(one) for one in held if one.name == name and one.value == value]
            if same:
                found.append({"x1Id": x1_id, "identifiers": same})
        return found

    def _remove(self, account: Account, name: str, value: str) -> Response:
        self._before("remove")
        count = 0
        keeping = self.fault("keep_removed")
        for x1_id, held in account.identities.items():
            kept = [one for one in held if not (one.name == name and one.value == value)]
            count += len(kept) < len(held)
            if not keeping:
                account.identities[x1_id] = kept
        self._after("remove")
        if self.fault("unavailable_after_remove"):
            raise Refused(503, "Unavailable", wait="1")
        return self._count_answer(count)

    def _count_answer(self, count: int) -> Response:
        line = f"A number of updated Identities: {count}"
        if self.faults.on("acoustic.silent_count"):
            return Response()
        if self.faults.on("acoustic.json_count"):
            return Response.of({"message": line})
        return Response(200, line.encode(), {"Content-Type": "text/plain"})

    def _identifier(self, one: Identifier) -> dict[str, Any]:
        return {"name": one.name, "value": one.value, "endpointId": one.endpoint}

    def _extra(self) -> dict[str, Any]:
        return {"revision": 7, "links": []} if self.faults.on("acoustic.extra_fields") else {}

    def _unknown(self) -> int:
        return 404 if self.faults.on("acoustic.unknown_as_404") else 400

    def _error(self, refused: Refused) -> Response:
        words = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
        word = words.get(refused.status, "Error")
        answer = Response.of({"status": refused.status, "error": word, "message": refused.message}, refused.status)
        wait = refused.wait or (self.faults.get("acoustic.retry_after", "2") if refused.status == 429 else "none")
        if wait != "none":
            answer.headers["Retry-After"] = wait
        return answer


def _row_fault(row: Any, endpoint: Endpoint, method: str) -> str:
    """What is wrong with one element of a filter body; empty when nothing is."""
    if not isinstance(row, dict) or not isinstance(row.get("identifierName"), str):
        return "identifierName is missing"
    publish, subscribe = row.get("publishFilter"), row.get("subscribeFilter")
    if not isinstance(publish, bool) or not isinstance(subscribe, bool):
        return "publishFilter and subscribeFilter must be booleans"
    if not publish and not subscribe:
        return "publishFilter and subscribeFilter are both false"
    name = row["identifierName"]
    if name not in endpoint.names:
        return "identifier is not registered"
    if method == "POST" and name in endpoint.filters:
        return "POST for an identifier that has a filter"
    if method == "PUT" and name not in endpoint.filters:
        return "PUT for an identifier that has no filter"
    return ""


def _shown_path(pieces: list[str], request: Request) -> str:
    if pieces[:2] != ["v1", "identity"]:
        return request.path
    if len(pieces) > 2 and pieces[2]:
        return "/v1/identity/{x1Id}"
    names = "&".join(f"{name}=***" for name in request.query if name != "endpointId")
    return f"/v1/identity?{names}"
