"""The reference of `bench synerise`: bodies that lie ready, posted one after the other over one session.

`python -m uploads.benchmarks.loop URL FOLDER` posts every file of the folder, read beforehand, and prints the seconds.
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
    "Authorization": "Bearer opens-nothing",
}


def post_all(url: str, folder: Path) -> float:
    """Seconds for all of them. A server that refuses one ends it."""
    bodies = [path.read_bytes() for path in sorted(folder.iterdir())]
    with requests.Session() as session:
        session.trust_env = False
        start = time.perf_counter()
        for body in bodies:
            session.post(url, data=body, headers=HEADERS, timeout=60).raise_for_status()
        return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.write(f"{post_all(sys.argv[1], Path(sys.argv[2]))}\n")
