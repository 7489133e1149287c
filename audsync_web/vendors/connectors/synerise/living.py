"""Which tags are still there, and batches that name no others: naming a deleted tag brings it back (section 7.13)."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, BinaryIO

from audsync_web.vendors.connectors.base import PartPayload
from audsync_web.vendors.connectors.errors import RemoteMissing
from audsync_web.vendors.connectors.formats import Op

from .profiles import Profiles


class LivingTags:
    """Looks for each name once, however many batches follow."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._known: dict[str, bool] = {}

    def gone(self, names: Collection[str]) -> frozenset[str]:
        """Those of the names that no tag has any more."""
        if any(name not in self._known for name in names):
            there = {tag.name for tag in self._profiles.tags()}
            self._known |= {name: name in there for name in names}
        return frozenset(name for name in names if not self._known[name])


def tag_missing() -> RemoteMissing:
    """What to do about a segment whose tag was deleted."""
    return RemoteMissing(
        "The tag no longer exists at Synerise.",
        code="tag_missing",
        next_step="Make the destination anew; it gets a tag of another name.",
    )


def without_tags(part: PartPayload, gone: Collection[str]) -> PartPayload:
    """The part as it is; where some tags are gone, with bytes that do not name them. Its rows stay."""
    return _Rewritten(part, gone) if gone else part


class _Rewritten:
    """A part whose profiles lack some tags, in the same order."""

    def __init__(self, part: PartPayload, gone: Collection[str]) -> None:
        self._part = part
        with part.open() as stream:
            items: list[dict[str, Any]] = json.loads(stream.read())
        kept = [{**item, "tags": [name for name in item["tags"] if name not in gone]} for item in items]
        self._content = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def number(self) -> int:
        return self._part.number

    @property
    def lines(self) -> int:
        return self._part.lines

    @property
    def adds(self) -> int:
        return self._part.adds

    @property
    def removes(self) -> int:
        return self._part.removes

    @property
    def bytes(self) -> int:
        return len(self._content)

    @property
    def md5(self) -> str:
        return ""

    @property
    def memory(self) -> Mapping[str, Any]:
        return self._part.memory

    def open(self) -> BinaryIO:
        return io.BytesIO(self._content)

    def rows(self) -> Sequence[tuple[Op, str]]:
        return self._part.rows()
