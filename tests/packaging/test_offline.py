"""Nothing of what the commands do needs, or tries to reach, a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORBID = """
import socket, sys

def refuse(*arguments, **_):
    raise AssertionError(f"a connection was tried: {arguments[1:]}")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse

from stars_bench.cli import main
sys.argv = ["stars-bench", *sys.argv[1:]]
main()
"""


def offline(folder: Path, *arguments: str) -> str:
    """What a command prints in a process that may open no connection."""
    command = [sys.executable, "-c", FORBID, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prepare_run_and_report_open_no_connection(tmp_path: Path) -> None:
    offline(tmp_path, "prepare", "synthetic", "--clips", "90", "--jobs", "1")
    small = ["--set", "frames=8", "--set", "dim=16", "--set", "depth=1", "--set", "heads=2"]
    offline(tmp_path, "run", "untrained", "--protocol", "xsub", "--preset", "quick", "--eval", "knn", *small)
    assert "untrained" in offline(tmp_path, "report")
    offline(tmp_path, "verify", "synthetic")


@pytest.mark.slow
def test_the_quick_start_opens_no_connection(tmp_path: Path) -> None:
    assert "stars" in offline(tmp_path, "quickstart")
