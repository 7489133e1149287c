"""What this machine offers the tests: a browser, PostgreSQL, Redis, RabbitMQ. What is missing is said at the end."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

import pytest

from tests.install_browser import find_browser

DATABASE_URL = os.environ.get("AUDSYNC_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("AUDSYNC_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
RABBITMQ_URL = os.environ.get("AUDSYNC_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")

SERVERS = {
    "postgres": ("PostgreSQL", DATABASE_URL, 5432),
    "redis": ("Redis", REDIS_URL, 6379),
    "rabbitmq": ("RabbitMQ", RABBITMQ_URL, 5672),
}


def is_reachable(url: str, port: int) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or port), timeout=2):
            return True
    except OSError:
        return False


def missing_now() -> dict[str, str]:
    """Marker → what is missing for it."""
    missing = {
        marker: f"{label} is not reachable at {urlsplit(url).hostname}:{urlsplit(url).port or port}"
        for marker, (label, url, port) in SERVERS.items()
        if not is_reachable(url, port)
    }
    if find_browser() is None:
        missing["browser"] = "no Chromium was found, and none could be installed"
    return missing


class Reachable:
    """The pytest plugin: skips what cannot run here and says so, loudly, as the last thing."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.skipped: dict[str, int] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        markers = {mark.name for item in items for mark in item.iter_markers()}
        if not markers & {"browser", *SERVERS}:
            return
        self.missing = missing_now()
        for item in items:
            for marker in {mark.name for mark in item.iter_markers()} & set(self.missing):
                item.add_marker(pytest.mark.skip(reason=self.missing[marker]))
                self.skipped[marker] = self.skipped.get(marker, 0) + 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        # Under xdist the controller collects nothing itself, so it looks for itself.
        missing = self.missing or missing_now()
        if missing:
            terminalreporter.section("NOT RUN HERE", sep="!", red=True)
            for marker, reason in sorted(missing.items()):
                terminalreporter.write_line(f"tests marked “{marker}” did not run: {reason}")
