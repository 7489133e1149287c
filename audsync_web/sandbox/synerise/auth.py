"""Logins and tokens: workspace key, user with second factor and workspace choice, permission check (spec section 3)."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from audsync_web.sandbox.framework import Response

from .frame import Call, Operation, Refused, refused
from .world import Workspace

Stage = Literal["first", "second", "workspace"]
MFA_MEMORY = timedelta(hours=8)
MFA_CODE = "123456"
PERMISSIONS = frozenset(
    [
        "API_BATCH_CLIENT_CREATE",
        "API_TAGS_CREATE",
        "API_TAGS_CLIENT_READ",
        "API_TAGS_READ",
        "API_ASSIGN_TAGS_EXECUTE",
        "API_BY_IDENTIFIER_CLIENT_READ",
        "API_BY_ID_CLIENT_READ",
        "API_BATCH_EVENTS_CREATE",
        "API_BY_ID_CLIENT_DELETE",
        "CRM_LIST_FROM_SEGMENTATION_CLIENT_READ",
        "CRM_LIST_FROM_MATERIALIZATION_CLIENT_CREATE",
        "CRM_LIST_FROM_MATERIALIZATION_CLIENT_READ",
        "CLIENT_EXPORTER_REPORT_CREATE",
        "ANALYTICS_BACKEND_LIST_EXPRESSION_READ",
        "ANALYTICS_BACKEND_LIST_AGGREGATE_READ",
    ]
)


@dataclass
class Session:
    """What a token stands for: a workspace, or a user on the way to one."""

    stage: Stage
    expires: datetime
    workspace: Workspace | None = None
    user: str = ""


@dataclass
class User:
    """A Synerise user; `devices` are remembered for eight hours after a second factor."""

    password: str
    mfa: bool
    devices: dict[str, datetime] = field(default_factory=dict)


class Auth:
    """Tokens of one sandbox, and the calls that hand them out."""

    def __init__(self, workspaces: dict[str, Workspace]) -> None:
        self.workspaces = workspaces
        self.profile_keys: set[str] = set()
        self.users: dict[str, User] = {}
        self.sessions: dict[str, Session] = {}
        self.logins = 0

    def operations(self) -> list[Operation]:
        """The rows of the table that this module serves."""
        user = "/uauth/auth/login/user"
        return [
            Operation(
                "POST", "/uauth/v2/auth/login/profile", self.login, "", "login", "checked", body=True, anyone=True
            ),
            Operation("POST", "/v4/auth/login/profile", self.login, "", "login", "required", body=True, anyone=True),
            Operation("GET", "/v4/auth/refresh/profile", self.refresh, version="required"),
            Operation("POST", "/uauth/api-key/permission-check", self.check_permissions, body=True),
            Operation("POST", user, self.user_login, body=True, anyone=True),
            Operation("POST", f"{user}/mfa/verification", self.verify, body=True, anyone=True),
            Operation("GET", "/uauth/business-profile", self.list_workspaces, anyone=True),
            Operation("GET", "/uauth/business-profile/current", self.current),
            Operation("POST", f"{user}/profile/{{uuid}}", self.choose, anyone=True),
        ]

    # --- tokens

    def issue(self, call: Call, stage: Stage, *, workspace: Workspace | None = None, user: str = "") -> str:
        """A new token, in the shape of a JWS with `exp` unless the switch says opaque."""
        expires = call.now + timedelta(seconds=call.number("token_seconds", 3600))
        token = secrets.token_urlsafe(24)
        if not call.on("opaque_tokens"):
            token = ".".join([_part({"alg": "RS512"}), _part({"exp": int(expires.timestamp())}), token])
        self.sessions[token] = Session(stage, expires, workspace, user)
        return token

    def session(self, call: Call) -> Session:
        """Whose token the call shows, else 401."""
        scheme, _, token = call.request.header("authorization").partition(" ")
        found = self.sessions.get(token) if scheme == "Bearer" else None
        if found is None:
            raise refused(401, "Full authentication is required", error="Unauthorized")
        if found.expires <= call.now:
            raise refused(401, "Token expired.", error="Token expired.")
        call.token = token
        return found

    def workspace(self, call: Call) -> Workspace:
        """The workspace that the call may touch, else 401 or 403."""
        found = self.session(call)
        if found.workspace is None:
            raise refused(403, "No workspace is chosen")
        return found.workspace

    def expire_all(self, now: datetime) -> None:
        """End every token."""
        for session in self.sessions.values():
            session.expires = min(session.expires, now)

    # --- workspace key

    def login(self, call: Call) -> Response:
        """Exchange a workspace key for a token; a profile key is no workspace key."""
        self.logins += 1
        key = call.body.get("apiKey") if isinstance(call.body, dict) else None
        workspace = next((w for w in self.workspaces.values() if w.key == key), None)
        if workspace is None:
            raise refused(401, "Could not authenticate", error="Unauthorized")
        if call.on("address_refused"):
            raise refused(403, "IP address is not allowed")
        return Response.of({"token": self.issue(call, "workspace", workspace=workspace)})

    def refresh(self, call: Call) -> Response:
        """A new token for one that is still valid."""
        return Response.of({"token": self.issue(call, "workspace", workspace=self.workspace(call))})

    def check_permissions(self, call: Call) -> Response:
        """Whether the key has each of the named permissions."""
        if call.on("no_permission_check"):
            raise refused(404, "Not found")
        if not isinstance(call.body, list):
            raise refused(400, "An array of names is needed")
        granted = PERMISSIONS - missing_permissions(call)
        answer = {str(name): name in granted for name in call.body}
        return Response.of({"businessProfileName": call.workspace.name, "permissions": answer})

    # --- user, second factor, workspace choice

    def user_login(self, call: Call) -> Response:
        """First factor; a device remembered from the last eight hours needs no second."""
        given = call.body if isinstance(call.body, dict) else {}
        name = str(given.get("username", ""))
        user = self.users.get(name)
        if user is None or user.password != given.get("password"):
            raise refused(401, "Bad credentials")
        remembered = user.devices.get(str(given.get("deviceId", "")), call.now) > call.now
        needed = user.mfa and not remembered
        token = self.issue(call, "first" if needed else "second", user=name)
        return Response.of({"token": token, "consumer": self._consumer(name, None), "mfaMethods": _methods(needed)})

    def verify(self, call: Call) -> Response:
        """Second factor."""
        found = self.session(call)
        call.choice("mfaType", "", ("TOTP_AUTHENTICATOR", "EMAIL"))
        given = call.body if isinstance(call.body, dict) else {}
        if given.get("verificationCode") != MFA_CODE:
            raise refused(401, "Wrong code")
        if given.get("deviceId"):
            self.users[found.user].devices[str(given["deviceId"])] = call.now + MFA_MEMORY
        token = self.issue(call, "second", user=found.user)
        return Response.of({"token": token, "consumer": self._consumer(found.user, None), "mfaMethods": []})

    def list_workspaces(self, call: Call) -> Response:
        """The workspaces that a user may enter."""
        self._user(call)
        return Response.of([_shown(workspace) for workspace in self.workspaces.values()])

    def choose(self, call: Call) -> Response:
        """A token for one workspace."""
        found = self._user(call)
        workspace = self.workspaces.get(call.values["uuid"])
        if workspace is None:
            raise refused(404, "No such workspace")
        token = self.issue(call, "workspace", workspace=workspace, user=found.user)
        return Response.of({"token": token, "consumer": self._consumer(found.user, workspace.number)})

    def current(self, call: Call) -> Response:
        """The workspace of the token."""
        data = {**_shown(call.workspace), "ipRestriction": "OFF", "mfaRestriction": "OFF"}
        return Response.of({"selected": True, "data": data})

    def _user(self, call: Call) -> Session:
        found = self.session(call)
        if not found.user or found.stage == "first":
            raise refused(403, "The second factor is missing")
        return found

    def _consumer(self, name: str, workspace: int | None) -> dict[str, Any]:
        return {
            "type": "USER",
            "businessProfileId": workspace,
            "name": name,
            "id": 90210,
            "authorities": [],
            "roles": "-2",
        }


def missing_permissions(call: Call) -> set[str]:
    """Names that the switch `missing_permissions` takes away."""
    return {name.strip() for name in call.faults.get("synerise.missing_permissions").split(",") if name.strip()}


def need_permission(call: Call, name: str) -> None:
    """403 when the key lacks the right of an operation."""
    if name and name in missing_permissions(call):
        raise Refused(403, refused(403, f"Permission {name} is missing").body)


def _methods(needed: bool) -> list[str]:
    return ["TOTP_AUTHENTICATOR"] if needed else []


def _shown(workspace: Workspace) -> dict[str, Any]:
    shown = {"businessProfileGuid": workspace.guid, "logo": "", "name": workspace.name, "id": workspace.number}
    return {**shown, "created": "2020-01-01T00:00:00Z", "subdomain": "", "ipRestricted": False, "mfaRequired": False}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
