"""Who may come in: companies, their users, and the JWTs that a login gives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

DEMO_CREDENTIALS = {"email": "demo@northwind.example", "password": "demo-password-anonymised"}
"""The account that the demo signs in with."""

DEMO_SETTINGS: dict[str, Any] = {
    "identifier": "provider_id",
    "minSecondsBetweenUploads": 0,
    "pollFirstSeconds": 1,
    "pollMaxSeconds": 3,
    "requestsPerSecond": 20,
}
"""Settings fit for a vendor that answers within seconds."""

OTHER_CREDENTIALS = {"email": "demo@harbour.example", "password": "demo-password-harbour"}
"""A user of another company, whose segments must stay invisible."""


@dataclass(frozen=True)
class User:
    """One user of one company."""

    email: str
    password: str
    company_id: int


USERS = (
    User(DEMO_CREDENTIALS["email"], DEMO_CREDENTIALS["password"], 1),
    User(OTHER_CREDENTIALS["email"], OTHER_CREDENTIALS["password"], 2),
)


class Issuer:
    """Signs and reads JWTs (HS256) with a key that lives as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._generation = 0

    def issue(self, user: User, now: datetime, seconds: float) -> str:
        """A token for `user` that ends after `seconds`."""
        claims = {
            "sub": user.email,
            "companyId": user.company_id,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp() + seconds),
            "gen": self._generation,
            "jti": secrets.token_hex(8),
        }
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def company(self, token: str, now: datetime) -> int | None:
        """The company that a token speaks for; None when it is forged, ended or revoked."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = json.loads(_decode(signed.partition(".")[2]))
        if claims["exp"] <= now.timestamp() or claims["gen"] != self._generation:
            return None
        return int(claims["companyId"])

    def revoke_all(self) -> None:
        """End every token given so far."""
        self._generation += 1

    def _signature(self, signed: str) -> str:
        return _b64(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def find_user(email: str, password: str) -> User | None:
    """The user of this e-mail and password."""
    return next((user for user in USERS if user.email == email and user.password == password), None)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encode(value: dict[str, Any]) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
