"""What this machine and this installation offer to stars-bench, and what is wrong with them: one line for each."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement

from stars_bench.datasets.parsing import compiled_code
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io import allowance, files
from stars_bench.records import store
from stars_bench.storage.shards import left_out, prepared_datasets

NAME = "stars-bench"
VARIABLES = ("STARS_BENCH_DATA", "STARS_BENCH_RUNS", "STARS_BENCH_RAW", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
GIB = 1 << 30
State = Literal["good", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Args:
        matter: What was checked.
        state: How it stands.
        text: What was found and, if something must be done, what.
    """

    matter: str
    state: State
    text: str


def examine(data_dir: Path, runs_dir: Path) -> list[Finding]:
    """Inspect Python and packages, PyTorch and its GPUs, compiled code, memory, folders and their contents."""
    looks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _packages,
        _torch,
        _compiled_code,
        _machine,
        lambda: _data(data_dir),
        lambda: _runs(runs_dir),
        _variables,
    ]
    return [finding for look in looks for finding in look()]


def _python() -> Iterator[Finding]:
    code = files.code_state()
    commit = f", commit {code['commit'][:10]}" if code["commit"] else ""
    dirty = " with changes" if code["dirty"] else ""
    yield Finding(NAME, "good", f"{code['version']}{commit}{dirty} in {files.PACKAGE}")
    yield Finding("Python", "good", f"{platform.python_version()}, {sys.executable}, {platform.platform()}")


def _packages() -> Iterator[Finding]:
    """Yield every requirement of the installation against what is installed; those of extras are notes."""
    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "note", f"{NAME} is not installed but found on the path: requirements are not known")
        return
    required, absent = 0, set()
    for requirement in map(Requirement, lines):
        extra = re.search(r'extra == ["\'](\w+)', str(requirement.marker))
        if requirement.marker and not requirement.marker.evaluate({"extra": extra[1] if extra else ""}):
            continue
        fault = _unfit(requirement)
        if fault and extra is None:
            yield Finding(
                requirement.name, "fault", f"{fault}; pip install '{requirement.name}{requirement.specifier}'"
            )
        elif fault:
            absent.add(extra[1] if extra else "")
        required += extra is None
    yield Finding("packages", "good", f"{required} requirements looked at")
    for name in sorted(absent):
        yield Finding(f"extra {name}", "note", f"not complete: pip install '{NAME}[{name}]' if you want it")


def _unfit(requirement: Requirement) -> str | None:
    """Return why a package does not meet a requirement."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return "is missing"
    fits = requirement.specifier.contains(version, prereleases=True)
    return None if fits else f"{version} is here, {requirement.specifier} is needed"


def _torch() -> Iterator[Finding]:
    import torch

    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
    yield Finding("PyTorch", "good", f"{torch.__version__} {build}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no driver or device is seen"
        yield Finding("GPU", "note", f"none ({why}); the paper's presets want one, `--preset quick` does not")
        return
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        bf16 = "bf16" if device.major >= 8 else "no bf16, no TF32"
        try:
            free, total = torch.cuda.mem_get_info(number)
        except RuntimeError as error:  # full, or another program's alone
            yield Finding(f"GPU {number}", "fault", f"{device.name} cannot be used ({one_line(error)})")
            continue
        text = f"{device.name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free, {bf16}"
        yield Finding(f"GPU {number}", "good", text)


def _compiled_code() -> Iterator[Finding]:
    """Yield what makes `prepare` fast: numba for text, ISA-L for archives."""
    try:
        import numba

        from stars_bench.io import numba_cache

        can_compile = compiled_code.can_compile()
    except ImportError as error:
        yield Finding("numba", "fault", f"cannot be used ({one_line(error)}): large datasets cannot be prepared")
    else:
        folder = numba_cache.folder()
        if not can_compile:
            why = "nothing is compiled here (NUMBA_DISABLE_JIT is set?): prepare reads at a fiftieth of its speed"
            yield Finding("numba", "note", why)
        elif folder is None:
            why = "its compiled code cannot be kept: each command that needs it compiles for about 5 s"
            cure = "set NUMBA_CACHE_DIR to a folder that can be written"
            yield Finding("numba", "note", f"{numba.__version__}, but {why}; {cure}")
        else:
            yield Finding("numba", "good", f"{numba.__version__}, compiled code in {folder}")
    if importlib.util.find_spec("isal") is None:
        yield Finding("isal", "note", "not there: zip archives are read at half the speed")


def _machine() -> Iterator[Finding]:
    yield Finding("cores", "good", f"{allowance.cpus()} for this process, of {os.cpu_count()}")
    allowed = allowance.memory()
    try:
        memory = psutil.virtual_memory()
    except (OSError, psutil.Error):  # no /proc
        yield Finding("memory", "note", "how much is free is not known here (no /proc)")
        return
    free = memory.available if allowed is None else min(memory.available, allowed.bytes)
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if allowed is not None and allowed.bytes < memory.total:
        text += f"; this process may use {allowed.bytes / GIB:.1f} GiB ({allowed.limit})"
    yield Finding("memory", "good" if free > GIB else "note", text)


def _data(folder: Path) -> Iterator[Finding]:
    yield _room("data", folder)
    prepared = prepared_datasets(folder) if folder.exists() else []
    for dataset in prepared:
        whole = "complete" if dataset.complete else "partial"
        gone = [shard.name for shard in dataset.shards if not shard.exists()]
        text = f"{dataset.profile.name}, {dataset.num_clips:,} clips, {whole}"
        if gone:
            text += f"; {gone[0]} is gone: stars-bench prepare {dataset.name} --profile {dataset.profile.name} --force"
        yield Finding(f"dataset {dataset.name}", "fault" if gone else "good", text)
    unread = left_out(folder)
    for index, why in unread.items():
        yield Finding(f"dataset {index.parent.parent.name}", "fault", why)
    if not prepared and not unread:
        yield Finding("datasets", "note", f"none prepared in {folder}: stars-bench prepare, or stars-bench quickstart")


def _runs(folder: Path) -> Iterator[Finding]:
    yield _room("runs", folder)
    stored = store.read_records(folder)
    yield Finding("records", "good", f"{len(stored.records):,} in {folder}")
    for line in stored.warnings:
        yield Finding("records", "fault", line)


def _room(what: str, folder: Path) -> Finding:
    """Return whether a folder can be written, now or once it is made, and how much room there is."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(what, "fault", f"{folder}: cannot be written ({error.strerror}); give another folder")
    state: State = "good" if free > 5 * GIB else "note"
    return Finding(what, state, f"{folder.absolute()}, {free / GIB:.0f} GiB free")


def _variables() -> Iterator[Finding]:
    there = [f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ]
    if there:
        yield Finding("environment", "good", ", ".join(there))


def check(findings: list[Finding]) -> None:
    """Raise StarsBenchError where something is wrong."""
    faults = [finding for finding in findings if finding.state == "fault"]
    if faults:
        raise StarsBenchError(
            f"{len(faults)} {'matter is' if len(faults) == 1 else 'matters are'} wrong (marked above)"
        )
