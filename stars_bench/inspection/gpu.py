"""PyTorch's build, the driver and the GPUs, as `stars-bench doctor` checks them: each GPU computes a sum."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from stars_bench.errors import one_line
from stars_bench.inspection.finding import Finding

GIB = 1 << 30
DRIVER = Path("/proc/driver/nvidia/version")
"""What the driver for Linux says of itself."""
INSTALL = "install the build for your CUDA version from https://pytorch.org/get-started/locally"


def examine() -> Iterator[Finding]:
    """Yield the PyTorch build, the driver, and whether each GPU can be used."""
    import torch

    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    yield Finding("PyTorch", "OK", f"{torch.__version__}, {build}")
    driver = _driver()
    if driver:
        yield Finding("NVIDIA driver", "OK", driver)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        yield _none(driver, torch.version.cuda, [str(one.message) for one in said])
        return
    for number in range(torch.cuda.device_count()):
        yield _gpu(number)


def _driver() -> str:
    """Return the version of NVIDIA's driver; empty where there is none."""
    try:
        found = re.search(r"\b\d+\.\d+(\.\d+)?\b", DRIVER.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return found[0] if found else ""


def _none(driver: str, cuda: str | None, said: Sequence[str]) -> Finding:
    """Return why PyTorch finds no GPU.

    Args:
        driver: Version of the driver; empty: there is none.
        cuda: Version of CUDA that PyTorch was built for.
        said: What PyTorch warned of.
    """
    if too_old := next((line for line in said if "too old" in line), None):
        text = one_line(RuntimeError(too_old)).removeprefix("RuntimeError: ")
        return Finding("GPU", "problem", text, "update the NVIDIA driver, or " + INSTALL)
    if driver and cuda is None:
        return Finding(
            "GPU", "problem", "this machine has an NVIDIA driver, but PyTorch is built without CUDA", INSTALL
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if driver and visible is not None:
        text = f"no GPU can be seen, because CUDA_VISIBLE_DEVICES={visible!r}"
        return Finding("GPU", "warning", text, "unset CUDA_VISIBLE_DEVICES, or set it to the number of a GPU")
    if driver:
        text = f"the driver is there, but PyTorch finds no GPU ({'; '.join(said) or 'it does not say why'})"
        return Finding("GPU", "problem", text, "run nvidia-smi; in a container, start it with --gpus all")
    text = "none: a run with a paper's settings takes days on CPUs"
    return Finding("GPU", "warning", text, "use a machine with a GPU, or --preset quick")


def _gpu(number: int) -> Finding:
    """Return whether a GPU computes, and how much of its memory is free."""
    import torch

    name = f"GPU {number}"
    device = torch.cuda.get_device_properties(number)
    if not _has_code_for(device.major, device.minor, torch.cuda.get_arch_list()):
        text = f"{device.name} (sm_{device.major}{device.minor}) is newer or older than this PyTorch's code for GPUs"
        return Finding(name, "problem", text, INSTALL)
    try:
        torch.ones(8, device=f"cuda:{number}").sum().item()
        free, total = torch.cuda.mem_get_info(number)
    except RuntimeError as error:  # full, or another program's alone
        text = f"{device.name} cannot be used ({one_line(error)})"
        return Finding(name, "problem", text, "nvidia-smi shows which programs use it; end them, or take another GPU")
    precision = "bf16" if device.major >= 8 else "no bf16, no TF32"
    text = f"{device.name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free, {precision}"
    if free < total / 2:
        return Finding(name, "warning", text, "nvidia-smi shows which programs use the rest; --fit-batch needs less")
    return Finding(name, "OK", text)


def _has_code_for(major: int, minor: int, compiled: Sequence[str]) -> bool:
    """Return whether code compiled for some architectures runs on a GPU: the same generation, or PTX of an older one.

    Args:
        major: The GPU's compute capability.
        minor: Its second number.
        compiled: What PyTorch was compiled for, such as "sm_90" or "compute_90". Empty: not known.
    """
    for one in compiled:
        if found := re.fullmatch(r"(sm|compute)_(\d+)(\d)[a-z]?", one):
            version = (int(found[2]), int(found[3]))
            if version <= (major, minor) and (found[1] == "compute" or version[0] == major):
                return True
    return not compiled
