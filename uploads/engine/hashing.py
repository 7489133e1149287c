"""MD5 and SHA-256 of a stream, in threads beside whoever reads it: hashing does not hold Python's lock."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

# Smaller blocks are hashed at once: a thread would cost more than it saves.
_WORTH_A_THREAD = 256 << 10


class StreamHash:
    """Both digests of the blocks given to `update`. Call `digests` once at the end, or `close` to give up."""

    def __init__(self) -> None:
        self._hashes = (hashlib.md5(usedforsecurity=False), hashlib.sha256())
        self._pools: list[ThreadPoolExecutor] = []
        self._running: list[Future[None]] = []

    def update(self, block: bytes) -> None:
        """Add a block. At most two blocks are held: this waits until the one before is hashed."""
        self._wait()
        if len(block) < _WORTH_A_THREAD:
            for digest in self._hashes:
                digest.update(block)
            return
        if not self._pools:
            self._pools = [ThreadPoolExecutor(1, thread_name_prefix="engine-hash") for _ in self._hashes]
        self._running = [
            pool.submit(digest.update, block) for pool, digest in zip(self._pools, self._hashes, strict=True)
        ]

    def digests(self) -> tuple[str, str]:
        """MD5 and SHA-256 in lower-case hexadecimal."""
        self._wait()
        self.close()
        return self._hashes[0].hexdigest(), self._hashes[1].hexdigest()

    def close(self) -> None:
        """Stop the threads."""
        for pool in self._pools:
            pool.shutdown()
        self._pools = []

    def _wait(self) -> None:
        for future in self._running:
            future.result()
        self._running = []
