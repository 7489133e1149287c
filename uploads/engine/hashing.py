"""Digests of a stream, each in a thread beside whoever reads it: hashing does not hold Python's lock."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

# Smaller blocks are hashed at once: a thread would cost more than it saves.
_WORTH_A_THREAD = 256 << 10
_AHEAD = 3


class StreamHash:
    """Digests, named as `hashlib` names them, of the blocks given to `update`. Call `digests` once at the end, or
    `close` to give up."""

    def __init__(self, *names: str) -> None:
        self._hashes = [hashlib.new(name, usedforsecurity=False) for name in names]
        self._pools: list[ThreadPoolExecutor] = []
        self._running: deque[list[Future[None]]] = deque()

    def update(self, block: bytes | memoryview) -> None:
        """Add a block. While more than `_AHEAD` blocks wait to be hashed, so does the caller."""
        if len(block) < _WORTH_A_THREAD:
            self._wait(0)
            for digest in self._hashes:
                digest.update(block)
            return
        if not self._pools:
            self._pools = [ThreadPoolExecutor(1, thread_name_prefix="engine-hash") for _ in self._hashes]
        self._wait(_AHEAD)
        pairs = zip(self._pools, self._hashes, strict=True)
        self._running.append([pool.submit(digest.update, block) for pool, digest in pairs])

    def digests(self) -> list[str]:
        """The digests in lower-case hexadecimal, in the order of their names."""
        self._wait(0)
        self.close()
        return [digest.hexdigest() for digest in self._hashes]

    def close(self) -> None:
        """Stop the threads."""
        for pool in self._pools:
            pool.shutdown()
        self._pools = []

    def _wait(self, most: int) -> None:
        while len(self._running) > most:
            for future in self._running.popleft():
                future.result()
