"""doctor: packages, threads, memory and variables that are wrong are named with what to do; exit code and outputs."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stars_bench import cli
from stars_bench.datasets.parsing import compiled_code
from stars_bench.inspection import finding as found_things
from stars_bench.inspection import machine
from stars_bench.inspection.finding import Finding
from stars_bench.io import allowance, numba_cache

CLEAN = (*machine.OF_A_LAUNCHER, *machine.FORGOTTEN, *machine.SHOWN, *machine.THREADS, machine.LAUNCHER)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CLEAN:
        monkeypatch.delenv(name, raising=False)


def by_matter(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.matter: finding for finding in findings}


def doctor(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["stars-bench", "doctor", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_sound_installation_has_no_problem(small_data: Path, tmp_path: Path) -> None:
    found = by_matter(machine.examine(small_data, tmp_path / "runs"))
    assert "mamp, 72 clips" in found["dataset synthetic"].text
    assert "0 in" in found["records"].text
    assert {"stars-bench", "Python", "PyTorch", "CPUs", "threads", "memory", "data", "runs"} <= found.keys()
    found_things.check([finding for finding in found.values() if finding.matter != "packages"])


def test_packages_that_do_not_fit_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=999", "no-such-package>=1", "no-such-extra>=1; extra == 'dask'", "h5py; python_version < '3'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: wanted)
    found = by_matter(list(machine._packages()))
    assert found["numpy"].state == "problem"
    assert found["numpy"].text.endswith(">=999 is needed")
    assert found["numpy"].remedy == "pip install 'numpy>=999'"
    assert (found["no-such-package"].text, found["no-such-package"].state) == ("is missing", "problem")
    assert found["extras"].text.startswith("not installed: dask")
    assert "h5py" not in found


def test_another_version_than_the_installed_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [])
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.1" if name == machine.NAME else real(name))
    found = [finding for finding in machine._packages() if finding.state == "warning"]
    assert "version 0.0.1 is installed, but" in found[0].text
    assert "unset PYTHONPATH" in found[0].remedy


def test_numba_that_keeps_nothing_or_compiles_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, "compiled code in" in numba.text) == ("OK", True)
    monkeypatch.setattr(numba_cache, "folder", lambda: None)
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, "set NUMBA_CACHE_DIR" in numba.remedy) == ("warning", True)
    monkeypatch.setattr(compiled_code, "can_compile", lambda: False)
    numba = by_matter(list(machine._compiled_code()))["numba"]
    assert (numba.state, numba.remedy) == ("warning", "unset NUMBA_DISABLE_JIT")


@pytest.mark.parametrize(
    ("threads", "said"),
    [(1, "training on CPUs uses 1 of 4"), (16, "more than the 4 CPUs"), (4, "")],
)
def test_threads_that_a_variable_sets_are_compared_with_the_cpus(
    threads: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(allowance, "cpus", lambda: 4)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 64)
    assert by_matter(list(machine._cpus()))["threads"].state == "OK"  # a run corrects it where no variable is set
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    found = by_matter(list(machine._cpus()))
    assert found["CPUs"].text == "4 of 64 may be used"
    assert found["threads"].state == ("warning" if said else "OK")
    assert said in found["threads"].text
    assert found["threads"].remedy == ("unset OMP_NUM_THREADS" if said else "")


def test_memory_that_a_container_limits_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = machine.GIB
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=60 * gib, total=64 * gib))
    monkeypatch.setattr(allowance, "memory", lambda: allowance.Memory(gib, "control group, memory.max"))
    (found,) = machine._memory()
    assert found.state == "warning"
    assert "may use 1.0 GiB (control group, memory.max)" in found.text
    assert found.remedy.startswith("ask the scheduler")
    monkeypatch.setattr(allowance, "memory", lambda: None)
    (found,) = machine._memory()
    assert (found.state, found.remedy) == ("OK", "")


def test_what_a_launcher_left_is_a_problem_where_commands_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(machine._variables()) == []
    monkeypatch.setenv("MASTER_PORT", "29500")
    (found,) = machine._variables()
    assert (found.state, found.remedy) == ("warning", "unset MASTER_PORT")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    (found,) = machine._variables()
    assert found.state == "problem"
    assert found.text == "RANK=0, WORLD_SIZE=2, MASTER_PORT=29500: every command waits for other processes"
    assert found.remedy == "unset RANK WORLD_SIZE MASTER_PORT"
    monkeypatch.setenv(machine.LAUNCHER, "7")
    assert list(machine._variables()) == []


@pytest.mark.parametrize("name", machine.FORGOTTEN)
def test_what_a_search_for_an_error_left_is_noted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    (found,) = machine._variables()
    assert (found.state, found.remedy) == ("warning", f"unset {name}")
    monkeypatch.setenv(name, "0")
    # Here 0 is a setting too: it forbids TF32.
    assert bool(list(machine._variables())) == (name == "NVIDIA_TF32_OVERRIDE")


def test_a_variable_that_names_no_folder_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARS_BENCH_RAW", str(tmp_path / "gone"))
    warning, shown = machine._variables()
    assert "there is no such folder" in warning.text
    assert shown.state == "OK"


@pytest.mark.slow
def test_doctor_does_not_wait_for_processes_that_never_come(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = subprocess.run(
        [sys.executable, "-m", "stars_bench", "doctor", "--json", "--data-dir", small_data, "--runs-dir", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert [one["remedy"] for one in said["findings"] if one["state"] == "problem"] == ["unset RANK WORLD_SIZE"]


def test_what_is_damaged_in_the_folders_is_said(
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
    places = ["--data-dir", str(data), "--runs-dir", str(runs)]
    assert doctor(monkeypatch, *places) == 1
    printed = capsys.readouterr()
    table, block = printed.out.split("To paste into an issue:")
    assert max(map(len, table.splitlines())) <= 80
    assert "✗ problem" in table
    assert "→ stars-bench prepare synthetic --profile mamp --force" in " ".join(table.split())
    assert "\nproblem  dataset ntu60" in block
    assert "problems found" in printed.err
    assert doctor(monkeypatch, "--json", *places) == 1
    found = {one["matter"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert found["dataset synthetic"]["text"].endswith("is gone")
    assert "run `stars-bench prepare --force` again" in found["dataset ntu60"]["text"]
    assert found["records"]["state"] == "problem"


def test_the_block_names_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_things.Path, "home", lambda: Path("/home/mary"))
    monkeypatch.setattr(found_things.getpass, "getuser", lambda: "mary")
    text = "data in /home/mary/skeletons and /scratch/mary/runs, not in /home/maryland"
    block = found_things.issue_block([Finding("data", "OK", text, "look")])
    assert " ".join(block.split()) == "OK data data in ~/skeletons and /scratch/USER/runs, not in /home/maryland"
    assert "mary/" not in json.dumps(found_things.as_json([Finding("data", "OK", text, text)]))
    monkeypatch.setattr(found_things.Path, "home", lambda: Path("/"))  # a container without a home folder
    assert found_things.anonymous("/scratch/x") == "/scratch/x"
