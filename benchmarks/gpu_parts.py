"""One part of the GPU report, measured in a process of its own; what is measured is written at once, row by row.

Usage, by `benchmarks.gpu_report`:
    python -m benchmarks.gpu_parts NAME [ARGUMENTS] --device cuda [--small] --out FILE
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.autograd import DeviceType

from benchmarks import prepare, train_device, train_row
from benchmarks.train_bench import Bench
from benchmarks.train_device import Work
from stars_bench.io.files import write_json
from stars_bench.models.stars import StarsConfig
from stars_bench.training.numerics.compile import compiled

TESTS = Path("tests")
DEEP_DECODER = 5
"""Decoder blocks on NTU-120 and PKU-MMD."""
FINETUNE_BATCH = 48
PROFILED, LONGEST = 5, 12
"""Steps that are profiled; kernels that are named."""
GROUPS = (
    ("attention", re.compile(r"attention|flash|fmha|sdpa|mem_eff", re.I)),
    ("products", re.compile(r"gemm|cutlass|nvjet|xmma|cublas|addmm|::mm$|::bmm$|matmul", re.I)),
    ("optimiser", re.compile(r"adam|multi_tensor", re.I)),
    ("copies", re.compile(r"memcpy|memset|copy", re.I)),
)
"""What a kernel does, by its name; all others are element-wise or reductions."""


@dataclass
class Found:
    """What a part has measured so far, in a file."""

    file: Path
    content: dict[str, Any] = field(default_factory=dict)

    def add(self, **values: Any) -> None:
        """Write more values; a list is added to the one that is there."""
        for name, value in values.items():
            self.content[name] = self.content.get(name, []) + value if isinstance(value, list) else value
        write_json(self.file, self.content)


def bench_of(device: str, small: bool, precision: str, batch: int = 128, **changes: Any) -> Bench:
    """The paper's network and 200 steps; `small`: a rehearsal."""
    config = StarsConfig.preset("quick" if small else "paper", "ntu60").model_copy(update=changes)
    if small:
        tiny = {"frames": 16, "dim": 16, "depth": 2, "heads": 2, "queue_size": 64}
        config, batch = config.model_copy(update=tiny), max(batch // 16, 2)
    config = config.model_copy(update={"batch_size": batch, "tune_batch_size": batch})
    steps, clips = (2, 64) if small else (200, 4096)
    return Bench(torch.device(device), config, batch, steps, clips, (precision,))


def row(work: Work, bench: Bench, mode: str, with_profile: bool = True) -> dict[str, Any]:
    """Rate, share of the peak, memory and kernels of some work."""
    precision = bench.precisions[0]
    measured = train_device.measure(work, bench, precision, train_device.peak(bench, precision))
    found = {"name": work.name, "precision": precision, "mode": mode, "batch": work.batch, **asdict(measured)}
    return found | (kernels(work, bench, precision, measured.step_ms) if with_profile else {})


def kernels(work: Work, bench: Bench, precision: str, step_ms: float) -> dict[str, Any]:
    """What the profiler saw, see `summed`."""
    events = train_device.profiled(work, bench, precision, PROFILED)
    return summed(events, PROFILED, step_ms, on_gpu=bench.device.type == "cuda")


def summed(events: Iterable[Any], steps: int, step_ms: float, on_gpu: bool) -> dict[str, Any]:
    """Milliseconds a step by what kernels do, launches a step, the share of a step in which the device is busy.

    On a GPU its kernels count, on a CPU all operations without those that they call.
    """
    seen = []
    for event in events:
        is_kernel = event.device_type == DeviceType.CUDA and not event.is_user_annotation
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if spent and (is_kernel or not on_gpu):
            seen.append((event.key, spent / 1e3 / steps, event.count / steps))
    groups: dict[str, float] = {}
    for name, ms, _ in seen:
        group = next((group for group, pattern in GROUPS if pattern.search(name)), "element-wise")
        groups[group] = groups.get(group, 0) + ms
    longest = sorted(seen, key=lambda kernel: -kernel[1])[:LONGEST]
    return {
        "groups_ms": groups,
        "launches": sum(count for *_, count in seen) if on_gpu else None,
        "busy_percent": 100 * sum(groups.values()) / step_ms if on_gpu else None,
        "kernels": [{"name": name[:120], "ms": ms, "calls": calls} for name, ms, calls in longest],
    }


def tests(found: Found, _device: str, _small: bool) -> None:
    """The tests that need a GPU."""
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if "mark.gpu" in path.read_text(encoding="utf-8")]
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", f"--junitxml={xml}"]
        status = subprocess.run([*command, *files], check=False).returncode
        suite = ET.parse(xml).getroot().find("testsuite")
    assert suite is not None
    counts = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
    wrong = [
        case for case in suite.iter("testcase") if case.find("failure") is not None or case.find("error") is not None
    ]
    found.add(tests=counts | {"failed": [f"{case.get('classname')}::{case.get('name')}" for case in wrong]})
    if status:
        sys.exit(status)


def stage1(found: Found, device: str, small: bool, precision: str, mode: str, batch: str) -> None:
    """Steps of stage 1. `mode`: "plain", "step" (`--compile step`), or the mode of `compiled`."""
    bench = bench_of(device, small, precision, int(batch))
    with compiled({"plain": None, "step": "default"}.get(mode, mode), whole=mode == "step"):
        found.add(rows=[row(next(train_device.works(bench)), bench, mode)])


def stage2(found: Found, device: str, small: bool, precision: str) -> None:
    """Steps of stage 2, the frozen half kept and computed."""
    bench = bench_of(device, small, precision)
    for work in train_device.works(bench):
        if work.name.startswith("stage 2"):
            found.add(rows=[row(work, bench, "plain")])
            if work.name.endswith("computed"):
                return


def features(found: Found, device: str, small: bool, precision: str) -> None:
    """Features of the test crop."""
    bench = replace(bench_of(device, small, precision), steps=2 if small else 40)
    found.add(rows=[row(train_device.features(bench), bench, "plain")])


def linear(found: Found, device: str, small: bool, precision: str) -> None:
    """Steps of the linear probe, augmented clips through the encoder."""
    bench = replace(bench_of(device, small, precision), steps=2 if small else 40)
    found.add(rows=[row(train_device.linear(bench), bench, "plain")])


def whole_row(found: Found, device: str, small: bool, precision: str) -> None:
    """A row of the paper's table, shortened."""
    bench = bench_of(device, small, precision)
    sizes = (260, 12) if small else train_row.NTU60
    found.add(row=asdict(train_row.whole_row(bench, Console(width=120), sizes)) | {"precision": precision})


def memory(found: Found, device: str, small: bool, precision: str) -> None:
    """Peak memory of two steps of what takes most, in `precision` and in bf16."""
    for name in (precision, "bf16"):
        deep, usual = (bench_of(device, small, name, decoder_depth=depth) for depth in (DEEP_DECODER, 3))
        for title, work, bench in (
            (f"stage 1, {DEEP_DECODER} decoder blocks", "stage 1", deep),
            ("stage 2, half computed", "stage 2, half computed", usual),
            ("fine-tuning", "fine-tuning", bench_of(device, small, name, FINETUNE_BATCH)),
        ):
            few = replace(bench, steps=2)
            for candidate in train_device.works(few):
                if candidate.name == work:
                    found.add(rows=[row(candidate, few, "plain", with_profile=False) | {"name": title}])


PARTS: dict[str, Callable[..., None]] = {
    "tests": tests,
    "stage1": stage1,
    "stage2": stage2,
    "features": features,
    "linear": linear,
    "row": whole_row,
    "memory": memory,
}


def machine(device: str) -> dict[str, Any]:
    """What the measurements were made on."""
    about = {"host": prepare.machine(), "torch": torch.__version__, "cuda": torch.version.cuda, "gpu": None}
    if device.startswith("cuda"):
        about |= {"gpu": torch.cuda.get_device_name(), "gb": torch.cuda.get_device_properties(0).total_memory / 1e9}
    return about


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--device", required=True)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    found = Found(chosen.out)
    found.add(machine=machine(chosen.device))
    PARTS[chosen.part](found, chosen.device, chosen.small, *chosen.arguments)


if __name__ == "__main__":
    main()
