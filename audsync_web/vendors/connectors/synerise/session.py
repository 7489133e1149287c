"""Logging in with a workspace key and calling with the token that all workers share (spec sections 1.2, 1.3 and 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from datetime import timedelta
from typing import Any, Self

from audsync_web.vendors.connectors.base import Services, Token
from audsync_web.vendors.connectors.client import Reply, VendorClient
from audsync_web.vendors.connectors.errors import AuthenticationFailed, Permanent
from audsync_web.vendors.connectors.fields import AccountConfig, fingerprint
from audsync_web.vendors.connectors.tokens import token_end

from .wire import describe, refer

LOGIN = "/uauth/v2/auth/login/profile"
API_VERSION = "4.4"
ASSUMED_LIFE = timedelta(minutes=60)
LEAST_LEFT = timedelta(minutes=5)
RENEW_SHARE = 0.2

Send = Callable[[Mapping[str, str], tuple[int, ...]], Reply]


class Session:
    """The way to one workspace: headers, pace, token, one re-login a request."""

    def __init__(self, config: AccountConfig, services: Services, scope: str) -> None:
        self._key = config.credentials["apiKey"]
        self._services = services
        self._pace_key = f"{scope}:requests"
        self._aside_key = f"{scope}:aside"
        self._per_second = float(config.settings["requestsPerSecond"])
        self._token_key = f"synerise:{config.host}:{fingerprint(self._key)}"
        self._own_login = False
        self._place: Callable[[], AbstractContextManager[None]] = nullcontext
        self.client = VendorClient(
            base_url=config.base_url,
            vendor=config.vendor,
            allow_private_hosts=services.allow_private_hosts,
            user_agent=services.user_agent,
            pace=self._pace,
            describe=describe,
            throttled=self._throttled,
            refer=refer,
            secrets=(self._key,),
            answer_within=services.answer_within,
        )

    def read(self, path: str, *, accept: tuple[int, ...] = (), method: str = "GET", **call: Any) -> Reply:
        """A call without effect."""
        with self._place():
            return self._authorised(
                lambda bearer, also: self.client.read(
                    method, path, headers=_headers(path, bearer), accept=accept + also, **call
                )
            )

    def effect(self, method: str, path: str, *, accept: tuple[int, ...] = (), **call: Any) -> Reply:
        """A call that changes something, sent once."""
        with self._place():
            return self._authorised(
                lambda bearer, also: self.client.effect(
                    method, path, headers=_headers(path, bearer), accept=accept + also, **call
                )
            )

    def open_read(self, path: str) -> Reply:
        """A call without effect that needs no token."""
        return self.client.read("GET", path, headers=_headers(path, {}))

    def beside(self) -> Self:
        """The same session for calls that go on beside a delivery, one at a time: with one delivery at a time in a
        workspace, never more than two are under way there (section 5)."""
        twin = copy(self)
        twin._place = lambda: self._services.pacer.inside(self._aside_key, places=1)
        return twin

    # --- the token

    def _authorised(self, send: Send) -> Reply:
        """Call; where the token was refused, log in once and call once more (section 7.4). Nothing was done by then.

        An expired token answers 401 or 403 (section 1.3); 403 to a token that this session got itself is a missing
        right, and so is the second one.
        """
        token = self._services.tokens.current(self._token_key) or self._renewed(None)
        also = (401,) if self._own_login else (401, 403)
        reply = send({"Authorization": f"Bearer {token}"}, also)
        if reply.status not in also:
            return reply
        return send({"Authorization": f"Bearer {self._renewed(token)}"}, ())

    def _renewed(self, stale: str | None) -> str:
        return self._services.tokens.renew(self._token_key, stale, self._login)

    def _login(self) -> Token:
        """Exchange the key for a token (section 3.1). A refusal is final: nobody is locked out by trying."""
        reply = self.client.read(
            "POST", LOGIN, json_body={"apiKey": self._key}, headers=_headers("/v4"), accept=(401, 403)
        )
        if reply.status == 401:
            raise AuthenticationFailed(
                "Synerise rejected the key: it is wrong or inactive, not a workspace's, or of another region.",
                next_step="Enter a working workspace API key, and check that the API address is that of its region.",
                vendor_text=self.client.said(reply),
                status=401,
            )
        if reply.status == 403:
            raise AuthenticationFailed(
                "Synerise does not let this key in from here.",
                code="address_refused",
                next_step="Allow AudSync's address in the workspace's security settings, or take the restriction off.",
                vendor_text=self.client.said(reply),
                status=403,
            )
        token = reply.object().get("token")
        if not isinstance(token, str) or not token:
            raise Permanent(
                "Synerise answered the login without a token.",
                code="answer_unreadable",
                next_step="Check the API address of the vendor account.",
                status=reply.status,
            )
        self._own_login = True
        return self._dated(token)

    def _dated(self, token: str) -> Token:
        """Renew with less than a fifth of the life, and at least five minutes, left; halfway through a short life."""
        now = self._services.clock.now()
        end = token_end(token)
        if end is None or end <= now:
            end = now + ASSUMED_LIFE
        life = end - now
        early = min(max(RENEW_SHARE * life, LEAST_LEFT), life / 2)
        return Token(token, end - early)

    # --- pace

    def _pace(self, _method: str) -> None:
        self._services.pacer.take(self._pace_key, per_second=self._per_second)

    def _throttled(self, seconds: float) -> None:
        self._services.pacer.pause(self._pace_key, seconds, "Synerise asks us to slow down.")


def _headers(path: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Accept and content type always, the version on every /v4 call (section 1.2)."""
    version = {"Api-Version": API_VERSION} if path.startswith("/v4") else {}
    return {"Accept": "application/json", "Content-Type": "application/json", **version, **(more or {})}
