"""The scripts of docs/cluster.md, as far as they go without SLURM: stand-ins for srun and scontrol, CPU processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.test_torchrun import LONG, SECONDS, records, wait_for
from tests.paths import ROOT

TEXT = (ROOT / "docs/cluster.md").read_text()
SCRIPTS = dict(re.findall(r"^## .*?: ([\w-]+\.sbatch)$.*?^```bash\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
SRUN = """#!/bin/bash
# One task a node; here the nodes are processes.
while [[ $1 == --* ]]; do shift; done
for ((node = 1; node < SLURM_JOB_NUM_NODES; node++)); do "$@" & done
if ((SLURM_JOB_NUM_NODES > 1)); then "$@"; wait; else exec "$@"; fi
"""
SCONTROL = """#!/bin/bash
if [[ $1 == show ]]; then echo localhost; else echo "$*" >> "$REQUEUED"; fi
"""
SMALL = ("frames=8", "dim=16", "depth=2", "heads=2", "batch_size=15", "epochs=2")


def start(name: str, folder: Path, data: Path, nodes: int, processes: int, settings: tuple[str, ...]):
    """A script of the document under the stand-ins."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    torchrun = f'#!/bin/bash\nexec {sys.executable} -m torch.distributed.run "$@"\n'
    texts = {"srun": SRUN, "scontrol": SCONTROL, "torchrun": torchrun, name: SCRIPTS[name]}
    for file, text in texts.items():
        (programs / file).write_text(text)
        (programs / file).chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slurm = {"JOB_ID": "7", "JOB_NODELIST": "n", "JOB_NUM_NODES": str(nodes), "GPUS_ON_NODE": str(processes)}
    slurm["CPUS_PER_TASK"] = "16"
    variables = os.environ | {f"SLURM_{key}": value for key, value in slurm.items()}
    variables |= {"PATH": f"{programs}:{os.environ['PATH']}", "PORT": str(port), "REQUEUED": str(folder / "requeued")}
    options = ["--protocol", "xsub", "--preset", "quick", "--device", "cpu", "--eval", "knn"]
    options += ["--checkpoint-seconds", "0", "--data-dir", str(data), "--runs-dir", str(folder / "runs")]
    options += [part for item in settings for part in ("--set", item)]
    return subprocess.Popen(
        ["bash", str(programs / name), "mamp", *options],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def test_every_script_is_sound_bash_with_its_directives_first() -> None:
    assert list(SCRIPTS) == ["one-node.sbatch", "nodes.sbatch", "preemptible.sbatch"]
    for name, text in SCRIPTS.items():
        checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, ""), name
        lines = text.splitlines()
        directives = [line.startswith("#SBATCH") for line in lines[1:]]
        assert directives == sorted(directives, reverse=True), name  # SLURM reads none after the first command


@pytest.mark.slow
@pytest.mark.parametrize(("name", "nodes", "processes"), [("one-node.sbatch", 1, 2), ("nodes.sbatch", 2, 1)])
def test_a_script_trains_with_two_processes(
    name: str, nodes: int, processes: int, small_data: Path, tmp_path: Path
) -> None:
    code, _, err = finish(start(name, tmp_path, small_data, nodes, processes, SMALL))
    assert code == 0, err
    assert {record.environment.processes for record in records(tmp_path / "runs")} == {2}


@pytest.mark.slow
def test_the_preemptible_script_puts_itself_back_and_goes_on(small_data: Path, tmp_path: Path) -> None:
    process = start("preemptible.sbatch", tmp_path, small_data, 1, 2, LONG)
    wait_for("stage1-*.resume.pt", tmp_path, process)
    process.send_signal(signal.SIGUSR1)
    code, _, err = finish(process)
    assert (code, (tmp_path / "requeued").read_text()) == (0, "requeue 7\n"), err
    assert err.count("run the same command again: it resumes from what it last saved") == 1
    saved = next((tmp_path / "runs").rglob("stage1-*.resume.pt")).stat().st_mtime_ns
    again = start("preemptible.sbatch", tmp_path, small_data, 1, 2, LONG)
    while again.poll() is None and next((tmp_path / "runs").rglob("*.resume.pt")).stat().st_mtime_ns == saved:
        pass
    again.send_signal(signal.SIGUSR1)
    assert "stage1: resumes from its checkpoint after step" in finish(again)[1]
