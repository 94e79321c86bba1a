"""Memory that a CPU step frees is there for the next; where the user has it otherwise it stays so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.io.sealed import Damaged
from stars_bench.training import checkpoint, memory

PROGRAM = """
import resource, sys
import torch
from stars_bench.training import memory

def step():
    kept = [torch.ones(size << 18) for size in (48, 12, 30, 48)]  # MB

print(memory.keep_freed() if sys.argv[1] == "keep" else None)
for _ in range(8):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str, **variables: str) -> tuple[str, int]:
    """What `keep` said, and how many pages the system handed out in the last step."""
    run = [sys.executable, "-c", PROGRAM, way]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env=os.environ | variables)
    said, pages = done.stdout.split()
    return said, int(pages)


@pytest.mark.skipif(not hasattr(memory.ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_what_a_step_frees_is_kept_for_the_next() -> None:
    said, pages = faults("keep")
    assert said == "True"
    assert pages < 0.1 * faults("as it is")[1]


@pytest.mark.parametrize("variable", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_says_of_the_heap_counts(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "glibc.malloc.trim_threshold=131072" if variable == "GLIBC_TUNABLES" else "131072")
    assert not memory.keep_freed()


def test_a_checkpoint_for_which_there_is_no_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "stage.pt", {"module": {}})

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("torch.load", refuse)
    with pytest.raises(StarsBenchError, match=r"stage\.pt: too little memory to read it") as told:
        checkpoint.load(tmp_path / "stage.pt")
    assert not isinstance(told.value, Damaged)
