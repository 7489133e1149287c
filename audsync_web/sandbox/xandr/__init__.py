"""Xandr as a strict emulator: login, segments, batch segment upload jobs, the upload host (spec section 13).

Member 7702 belongs to the demo user, member 8110 is a partner that nobody here may write. Times are short, so that a
demo does not wait; `xandr.vendor_times` brings the vendor's own.

Faults and switches, each `xandr.<name>` (counted ones take `2x`):

- `delay`: seconds before every answer
- `host`: `console` (default) or `impbus` · `legacy`: Impbus objects with `active` and `last_activity`
- `strict`: refuse what is only noted else (scheme word, uploads too close, repeated pairs)
- `vendor_times`: propagation, upload interval and phases as long as at the vendor; each has a switch of its own, too:
  `propagation_seconds`, `upload_interval_seconds`, `validating_seconds`, `processing_seconds`
- `throttle`: 429 · `throttle_503`: 503 with x-ratelimit-code · `throttle_200`: 200 with RATE_EXCEEDED;
  `retry_after` gives the seconds (default 2)
- `reads_per_minute`, `writes_per_minute`: budget of a user, 429 above it (0: none)
- `unavailable`: 503 without x-ratelimit-code · `server_error`: 500 · `system`: 200 with SYSTEM; nothing done
- `drop_before_<call>` / `drop_after_<call>`: the connection breaks before or after the work; `<call>` is `auth`,
  `create`, `publish` (any change of a segment), `delete`, `job`, `upload` or `read`
- `fails_after_<call>`: done, then 500
- `drop_during_upload`: the connection breaks in the file; the job ends in `error`
- `expired_token`: the token of the next call is forgotten · `noauth_status`: HTTP status of NOAUTH
- `login_refused`: an error_id that `/auth` answers right credentials with
- `upload_url`: what step 1 gives instead of an address of its own · `wrong_job_id`: step 2 names another job
- `upload_minutes`: how long the next uploads seem to take · `file_too_large`, `hourly_byte_limit`,
  `daily_byte_limit`, `hourly_num_lines_limit`, `daily_num_lines_limit`: step 2 refuses with that error
- `most_file_bytes`: the largest file on the wire (500,000,000) · `upload_code`: step 2 refuses with this code
- `most_waiting`: jobs that may wait (200)
- `stuck`: `validating` or `processing`, never left · `fails_uploading`, `fails_validating`, `fails_processing`: jobs
  that end in `error`, the last one with half of the file applied; `error_code` gives their code
- `unknown_status`: jobs that have not ended show a phase that nobody knows
- `counters`: figures to show in place of the true ones, `num_valid:3,num_valid_user:none`
- `segment_log`: `current`, `lines`, `dashes` or `garbage` · `unknown_job`: `null`, `object`, `array` or `error`
- `null_count`: history without a count · `singular`: a segment read by id comes as `segment`
- `unknown_percent`: share of well-formed users that the vendor does not know (0)

Controls (`POST /_control/xandr/<action>`): `members` {segment}: all members now; `segment` {…}: make one that is old
enough; `seed` {segment, ids}: put members in; `configure` {memberId, …}: batch configuration; `unknown` {ids};
`jobs` {count}: history of finished jobs; `forget` {jobId}; `logout`: every token ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from audsync_web.sandbox.framework import Context, DropConnection, Request, Response, VendorSandbox

from .batch import BatchService
from .model import (
    DEMO_CREDENTIALS,
    DEMO_MEMBER,
    DEMO_SETTINGS,
    LONGEST_MINUTES,
    PARTNER_MEMBER,
    MemberConfig,
    Refused,
    Segment,
    World,
)
from .segments import SHARED_SEGMENT, SegmentService
from .sessions import Sessions, throttled
from .upload_host import UploadHost

__all__ = ["DEMO_CREDENTIALS", "DEMO_MEMBER", "DEMO_SETTINGS", "PARTNER_MEMBER", "XandrSandbox"]

VERSION = re.compile(r"current|v\d+\.\d+")
CALLS = {
    ("auth", "POST"): "auth",
    ("segment", "POST"): "create",
    ("segment", "PUT"): "publish",
    ("segment", "DELETE"): "delete",
    ("batch-segment", "POST"): "job",
    ("segment-upload", "POST"): "upload",
}
SHOWN_MEMBERS = 1000


class XandrSandbox(VendorSandbox):
    """Both API hosts and the upload host behind one prefix."""

    name: ClassVar[str] = "xandr"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.world = World(self.clock, self.faults, self.lock)
        self.sessions = Sessions(self.world)
        self.segments = SegmentService(self.world)
        self.batch = BatchService(self.world)
        self.upload_host = UploadHost(self.world, self.batch)
        self._fill()

    def _fill(self) -> None:
        user, password = DEMO_CREDENTIALS["username"], DEMO_CREDENTIALS["password"]
        self.world.users[user] = (password, frozenset({DEMO_MEMBER}))
        self.world.users["second_sandbox_user"] = (password, frozenset({DEMO_MEMBER, PARTNER_MEMBER}))
        self.world.configs = {number: MemberConfig(number) for number in (DEMO_MEMBER, PARTNER_MEMBER)}
        self._make_segment({"id": SHARED_SEGMENT, "memberId": 0, "code": None, "name": "Shared by the vendor"})
        self._make_segment({"id": 1200, "memberId": PARTNER_MEMBER, "code": "partner_vip", "name": "Partner VIP"})

    # --- routing

    def handle(self, request: Request) -> Response:
        """One call to any of the hosts."""
        pieces = request.segments()
        if pieces and VERSION.fullmatch(pieces[0]):
            pieces = pieces[1:]
        service = "segment-upload" if "segment-upload" in pieces else pieces[0]
        call = CALLS.get((service, request.method), "read")
        if self.fault(f"drop_before_{call}"):
            if call == "upload":
                self.upload_host.lose(request)
            raise DropConnection
        response = self._trouble() or self._route(request, service, pieces)
        drops = self.fault(f"drop_after_{call}")
        fails = not drops and self.fault(f"fails_after_{call}")
        if call == "upload" and (drops or fails):
            self.upload_host.lose(request)
        if drops:
            response.drop = True
        elif fails:
            return Response.of({"response": {"error_id": "SYSTEM", "error": "internal error"}}, 500)
        return response

    def _trouble(self) -> Response | None:
        wait = int(self.faults.number("xandr.retry_after", 2))
        for name, status in (("throttle", 429), ("throttle_503", 503), ("throttle_200", 200)):
            if self.fault(name):
                return throttled("too many calls", wait, status)
        if self.fault("unavailable"):
            return Response.of({"response": {"error_id": "SYSTEM", "error_code": "SERVICE_UNAVAILABLE"}}, 503)
        if self.fault("server_error"):
            return Response(500, b"<html>internal error</html>", {"Content-Type": "text/html"})
        if self.fault("system"):
            return Response.of({"response": {"error_id": "SYSTEM", "error_code": "UNKNOWN", "error": "try again"}})
        return None

    def _route(self, request: Request, service: str, pieces: list[str]) -> Response:
        if service == "segment-upload":
            return self.upload_host.receive(request)
        try:
            with self.lock:
                if service == "auth":
                    return self.sessions.login(request)
                username = self.sessions.user(request)
                refused = self.sessions.throttle(request, username)
                return refused or self._service(request, service, pieces, username)
        except Refused as error:
            if error.error_id == "SYNTAX":
                request.violate(f"malformed request: {error.text}")
            return error.response(service, request.method)

    def _service(self, request: Request, service: str, pieces: list[str], username: str) -> Response:
        if service == "batch-segment-config":
            raise Refused("UNAUTH", "not permitted", status=403)
        if service == "batch-segment" and pieces[1:] == ["meta"]:
            fields = [{"name": name, "sort_by": True} for name in ("id", "created_on", "last_modified")]
            return Response.of({"response": {"status": "OK", "fields": fields}})
        if service == "batch-segment":
            member = self._member(request.one("member_id"), username)
            return (self.batch.open_job if request.method == "POST" else self.batch.read)(request, member)
        if service == "segment":
            return self._segment(request, pieces, username)
        if service == "member":
            members = [{"id": str(number), "name": f"Sandbox seat {number}"} for number in self._members(username)]
            return Response.of({"response": {"status": "OK", "count": len(members), "members": members}})
        raise Refused("SYNTAX", f"Invalid path /{service}", status=404)

    def _segment(self, request: Request, pieces: list[str], username: str) -> Response:
        if self.world.impbus:
            if len(pieces) < 2:
                raise Refused("SYNTAX", "Invalid path /segment - member is required")
            member = self._member(pieces[1], username)
            return self.segments.handle(request, member, int(pieces[2]) if len(pieces) > 2 else None)
        if len(pieces) > 1:
            raise Refused("SYNTAX", f"Invalid path {request.path}", status=404)
        # On the Console the token alone tells the member of a read or change.
        if request.method == "PUT" and request.one("member_id"):
            request.violate("a change that names the member moves an advertiser's segment")
        named = request.one("member_id") or str(min(self._members(username)))
        member = self._member(named, username)
        given = request.one("id")
        return self.segments.handle(request, member, int(given) if given.isdigit() else None)

    def _members(self, username: str) -> frozenset[int]:
        return self.world.users[username][1]

    def _member(self, text: str, username: str) -> int:
        if not text:
            raise Refused("SYNTAX", "no member_id provided")
        if not text.isdigit():
            raise Refused("SYNTAX", "Invalid input for field member_id which expects type int", code="CAST_ERROR")
        if int(text) not in self._members(username):
            raise Refused("UNAUTH", "not permitted for this member", status=403)
        return int(text)

    # --- what tests look at and set up

    def state(self) -> dict[str, Any]:
        """Segments, at most a thousand members of each, and jobs."""
        with self.lock:
            self.batch.settle()
            now = self.world.now()
            memberships = {}
            for segment in self.world.segments.values():
                ids = segment.current(now)
                memberships[str(segment.id)] = {"count": len(ids), "ids": ids[:SHOWN_MEMBERS]}
            jobs = [
                {**self.batch.shown(job, now), "lines": job.lines, "bytes": job.wire_bytes, "sha256": job.sha256}
                for job in self.world.jobs.values()
            ]
            segments = [self.segments.shown(segment) for segment in self.world.segments.values()]
            return {"segments": segments, "memberships": memberships, "jobs": jobs}

    def control(self, action: str, arguments: dict[str, Any]) -> Any:
        """The test controls named in the module's docstring."""
        actions: dict[str, Callable[[dict[str, Any]], Any]] = {
            "members": self._all_members,
            "segment": self._make_segment,
            "seed": self._seed,
            "configure": self._configure,
            "unknown": lambda given: self.world.unknown_users.update(given["ids"]),
            "jobs": self._make_jobs,
            "forget": lambda given: self.world.jobs.pop(given["jobId"]).job_id,
            "logout": lambda given: self.sessions.live.clear(),
        }
        with self.lock:
            return actions[action](arguments)

    def _all_members(self, given: dict[str, Any]) -> list[str]:
        self.batch.settle()
        return self.world.segments[int(given["segment"])].current(self.world.now())

    def _make_segment(self, given: dict[str, Any]) -> int:
        made = self.world.now() - timedelta(days=10)
        number = int(given.get("id") or self.world.next_segment)
        self.world.next_segment = max(self.world.next_segment, number + 1)
        self.world.segments[number] = Segment(
            number,
            int(given.get("memberId", DEMO_MEMBER)),
            given.get("code"),
            str(given.get("name", "Made by a test")),
            None,
            str(given.get("state", "active")),
            given.get("expireMinutes", LONGEST_MINUTES),
            made,
            made,
        )
        return number

    def _seed(self, given: dict[str, Any]) -> int:
        ends = (self.world.now() + timedelta(days=90)).timestamp()
        members = self.world.segments[int(given["segment"])].members
        members.update({uid: (uid, ends) for uid in given["ids"]})
        return len(members)

    def _configure(self, given: dict[str, Any]) -> None:
        config = self.world.configs[int(given.get("memberId", DEMO_MEMBER))]
        for name, value in given.items():
            if name != "memberId":
                setattr(config, name, tuple(value) if isinstance(value, list) else value)

    def _make_jobs(self, given: dict[str, Any]) -> list[str]:
        """Jobs of the past, an hour apart, all completed."""
        made = []
        for hours in range(int(given["count"])):
            moment = self.world.now() - timedelta(hours=hours + 1)
            job = self.batch.past_job(int(given.get("memberId", DEMO_MEMBER)), moment)
            made.append(job.job_id)
        return made
