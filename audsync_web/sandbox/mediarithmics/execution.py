"""How executions live in the sandbox: the words they pass through on the movable clock, and what they do at the end."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import timedelta

from audsync_web.sandbox.framework import Clock, Faults

from .commands import Command, FileReading
from .store import Datamart, Execution, Import, Plan

SHARE_OF_MIDDLE = (0.25, 0.75)
"""The part of its running time in which a job shows its odd word, where one was chosen."""


class Machine:
    """Starts, advances, cancels and applies executions; the caller holds the lock."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults

    def start(
        self, number: str, document_import: Import, organisation: str, reading: FileReading, refused: str = ""
    ) -> Execution:
        """A new execution of a file that was read; `refused` makes it a job that fails for that reason."""
        plan = self._plan(refused)
        execution = Execution(
            number,
            document_import,
            organisation,
            self._clock.now(),
            plan,
            reading.lines,
            reading.commands,
            reading.bad,
            plan.begin,
        )
        execution.input_uri = f"mics://sandbox/{number}/in put"
        self._spoil(execution)
        document_import.executions.append(execution)
        return execution

    def _plan(self, refused: str) -> Plan:
        plan = Plan(
            queue_seconds=self._number("queue_seconds", 2.0),
            run_seconds=self._number("run_seconds", 3.0),
            message=refused,
        )
        for switch, word in (("waiting", "WAITING_DEPENDENT_JOB"), ("scheduled", "SCHEDULED")):
            if self._take(switch):
                plan.begin = word
        for switch, word in (("not_responding", "EXECUTOR_NOT_RESPONDING"), ("unknown_word", "REBALANCING")):
            if self._take(switch):
                plan.middle = word
        for switch, word in (("success", "SUCCESS"), ("failed", "FAILED"), ("lost", "LOST"), ("canceled", "CANCELED")):
            if self._take(switch):
                plan.end, plan.message = word, f"Chosen fault {switch}"
        if refused:
            plan.end = "FAILED"
        return plan

    def _spoil(self, execution: Execution) -> None:
        """Count good lines as failed, as chosen: one line (`partial`) or all of them (`all_fail`)."""
        spoilt = 0
        if self._take("all_fail"):
            spoilt = len(execution.commands)
        elif self._take("partial"):
            spoilt = int(self._number("partial_lines", 1))
        execution.bad += [(n + 1, "chosen fault", "") for n in range(min(spoilt, len(execution.commands)))]
        del execution.commands[:spoilt]

    def cancel(self, execution: Execution) -> None:
        """End a job that has not begun; nothing of it is applied."""
        execution.status, execution.ended_at, execution.applied = "CANCELED", self._clock.now(), True
        execution.commands, execution.bad = [], []

    def advance(self, datamarts: Iterable[Datamart]) -> None:
        """Bring every job to where the clock has it, and apply those that have ended, in the order of their ends."""
        ended = []
        for datamart in datamarts:
            for execution in datamart.executions():
                if not execution.is_final:
                    self._step(execution)
                if execution.is_final and not execution.applied:
                    ended.append((execution.ended_at or execution.created_at, int(execution.id), datamart, execution))
        for end, _, datamart, execution in sorted(ended, key=lambda item: item[:2]):
            self._finish(datamart, execution)
            if self._clock.now() >= end + timedelta(seconds=self._number("apply_delay", 0.0)):
                self._apply(datamart, execution, end.timestamp())

    def _step(self, execution: Execution) -> None:
        plan, spent = execution.plan, (self._clock.now() - execution.created_at).total_seconds()
        hold = self._faults.get("mediarithmics.hold")
        if spent < plan.queue_seconds or hold == "queued":
            return
        execution.started_at = execution.created_at + timedelta(seconds=plan.queue_seconds)
        share = (spent - plan.queue_seconds) / plan.run_seconds if plan.run_seconds else 1.0
        if hold == "running":
            share = 0.5
        execution.done_share = min(1.0, share)
        odd = SHARE_OF_MIDDLE[0] <= share < SHARE_OF_MIDDLE[1]
        execution.status = plan.middle if odd else "RUNNING"
        if share >= 1.0:
            execution.ended_at = execution.started_at + timedelta(seconds=plan.run_seconds)
            execution.status = plan.end
            if not execution.commands and execution.bad and self._faults.on("mediarithmics.all_bad_fails"):
                execution.status = "FAILED"

    def _finish(self, datamart: Datamart, execution: Execution) -> None:
        """Count, and write the error file; a job that did not succeed does nothing, or `half_done` of its lines."""
        if execution.success or execution.failure:
            return
        if execution.status not in {"SUCCEEDED", "SUCCESS"}:
            share = self._number("half_done", 0.0) if execution.status in {"FAILED", "LOST"} else 0.0
            execution.commands = execution.commands[: int(len(execution.commands) * share)]
            if execution.status != "FAILED":
                execution.bad = []
        if self._faults.on("mediarithmics.delete_absent_fails"):
            self._fail_absent(datamart, execution)
        execution.success, execution.failure = len(execution.commands), len(execution.bad)
        if execution.failure:
            lines = ({"line": n, "error": reason, "command": text} for n, reason, text in execution.bad)
            execution.error_file = "".join(json.dumps(line) + "\n" for line in lines).encode()
            execution.error_uri = f"mics://sandbox/{execution.id}/err?a=b&c=d e"

    def _fail_absent(self, datamart: Datamart, execution: Execution) -> None:
        kept: list[Command] = []
        for number, command in enumerate(execution.commands, 1):
            if command[2] is None and command[1] not in datamart.segments[command[0]].members:
                execution.bad.append((number, "the user is not in the segment", ""))
            else:
                kept.append(command)
        execution.commands = kept

    def _apply(self, datamart: Datamart, execution: Execution, at: float) -> None:
        """The commands in file order, or shuffled where that was chosen (emulator rule 15)."""
        execution.applied = True
        commands, execution.commands = execution.commands, []
        if self._faults.on("mediarithmics.shuffle"):
            random.shuffle(commands)
        for number, key, minutes in commands:
            segment = datamart.segments.get(number)
            if segment is None:
                continue
            if minutes is None:
                segment.members.pop(key, None)
            else:
                segment.put(key, at + minutes * 60 if minutes else 0.0)

    def _take(self, switch: str) -> bool:
        return self._faults.take(f"mediarithmics.{switch}")

    def _number(self, switch: str, default: float) -> float:
        return self._faults.number(f"mediarithmics.{switch}", default)
