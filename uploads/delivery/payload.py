"""A part's bytes: made from the change file when it is to be sent, and made again identically when it must be."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

from django.conf import settings
from django.utils import timezone

from audsync_web.vendors.connectors.base import Connector
from audsync_web.vendors.connectors.errors import Permanent
from audsync_web.vendors.connectors.formats import LineFormat, Op, PartRules
from segments.models import Destination
from uploads import files
from uploads.engine.changes import changes_of
from uploads.engine.parts import PartRange, PartRenderer, write_list, write_part
from uploads.membership.snapshots import snapshot_path
from uploads.models import Delivery, Part

from .planning import context_of, delivery_folder

logger = logging.getLogger(__name__)

# Smaller parts are made in memory; larger ones lie on disk until the vendor has taken them.
IN_MEMORY_BYTES = 4_000_000

# `bytes` is the size of a part in the class below, as it is in the interface.
Content = bytes


@dataclass(frozen=True)
class Payload:
    """A finished part, on disk or in memory."""

    number: int
    lines: int
    adds: int
    removes: int
    bytes: int
    md5: str
    changes: str
    first_row: int
    last_row: int
    ops: tuple[Op, ...]
    path: Path | None = None
    content: Content = b""
    memory: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> BinaryIO:
        """The wire bytes from the start, as often as asked."""
        return self.path.open("rb") if self.path is not None else io.BytesIO(self.content)

    def rows(self) -> Sequence[tuple[Op, str]]:
        """The part's identifiers with what is asked of each; for small parts."""
        with files.local_file(self.changes) as changes:
            found = changes_of(changes, self.first_row, self.last_row, self.ops)
        return [(change.op, change.identifier) for change in found]


def make_payload(delivery: Delivery, destination: Destination, part: Part, connector: Connector) -> Payload:
    """Make the bytes of a part that was sent again, as they were then; see `PartMaker.make`."""
    with PartMaker(delivery, destination, connector, part.sent_at) as maker:
        return maker.make(part)


class PartMaker:
    """Makes the bytes of a delivery's parts, its change file at hand. Use it as a context.

    `written_at` is now, or when a part that is made again was written: its lines may depend on that.
    """

    def __init__(
        self,
        delivery: Delivery,
        destination: Destination,
        connector: Connector,
        written_at: datetime | None = None,
    ) -> None:
        self.written_at = written_at or timezone.now()
        context = replace(context_of(delivery, destination), written_at=self.written_at)
        self._delivery = delivery
        self._label = connector.label
        self._form = connector.line_format(context)
        self._rules = connector.part_rules(context)
        self._renderer: PartRenderer | None = None

    def __enter__(self) -> Self:
        self._open = ExitStack()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def make(self, part: Part) -> Payload:
        """A part's bytes, in memory or on disk. A whole list over the account's limit is refused with the numbers."""
        if self._fits_memory(part):
            return self._in_memory(part)
        return _on_disk(self._delivery, part, self._form, self._rules, self._label)

    def make_ahead(self, part: Part) -> Payload | None:
        """A small part, before its turn, while there is time. A fault is told when its turn comes, by `make`."""
        if not self._fits_memory(part):
            return None
        try:
            return self._in_memory(part)
        except Exception as error:
            logger.info("part %s could not be made ahead of its turn: %s", part.pk, type(error).__name__)
            return None

    def _fits_memory(self, part: Part) -> bool:
        return not self._rules.whole_list and not self._form.gzip and 0 < part.bytes <= IN_MEMORY_BYTES

    def _in_memory(self, part: Part) -> Payload:
        if self._renderer is None:
            changes = self._open.enter_context(files.local_file(self._delivery.changes_file))
            self._renderer = self._open.enter_context(PartRenderer(changes, self._form))
        content = self._renderer.render(range_of(part))
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if self._form.md5 else ""
        return _payload(self._delivery, part, lines=part.lines, size=len(content), md5=md5, content=content)


def _on_disk(delivery: Delivery, part: Part, form: LineFormat, rules: PartRules, label: str) -> Payload:
    path = _spill_path(delivery, part)
    with files.local_file(delivery.changes_file) as changes, snapshot_path(delivery.base_snapshot) as base:
        if rules.whole_list:
            written = write_list(base, changes, form, path)
        else:
            written = write_part(changes, range_of(part), form, path)
    if rules.whole_list and rules.max_bytes is not None and written.bytes > rules.max_bytes:
        path.unlink(missing_ok=True)
        raise Permanent(
            f"The whole list is {written.bytes:,} bytes, and this account's limit at {label} is "
            f"{rules.max_bytes:,}. A list cannot be split there: each part would erase the one before.",
            code="too_large",
            next_step="Ask the vendor for a higher limit, or spread the audience over several segments.",
        )
    return _payload(delivery, part, lines=written.lines, size=written.bytes, md5=written.md5, path=path)


def _payload(
    delivery: Delivery,
    part: Part,
    *,
    lines: int,
    size: int,
    md5: str,
    path: Path | None = None,
    content: bytes = b"",
) -> Payload:
    return Payload(
        number=part.number,
        lines=lines,
        adds=part.adds,
        removes=part.removes,
        bytes=size,
        md5=md5,
        changes=delivery.changes_file,
        first_row=part.first_row,
        last_row=part.last_row,
        ops=tuple(Op(op) for op in part.ops),
        path=path,
        content=content,
        memory=part.memory,
    )


def range_of(part: Part) -> PartRange:
    """A stored part as the engine's range."""
    return PartRange(
        number=part.number,
        first_row=part.first_row,
        last_row=part.last_row,
        ops=tuple(Op(op) for op in part.ops),
        adds=part.adds,
        removes=part.removes,
        lines=part.lines,
        bytes=part.bytes,
    )


def _spill_path(delivery: Delivery, part: Part) -> Path:
    folder = Path(settings.SPILL_DIR) / delivery_folder(delivery)
    files.make_private_folder(folder)
    return folder / f"part-{part.number}"


def drop_payload(payload: Payload) -> None:
    """Delete the bytes of a part that the vendor has taken, or that will be made again."""
    if payload.path is not None:
        payload.path.unlink(missing_ok=True)
