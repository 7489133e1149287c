"""The reference of `bench synerise`: bodies that lie ready, posted one after the other over one session.

`python -m uploads.benchmarks.loop URL FOLDER` posts every file of the folder, read beforehand, and prints the seconds.
The token to show is read from standard input.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import requests

HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "Api-Version": "4.4",
}


def post_all(url: str, folder: Path, token: str) -> float:
    """Seconds for all of them. A server that refuses one ends it."""
    headers = {**HEADERS, "Authorization": f"Bearer {token}"}
    bodies = [path.read_bytes() for path in sorted(folder.iterdir())]
    with requests.Session() as session:
        session.trust_env = False
        start = time.perf_counter()
        for body in bodies:
            session.post(url, data=body, headers=headers, timeout=60).raise_for_status()
        return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.write(f"{post_all(sys.argv[1], Path(sys.argv[2]), sys.stdin.read())}\n")
