"""The command line in processes of their own, with shards small enough that there are many of them.

Processes are forked from one that has everything loaded, because importing torch takes longer than what is killed here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SMALLEST_SHARD = 1 << 16
TINY = (
    *("frames=8", "dim=16", "depth=1", "heads=2", "batch_size=16", "epochs=2", "warmup_epochs=1"),
    *("tune_epochs=1", "tune_batch_size=16", "queue_size=40", "predictor_hidden=32"),
    *("linear.epochs=2", "linear.batch_size=16"),
)
OUTPUT = ".output"
"""In the working directory: what the command printed."""


def prepare_arguments(raw: Path, jobs: int = 2) -> tuple[str, ...]:
    """`prepare` of made-up raw files into the folder `data` of the working directory."""
    return ("prepare", "synthetic", "--raw", str(raw), "--data-dir", "data", "--jobs", str(jobs))


def run_arguments(data: Path, method: str = "stars") -> tuple[str, ...]:
    """`run` of a tiny method into the folder `runs` of the working directory, with a checkpoint after every step."""
    return (
        *("run", method, "--protocol", "xsub", "--preset", "quick", "--device", "cpu", "--checkpoint-seconds", "0"),
        *("--data-dir", str(data), "--runs-dir", "runs", *(part for item in TINY for part in ("--set", item))),
    )


def load() -> None:
    """Loads what the commands will need, in the process that they are forked from."""
    import numba  # noqa: F401
    import torch

    from stars_bench.models.layers import nnclr  # noqa: F401

    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # loads torch's compiler, for a second


class Job:
    """A command that runs in a process of its own, the leader of its process group."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / OUTPUT
        self.status: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _be(arguments, folder)
        with contextlib.suppress(OSError):  # the child does the same: whoever comes first
            os.setpgid(self.pid, self.pid)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status

    def wait(self, seconds: float = 300.0) -> int:
        """Waits for the end.

        Raises:
            TimeoutError: it takes too long.
        """
        end = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                kill_group(self.pid)
                raise TimeoutError(f"no end within {seconds} s: {self.told()}")
            time.sleep(0.005)
        return status

    def told(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")


def _be(arguments: Sequence[str], folder: Path) -> None:
    code = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        descriptor = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.argv = ["stars-bench", *arguments]
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """The command line, with small shards."""
    from stars_bench.preparation import shard_plan

    shard_plan.SMALLEST_SHARD = SMALLEST_SHARD
    from stars_bench.cli import main as stars_bench

    stars_bench()


def kill_group(group: int) -> None:
    """SIGKILL to all processes of a group, if it has any left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def members(group: int) -> list[int]:
    """The living processes of a group but for its leader (from /proc)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != group:
            with contextlib.suppress(OSError):
                state, _, group_of_it = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group_of_it) == group and state not in "ZX":
                    found.append(int(entry.name))
    return sorted(found)


def all_gone(group: int, seconds: float = 10.0) -> bool:
    """Whether no process of a group but its leader is alive, now or within some seconds."""
    end = time.monotonic() + seconds
    while members(group):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


if __name__ == "__main__":
    main()
