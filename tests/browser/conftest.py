"""Chromium, started once a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
# What is expected of a page comes when it comes; how fast that is says nothing about the page.
PATIENCE_MS = 30_000

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium where it has one, or the one that Playwright installs."""
    # Playwright's own loop runs in this thread; Django would take the test for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    known = CHROMIUM if Path(CHROMIUM).exists() else None
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=known, args=ARGUMENTS)
        yield launched
        launched.close()
