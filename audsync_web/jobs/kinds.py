"""The registry of job kinds: which rows are jobs, which task advances them, and what runs on every tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from .models import Job


@dataclass(frozen=True)
class JobKind:
    """One kind of job row.

    `task` gives the Celery task that works one slice of a row. `ready` narrows what may be claimed (a paused vendor
    account, an upload not inspected). `lane_limit` is about how many jobs of one lane are held at the same time.
    """

    name: str
    model: type[Job]
    task: Callable[[], Any]
    ready: Callable[[], Q] = field(default=Q)
    lane_limit: int = 2


_KINDS: dict[str, JobKind] = {}
_TICKS: list[Callable[[], None]] = []
_HOUSEKEEPING: list[Callable[[], None]] = []


def register(kind: JobKind) -> None:
    """Make a kind known; called once by the app that owns it."""
    _KINDS[kind.name] = kind


def kind_named(name: str) -> JobKind:
    """A registered kind; KeyError for an unknown one."""
    return _KINDS[name]


def all_kinds() -> list[JobKind]:
    """Every registered kind."""
    return list(_KINDS.values())


def on_tick(hook: Callable[[], None]) -> Callable[[], None]:
    """Run `hook` on every tick of the dispatcher, before due work is woken. It must be quick and safe to run twice."""
    if hook not in _TICKS:
        _TICKS.append(hook)
    return hook


def on_housekeeping(hook: Callable[[], None]) -> Callable[[], None]:
    """Run `hook` once a minute: retention, deadlines, clean-up."""
    if hook not in _HOUSEKEEPING:
        _HOUSEKEEPING.append(hook)
    return hook


def tick_hooks() -> list[Callable[[], None]]:
    """The hooks of the tick."""
    return list(_TICKS)


def housekeeping_hooks() -> list[Callable[[], None]]:
    """The hooks of the minute."""
    return list(_HOUSEKEEPING)
