"""Commands that are killed at random moments leave, once they were let finish, what an undisturbed one leaves.

A few rounds; `python -m tests.reliability.kill` does as many as one likes, and docs/reliability.md says how many were
survived. They run in a process of their own, because processes are forked from it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.io.files import alone_in
from tests.killed import left_by_a_killed_process
from tests.paths import ROOT
from tests.reliability.state import difference, state

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def killed(what: str, rounds: int, seed: int) -> str:
    """What the harness says of so many rounds."""
    command = [sys.executable, "-m", "tests.reliability.kill", what, "--rounds", str(rounds), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@linux
def test_prepare_that_was_killed_leaves_the_same_bytes() -> None:
    assert "3 rounds" in killed("prepare", 3, seed=1)


@linux
@pytest.mark.slow
@pytest.mark.parametrize(("what", "rounds"), [("prepare", 20), ("prepare-archive", 20), ("run", 8)])
def test_killed_anywhere_a_command_comes_to_the_same_end(what: str, rounds: int) -> None:
    told = killed(what, rounds, seed=2)
    assert f"{rounds} rounds" in told
    assert " 0 kills" not in told


def test_what_differs_is_seen(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "index.json").write_text(json.dumps({"written": "today", "clips": 3}))
    (one / "shard.h5").write_bytes(b"1")
    shutil.copytree(one, other)
    (other / "index.json").write_text(json.dumps({"written": "tomorrow", "clips": 3}))
    assert not difference(state(one), state(other))
    (other / "index.json").write_text(json.dumps({"written": "today", "clips": 4}))
    (other / "shard.h5").write_bytes(b"2")
    (other / ".shard.h5.x.partial").write_bytes(b"")
    found = difference(state(one), state(other))
    assert found == ".shard.h5.x.partial (is in one only), index.json (differs), shard.h5 (differs)"


def test_whoever_holds_a_folder_removes_what_the_killed_left_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    dead = left_by_a_killed_process(folder / "stages" / "stage1.pt")
    (whole := folder / "stages" / "stage1.pt").write_bytes(b"whole")
    with alone_in(folder):
        assert not dead.exists()
        dead.write_bytes(b"a worker's, killed while the folder is held")
    assert not dead.exists()
    assert whole.read_bytes() == b"whole"


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (writing := folder / ".stage1.pt.abc.partial").write_bytes(b"half")
    hold = "import sys; from pathlib import Path; from stars_bench.io.files import alone_in\n"
    hold += "with alone_in(Path(sys.argv[1])):\n Path(sys.argv[2]).touch(); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(folder), str(writing)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Exception, match="is writing there"), alone_in(folder):
            pass
        assert writing.exists()
