"""How far a part has come that goes in several calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Steps:
    """How far a part that goes in several calls has come: `done` of its first rows have been changed at the vendor, but
    for the `refused` ones (row to reason).

    A connector settles it in the part's memory after each step and goes on from there. Should the part be stopped, what
    was done counts all the same.
    """

    done: int = 0
    refused: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, memory: Mapping[str, Any]) -> Steps:
        """As a part's memory keeps it; nothing done where it keeps none."""
        refused = {int(row): str(why) for row, why in memory.get("refused", ())}
        return cls(int(memory.get("cursor", 0)), refused)

    def as_memory(self) -> dict[str, Any]:
        """What is merged into the part's memory."""
        return {"cursor": self.done, "refused": [[row, why] for row, why in self.refused.items()]}
