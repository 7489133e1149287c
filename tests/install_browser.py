"""Find Chromium for the browser tests, or install it: Debian's package where we are root, else Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

CANDIDATES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def find_browser() -> str | None:
    """The path of a Chromium that is installed, an empty text for Playwright's own, None when there is none."""
    named = os.environ.get("AUDSYNC_TEST_BROWSER", "")
    for path in (named, *CANDIDATES, shutil.which("chromium") or ""):
        if path and os.access(path, os.X_OK):
            return path
    return "" if _playwright_has_one() else None


def _playwright_has_one() -> bool:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return os.access(playwright.chromium.executable_path, os.X_OK)


def main() -> None:
    """Install a browser when none is there; a failure is told by the tests, loudly, at the end."""
    if find_browser() is not None:
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "chromium", "chromium-driver"],
        ):
            if subprocess.run(command, check=False, env=environment, stdout=subprocess.DEVNULL).returncode:
                break
        else:
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


if __name__ == "__main__":
    main()
