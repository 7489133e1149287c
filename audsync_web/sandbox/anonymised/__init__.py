"""Anonymised UserSync as a strict emulator of its seven calls, E1–E7, below `/api/public/v3` (spec section 11).

Faults, each `anonymised.<name>`; `<call>` is one of login, create, publish, send (the upload), list, detail, active.
Without `_<call>` a fault meets whichever call comes next; `3x` as a value means: three times, then no more.

- `delay`: seconds before every answer · `slow_body`: seconds in the middle of every answer's body
- `throttle`, `throttle_<call>`: 429; `retry_after`: its Retry-After in seconds (2; `none` for no header)
- `server_error`, `server_error_<call>`: 500, nothing done · `unavailable`, `unavailable_<call>`: 503 with Retry-After
- `error_after_<call>`: 500, but the work was done
- `drop_before_<call>`, `drop_after_<call>`: the connection closes before or after the work was done
- `reject_token`, `reject_token_<call>`: 401 for a token that is good · `token_seconds`: lifetime of tokens (3600)
- `html_errors`: error answers are HTML · `extra_fields`: every object holds fields nobody knows
- `unknown_status`: a status nobody knows instead of `processing` (its own text if it is a word)
- `pending_seconds` (1), `processing_seconds` (2), `deletion_seconds` (2), `activation_seconds` (0): phases
- `fail`: processing fails; a text is shown as `details` · `stuck`: processing never ends
- `removed_unprocessed`: pending → deletion → deleted, never processed
- `superseded`: what becomes of the active upload when the next succeeds: `deleted` (default), `deletion_failed`, `off`
- `vocabulary`: `short` (completed, failed; default), `long` (processed, processing_failed) or `mixed`
- `max_bytes`: largest file (50000000) · `keep_members`: `off` keeps no member lists (for huge uploads)
- `wrong_count`: `recordsCount` one short · `omit_md5`: no `fileMD5` · `shuffle_list`: the upload list in any order
- `lax_header`: any single column is a header, a member included · `bad_rows_later`: a bad row fails at processing
- `accept_blank_lines`, `accept_mark`, `accept_any_bytes`, `accept_header_only`: taken instead of 400
- `media_type_415`: another content type is 415 instead of 400 · `duplicate_names`: a name used twice is 400
- `republish`: answer to a second publish: 200 (default), 400 or 409
- `show_staged`: the active membership of an unpublished segment is shown (else 404)

Controls (`POST /_control/anonymised/<action>`): `members` {segment} gives every member; `revoke` ends all tokens.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from audsync_web.sandbox.framework import Context, DropConnection, Request, Response, VendorSandbox

from .accounts import DEMO_CREDENTIALS, DEMO_SETTINGS, OTHER_CREDENTIALS, Issuer, find_user
from .csvbody import TOO_LARGE, CsvBody, Refused, Rules
from .store import Fate, Segment, Store, Upload, seconds

__all__ = ["DEMO_CREDENTIALS", "DEMO_SETTINGS", "OTHER_CREDENTIALS", "AnonymisedSandbox"]

BASE = ["api", "public", "v3"]
ORIGIN = "https://account.anonymised.io"
SHOWN_MEMBERS = 1000

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class Call:
    """One recognised call: its name and the ids in its path."""

    name: str
    segment: str = ""
    upload: str = ""


def recognise(method: str, pieces: list[str]) -> Call | None:
    """Which of the seven calls a request is; None for anything else."""
    if pieces[:3] != BASE:
        return None
    match method, pieces[3:]:
        case "POST", ["login"]:
            return Call("login")
        case "POST", ["segment"]:
            return Call("create")
        case "POST", ["segment", segment, "publish"]:
            return Call("publish", segment)
        case "POST", ["segment", segment, "membership", "upload"]:
            return Call("send", segment)
        case "GET", ["segment", segment, "membership", "upload"]:
            return Call("list", segment)
        case "GET", ["segment", segment, "membership", "upload", upload]:
            return Call("detail", segment, upload)
        case "GET", ["segment", segment, "membership"]:
            return Call("active", segment)
        case _:
            return None


def _json_object(request: Request) -> dict[str, Any]:
    try:
        value = request.json()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "expected a JSON object")
    return value


class AnonymisedSandbox(VendorSandbox):
    """Two companies, their segments and uploads, in memory; member lists over 4 MB in nameless temporary files."""

    name: ClassVar[str] = "anonymised"
    base_path: ClassVar[str] = "/api/public/v3"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.store = Store()
        self.issuer = Issuer()
        self.logins = 0

    # -- the front door

    def handle(self, request: Request) -> Response:
        """Answer one request; every error is `{"error": …}`."""
        try:
            response = self._route(request)
        except Refused as refused:
            response = Response.of({"error": refused.error}, refused.status)
            if self._on("html_errors"):
                response = Response(refused.status, b"<html><body>error</body></html>", {"Content-Type": "text/html"})
            response.headers.update(refused.headers)
        response.pause = self._number("slow_body", 0.0)
        return response

    def _route(self, request: Request) -> Response:
        call = recognise(request.method, request.segments())
        if call is None:
            if "/membership/upload" in request.path:
                request.violate("called a path that does not exist below membership/upload")
            raise Refused(404, "not found")
        self._trouble(call.name)
        if call.name == "login":
            return self._done(call.name, self._login(request))
        company = self._company(request, call.name)
        if call.name == "create":
            return self._done(call.name, self._create(request, company))
        segment = self._segment(call.segment, company)
        work: dict[str, Callable[[], Response]] = {
            "publish": lambda: self._publish(request, segment),
            "send": lambda: self._send(request, segment),
            "list": lambda: self._list(segment),
            "detail": lambda: self._detail(segment, call.upload),
            "active": lambda: self._active(segment),
        }
        return self._done(call.name, work[call.name](), segment)

    def _trouble(self, call: str) -> None:
        """Faults that come before any work."""
        if self._happens("throttle", call):
            raise Refused(429, "too many requests", self._retry_after())
        if self._happens("server_error", call):
            raise Refused(500, "internal error")
        if self._happens("unavailable", call):
            raise Refused(503, "temporarily unavailable", self._retry_after())
        if self.fault(f"drop_before_{call}"):
            raise DropConnection

    def _done(self, call: str, response: Response, segment: Segment | None = None) -> Response:
        """Faults that come when the work is done."""
        if not 200 <= response.status < 300:
            return response
        lost = self.fault(f"drop_after_{call}")
        failed = self.fault(f"error_after_{call}")
        if segment is not None and (lost or failed):
            segment.publish_answer_lost |= call == "publish"
            segment.upload_answer_lost |= call == "send"
        if failed:
            raise Refused(500, "internal error")
        response.drop = lost
        return response

    def _retry_after(self) -> dict[str, str]:
        wish = self.faults.get(f"{self.name}.retry_after", "2")
        return {} if wish == "none" else {"Retry-After": wish}

    def _happens(self, fault: str, call: str) -> bool:
        return self.fault(f"{fault}_{call}") or self.fault(fault)

    def _on(self, fault: str) -> bool:
        return self.faults.on(f"{self.name}.{fault}")

    def _number(self, fault: str, default: float) -> float:
        return self.faults.number(f"{self.name}.{fault}", default)

    # -- E1 and who is asking

    def _login(self, request: Request) -> Response:
        if request.media_type != "application/json":
            request.violate("logged in without a JSON content type")
            raise Refused(400, "expected JSON")
        given = _json_object(request)
        email, password = given.get("email"), given.get("password")
        if not isinstance(email, str) or not isinstance(password, str):
            raise Refused(400, "email and password are required")
        if request.header("origin") != ORIGIN:
            request.violate("logged in without the Origin header")
            raise Refused(403, "origin not allowed")
        user = find_user(email, password)
        if user is None:
            raise Refused(401, "invalid credentials")
        with self.lock:
            self.logins += 1
        token = self.issuer.issue(user, self.clock.now(), self._number("token_seconds", 3600))
        return self._object({"token": token})

    def _company(self, request: Request, call: str) -> int:
        scheme, _, token = request.header("authorization").partition(" ")
        company = self.issuer.company(token, self.clock.now()) if scheme == "Bearer" else None
        if company is None or self._happens("reject_token", call):
            raise Refused(401, "invalid or missing token")
        return company

    def _segment(self, text: str, company: int) -> Segment:
        segment = self.store.segments.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None
        if segment is None or segment.company_id != company:
            raise Refused(404, "segment not found")
        with self.lock:
            segment.advance(self.clock.now(), self.faults.get(f"{self.name}.superseded", "deleted"))
        return segment

    # -- E2 and E3: segments

    def _create(self, request: Request, company: int) -> Response:
        if request.media_type != "application/json":
            request.violate("created a segment without a JSON content type")
        given = _json_object(request)
        name, days = given.get("name"), given.get("durationDays")
        if not isinstance(name, str) or not name.strip():
            raise Refused(400, "name must be a non-empty string")
        if isinstance(days, bool) or not isinstance(days, int) or days < 1:
            raise Refused(400, "durationDays must be a positive integer")
        if given.get("type") != "core":
            raise Refused(400, "type must be core")
        if len(name) > 120 or days > 365:
            request.violate("sent a name over 120 characters or a duration over 365 days")
        with self.lock:
            if any(other.name == name and other.company_id == company for other in self.store.segments.values()):
                request.violate("created a segment under a name used before")
                if self._on("duplicate_names"):
                    raise Refused(400, "a segment of this name exists")
            segment = self.store.create(company, name, days, self.clock.now())
        return self._object(segment.shown(fresh=True), 201)

    def _publish(self, request: Request, segment: Segment) -> Response:
        with self.lock:
            if segment.published_at is not None:
                if not segment.publish_answer_lost:
                    request.violate("published a segment that is published")
                status = int(self._number("republish", 200))
                if status != 200:
                    raise Refused(status, "segment is already published")
            segment.publish_answer_lost = False
            segment.publish(self.clock.now())
        return self._object(segment.shown(fresh=False))

    # -- E4: the upload

    def _send(self, request: Request, segment: Segment) -> Response:
        self._check_headers(request, segment)
        body = CsvBody(self._rules(), request.violate, keep=self.faults.get(f"{self.name}.keep_members") != "off")
        for block in request.blocks():
            body.feed(block)
        declared = request.header("x-content-md5")
        if declared and (not _MD5.fullmatch(declared) or declared.lower() != body.md5):
            request.violate("sent a wrong MD5")
            raise Refused(400, "MD5 mismatch")
        body.finish()
        with self.lock:
            segment.upload_answer_lost = False
            records = body.records - (1 if self._on("wrong_count") else 0)
            fate = self._fate(body.bad_rows)
            upload = self.store.add_upload(segment, body.bytes, records, body.md5, fate, body.content, self.clock.now())
        return self._object(self._shown(upload, details=False), 201)

    def _check_headers(self, request: Request, segment: Segment) -> None:
        if request.media_type != "text/csv":
            request.violate("sent a membership that is not text/csv")
            raise Refused(415 if self._on("media_type_415") else 400, "expected text/csv")
        if request.length is None:
            request.violate("sent a membership without Content-Length")
        elif request.length > int(self._number("max_bytes", 50_000_000)):
            raise Refused(413, TOO_LARGE)
        if request.header("content-encoding"):
            request.violate("compressed the body")
        if any(upload.running for upload in segment.uploads.values()):
            request.violate("uploaded while another upload of the segment runs")
        if segment.upload_answer_lost:
            request.violate("uploaded again after a lost answer without listing uploads first")

    def _rules(self) -> Rules:
        return Rules(
            max_bytes=int(self._number("max_bytes", 50_000_000)),
            lax_header=self._on("lax_header"),
            bad_rows_later=self._on("bad_rows_later"),
            blank_lines=self._on("accept_blank_lines"),
            mark=self._on("accept_mark"),
            any_bytes=self._on("accept_any_bytes"),
            header_only=self._on("accept_header_only"),
        )

    def _fate(self, bad_rows: str) -> Fate:
        odd, failing = self.faults.get(f"{self.name}.unknown_status"), self.faults.get(f"{self.name}.fail")
        reason = failing if not failing.rstrip("x").isdigit() else "the data could not be loaded"
        return Fate(
            pending=self._number("pending_seconds", 1.0),
            processing=self._number("processing_seconds", 2.0),
            deletion=self._number("deletion_seconds", 2.0),
            activation=self._number("activation_seconds", 0.0),
            fails_with=(reason if self.fault("fail") else "") or bad_rows,
            removed_unprocessed=self.fault("removed_unprocessed"),
            stuck=self.fault("stuck"),
            vocabulary=self.faults.get(f"{self.name}.vocabulary", "short"),
            odd_word=(odd if odd.isalpha() else "quarantined") if self.fault("unknown_status") else "",
        )

    # -- E5, E6, E7: looking

    def _list(self, segment: Segment) -> Response:
        with self.lock:
            segment.upload_answer_lost = False
            shown = [self._shown(upload, details=False) for upload in segment.uploads.values()]
        if self._on("shuffle_list"):
            random.shuffle(shown)
        return Response.of([self._extended(upload) for upload in shown])

    def _detail(self, segment: Segment, upload_id: str) -> Response:
        upload = segment.uploads.get(upload_id.lower()) if _UUID.fullmatch(upload_id) else None
        if upload is None:
            raise Refused(404, "upload not found")
        return self._object(self._shown(upload, details=True))

    def _active(self, segment: Segment) -> Response:
        with self.lock:
            found = segment.membership(self.clock.now(), show_staged=self._on("show_staged"))
        if found is None:
            raise Refused(404, "no active membership data found for segment")
        upload, since = found
        return self._object(
            {"segmentId": segment.id, "activeMembershipUploadId": upload.id, "createdAt": seconds(since)}
        )

    def _shown(self, upload: Upload, *, details: bool) -> dict[str, Any]:
        return upload.shown(details=details, md5=not self._on("omit_md5"))

    def _extended(self, value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "futureField": {"nested": [1, None]}} if self._on("extra_fields") else value

    def _object(self, value: dict[str, Any], status: int = 200) -> Response:
        return Response.of(self._extended(value), status)

    # -- what tests look at

    def state(self) -> dict[str, Any]:
        """Segments with their members (at most 1,000 each) and uploads."""
        with self.lock:
            self._advance_all()
            return {
                "logins": self.logins,
                "segments": [self._segment_state(segment) for segment in self.store.segments.values()],
                "jobs": [
                    {**upload.shown(details=True), "phase": upload.phase.value}
                    for segment in self.store.segments.values()
                    for upload in segment.uploads.values()
                ],
            }

    def _segment_state(self, segment: Segment) -> dict[str, Any]:
        listed = segment.members()
        current = segment.active or segment.staged
        return {
            **segment.shown(fresh=False),
            "activeUpload": segment.active.id if segment.active else None,
            "stagedUpload": segment.staged.id if segment.staged else None,
            "memberCount": current.records if current else 0,
            "members": listed[:SHOWN_MEMBERS],
        }

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """`members` {segment} and `revoke`."""
        if action == "revoke":
            return self.issuer.revoke_all()
        if action != "members":
            raise KeyError(action)
        with self.lock:
            self._advance_all()
            return self.store.segments[int(arguments["segment"])].members()

    def _advance_all(self) -> None:
        for segment in self.store.segments.values():
            segment.advance(self.clock.now(), self.faults.get(f"{self.name}.superseded", "deleted"))
