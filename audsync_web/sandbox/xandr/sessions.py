"""The Authentication Service and request throttling (spec sections 3.1, 6.1 and 13, points 1 to 4 and 6)."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from audsync_web.sandbox.framework import Request, Response

from .model import CLIENT_LOGINS, IDLE_SECONDS, LOGIN_SECONDS, LOGIN_WINDOW, MOST_LOGINS, Refused, World

COOKIE = "IBAPI_SESSID"
TOO_MANY = "You have exceeded your request limit of {limit} per 60 seconds for this user, please wait and try again"


@dataclass
class Session:
    """One token: whose it is, when it was made and when it was last used."""

    username: str
    made_at: datetime
    used_at: datetime


def throttled(text: str, wait: int, status: int = 429) -> Response:
    """The body of an API throttle; its headers only with 429 and 503."""
    body = {
        "error_id": "SYSTEM",
        "error_code": "RATE_EXCEEDED",
        "error_description": "rate limit has been exceeded",
        "error": text,
    }
    headers = {"Retry-After": str(wait), "x-ratelimit-code": "0", "x-ratelimit-count": "101", "x-an-user-id": "7"}
    answer = Response.of({"response": body}, status)
    answer.headers.update(headers if status in {429, 503} else {})
    return answer


class Sessions:
    """Tokens, logins and each user's calls of the last minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.live: dict[str, Session] = {}
        self._logins: dict[str, deque[datetime]] = {}
        self._calls: dict[tuple[str, str], deque[datetime]] = {}

    def login(self, request: Request) -> Response:
        """`POST /auth`."""
        if request.method != "POST":
            request.violate("login by anything but POST")
            raise Refused("SYNTAX", "method not allowed", status=405)
        if request.media_type != "application/json":
            request.violate("login without Content-Type: application/json")
        given = _credentials(request)
        held = self.world.users.get(given[0])
        if held is None or held[0] != given[1]:
            raise Refused("NOAUTH", "No match found for user/pass", status=401 if self.world.impbus else 200)
        if self.world.text("login_refused"):
            raise Refused(self.world.text("login_refused"), "login is not possible", status=200)
        recent = self._recent(given[0])
        if len(recent) >= CLIENT_LOGINS:
            request.violate(f"more than {CLIENT_LOGINS} logins in 5 minutes")
        if len(recent) >= MOST_LOGINS:
            return throttled("too many logins", LOGIN_WINDOW)
        return self._open(given[0], recent)

    def _open(self, username: str, recent: deque[datetime]) -> Response:
        now = self.world.now()
        recent.append(now)
        token = ("hbapi:" if len(recent) % 2 else "authn:7:") + secrets.token_hex(16)
        self.live[token] = Session(username, now, now)
        answer: dict[str, object] = {"token": token, "dbg_info": {"version": "1.18.349", "warnings": []}}
        if not self.world.impbus:
            answer["status"] = "OK"
        return Response.of({"response": answer}, Set_Cookie=f"{COOKIE}={token}")

    def _recent(self, username: str) -> deque[datetime]:
        window = self._logins.setdefault(username, deque())
        return _within(window, self.world.now(), LOGIN_WINDOW)

    def user(self, request: Request) -> str:
        """The user name of a call's token; NOAUTH when there is none that lives."""
        token = request.header("authorization") or _cookie(request)
        if token.startswith("Bearer "):
            request.violate("token sent with a scheme word")
            token = "" if self.world.strict else token[7:]
        if self.world.take("expired_token"):
            self.live.pop(token, None)
        session = self.live.get(token)
        now = self.world.now()
        if session is None or not _lives(session, now):
            hard = session is not None and now - session.made_at >= timedelta(seconds=LOGIN_SECONDS)
            self.live.pop(token, None)
            raise Refused("NOAUTH", "Authentication failed - not logged in", status=self._noauth_status(hard))
        session.used_at = now
        return session.username

    def _noauth_status(self, hard: bool) -> int:
        default = 401 if hard and self.world.impbus else 200
        return int(self.world.number("noauth_status", default))

    def throttle(self, request: Request, username: str) -> Response | None:
        """429 over the budget of `reads_per_minute` or `writes_per_minute`; 0 is no budget."""
        kind = "reads" if request.method == "GET" else "writes"
        limit = int(self.world.number(f"{kind}_per_minute", 0))
        if not limit:
            return None
        now = self.world.now()
        calls = _within(self._calls.setdefault((username, kind), deque()), now, 60)
        if len(calls) < limit:
            calls.append(now)
            return None
        request.violate(f"more than {limit} {kind} in a minute")
        wait = 60 - int((now - calls[0]).total_seconds())
        return throttled(TOO_MANY.format(limit=limit), max(1, wait))


def _lives(session: Session, now: datetime) -> bool:
    idle = (now - session.used_at).total_seconds()
    return idle < IDLE_SECONDS and (now - session.made_at).total_seconds() < LOGIN_SECONDS


def _within(window: deque[datetime], now: datetime, seconds: int) -> deque[datetime]:
    while window and (now - window[0]).total_seconds() >= seconds:
        window.popleft()
    return window


def _cookie(request: Request) -> str:
    for pair in request.header("cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _credentials(request: Request) -> tuple[str, str]:
    try:
        given = request.json()["auth"]
        return str(given["username"]), str(given["password"])
    except (ValueError, KeyError, TypeError):
        raise Refused("SYNTAX", "auth object is required", status=400) from None
