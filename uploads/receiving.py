"""Receiving a file: one stream to storage, hashed and checked while it arrives; nothing is kept of a refused one."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from audsync_web.vendors.connectors.identifiers import KINDS

from . import files
from .engine.checking import Checker, CheckOptions, CheckResult
from .engine.gunzip import Gunzip
from .engine.refusal import FileRefused

BLOCK_BYTES = 1024 * 1024
GZIP_MARK = b"\x1f\x8b"

KindCheck = Callable[[str], None]


@dataclass(frozen=True)
class Received:
    """A file that was taken: its verdict, and where it and the report of its rejected rows lie in storage."""

    check: CheckResult
    original: str
    report: str


def blocks_of(stream: BinaryIO | Any) -> Iterator[bytes]:
    """A body in blocks of 1 MB (half the size costs a third of the speed on WSGI servers)."""
    while block := stream.read(BLOCK_BYTES):
        yield block


def unpacked(blocks: Iterable[bytes], *, max_bytes: int, max_wire_bytes: int) -> Iterator[bytes]:
    """The unpacked stream of a gzip-encoded body, guarded by ratio, unpacked size and wire size."""
    packed = Gunzip(max_bytes=max_bytes)
    wire = 0
    for block in blocks:
        wire += len(block)
        if wire > max_wire_bytes:
            raise FileRefused("too_large", "file size exceeds maximum allowed size")
        yield from packed.feed(block)
    packed.finish()


def plain(blocks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """The bytes of a file that may be gzip-compressed, unpacked when its first two say so."""
    rest = iter(blocks)
    first = next(rest, b"")
    whole = itertools.chain([first], rest)
    if not first.startswith(GZIP_MARK):
        yield from whole
        return
    packed = Gunzip(max_bytes=max_bytes)
    for block in whole:
        yield from packed.feed(block)
    packed.finish()


def unpack_stored(name: str, target: str, *, max_bytes: int) -> bool:
    """Unpack a stored gzip file to `target`. False when it is none, and nothing was made."""
    with files.local_file(name) as path:
        with path.open("rb") as source:
            if source.read(len(GZIP_MARK)) != GZIP_MARK:
                return False
        with files.new_file(target) as out, path.open("rb") as source, out.open("wb") as sink:
            out.chmod(0o600)
            for block in plain(blocks_of(source), max_bytes=max_bytes):
                sink.write(block)
    return True


def receive(
    blocks: Iterable[bytes], *, folder: str, options: CheckOptions, kind_is_taken: KindCheck | None = None
) -> Received:
    """Store and check a file. `kind_is_taken` is asked as soon as the header is read and may raise `FileRefused`.

    Raises `FileRefused` with a plain sentence, or `StorageFull`. Nothing stays behind then.
    """
    original, report = f"{folder}/original", f"{folder}/rejections.csv.gz"
    try:
        with ExitStack() as stack:
            original_path = stack.enter_context(files.new_file(original))
            report_path = stack.enter_context(files.new_file(report))
            check = _store_and_check(blocks, original_path, report_path, with_rule(options), kind_is_taken)
            if not report_path.exists():
                report_path.touch(mode=0o600)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise files.StorageFull("The disk is full; nothing of this file was kept. Try again later.") from error
        raise
    if not check.rejected:
        files.delete(report)
        report = ""
    return Received(check, original, report)


@contextmanager
def kept_if_accepted(received: Received) -> Iterator[None]:
    """Accept a received file in this block; when that fails, its stored files are deleted again."""
    try:
        yield
    except BaseException:
        files.delete(received.original)
        files.delete(received.report)
        raise


def with_rule(options: CheckOptions) -> CheckOptions:
    """The options with the rule of a kind that was named beforehand; a kind read from the header brings its own."""
    if options.kind and options.rule is None:
        return replace(options, rule=KINDS[options.kind].rule)
    return options


def _store_and_check(
    blocks: Iterable[bytes],
    original: Path,
    report: Path,
    options: CheckOptions,
    kind_is_taken: KindCheck | None,
) -> CheckResult:
    asked = kind_is_taken is None
    with Checker(options, report) as checker, original.open("wb") as target:
        original.chmod(0o600)
        for block in files.within_room(blocks):
            checker.feed(block)
            if not asked and kind_is_taken is not None and checker.kind:
                kind_is_taken(checker.kind)
                asked = True
            target.write(block)
        check = checker.finish()
    if not asked and kind_is_taken is not None:
        kind_is_taken(check.kind)
    return check


def check_stored(name: str, *, report: str, options: CheckOptions, progress: Any = None) -> tuple[CheckResult, str]:
    """Check a file that is in storage already (a resumable upload). Returns the verdict and the report's name."""
    with files.local_file(name) as path, files.new_file(report) as report_path:
        with Checker(with_rule(options), report_path, progress) as checker, path.open("rb") as source:
            for block in blocks_of(source):
                checker.feed(block)
            check = checker.finish()
        if not report_path.exists():
            report_path.touch(mode=0o600)
    if not check.rejected:
        files.delete(report)
        report = ""
    return check, report
