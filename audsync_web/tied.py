"""Run a command that is told to stop when the process that started it dies, however that dies.

`python tied.py PARENT COMMAND…`: a supervisor that is killed cannot take its children down, and one that is started
anew would meet them: two schedulers, and a port that is taken. Linux tells them (prctl 1); elsewhere the command just
runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def run(parent: int, command: list[str]) -> None:
    """Become `command`, tied to the process `parent`. Ends at once where that has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)  # noqa: S606  # our own command lines


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2:])
