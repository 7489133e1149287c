"""The embedded broker: wake-ups as files in one private folder, for one machine and no server.

It builds on kombu's filesystem transport, which writes a message in place: a reader that comes in between finds an
empty file, and the worker dies of it. Here a message appears whole, by a rename, and is taken by a rename, in the same
folder. Queues are bound in memory, as every process declares the one queue it uses.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem, virtual
from kombu.utils.json import dumps, loads

SCHEME = "audsync-files"


class Channel(filesystem.Channel):
    """Whole messages only. A message that cannot be read is dropped: rows are the truth, the tick wakes again."""

    get_table = virtual.Channel.get_table
    _delete = virtual.Channel._delete

    def _queue_bind(self, *_: Any) -> None:
        """Nothing beyond what kombu keeps in memory."""

    def _folder(self) -> Path:
        return Path(self.data_folder_in)

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # untyped above
        folder = self._folder()
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.{queue}"
        unfinished = folder / f"{name}.new"
        unfinished.write_bytes(dumps(payload).encode())  # type: ignore[no-untyped-call]
        unfinished.rename(folder / f"{name}.msg")

    def _get(self, queue: str) -> Any:  # type: ignore[override]  # a timeout that nobody gives
        for name in sorted(self._waiting(queue)):
            payload = self._take(self._folder() / name)
            if payload is not None:
                return payload
        raise Empty

    def _waiting(self, queue: str) -> list[str]:
        return [entry.name for entry in os.scandir(self._folder()) if entry.name.endswith(f".{queue}.msg")]

    def _take(self, path: Path) -> Any:
        mine = path.with_name(f"{path.name}.{uuid.uuid4().hex}.taken")
        try:
            path.rename(mine)
        except FileNotFoundError:
            return None  # another process was quicker
        content = mine.read_bytes()
        mine.unlink()
        try:
            return loads(content.decode())  # type: ignore[no-untyped-call]
        except ValueError:
            return None

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _purge(self, queue: str) -> int:
        taken = [self._take(self._folder() / name) for name in self._waiting(queue)]
        return len(taken)


class Transport(filesystem.Transport):
    """kombu's transport with the channel above."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
