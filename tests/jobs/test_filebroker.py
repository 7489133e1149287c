"""The embedded broker hands every wake-up to exactly one reader, whole, and survives whatever lies in its folder."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from kombu.connection import Connection

from audsync_web.jobs import filebroker


def connect(folder: Path) -> Connection:
    return Connection(  # type: ignore[no-untyped-call]
        f"{filebroker.SCHEME}://",
        transport_options={"data_folder_in": str(folder), "data_folder_out": str(folder), "polling_interval": 0.01},
    )


def test_every_message_arrives_once_and_in_order(tmp_path: Path) -> None:
    with connect(tmp_path) as link, link.SimpleQueue("audsync") as queue:
        for number in range(50):
            queue.put({"row": number})
        assert [queue.get(timeout=30).payload["row"] for _ in range(50)] == list(range(50))
        with pytest.raises(queue.Empty):
            queue.get_nowait()


def test_readers_and_writers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    done = threading.Event()

    def write(first: int) -> None:
        with connect(tmp_path) as link, link.SimpleQueue("audsync") as queue:
            for number in range(first, first + 200):
                queue.put({"row": number})

    def read() -> None:
        with connect(tmp_path) as link, link.SimpleQueue("audsync") as queue:
            while not (done.is_set() and not queue.qsize()):
                try:
                    message = queue.get(timeout=0.2)
                except queue.Empty:
                    continue
                message.ack()
                seen.append(message.payload["row"])

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 200, 400)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert Counter(seen) == Counter(range(600))


def test_an_unreadable_message_is_dropped_and_the_next_one_read(tmp_path: Path) -> None:
    (tmp_path / "0-broken.audsync.msg").write_bytes(b"")
    with connect(tmp_path) as link, link.SimpleQueue("audsync") as queue:
        queue.put({"row": 1})
        assert queue.get(timeout=30).payload == {"row": 1}
