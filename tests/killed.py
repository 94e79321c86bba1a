"""What a killed process leaves, for tests of who removes it."""

from __future__ import annotations

from pathlib import Path

from stars_bench.io import partial

NO_PROCESS = 4_194_305
"""Larger than any process of Linux."""


def left_by_a_killed_process(path: Path, content: bytes = b"half") -> Path:
    """Write the partial file that a killed process of this machine leaves of `path`; return it."""
    left = path.with_name(f".{path.name}.{partial.machine()}-{NO_PROCESS}-1.abc{partial.SUFFIX}")
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(content)
    return left
