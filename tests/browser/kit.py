"""What the tests in the browser share: a window, the way in, and a page in which nothing may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize

from tests.factories import PASSWORD

PHONE: ViewportSize = {"width": 390, "height": 800}
WIDE: ViewportSize = {"width": 1440, "height": 900}


@contextmanager
def window(browser: Browser, live_server: Any, **options: Any) -> Iterator[Page]:
    """An empty page in a window of its own."""
    context = browser.new_context(base_url=live_server.url, **options)
    try:
        yield context.new_page()
    finally:
        context.close()


def log_in(page: Page, email: str) -> None:
    """Enter as somebody whom the factories made."""
    page.goto("/login")
    page.fill("[name=username]", email)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/")


def is_refusal(line: ConsoleMessage) -> bool:
    """Whether the content security policy refused something."""
    return "Content Security Policy" in line.text


def is_refusal_of_ours(line: ConsoleMessage) -> bool:
    """Whether it refused something of a page; what axe brings along has no address."""
    return is_refusal(line) and bool(line.location["url"])


@contextmanager
def nothing_fails(page: Page, is_failure: Callable[[ConsoleMessage], bool] = is_refusal_of_ours) -> Iterator[None]:
    """No script of the page may fail, and the policy may refuse none."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if is_failure(line) else None)
    yield
    assert said == []
