"""How mediarithmics wraps its answers: one object, a page of a list, an error with a reference for the support."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from audsync_web.sandbox.framework import Request, Response

DEFAULT_PAGE = 20
LARGEST_PAGE = 500


class Refused(Exception):
    """A request that the API turns down: HTTP status, words for people, optional upper-case word for programs."""

    def __init__(self, status: int, text: str, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code

    def response(self, retry_after: str = "") -> Response:
        """The error envelope of spec section 3, with a fresh `error_id`; a gateway's page for 502."""
        if self.status == 502:
            return Response(502, b"<html><body>Bad gateway</body></html>", {"Content-Type": "text/html"})
        body = {"status": "error", "error": self.text, "error_id": str(uuid.uuid4())}
        if self.code:
            body["error_code"] = self.code
        headers = {"Retry_After": retry_after} if retry_after else {}
        return Response.of(body, self.status, **headers)


def one(data: Any) -> Response:
    """A single resource."""
    return Response.of({"status": "ok", "data": data})


def page(request: Request, items: Sequence[Any], *, with_total: bool = True) -> Response:
    """The asked page of a list; out-of-range paging is 400 (emulator rule 5)."""
    first = _count(request, "first_result", 0, 0, None)
    size = _count(request, "max_results", DEFAULT_PAGE, 1, LARGEST_PAGE)
    chosen = items[first : first + size]
    body: dict[str, Any] = {"status": "ok", "count": len(chosen), "first_result": first, "max_results": size}
    if with_total:
        body["total"] = len(items)
    return Response.of({**body, "data": list(chosen)})


def _count(request: Request, name: str, default: int, least: int, most: int | None) -> int:
    raw = request.one(name, str(default))
    if not raw.isdigit() or int(raw) < least or (most is not None and int(raw) > most):
        request.violate(f"{name} out of range")
        raise Refused(400, f"Invalid {name}", "BAD_PAGING")
    return int(raw)


def json_object(request: Request) -> dict[str, Any]:
    """A JSON request body: the right media type, an object, and not itself wrapped (emulator rules 3 and 4)."""
    if request.media_type != "application/json":
        request.violate("JSON request without application/json")
        raise Refused(400, "Content-Type must be application/json")
    try:
        body = request.json()
    except ValueError:
        request.violate("malformed JSON")
        raise Refused(400, "Malformed JSON") from None
    if not isinstance(body, dict) or ("status" in body and "data" in body):
        request.violate("request body is no object, or is wrapped in an envelope")
        raise Refused(400, "The body must be the bare object")
    return body
