"""Work spread over a few threads with the results in order. numpy, pyarrow and hashlib work outside Python's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 2


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int = WORKERS, ahead: int = 2
) -> Iterator[Result]:
    """`map` over threads: results in the order of the items, at most `workers + ahead` of them in memory."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="engine")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= workers + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True)


def read_ahead(items: Iterator[Item], depth: int = 2) -> Iterator[Item]:
    """The same items, fetched by one thread up to `depth` before they are asked for."""
    missing = object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="engine-read")
    waiting: deque[Future[object]] = deque(pool.submit(next, items, missing) for _ in range(depth))
    try:
        while (item := waiting.popleft().result()) is not missing:
            waiting.append(pool.submit(next, items, missing))
            yield item  # type: ignore[misc]  # everything but the marker is an Item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
