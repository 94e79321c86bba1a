"""File systems without locks, modes, links, maps or fsync, and disks that fail: nothing is lost or called damaged.

The commands run under a library that answers for the file system (`refusing.c`), one after the other in one process.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stars_bench.io import process_pool
from tests.paths import ROOT
from tests.reliability.state import difference, state

pytestmark = pytest.mark.skipif(
    not process_pool.CAN_FORK or shutil.which("gcc") is None, reason="needs Linux and a compiler"
)
NAMES = ("EPERM", "ENOTSUP", "EINVAL", "ENOSYS")
RUN = (
    *("run", "untrained", "--dataset", "synthetic", "--protocol", "xsub", "--preset", "quick", "--eval", "knn"),
    *("--set", "frames=8", "--set", "dim=16", "--set", "depth=1", "--set", "heads=2"),
)
COMMANDS = """
import json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from stars_bench import cli

for variables, arguments in json.load(sys.stdin):
    os.environ.update(variables)
    sys.argv = ["stars-bench", *arguments]
    out = StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(out):
            cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    os.environ["UNREADABLE"] = ""
    print(json.dumps([code, out.getvalue()]), flush=True)
"""
Step = tuple[dict[str, str], tuple[str, ...]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    library = tmp_path_factory.mktemp("library") / "refusing.so"
    source = Path(__file__).with_name("refusing.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def run(library: Path, folder: Path, steps: list[Step], **variables: str) -> list[tuple[int, str]]:
    """Exit code and output of commands, each with variables that hold from it on."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        cwd=folder,
        env=os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": path, "COLUMNS": "200"} | variables,
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    return [(code, out + done.stderr) for code, out in results]


def test_everything_works_where_nothing_but_reading_and_writing_is_known(
    library: Path, raw_files: Path, tmp_path: Path
) -> None:
    prepare = ("prepare", "synthetic", "--raw", str(raw_files), "--jobs", "1")
    commands = (prepare, RUN, ("report", "--out", "table.md"), ("verify", "synthetic"), ("verify", "runs"))
    steps: list[Step] = []
    for name in NAMES:
        where = {"REFUSED": str(getattr(errno, name)), "STARS_BENCH_DATA": name, "STARS_BENCH_RUNS": f"{name}-runs"}
        steps += [
            (where, tuple(f"{name}-{word}" if word in ("table.md", "runs") else word for word in command))
            for command in ((*commands, (*prepare, "--force")) if name == "EPERM" else (prepare, RUN))
        ]
    for (where, arguments), (code, told) in zip(steps, run(library, tmp_path, steps), strict=True):
        assert code == 0, told
        assert "damage" not in told
        writes = arguments[0] in ("prepare", "run")
        has_another_way = where["REFUSED"] == str(errno.ENOSYS)  # filelock's
        assert told.count("this file system has no locks") == (writes and not has_another_way), told
    assert not list(tmp_path.rglob(".*"))


SMALL = ("epochs=1", "warmup_epochs=1", "tune_epochs=1", "batch_size=16", "tune_batch_size=16", "queue_size=40")
TRAIN = ("run", "stars", *RUN[2:], *(part for item in SMALL for part in ("--set", item)))
MAKE = ("prepare", "synthetic", "--jobs", "1", "--force", "--raw")
READ_FAILS = {  # by file: a command that reads it, and an error that the disk then gives
    "index.json": (("inspect", "synthetic"), errno.EIO),
    "shard-00000.h5": (("verify", "synthetic"), errno.ESTALE),
    "stages/": (TRAIN, errno.EIO),
    "features/": (("verify", "runs"), errno.ENOLCK),
    "predictions/": (("verify", "runs"), errno.EACCES),
    "records/": (("verify", "runs"), errno.ESTALE),
    "log.jsonl": (TRAIN, errno.EIO),
    ".skeleton": ((*MAKE, "raw"), errno.EACCES),
    "raw.zip": ((*MAKE, "raw.zip"), errno.ESTALE),
}


@pytest.mark.slow
def test_an_error_of_the_disk_is_never_called_damage_and_costs_nothing(
    library: Path, raw_files: Path, tmp_path: Path
) -> None:
    shutil.copytree(raw_files, tmp_path / "raw")
    shutil.make_archive(str(tmp_path / "raw"), "zip", raw_files)
    steps: list[Step] = [({}, (*MAKE, "raw")), ({}, TRAIN)]
    assert [code for code, _ in run(library, tmp_path, steps)] == [0, 0]
    before = state(tmp_path)
    failures = [({"UNREADABLE": f"{number}:{file}"}, command) for file, (command, number) in READ_FAILS.items()]
    for (file, (_, number)), (code, told) in zip(READ_FAILS.items(), run(library, tmp_path, failures), strict=True):
        (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
        assert code == 1
        assert f"{file}" in line
        assert f"cannot be read now ({os.strerror(number)}); the file itself may be whole" in line
        assert "damage" not in told
    assert difference(before, state(tmp_path)) == ""
