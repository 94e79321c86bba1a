"""What this machine and this installation offer to stars-bench, and what is wrong with them: one line for each."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from stars_bench.datasets.parsing import compiled_code
from stars_bench.errors import one_line
from stars_bench.inspection import folders, gpu
from stars_bench.inspection.finding import Finding
from stars_bench.io import allowance, files

NAME = "stars-bench"
GIB = 1 << 30
LAUNCHER = "TORCHELASTIC_RUN_ID"
"""The variable of torchrun that other launchers do not set, and that nobody exports by hand."""
OF_A_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
SHOWN = ("STARS_BENCH_DATA", "STARS_BENCH_RUNS", "STARS_BENCH_RAW", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")
FORGOTTEN = {
    "CUDA_LAUNCH_BLOCKING": "each operation of a GPU waits for the one before: training is much slower",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "memory of GPUs is asked for anew each time: training is much slower",
    "NVIDIA_TF32_OVERRIDE": "it overrules --precision: results may differ from what their records say",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "it overrules --precision: results may differ from what their records say",
    "NUMBA_DISABLE_JIT": "nothing is compiled: prepare reads at a fiftieth of its speed",
}
"""Variables that somebody set to find an error and left behind, and what they cost."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def examine(data_dir: Path, runs_dir: Path) -> list[Finding]:
    """Inspect Python and packages, PyTorch and its GPUs, compiled code, CPUs, memory, variables, folders and content.

    Args:
        data_dir: Folder of prepared datasets.
        runs_dir: Folder of runs.
    """
    looks: list[Callable[[], Iterator[Finding]]] = [
        _python,
        _packages,
        gpu.examine,
        _compiled_code,
        _cpus,
        _memory,
        _variables,
        lambda: folders.examine(data_dir, runs_dir),
    ]
    return [finding for look in looks for finding in look()]


def _python() -> Iterator[Finding]:
    code = files.code_state()
    commit = f", commit {code['commit'][:10]}" if code["commit"] else ""
    dirty = " with changes" if code["dirty"] else ""
    yield Finding(NAME, "OK", f"{code['version']}{commit}{dirty} in {files.PACKAGE}")
    yield Finding("Python", "OK", f"{platform.python_version()}, {sys.executable}, {platform.platform()}")


def _packages() -> Iterator[Finding]:
    """Yield every requirement of the installation against what is installed; those of extras are warnings."""
    about = files.environment("")["packages"]
    yield Finding("versions", "OK", ", ".join(f"{name} {version}" for name, version in about.items()))
    try:
        lines, installed = importlib.metadata.requires(NAME) or [], importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        text = f"{NAME} runs from PYTHONPATH and is not installed: its requirements cannot be checked"
        yield Finding("packages", "warning", text, f"pip install {NAME}, or pip install -e . in a clone")
        return
    if installed != files.code_state()["version"]:
        text = f"version {installed} is installed, but the code that runs is {files.code_state()['version']}"
        yield Finding("packages", "warning", text, f"unset PYTHONPATH, or install {NAME} again")
    required, absent = 0, set()
    for requirement in map(Requirement, lines):
        extra = re.search(r'extra == ["\'](\w+)', str(requirement.marker))
        if requirement.marker and not requirement.marker.evaluate({"extra": extra[1] if extra else ""}):
            continue
        fault = _unfit(requirement)
        if fault and extra is None:
            install = f"pip install '{requirement.name}{requirement.specifier}'"
            yield Finding(requirement.name, "problem", fault, install)
        elif fault:
            absent.add(extra[1] if extra else "")
        required += extra is None
    yield Finding("packages", "OK", f"{required} required packages checked")
    if absent:
        names = ", ".join(sorted(absent))
        yield Finding("extras", "OK", f"not installed: {names} (pip install '{NAME}[NAME]' if you want one)")


def _unfit(requirement: Requirement) -> str | None:
    """Return why a package does not meet a requirement."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return "is missing"
    fits = requirement.specifier.contains(version, prereleases=True)
    return None if fits else f"{version} is here, {requirement.specifier} is needed"


def _compiled_code() -> Iterator[Finding]:
    """Yield what makes `prepare` fast: numba for text, ISA-L for archives."""
    try:
        import numba

        from stars_bench.io import numba_cache

        can_compile = compiled_code.can_compile()
    except ImportError as error:
        text = f"cannot be used ({one_line(error)}): large datasets cannot be prepared"
        yield Finding("numba", "problem", text, "pip install --force-reinstall numba")
    else:
        folder = numba_cache.folder()
        if not can_compile:
            text = "nothing is compiled here: prepare reads at a fiftieth of its speed"
            yield Finding("numba", "warning", text, "unset NUMBA_DISABLE_JIT")
        elif folder is None:
            text = f"{numba.__version__}, but its compiled code cannot be kept: each command compiles for about 5 s"
            yield Finding("numba", "warning", text, "set NUMBA_CACHE_DIR to a folder that can be written")
        else:
            yield Finding("numba", "OK", f"{numba.__version__}, compiled code in {folder}")
    if importlib.util.find_spec("isal") is None:
        yield Finding("isal", "warning", "not installed: zip archives are read at half the speed", "pip install isal")


def _cpus() -> Iterator[Finding]:
    """Yield how many CPUs a container, a job or affinity allow, and whether PyTorch uses as many threads."""
    import torch

    allowed, there, threads = allowance.cpus(), os.cpu_count() or 1, torch.get_num_threads()
    text = f"{allowed} of {there} may be used" if allowed < there else f"{there}"
    yield Finding("CPUs", "OK", text)
    given = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    text = f"PyTorch uses {threads}" + (f", because {' and '.join(given)}" if given else "")
    unset = f"unset {' '.join(name for name in THREADS if name in os.environ)}"
    if given and threads > allowed:
        yield Finding("threads", "warning", f"{text}: more than the {allowed} CPUs, which is slower", unset)
    elif given and threads < allowed:
        yield Finding("threads", "warning", f"{text}: training on CPUs uses {threads} of {allowed}", unset)
    else:  # where no variable says otherwise, a run takes as many as are allowed
        yield Finding("threads", "OK", f"PyTorch uses {min(threads, allowed)}")


def _memory() -> Iterator[Finding]:
    allowed = allowance.memory()
    try:
        memory = psutil.virtual_memory()
    except (OSError, psutil.Error):  # no /proc
        yield Finding("memory", "warning", "how much is free is not known here (no /proc)", "mount /proc")
        return
    free = memory.available if allowed is None else min(memory.available, allowed.bytes)
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    remedy = "end other programs"
    if allowed is not None and allowed.bytes < memory.total:
        text += f"; this process may use {allowed.bytes / GIB:.1f} GiB ({allowed.limit})"
        remedy = "ask the scheduler or the container for more"
    enough = free > 2 * GIB
    yield Finding("memory", "OK" if enough else "warning", text, "" if enough else f"{remedy}: runs need 2 GiB or more")


def _variables() -> Iterator[Finding]:
    """Yield variables of the environment that a job or a search for an error left behind."""
    left = [name for name in OF_A_LAUNCHER if name in os.environ]
    if left and LAUNCHER not in os.environ:
        text = ", ".join(f"{name}={os.environ[name]}" for name in left)
        waits = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
        text += ": every command waits for other processes" if waits else ": left by a launcher"
        yield Finding("environment", "problem" if waits else "warning", text, f"unset {' '.join(left)}")
    for name, cost in FORGOTTEN.items():
        if os.environ.get(name, "0") != "0" or (name == "NVIDIA_TF32_OVERRIDE" and name in os.environ):
            yield Finding("environment", "warning", f"{name}={os.environ[name]}: {cost}", f"unset {name}")
    for name in ("STARS_BENCH_DATA", "STARS_BENCH_RAW"):
        if os.environ.get(name) and not Path(os.environ[name]).is_dir():
            text = f"{name}={os.environ[name]}: there is no such folder"
            yield Finding("environment", "warning", text, f"correct {name}, or unset it")
    there = [f"{name}={os.environ[name]}" for name in SHOWN if name in os.environ]
    if there:
        yield Finding("environment", "OK", ", ".join(there))
