"""The inner half of `bench history`: a long history in a database of its own, and how long each list of it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.management import call_command
from django.db import connection
from django.test import Client

from audsync_web.people.actors import Actor
from audsync_web.people.models import Role
from audsync_web.people.tokens import login_token_issue
from uploads.engine.benchmark_stages import peak_memory
from uploads.models import DeliveryStatus, Upload, UploadStatus

from .history_rows import STARTS, History, make_history

DATABASE = "audsync_bench_history"
HOST = "127.0.0.1"
API = "/api/public/v3"
Ask = Callable[[str], Any]


def run(folder: Path, rows: str, repetitions: str) -> dict[str, Any]:
    """Median seconds of every list by its name, and the peak memory of this process in bytes."""
    with _own_database():
        call_command("prepare_data", verbosity=0)
        history = make_history(int(rows))
        seconds = {name: _median(ask, url, int(repetitions)) for name, ask, url in _lists(history)}
    return {"seconds": seconds, "peak_memory": peak_memory()}


@contextmanager
def _own_database() -> Iterator[None]:
    """An empty database beside the configured one, dropped afterwards."""
    name = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = f"{name}.bench" if connection.vendor == "sqlite" else DATABASE
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(str(name), verbosity=0)


def _median(ask: Ask, url: str, repetitions: int) -> float:
    """One answer unmeasured, so that templates and statements are known, then the median."""
    ask(url)
    return statistics.median(_timed(ask, url) for _ in range(max(1, repetitions)))


def _timed(ask: Ask, url: str) -> float:
    start = time.perf_counter()
    answer = ask(url)
    b"".join(answer)
    if answer.status_code != 200:
        raise RuntimeError(f"{url} answered {answer.status_code}")
    return time.perf_counter() - start


def _lists(history: History) -> Iterator[tuple[str, Ask, str]]:
    page, api = _browser(history), _program(history)
    for what, path, statuses in (
        ("uploads", "/history", UploadStatus.values),
        ("deliveries", "/history/deliveries", DeliveryStatus.values),
    ):
        for name, query in _filters(history, statuses):
            yield f"{what}, {name}", page, f"{path}?{urlencode(query)}"
    segment = history.segments[0].pk
    middle = _middle(Upload, segment=segment)
    for name, query in _audit_filters(history):
        yield f"audit trail, {name}", page, f"/audit?{urlencode(query)}"
    account = history.accounts[0].pk
    yield "overview", page, "/"
    yield "overview, live", page, "/overview/live"
    yield "segments", page, "/segments"
    yield "vendor accounts", page, "/vendor-accounts"
    yield "vendor account", page, f"/vendor-accounts/{account}"
    yield "what to upload to", page, "/uploads/new"
    yield "upload", page, f"/uploads/{middle}"
    yield "segment", page, f"/segments/{segment}"
    yield "segment's uploads", page, f"/segments/{segment}/uploads"
    yield "REST segments", api, f"{API}/segment"
    uploads = f"{API}/segment/{segment}/membership/upload"
    yield "REST uploads, 50", api, f"{uploads}?limit=50"
    yield "REST uploads, 1000", api, uploads
    yield "REST uploads, from the middle", api, f"{uploads}?limit=50&before={middle}"
    yield "REST upload", api, f"{uploads}/{middle}"


def _filters(history: History, statuses: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every filter alone, and those that are used together."""
    segment, account, person = history.segments[0].pk, history.accounts[0].pk, history.people[0].pk
    day = (STARTS + timedelta(days=200)).date().isoformat()
    yield "all", {}
    yield "oldest first", {"sort": "time"}
    for status in statuses:
        yield status, {"status": status}
    yield "segment", {"segment": segment}
    yield "segment without any", {"segment": history.empty_segment.pk}
    yield "account", {"account": account}
    yield "account without any", {"account": history.empty_account.pk}
    yield "person", {"person": person}
    yield "person without any", {"person": history.idle_person.pk}
    yield "until the middle", {"until": day}
    yield "one day", {"since": day, "until": day}
    yield "failed of a segment", {"segment": segment, "status": "failed"}
    yield "failed at an account", {"account": account, "status": "failed"}
    yield "failed of a person", {"person": person, "status": "failed"}
    yield "person and segment", {"person": person, "segment": segment}
    yield "person and account", {"person": person, "account": account}
    yield "segment and account", {"segment": segment, "account": account}
    yield "idle person at an account", {"person": history.idle_person.pk, "account": account}
    yield "failed, one day, account", {"account": account, "status": "failed", "since": day, "until": day}
    yield "search, common name", {"q": "members"}
    yield "search, one name", {"q": "rare-list"}
    yield "search, no such name", {"q": "nowhere-to-be-found"}
    yield "search, upload's id", {"q": str(_middle(Upload))}
    yield "search, vendor's job", {"q": "job-1"}


def _audit_filters(history: History) -> Iterator[tuple[str, dict[str, Any]]]:
    day = (STARTS + timedelta(days=200)).date().isoformat()
    yield "all", {}
    yield "action", {"action": "upload.cancel"}
    yield "action that never was", {"action": "key.revoke"}
    yield "person", {"person": history.people[0].pk}
    yield "person without any", {"person": history.idle_person.pk}
    yield "until the middle", {"until": day}
    yield "one day", {"since": day, "until": day}
    yield (
        "action of a person, one day",
        {
            "person": history.people[0].pk,
            "action": "upload.cancel",
            "since": day,
            "until": day,
        },
    )
    yield "search, common name", {"object": "members"}
    yield "search, no such name", {"object": "nowhere-to-be-found"}
    yield "search, id", {"object": str(_middle(Upload))}


def _middle(model: Any, **filters: Any) -> Any:
    rows = model.objects.filter(created_at__lte=STARTS + timedelta(days=200), **filters)
    return rows.order_by("-created_at", "-pk").values_list("pk", flat=True).first()


def _browser(history: History) -> Ask:
    client = Client(SERVER_NAME=HOST)
    client.force_login(history.people[0])
    return client.get


def _program(history: History) -> Ask:
    token = login_token_issue(actor=Actor(history.company, Role.ADMIN, history.people[0], via="api"))
    client = Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {token}"})
    return client.get
