#!/usr/bin/env python
"""AudSync's command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run a management command."""
    # Whatever a command writes (the embedded database first of all) is the service's alone.
    os.umask(0o077)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audsync_web.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
