"""doctor: everything in order is said, everything that is wrong too, with what to do, and an exit code."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from pathlib import Path

import pytest

from stars_bench import cli
from stars_bench.datasets.parsing import compiled_code
from stars_bench.inspection import machine
from stars_bench.inspection.machine import Finding
from stars_bench.io import numba_cache


def by_matter(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.matter: finding for finding in findings}


def test_a_sound_installation_has_no_fault(small_data: Path, tmp_path: Path) -> None:
    found = by_matter(machine.examine(small_data, tmp_path / "runs"))
    assert "mamp, 72 clips" in found["dataset synthetic"].text
    assert "0 in" in found["records"].text
    assert {"stars-bench", "Python", "PyTorch", "cores", "memory", "data", "runs"} <= found.keys()
    machine.check([finding for finding in found.values() if finding.matter != "packages"])


def test_packages_that_do_not_fit_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=999", "no-such-package>=1", "no-such-extra>=1; extra == 'dask'", "h5py; python_version < '3'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: wanted)
    found = by_matter(list(machine._packages()))
    assert found["numpy"].state == "fault"
    assert ">=999 is needed; pip install 'numpy>=999'" in found["numpy"].text
    assert found["no-such-package"].text == "is missing; pip install 'no-such-package>=1'"
    assert found["extra dask"].state == "note"
    assert "h5py" not in found


def test_numba_that_keeps_nothing_or_compiles_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, "compiled code in" in numba.text) == ("good", True)
    monkeypatch.setattr(numba_cache, "folder", lambda: None)
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, "set NUMBA_CACHE_DIR" in numba.text) == ("note", True)
    monkeypatch.setattr(compiled_code, "can_compile", lambda: False)
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, "NUMBA_DISABLE_JIT" in numba.text) == ("note", True)


def test_what_is_damaged_in_the_folders_is_told(
    small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    data, runs = tmp_path / "data", tmp_path / "runs"
    shutil.copytree(small_data, data)
    next(data.rglob("shard-*.h5")).unlink()
    (data / "ntu60/mamp").mkdir(parents=True)
    (data / "ntu60/mamp/index.json").write_text("{")
    bad = runs / "synthetic/xsub/mamp/0123/seed0/records/knn.json"
    bad.parent.mkdir(parents=True)
    bad.write_text("{}")
    monkeypatch.setattr(sys, "argv", ["stars-bench", "doctor", "--data-dir", str(data), "--runs-dir", str(runs)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert max(map(len, printed.out.splitlines())) <= 80
    assert "matters are wrong" in printed.err
    found = by_matter(machine.examine(data, runs))
    assert "is gone: stars-bench prepare synthetic --profile mamp --force" in found["dataset synthetic"].text
    assert "run `stars-bench prepare --force` again" in found["dataset ntu60"].text
    assert found["records"].state == "fault"


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    finding = machine._room("data", tmp_path / "not/yet/there")
    assert finding.state == "fault"
    assert "cannot be written (Permission denied)" in finding.text
