"""Commands as a shell starts them, on made-up data that is written once a session."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.paths import ROOT
from tests.reliability.command import kill_group

REPOSITORY = ROOT
SECONDS = 300.0


def start(arguments: Sequence[str], folder: Path, *before: str) -> subprocess.Popen[str]:
    """Starts a command in a working directory, as the leader of its process group. `before`: words in front of it."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [*before, sys.executable, "-m", "tests.reliability.command", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "80"},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(arguments: Sequence[str], folder: Path, *before: str) -> tuple[int, str]:
    """Runs a command to its end: exit code, and what it wrote to stderr."""
    return ended(start(arguments, folder, *before))


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Waits for the end of a command: exit code, and what it wrote to stderr."""
    with process:
        try:
            _, told = process.communicate(timeout=SECONDS)
        finally:
            kill_group(process.pid)
    return process.returncode, told


def wait_until(process: subprocess.Popen[str], holds: Callable[[], object]) -> None:
    """Waits until something holds, while a command runs that makes it hold."""
    end = time.monotonic() + SECONDS
    while not holds():
        if process.poll() is not None or time.monotonic() > end:
            kill_group(process.pid)
            out, told = process.communicate()
            raise AssertionError(f"it never came to that (exit code {process.returncode}): {out}{told}")
        time.sleep(0.005)
