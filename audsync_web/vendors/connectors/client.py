"""The shared HTTP client: timeouts always, safe retries only, pacing before each call, errors sorted, nothing leaked.

A path is given as a template with named values (`/segment/{id}/publish`); only the template is ever logged or shown,
so identifiers of people and tokens in a URL stay out of logs.
"""

from __future__ import annotations

import json
import logging
import math
import re
import ssl
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from .errors import (
    MAX_SAID,
    AuthenticationFailed,
    ConnectorError,
    Permanent,
    RemoteMissing,
    TooLarge,
    Transient,
    UnknownOutcome,
)
from .public import PublicAdapter
from .streams import SizedStream

logger = logging.getLogger(__name__)

# Its debug lines hold whole paths, which may name people; ours hold templates.
logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
QUICK_RETRIES = 2
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_REDIRECTS = 3
SLOWEST_ANSWER = 10.0
"""An answer that drips in may take so many times its timeout, which bounds the wait for each piece of it."""
LEAST_PAUSE = 1.0
"""Everybody's pause after a 429 that names none; whoever met it backs off further with every try."""
LONGEST_WAIT = 86_400.0
"""A Retry-After beyond a day is a vendor's slip; we look again after a day."""
LONE_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")
"""What may be one in JSON; a pair of them, which is a letter, fits as well and stays as it is."""
TLS_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)  # broken, as any connection may break


@dataclass(frozen=True)
class Reply:
    """A vendor's answer, read whole (bounded): status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text, whatever its encoding claims."""
        return self.body.decode("utf-8", "replace")

    @property
    def opening(self) -> str:
        """The start of the body: more than is ever shown, so that what is struck out of it is struck out whole."""
        return self.text[:MAX_SAID]

    def json(self) -> Any:
        """The body as JSON, or None when it is none (vendors answer with proxies' HTML, too) or nests without end.

        Half a surrogate pair, which no text can hold that is to be stored or shown, becomes a question mark; what is
        no number is None.
        """
        try:
            value = json.loads(self.body, parse_constant=_no_number)
            if LONE_SURROGATES.search(self.body):
                value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
        return value

    def object(self) -> dict[str, Any]:
        """The body as a JSON object, empty when it is something else."""
        value = self.json()
        return value if isinstance(value, dict) else {}

    def retry_after(self) -> float | None:
        """The Retry-After header in seconds, whether given as a number or a date; None when absent or unreadable."""
        raw = self.headers.get("Retry-After", "").strip()
        try:
            seconds = float(raw) if raw[:1].isdigit() else _seconds_until(raw)
        except (ValueError, OverflowError):
            return None
        return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None


Pace = Callable[[str], None]
Throttled = Callable[[float], None]


class VendorClient:
    """HTTP for one vendor account.

    `pace(method)` is called before each request and may wait or raise `NotYet`. `describe` reads the vendor's own words
    from an error answer, `refer` its id of the failure; `secrets` and the token of the last call are struck out of
    them. `throttled(seconds)` is told of each 429, and 503 with Retry-After, so that a connector can pause its quota
    scope for everyone. Calls with an effect are never repeated here; reads are tried at most three times, quickly, and
    with `answer_within` given up after about so many seconds.
    """

    def __init__(
        self,
        *,
        base_url: str,
        vendor: str,
        allow_private_hosts: bool,
        user_agent: str,
        pace: Pace,
        describe: Callable[[Reply], str],
        throttled: Throttled | None = None,
        refer: Callable[[Reply], str] | None = None,
        secrets: Collection[str] = (),
        answer_within: float | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.vendor = vendor
        self._pace = pace
        self._describe = describe
        self._throttled = throttled
        self._secrets = [secret for secret in secrets if secret]
        self._token = ""
        self._refer = refer or _no_reference
        self._answer_within = answer_within
        self._last: tuple[Any, requests.PreparedRequest] | None = None
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = user_agent
        if not allow_private_hosts:
            self._session.mount("http://", PublicAdapter())
            self._session.mount("https://", PublicAdapter())

    def close(self) -> None:
        """Close pooled connections."""
        self._session.close()

    def read(self, method: str, path: str, *, retries: int = QUICK_RETRIES, **call: Any) -> Reply:
        """A call without effect: retried at once on network faults, then `Transient`."""
        if self._answer_within is not None:
            call.setdefault("timeout", self._answer_within)
        started = time.monotonic()
        for attempt in range(retries + 1):
            try:
                return self._call(method, path, effect=False, **call)
            except Transient as error:
                late = self._answer_within is not None and time.monotonic() - started >= self._answer_within / 2
                if late or attempt == retries or error.retry_after is not None or error.status is not None:
                    raise
                time.sleep(0.2 * (attempt + 1))
        raise AssertionError("unreachable")

    def effect(self, method: str, path: str, **call: Any) -> Reply:
        """A call that changes something at the vendor: sent once. A lost answer is `UnknownOutcome`."""
        return self._call(method, path, effect=True, **call)

    def _call(
        self,
        method: str,
        path: str,
        *,
        effect: bool,
        values: Mapping[str, str | int] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json_body: Any = None,
        data: Any = None,
        absolute: bool = False,
        timeout: float = READ_TIMEOUT,
        accept: tuple[int, ...] = (),
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Reply:
        """Send one request. `accept` lists statuses other than 2xx that the caller reads itself; all others raise."""
        self._pace(method)
        url = path if absolute else self.base_url + _fill(path, values or {})
        shown = "(address given by the vendor)" if absolute else path
        self._token = (headers or {}).get("Authorization", "").rpartition(" ")[2]
        started, before = time.monotonic(), sys.exception()
        try:
            reply = self._exchange(method, url, params, headers, json_body, data, timeout, max_bytes)
        except requests.RequestException as error:
            raise self._sorted(error, before, effect=effect) from None
        except UnicodeError:
            raise _unsendable() from None
        logger.info(
            "%s %s %s -> %s in %.0f ms", self.vendor, method, shown, reply.status, (time.monotonic() - started) * 1000
        )
        if reply.ok or reply.status in accept:
            return reply
        refusal = self.error_for(reply, effect=effect)
        if self._throttled is not None and isinstance(refusal, Transient) and refusal.code == "throttled":
            self._throttled(refusal.retry_after or LEAST_PAUSE)
        raise refusal

    def _exchange(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        json_body: Any,
        data: Any,
        timeout: float,
        max_bytes: int,
    ) -> Reply:
        for _ in range(MAX_REDIRECTS + 1):
            request = self._prepared(method, url, params, headers, json_body, data)
            answer = self._session.send(request, timeout=(CONNECT_TIMEOUT, timeout), allow_redirects=False, stream=True)
            with answer:
                reply = Reply(answer.status_code, answer.headers, _bounded(answer, max_bytes, timeout))
            if not answer.is_redirect:
                return reply
            url, params = self._redirect_target(method, url, answer.headers["Location"]), None
        raise Permanent("The vendor redirects in a circle.", next_step="Check the API address.")

    def _prepared(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        json_body: Any,
        data: Any,
    ) -> requests.PreparedRequest:
        """The request to send. One that differs from the last in its body only gets that body and is otherwise kept:
        putting a request together takes as long as many a batch needs to be answered."""
        alike = (method, url, tuple((headers or {}).items()))
        has_body = isinstance(data, bytes | SizedStream) and len(data) > 0
        is_plain = has_body and not params and json_body is None and not self._session.cookies
        if is_plain and self._last is not None and self._last[0] == alike:
            self._last[1].prepare_body(data, None)
            return self._last[1]
        made = requests.Request(method, url, params=params, headers=headers, json=json_body, data=data)
        request = self._session.prepare_request(made)
        self._last = (alike, request) if is_plain else None
        return request

    def _redirect_target(self, method: str, url: str, location: str) -> str:
        target = urljoin(url, location)
        same = urlsplit(target)[:2] == urlsplit(url)[:2]
        if not same or method not in {"GET", "HEAD"}:
            raise Permanent(
                "The vendor redirects to another address, which is not followed: credentials would go there.",
                code="redirect_refused",
                next_step="Check the API address of the vendor account.",
            )
        return target

    def _sorted(self, error: requests.RequestException, before: BaseException | None, *, effect: bool) -> Exception:
        """Sort a transport fault: never sent is `Transient`, TLS is `Permanent`, the rest depends on effect."""
        cause = _root(error, before)
        if isinstance(cause, ConnectorError):
            return cause  # raised by ourselves while the body was sent: a lost lease, a stop
        if isinstance(error, requests.exceptions.InvalidHeader):
            return _unsendable()
        is_tls = isinstance(error, requests.exceptions.SSLError) or isinstance(cause, ssl.SSLError)
        if is_tls and not isinstance(cause, TLS_CUT):
            return Permanent(
                "The vendor's certificate could not be verified.",
                code="tls_failed",
                next_step="Check the API address; if it is right, tell the vendor.",
            )
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
            return Permanent(
                "The vendor's address is not a valid URL.", code="bad_url", next_step="Check the API address."
            )
        if _never_sent(error) or not effect:
            return Transient("The vendor cannot be reached or broke off the connection.", code="unreachable")
        return UnknownOutcome("The connection to the vendor broke before its answer arrived.", code="answer_lost")

    def said(self, reply: Reply) -> str:
        """The vendor's own words in an error answer: untrusted, with secrets struck out (some repeat the request)."""
        text = self._describe(reply)
        for secret in filter(None, (*self._secrets, self._token)):
            text = text.replace(secret, "•••")
        return text

    def error_for(self, reply: Reply, *, effect: bool) -> Exception:
        """The error family of an answer that is not 2xx."""
        said = self.said(reply)
        context: dict[str, Any] = {"vendor_text": said, "status": reply.status, "reference": self._refer(reply)}
        wait = reply.retry_after()
        if reply.status == 429 or (reply.status == 503 and wait is not None):
            wait = None if wait is None else max(LEAST_PAUSE, wait)
            return Transient("The vendor asks us to slow down.", retry_after=wait, code="throttled", **context)
        if reply.status == 408 or reply.status >= 500:
            if effect:
                return UnknownOutcome(f"The vendor failed with status {reply.status}.", code="vendor_failed", **context)
            return Transient(
                f"The vendor failed with status {reply.status}.", retry_after=wait, code="vendor_failed", **context
            )
        if reply.status == 401:
            return AuthenticationFailed(
                "The vendor rejected the credentials.",
                next_step="Enter working credentials for this account.",
                **context,
            )
        if reply.status == 403:
            return AuthenticationFailed(
                "The vendor denies this account the right to do that.",
                code="rights_missing",
                next_step="Ask the vendor to grant the right, or enter other credentials.",
                **context,
            )
        if reply.status == 404:
            return RemoteMissing("The vendor does not know it, or hides it from this account.", **context)
        if reply.status == 413:
            return TooLarge("The vendor says that the file is too large.", **context)
        return Permanent(f"The vendor refused with status {reply.status}.", **context)


def _no_number(_word: str) -> None:
    """NaN and infinities, which JSON does not have."""


def _fill(template: str, values: Mapping[str, str | int]) -> str:
    for value in values.values():
        if str(value) in {"", ".", ".."}:  # would name another path: dots are not escaped, and clients fold them away
            raise Permanent("An id cannot stand in an address.", code="bad_path", next_step="Correct the id.")
    return template.format_map({name: quote(str(value), safe="") for name, value in values.items()})


def _seconds_until(text: str) -> float:
    moment = parsedate_to_datetime(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime.now(UTC)).total_seconds()


def _unsendable() -> Permanent:
    return Permanent(
        "A credential or setting holds characters that cannot be sent.",
        code="unsendable_value",
        next_step="Enter it again, without line breaks and other unusual characters.",
    )


def _bounded(answer: requests.Response, limit: int, timeout: float) -> bytes:
    blocks, size, until = [], 0, time.monotonic() + SLOWEST_ANSWER * timeout
    for block in _as_it_comes(answer):
        blocks.append(block)
        size += len(block)
        if time.monotonic() > until:
            raise requests.exceptions.ReadTimeout("the answer drips")
        if size > limit:
            raise Permanent("The vendor's answer is larger than anything expected.", code="answer_too_large")
    return b"".join(blocks)


def _as_it_comes(answer: requests.Response) -> Iterator[bytes]:
    """The body piece by piece as it arrives; `iter_content` would wait for a full block, however slowly it fills."""
    try:
        while block := answer.raw.read1(64 * 1024, decode_content=True):
            yield block
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _no_reference(reply: Reply) -> str:
    return ""


def _root(error: BaseException, before: BaseException | None) -> BaseException:
    """What began it. What the caller was dealing with `before` the call hangs on the chain as well, and is no cause."""
    while True:
        led_to = (error.__cause__, error.__context__, *error.args)
        inner = next((one for one in led_to if isinstance(one, BaseException) and one is not before), None)
        if inner is None or inner is error:
            return error
        error = inner


def _never_sent(error: requests.RequestException) -> bool:
    """Whether the connection was never opened, so that the vendor cannot have seen the request."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    inner: Any = error.args[0] if error.args else None
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
