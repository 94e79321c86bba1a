"""Several gloo processes for the tests: `together` runs a function in each of them and gives what each returned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

SECONDS = 120
"""Nothing here may hang: a process that is not done by then is ended."""


def together(target: str, processes: int, folder: Path) -> list[Any]:
    """What `target` ("module:function", without arguments) returns in each of several processes."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.training.ranks", target, str(processes), str(folder)]
    started = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(processes)]
    try:
        told = [process.communicate(timeout=SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert all(process.returncode == 0 for process in started), "\n".join(told)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(processes)]


def main(target: str, processes: str, folder: str, rank: str) -> None:
    """One of the processes."""
    os.environ |= {"RANK": rank, "WORLD_SIZE": processes}
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=int(rank), world_size=int(processes))
    module, _, function = target.partition(":")
    result = getattr(__import__(module, fromlist=[function]), function)()
    torch.save(result, Path(folder) / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
