"""doctor, GPUs: a build, a driver or a variable that keeps PyTorch from a GPU is named with what to do."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stars_bench.inspection import gpu
from tests.stand_in_gpu import stand_in_gpu

OF_LINUX = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.154.05  Thu Dec 28 15:37:48 UTC 2023\nGCC version: 12.2.0\n"
)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "version"
    file.write_text(OF_LINUX)
    monkeypatch.setattr(gpu, "DRIVER", file)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return file


def last() -> gpu.Finding:
    *_, finding = gpu.examine()
    return finding


def test_without_a_driver_a_paper_takes_days(driver: Path) -> None:
    driver.unlink()
    assert (last().state, "--preset quick" in last().remedy) == ("warning", True)


@pytest.mark.usefixtures("driver")
def test_a_build_without_cuda_beside_a_driver_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    torch_build, version, finding = gpu.examine()
    assert "built without CUDA" in torch_build.text
    assert version.text == "535.154.05"
    assert finding.state == "problem"
    assert "pytorch.org" in finding.remedy


@pytest.mark.usefixtures("driver")
def test_a_driver_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old (found version 11040).", stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", refuse)
    assert "too old (found version 11040)" in last().text
    assert (last().state, last().remedy.startswith("update the NVIDIA driver")) == ("problem", True)


@pytest.mark.usefixtures("driver")
def test_a_hidden_gpu_is_noted_and_a_silent_one_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert (last().state, "--gpus all" in last().remedy) == ("problem", True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert (last().state, last().text) == ("warning", "no GPU can be seen, because CUDA_VISIBLE_DEVICES=''")


@pytest.mark.parametrize(
    ("capability", "compiled", "runs"),
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 9), ["sm_80", "sm_90"], True),
        ((12, 0), ["sm_80", "sm_90a"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((6, 1), ["sm_70", "sm_75"], False),
        ((12, 1), ["sm_100", "sm_120"], True),
        ((9, 0), [], True),
    ],
)
def test_code_runs_on_its_generation_and_ptx_on_later_ones(
    capability: tuple[int, int], compiled: list[str], runs: bool
) -> None:
    assert gpu._has_code_for(*capability, compiled) is runs


def test_a_gpu_without_code_and_one_that_others_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in_gpu():
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (4 << 30, 32 << 30))
        assert (last().state, "nvidia-smi" in last().remedy) == ("warning", True)
        device = SimpleNamespace(name="old", major=5, minor=2)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
        assert (last().state, "old (sm_52)" in last().text) == ("problem", True)
