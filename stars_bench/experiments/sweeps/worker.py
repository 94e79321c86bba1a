"""One run of a sweep, in a process of its own: what it does meanwhile is written to a small file."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stars_bench import registry
from stars_bench.errors import one_line
from stars_bench.experiments.request import Request
from stars_bench.io.files import Busy, utc_now, write_text
from stars_bench.io.process_pool import PR_SET_PDEATHSIG

STATUS_SECONDS = 1.0
"""Time between two writings of the file of progress."""


@dataclass(frozen=True)
class Task:
    """A run that a worker is to do.

    Args:
        request: What to run.
        files: Path without suffix of the files of its progress (.json) and its lines (.log).
        modules: Modules of the user, imported before.
        threads: Threads of the computation on a CPU; None to leave them as they are.
    """

    request: Request
    files: Path
    modules: Sequence[str] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Args:
        records: Files of its records; empty where it failed.
        failure: Why it failed, in one line; None where it did not.
        busy: The lock of another process that does the same now, which is to be waited for; None where there is none.
        seconds: How long it took.
    """

    records: tuple[str, ...] = ()
    failure: str | None = None
    busy: Path | None = None
    seconds: float = 0.0


def work(task: Task) -> Result:
    """Do a run; every exception becomes a line of the result."""
    import torch

    from stars_bench.experiments import runner
    from stars_bench.experiments.plan import resolve

    started = time.monotonic()
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    try:
        for module in task.modules:
            registry.import_module(module)
        registry.add_data_dir(task.request.data_dir)
        records = runner.run(task.request, _Status(task.files), _Log(task.files), wait=False)
        plan = resolve(task.request)
        files = tuple(str(plan.folder(one.seed).records / one.file_name) for one in records)
    except Busy as busy:
        return Result(busy=busy.lock)
    except Exception as error:
        _Log(task.files)(f"failed: {one_line(error)}")
        return Result(failure=one_line(error), seconds=time.monotonic() - started)
    return Result(files, seconds=time.monotonic() - started)


class _Status:
    """A progress callback that keeps the last call in a file."""

    def __init__(self, files: Path) -> None:
        self.path, self.written = files.with_suffix(".json"), 0.0

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self.written >= STATUS_SECONDS:
            self.written = now
            write_text(self.path, json.dumps({"task": task, "done": done, "total": total, "note": note}))


class _Log:
    """Appends lines to a file, with the time."""

    def __init__(self, files: Path) -> None:
        self.path = files.with_suffix(".log")

    def __call__(self, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{utc_now()} {line}\n")


def status(files: Path) -> dict[str, Any]:
    """Return what a run does: `task`, `done`, `total`, `note`; empty where that is not known yet."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(files.with_suffix(".json").read_text(encoding="utf-8"))
        return found
    return {}


def start_worker(parent: int) -> None:
    """Have the kernel end this worker with the command; Ctrl-C reaches it, too, and the command alone answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
