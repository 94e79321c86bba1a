"""The GPU report: every part runs on a CPU and on the stand-in, none costs another one its result, tables follow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.autograd import DeviceType

from benchmarks import gpu_parts, gpu_report, gpu_tables, train_device
from benchmarks.gpu_parts import Found
from benchmarks.gpu_report import PARTS, Part
from tests.paths import ROOT
from tests.stand_in_gpu import stand_in_gpu

PRETENDS = """
import json, pathlib, sys, time
name, out = sys.argv[1], sys.argv[sys.argv.index("--out") + 1]
pathlib.Path(out).write_text(json.dumps({"ran": name}))
with open(pathlib.Path(out).parent / "ran", "a") as ran:
    ran.write(name + "\\n")
if name == "fails":
    sys.exit("no such kernel")
if name == "hangs":
    time.sleep(60)
"""
OPTIONS = {"device": "cpu", "small": True}


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_report, "PROGRAM", ("-c", PRETENDS))


@pytest.mark.usefixtures("pretended")
def test_a_part_that_fails_or_hangs_is_told_and_the_next_goes_on(tmp_path: Path) -> None:
    parts = [Part("a", 20, ("fails",)), Part("b", 4, ("hangs",)), Part("c", 20, ("works",))]
    found = gpu_report.report(parts, OPTIONS, tmp_path, 8)["parts"]
    assert [part["part"] for part in found] == ["a", "b", "c"]
    assert found[0]["error"].splitlines() == ["exit status 1", "no such kernel"]
    assert found[1]["error"] == "stopped after 4 s"
    assert found[2]["error"] is None
    assert [part["result"] for part in found] == [{"ran": "fails"}, {"ran": "hangs"}, {"ran": "works"}]
    assert json.loads((tmp_path / "report.json").read_text())["parts"] == found


@pytest.mark.usefixtures("pretended")
def test_what_succeeded_is_skipped_the_next_time_and_what_failed_runs_again(tmp_path: Path) -> None:
    parts = [Part("a", 20, ("works",)), Part("b", 20, ("fails",))]
    first = gpu_report.report(parts, OPTIONS, tmp_path, 5)["parts"]
    again = gpu_report.report(parts, OPTIONS, tmp_path, 5)["parts"]
    assert again[0] == first[0]
    assert (tmp_path / "ran").read_text().split() == ["works", "fails", "fails"]
    gpu_report.report(parts[:1], OPTIONS | {"device": "cuda"}, tmp_path, 5)  # another question
    assert (tmp_path / "ran").read_text().split()[3:] == ["works"]


@pytest.mark.usefixtures("pretended")
def test_no_part_starts_when_the_time_is_over(tmp_path: Path) -> None:
    found = gpu_report.report([Part("a", 20, ("works",))], OPTIONS, tmp_path, 0.01)["parts"]
    assert found[0]["error"] == "not started: 0.01 minutes were over"
    assert not (tmp_path / "ran").exists()


def test_the_most_important_comes_first_and_all_of_it_has_a_limit() -> None:
    assert PARTS[0].name == "tests"
    assert [part.arguments[1:] for part in PARTS if part.arguments[0] == "stage1"][:2] == [
        ("tf32", "plain", "128"),
        ("bf16", "plain", "128"),
    ]
    assert all(0 < part.seconds <= 120 for part in PARTS)
    assert len({part.name for part in PARTS}) == len(PARTS)


def measured(part: str, folder: Path, device: str, *arguments: str) -> dict[str, Any]:
    found = Found(folder / f"{part}.json")
    found.add(machine=gpu_parts.machine(device))
    gpu_parts.PARTS[part](found, device, True, *arguments)
    return json.loads(found.file.read_text())


@pytest.mark.slow
def test_every_part_runs_where_mixing_devices_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stand-in for a GPU, in a small size."""
    monkeypatch.setattr(train_device, "peak", lambda *_: 1e12)  # a GPU's products take a CPU minutes
    monkeypatch.setattr(gpu_parts, "kernels", lambda *_: {"launches": 1.0})  # there are none to be seen
    with stand_in_gpu():
        stage1 = measured("stage1", tmp_path, "cuda", "tf32", "plain", "128")["rows"]
        stage2 = measured("stage2", tmp_path, "cuda", "bf16")["rows"]
        features = measured("features", tmp_path, "cuda", "bf16")["rows"]
        linear = measured("linear", tmp_path, "cuda", "bf16")["rows"]
        memory = measured("memory", tmp_path, "cuda", "tf32")["rows"]
    assert [row["name"] for row in (*stage1, *stage2, *features, *linear)] == [
        "stage 1",
        "stage 2, half kept",
        "stage 2, half computed",
        "features (linear: forward)",
        "linear probe",
    ]
    assert all(row["clips_per_second"] > 0 and row["peak_gb"] is not None for row in (*stage1, *stage2, *linear))
    assert [(row["name"], row["precision"]) for row in memory[::3]] == [
        ("stage 1, 5 decoder blocks", "tf32"),
        ("stage 1, 5 decoder blocks", "bf16"),
    ]


def test_a_profile_is_sorted_by_what_kernels_do(tmp_path: Path) -> None:
    (row,) = measured("features", tmp_path, "cpu", "float32")["rows"]
    assert set(row["groups_ms"]) >= {"products", "attention", "element-wise"}
    assert sum(row["groups_ms"].values()) > 0
    assert row["kernels"][0]["ms"] == max(kernel["ms"] for kernel in row["kernels"])


def event(key: str, device: DeviceType, micros: float, annotation: bool = False) -> SimpleNamespace:
    times = {"self_device_time_total": micros, "self_cpu_time_total": micros}
    return SimpleNamespace(key=key, device_type=device, count=10, is_user_annotation=annotation, **times)


def test_on_a_gpu_kernels_count_once_and_neither_operations_nor_annotations() -> None:
    events = [
        event("aten::mm", DeviceType.CPU, 4000),
        event("nvjet_tst_128x256_gemm", DeviceType.CUDA, 4000),
        event("flash_fwd_kernel", DeviceType.CUDA, 2000),
        event("vectorized_elementwise_kernel", DeviceType.CUDA, 1000),
        event("Optimizer.step#AdamW.step", DeviceType.CUDA, 9000, annotation=True),
    ]
    found = gpu_parts.summed(events, 2, 5.0, on_gpu=True)
    assert found["groups_ms"] == {"products": 2, "attention": 1, "element-wise": 0.5}
    assert (found["launches"], found["busy_percent"]) == (15, 70)
    assert found["kernels"][0] == {"name": "nvjet_tst_128x256_gemm", "ms": 2, "calls": 5}


ROW = {
    "name": "stage 1", "precision": "bf16", "mode": "plain", "batch": 128, "step_ms": 31.24, "clips_per_second": 4097.0,
    "clip_gflop": 37.6, "tflops": 154.2, "peak_percent": 20.1, "data_percent": 1.5, "peak_gb": 7.4,
    "launches": 1234.0, "busy_percent": 97.0,
    "groups_ms": {"products": 6.2, "attention": 8.9, "element-wise": 14.7}, "kernels": [],
}  # fmt: skip
MACHINE = {"gpu": "H100", "gb": 80.0, "cuda": "12.8", "torch": "2.9", "host": "8 cores"}
DONE = {
    "part": "stage1", "error": None, "written": "2026-12-01T10:00:00Z", "code": {"commit": "abcdef0123", "dirty": True},
    "result": {"machine": MACHINE, "rows": [ROW]},
}  # fmt: skip
FAILED = {"part": "row", "error": "stopped after 120 s", "result": None}
REPORT = {"device": "cuda", "small": False, "parts": [DONE, FAILED]}


def test_the_tables_say_what_was_measured_predicted_and_what_failed() -> None:
    text = gpu_tables.tables(REPORT)
    assert (
        "`bash benchmarks/gpu_report.sh --device cuda`, 2026-12-01, commit abcdef01+: H100 (80 GB), CUDA 12.8" in text
    )
    assert "| stage 1 | bf16 |  | 128 | 31.2 | 29.8 | 4,097 | 154 | 20.1 | 1.5 | 1,234 | 97 | 7.4 |" in text
    assert "| stage 1, bf16, batch 128 |  | 6.2 | 8.9 | 14.7 | 0 | 0 |" in text
    assert "| row | stopped after 120 s | stopped after 120 s |" in text


def test_the_page_takes_the_tables_between_its_markers() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    once = gpu_tables.put_between_markers(page, "| a |")
    assert gpu_tables.put_between_markers(once, "| b |") == gpu_tables.put_between_markers(page, "| b |")
    assert once.index(gpu_tables.BEGIN) < once.index("| a |") < once.index(gpu_tables.END)
    with pytest.raises(ValueError, match="needs the lines"):
        gpu_tables.put_between_markers("no markers", "")


@pytest.mark.slow
def test_the_rehearsal_on_a_cpu_runs_every_part(tmp_path: Path) -> None:
    command = [
        "bash",
        "benchmarks/gpu_report.sh",
        "--device",
        "cpu",
        "--small",
        "--out",
        str(tmp_path),
        "--minutes",
        "60",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads((tmp_path / "report.json").read_text())
    assert [(part["part"], part["error"]) for part in found["parts"]] == [(part.name, None) for part in PARTS]
    assert done.returncode == 0, done.stdout
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_tables", str(tmp_path / "report.json")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "| linear probe |" in printed
    assert "Parts that failed" not in printed
