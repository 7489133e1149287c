"""The environment of a test run: a private data folder for each process, no server, no real key."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Not secrets: they guard nothing but databases that end with the run.
SECRET_KEY = "tests-only-" + "0" * 50
ENCRYPTION_KEY = "tests-only-" + "1" * 32


def prepare() -> Path:
    """Point AudSync at a new folder of this process (each xdist worker has its own), removed when it ends."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = Path(tempfile.mkdtemp(prefix=f"audsync-tests-{worker}-"))
    os.environ["AUDSYNC_DATA_DIR"] = str(folder)
    os.environ["AUDSYNC_SECRET_KEY"] = SECRET_KEY
    os.environ["AUDSYNC_ENCRYPTION_KEYS"] = ENCRYPTION_KEY
    os.environ["AUDSYNC_ALLOW_PRIVATE_VENDOR_HOSTS"] = "1"
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    return folder
