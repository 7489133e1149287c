"""How Xandr's API hosts are spoken to: session, envelope, errors, paging, pace (spec sections 2, 3.1, 6, 10.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

from audsync_web.vendors.connectors.base import Services, Token
from audsync_web.vendors.connectors.client import Reply, VendorClient
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent, Transient, UnknownOutcome
from audsync_web.vendors.connectors.fields import AccountConfig, fingerprint
from audsync_web.vendors.connectors.reading import impersonal, whole
from audsync_web.vendors.connectors.streams import SizedStream

T = TypeVar("T")
Envelope = Mapping[str, Any]

PAGE = 100
LOGIN_BURST, LOGINS_PER_SECOND = 3, 2 / 300
"""Together at most five logins in any five minutes, half of what is allowed (section 12, rule 3)."""
SESSION = timedelta(hours=23)
LOGIN_PAUSE = 300.0
LONGEST_WORD = 160
THROTTLE_PAUSE = 60.0
READ_BURST, WRITE_BURST = 5, 2
MOST_IN_FLIGHT = 5
UPLOAD_TIMEOUT = 300.0
"""Seconds of silence on the upload host; it may check a file before it answers."""
FAILURES = tuple(range(400, 600))
USER_ID = re.compile(r"(?<![0-9A-Za-z])[0-9]{12,}(?![0-9A-Za-z])")
"""A number so long is a user's; those of members, segments and advertisers are shorter."""
TIMESTAMP = "%Y-%m-%d %H:%M:%S"
ENDED_LOGINS = {
    "NOAUTH": ("Xandr rejected the user name or password.", "Enter working credentials for this account."),
    "NOAUTH_DISABLED": ("Xandr has deactivated this user.", "Ask Xandr to activate the user, or enter another one."),
    "NOAUTH_EXPIRED": ("The password of this user has expired.", "Set a new password at Xandr and enter it here."),
}


class NotLoggedIn(Permanent):
    """The session is over; one login and one more try mend it (section 10.1, `NOAUTH`)."""

    default_code = "not_logged_in"


def moment(value: Any) -> datetime | None:
    """A timestamp of the vendor, UTC (section 2.3)."""
    try:
        return datetime.strptime(str(value), TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def word(value: Any) -> str:
    """A code or id of the vendor as text: it may be null, text or a number (section 4; a job's id has up to 128)."""
    return "" if value is None or value == "" else str(value)[:LONGEST_WORD]


class Api:
    """One account's calls to an API host, each answered with the opened envelope."""

    def __init__(self, config: AccountConfig, services: Services, scope: str) -> None:
        self._config = config
        self._services = services
        self._scope = scope
        username, password = config.credentials["username"], config.credentials["password"]
        self._token_key = f"xandr:{config.host}:{fingerprint(username)}"
        # A stored token counts only for the password that it was got with, so a changed one is proved anew.
        self._mark = hashlib.sha256(f"{username}\0{password}".encode()).hexdigest()[:32] + " "
        self._client = VendorClient(
            base_url=config.base_url,
            vendor="xandr",
            allow_private_hosts=services.allow_private_hosts,
            user_agent=services.user_agent,
            pace=self._pace,
            describe=_describe,
            secrets=(password,),
            answer_within=services.answer_within,
        )

    def close(self) -> None:
        """Close pooled connections."""
        self._client.close()

    # --- calls

    def read(self, path: str, params: Mapping[str, Any], values: Mapping[str, str | int] | None = None) -> Envelope:
        """A GET."""
        return self._logged_in(lambda token: self._send("GET", path, token, False, params=params, values=values))

    def change(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        values: Mapping[str, str | int] | None = None,
        body: Any = None,
    ) -> Envelope:
        """A call with an effect; without `body` it is sent empty, as step 1 wants it."""
        return self._logged_in(
            lambda token: self._send(method, path, token, True, params=params, values=values, json_body=body)
        )

    def pages(
        self, path: str, params: Mapping[str, Any], rows_of: Callable[[Envelope], list[T]], name: str
    ) -> Iterator[list[T]]:
        """A list page by page: elements count from 0, at most 100 a page, and `count` may be null (section 2.4).

        `name` is the field that holds the elements, all of which count, those that `rows_of` leaves out as well.
        """
        start, before = 0, None
        while True:
            envelope = self.read(path, {**params, "start_element": start, "num_elements": PAGE})
            rows = rows_of(envelope)
            given = envelope.get(name)
            size = max(len(rows), len(given) if isinstance(given, list) else 0)
            if rows and rows == before:
                # Paging is not heeded: the same page would come for ever.
                return
            yield rows
            start, before = start + size, rows
            total = whole(envelope.get("count"))
            if size < PAGE or (total is not None and start >= total):
                return

    def upload(self, url: str, source: BinaryIO, length: int, on_block: Callable[[], None]) -> Reply:
        """Step 2: the file's bytes, with a length and without `Content-Encoding`; any status is given back (10.2)."""
        headers = {"Content-Type": "application/octet-stream"}
        if self._config.settings["sendTokenToUploadHost"]:
            headers["Authorization"] = _bare(self._token())
        body = SizedStream(source, length, on_block)
        return self._client.effect(
            "POST", url, absolute=True, headers=headers, data=body, timeout=UPLOAD_TIMEOUT, accept=FAILURES
        )

    def _send(self, method: str, path: str, token: str, effect: bool, **call: Any) -> Envelope:
        send = self._client.effect if effect else self._client.read
        with self._in_flight():
            reply = send(method, path, headers={"Authorization": _bare(token)}, accept=FAILURES, **call)
        return self._open(reply, effect=effect)

    def _in_flight(self) -> AbstractContextManager[None]:
        """One of the few calls that the member may have open at a time (section 6, “client budget”)."""
        return self._services.pacer.inside(f"{self._scope}:call", places=MOST_IN_FLIGHT)

    # --- the session (section 3.1)

    def _token(self) -> str:
        """The stored token, marked; logged in for where there is none yet for these credentials."""
        held = self._services.tokens.current(self._token_key)
        if held and held.startswith(self._mark):
            return held
        return self._services.tokens.renew(self._token_key, held, self._login)

    def _logged_in(self, call: Callable[[str], Envelope]) -> Envelope:
        """`call` with a token, and once more with a new one when the session is over (section 12, rule 3)."""
        token = self._token()
        try:
            return call(token)
        except NotLoggedIn:
            token = self._services.tokens.renew(self._token_key, token, self._login)
        try:
            return call(token)
        except NotLoggedIn as error:
            raise AuthenticationFailed(
                "Xandr does not accept the session that it has just opened.",
                next_step="Check that this user may use the API.",
                vendor_text=error.vendor_text,
                status=error.status,
            ) from None

    def _login(self) -> Token:
        user = fingerprint(self._config.credentials["username"])
        # The limit's owner is not told: it is taken for the user's and the member's alike (register, U3).
        for owner in (f"xandr:{self._config.host}:login:{user}", f"{self._scope}:login"):
            self._services.pacer.take(owner, per_second=LOGINS_PER_SECOND, burst=LOGIN_BURST)
        body = {"auth": {name: self._config.credentials[name] for name in ("username", "password")}}
        try:
            with self._in_flight():
                reply = self._client.effect("POST", "/auth", json_body=body, accept=FAILURES)
        except UnknownOutcome as lost:
            # A login whose answer was lost leaves nothing behind but a token that nobody uses.
            raise lost.as_transient() from None
        return Token(self._mark + self._read_login(reply), renew_at=self._services.clock.now() + SESSION)

    def _read_login(self, reply: Reply) -> str:
        envelope = _envelope(reply)
        error_id = word(envelope.get("error_id"))
        token = envelope.get("token")
        # Impbus answers with a token and no status (section 3.0, A1): the one success without "OK".
        if reply.ok and not error_id and isinstance(token, str) and token and envelope.get("status", "OK") == "OK":
            return token
        if error_id in ENDED_LOGINS or (reply.status == 401 and not error_id):
            text, next_step = ENDED_LOGINS.get(error_id, ENDED_LOGINS["NOAUTH"])
            raise AuthenticationFailed(
                text, next_step=next_step, vendor_text=self._client.said(reply), status=reply.status
            )
        if self._is_throttle(reply, envelope):
            raise self._throttled(reply)
        # Any other refusal may be the login limit, whose code is not published (register, U2).
        raise Transient(
            "Xandr cannot log this user in just now.",
            code="login_refused",
            retry_after=LOGIN_PAUSE,
            vendor_text=self._client.said(reply),
            status=reply.status,
        )

    # --- the envelope and its errors (sections 2.1, 2.2, 6.1 and 10.1)

    def _open(self, reply: Reply, *, effect: bool) -> Envelope:
        envelope = _envelope(reply)
        error_id, code = word(envelope.get("error_id")), word(envelope.get("error_code"))
        if reply.ok and envelope.get("status") == "OK" and not error_id and not code:
            return envelope
        if self._is_throttle(reply, envelope):
            raise self._throttled(reply)
        raise self._refusal(reply, error_id, effect=effect)

    def _refusal(self, reply: Reply, error_id: str, *, effect: bool) -> Exception:
        context: dict[str, Any] = {"vendor_text": self._client.said(reply), "status": reply.status}
        if error_id == "NOAUTH" or (reply.status == 401 and not error_id):
            return NotLoggedIn("The Xandr session is over.", **context)
        if error_id in ENDED_LOGINS:
            text, next_step = ENDED_LOGINS[error_id]
            return AuthenticationFailed(text, next_step=next_step, **context)
        if error_id == "UNAUTH":
            return Permanent(
                "Xandr does not permit this user to do that.",
                code="rights_missing",
                next_step="Ask Xandr for the right, or check the member id.",
                **context,
            )
        if error_id in {"SYNTAX", "INTEGRITY", "LIMIT"} and reply.status not in {404, 413}:
            return Permanent("Xandr refused the request.", code=f"xandr_{error_id.lower()}", **context)
        if reply.status >= 400 and error_id != "SYSTEM":
            return self._client.error_for(reply, effect=effect)
        if effect:
            return UnknownOutcome("Xandr answered with a fault of its own.", code="vendor_failed", **context)
        return Transient("Xandr answered with a fault of its own.", code="vendor_failed", **context)

    def _is_throttle(self, reply: Reply, envelope: Envelope) -> bool:
        """A throttle comes as 429, as 503 with its header, or as `RATE_EXCEEDED` under any status, even 200."""
        named = word(envelope.get("error_code")) == "RATE_EXCEEDED"
        return named or reply.status == 429 or (reply.status == 503 and "x-ratelimit-code" in reply.headers)

    def _throttled(self, reply: Reply) -> Transient:
        wait = reply.retry_after() or THROTTLE_PAUSE
        for kind in ("read", "write"):
            self._services.pacer.pause(f"{self._scope}:{kind}", wait, "Xandr asks us to slow down.")
        return Transient(
            "Xandr asks us to slow down.",
            code="throttled",
            retry_after=wait,
            vendor_text=self._client.said(reply),
            status=reply.status,
        )

    def _pace(self, method: str) -> None:
        """The client's budget: writes at half the pace of reads (section 6, “client budget”)."""
        rate = float(self._config.settings["requestsPerSecond"])
        if method == "GET":
            self._services.pacer.take(f"{self._scope}:read", per_second=rate, burst=READ_BURST)
        else:
            self._services.pacer.take(f"{self._scope}:write", per_second=rate / 2, burst=WRITE_BURST)


def _bare(marked: str) -> str:
    """The token as the vendor knows it, with no scheme word (register, U4)."""
    return marked.partition(" ")[2]


def _envelope(reply: Reply) -> Envelope:
    inner = reply.object().get("response")
    return inner if isinstance(inner, dict) else {}


def upload_error(reply: Reply) -> tuple[bool, str, str]:
    """An upload host's answer: whether it is a success, error code, text in one line (10.2)."""
    envelope = _envelope(reply)
    errors = envelope.get("errors") or envelope.get("error") or ""
    first = errors[0] if isinstance(errors, list) else errors
    success = reply.ok and envelope.get("status") == "OK" and not word(envelope.get("error_code"))
    return success, word(envelope.get("error_code")), " ".join(str(first).split())


def uploaded_job(reply: Reply) -> str:
    """The job that an upload host says it fed."""
    fed = _envelope(reply).get("segment_upload")
    return word(fed.get("job_id")) if isinstance(fed, dict) else ""


def _describe(reply: Reply) -> str:
    envelope = _envelope(reply)
    said = envelope.get("error") or envelope.get("errors") or envelope.get("error_code")
    if isinstance(said, list):
        said = "; ".join(str(item) for item in said)
    return one_line(str(said or ""))


def one_line(said: str) -> str:
    """The vendor's words in one line, without ids of people: a refusal may quote a line of the file."""
    return " ".join(USER_ID.sub("…", impersonal(said)).split())
