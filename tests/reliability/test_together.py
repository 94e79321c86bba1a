"""Two at once: the second says who holds the output and changes nothing; never are two in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stars_bench.io import process_pool
from tests.reliability.command import prepare_arguments, run_arguments
from tests.reliability.source import ended, finish, start, wait_until
from tests.reliability.state import difference, state

pytestmark = pytest.mark.skipif(not process_pool.CAN_FORK, reason="needs Linux")

ENTER = """
import os, sys
from pathlib import Path
from stars_bench.api import UsageError
from stars_bench.io.files import alone_in
inside, entered = Path(sys.argv[2]), 0
while entered < 40:
    try:
        with alone_in(Path(sys.argv[1])):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails when somebody else is in
            inside.unlink()
            entered += 1
    except UsageError:
        pass
"""


def arguments_of(what: str, raw_files: Path, small_data: Path, packed: Path) -> Sequence[str]:
    """A command that writes to the working directory."""
    if what == "prepare":
        return prepare_arguments(raw_files)
    if what == "import":
        return ("import", str(packed), "--dataset", "synthetic", "--data-dir", "data")
    return run_arguments(small_data)


@pytest.fixture(scope="module")
def packed(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prepared clips as one file of another program."""
    folder = tmp_path_factory.mktemp("packed")
    out = ("--data-dir", str(small_data), "--out", "clips.pkl")
    assert finish(("export", "synthetic", "--format", "pyskl", *out), folder) == (0, "")
    return folder / "clips.pkl"


@pytest.mark.parametrize("what", ["prepare", "import", pytest.param("run", marks=pytest.mark.slow)])
def test_a_second_command_is_told_who_is_there_and_changes_nothing(
    what: str, raw_files: Path, small_data: Path, packed: Path, tmp_path: Path
) -> None:
    arguments = arguments_of(what, raw_files, small_data, packed)
    first = start(arguments, tmp_path)
    wait_until(first, lambda: [file for file in tmp_path.rglob(".*.holder") if file.read_text()])
    os.killpg(first.pid, signal.SIGSTOP)
    before = state(tmp_path)
    code, told = finish(arguments, tmp_path)
    assert state(tmp_path) == before
    os.killpg(first.pid, signal.SIGCONT)
    assert code == 2
    assert f": process {first.pid} on " in told
    assert told.endswith(") is writing there; run the same again when it has ended\n")
    assert told.count("\n") == 1
    assert ended(first) == (0, "")
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    assert finish(arguments, undisturbed) == (0, "")
    after = {path: value for path, value in state(tmp_path).items() if not path.startswith("undisturbed/")}
    assert not difference(after, state(undisturbed))


def test_never_are_two_in_one_folder(tmp_path: Path) -> None:
    words = [sys.executable, "-c", ENTER, str(tmp_path / "data" / "mamp"), str(tmp_path / "inside")]
    crowd = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(process.communicate(timeout=200)[1], process.returncode) for process in crowd] == [("", 0)] * 4
    assert not list(tmp_path.iterdir())
