"""Signing in (E1) and calling with a token that all workers share (spec sections 2, 3 and 10, rules 2–4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from audsync_web.vendors.connectors.base import Services, Token
from audsync_web.vendors.connectors.client import Reply, VendorClient
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent
from audsync_web.vendors.connectors.fields import AccountConfig
from audsync_web.vendors.connectors.tokens import token_end

from .wire import describe

ORIGIN = "https://account.anonymised.io"
TOKEN_AGE = timedelta(minutes=10)
RENEW_EARLY = timedelta(seconds=60)
LOGINS_PER_SECOND = 0.1
LOGIN_BURST = 6

Send = Callable[[Mapping[str, str], tuple[int, ...]], Reply]


class Session:
    """The seven calls' way to the vendor. `scope` is the connection that pace and tokens belong to."""

    def __init__(self, config: AccountConfig, services: Services, scope: str) -> None:
        self._config = config
        self._services = services
        self._scope = scope
        email, password = config.credentials["email"], config.credentials["password"]
        # A stored token counts only for the password that it was got with, so a changed password is proved anew.
        self._mark = hashlib.sha256(f"{email}\0{password}".encode()).hexdigest()[:32] + " "
        self.client = VendorClient(
            base_url=config.base_url,
            vendor=config.vendor,
            allow_private_hosts=services.allow_private_hosts,
            user_agent=services.user_agent,
            pace=self._pace,
            describe=describe,
            throttled=self._throttled,
            secrets=(password,),
            answer_within=services.answer_within,
        )

    def read(self, path: str, values: Mapping[str, str], accept: tuple[int, ...] = ()) -> Reply:
        """A GET with the token."""
        return self.authorised(
            lambda bearer, also: self.client.read("GET", path, values=values, headers=bearer, accept=accept + also)
        )

    def effect(self, path: str, **call: Any) -> Reply:
        """A POST with the token and a small body, sent once."""
        return self.authorised(
            lambda bearer, also: self.client.effect("POST", path, headers=bearer, accept=also, **call)
        )

    def authorised(self, send: Send) -> Reply:
        """Call with the shared token; on a 401, where nothing was done, sign in once and call once more (rule 4)."""
        stored = self.token()
        reply = send(self._bearer(stored), (401,))
        if reply.status != 401:
            return reply
        return send(self._bearer(self._renewed(stored)), ())

    def token(self) -> str:
        """The shared token, signed in for where there is none yet for these credentials."""
        stored = self._services.tokens.current(self._scope)
        return stored if stored and stored.startswith(self._mark) else self._renewed(stored)

    def _renewed(self, stale: str | None) -> str:
        return self._services.tokens.renew(self._scope, stale, self._login)

    def _bearer(self, stored: str) -> dict[str, str]:
        return {"Accept": "application/json", "Authorization": f"Bearer {stored.partition(' ')[2]}"}

    def _login(self) -> Token:
        """E1. Refused credentials stop for good: repeating them could lock the vendor's user out (A-U5)."""
        self._services.pacer.take(f"{self._scope}:login", per_second=LOGINS_PER_SECOND, burst=LOGIN_BURST)
        credentials = self._config.credentials
        reply = self.client.read(
            "POST",
            "/login",
            json_body={"email": credentials["email"], "password": credentials["password"]},
            headers={"Accept": "application/json", "Origin": ORIGIN},
            accept=(400, 401, 403),
            retries=0,
        )
        if not reply.ok:
            raise AuthenticationFailed(
                "Anonymised rejected the e-mail or the password.",
                next_step="Enter the working e-mail and password of this account.",
                vendor_text=self.client.said(reply),
                status=reply.status,
            )
        token = reply.object().get("token")
        if not isinstance(token, str) or not token:
            raise Permanent(
                "Anonymised answered the login without a token.",
                code="answer_unreadable",
                next_step="Check the API address of the vendor account.",
                status=reply.status,
            )
        return self._dated(token)

    def _dated(self, token: str) -> Token:
        """When to renew: 60 s before its end (halfway through a very short life), else after ten minutes (A-U4)."""
        now, end = self._services.clock.now(), token_end(token)
        if end is None or end <= now:
            return Token(self._mark + token, now + TOKEN_AGE)
        return Token(self._mark + token, max(end - RENEW_EARLY, now + (end - now) / 2))

    def _pace(self, _method: str) -> None:
        self._services.pacer.take(self._scope, per_second=float(self._config.settings["requestsPerSecond"]))

    def _throttled(self, seconds: float) -> None:
        self._services.pacer.pause(self._scope, seconds, "Anonymised asks us to slow down.")
