"""Two processes that would write to one folder: the second is told who is there; a killed one holds nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.datasets.ntu import NTU60
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import alone_in, replace_folder
from stars_bench.preparation import prepare as preparing
from stars_bench.preparation.prepare import prepare
from tests.datasets.raw_writers import write_ntu

HOLD = """
import sys, time
from pathlib import Path
from stars_bench.io.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path) -> subprocess.Popen[str]:
    """A process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", ["S001C001P001R001A001"])
    with holding(tmp_path / "data" / "ntu60" / "mamp") as first:
        try:
            with pytest.raises(UsageError, match=rf"mamp: process {first.pid} on .* is writing there; run the same"):
                prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1)
            assert prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", "raw", jobs=1).digest  # another folder is free
        finally:
            first.kill()
    assert prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1).shards == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mamp"
    with holding(folder) as first:
        os.kill(first.pid, signal.SIGKILL)
    with alone_in(folder):
        assert (folder.parent / ".mamp.holder").read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_free_again_when_the_work_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ntu(tmp_path / "raw", ["S001C001P001R001A001"])

    def fail(*_: object, **__: object) -> None:
        raise StarsBenchError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "make_plans", fail)
        with pytest.raises(StarsBenchError, match="broken"):
            prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1).shards == 1


def test_without_locks_the_work_goes_on_and_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object) -> None:
        raise NotImplementedError("this file system has no locks")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with alone_in(tmp_path / "folder"):
        assert not list(tmp_path.iterdir())
    assert "folder: this file system has no locks (" in caplog.text


def test_a_folder_that_was_being_replaced_when_its_process_was_killed_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, new = tmp_path / "mamp", tmp_path / "new"
    for path in (folder, new):
        path.mkdir()
        (path / "shard").write_text(path.name)
    rename = Path.rename

    def die_at_the_second(path: Path, to: Path) -> Path:
        if path == new:
            raise KeyboardInterrupt
        return rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(new, folder, re.compile("shard"))
    assert not folder.exists()
    with alone_in(folder):
        assert (folder / "shard").read_text() == "mamp"
        replace_folder(new, folder, re.compile("shard"))
    assert [path.name for path in tmp_path.iterdir()] == ["mamp"]
    assert (folder / "shard").read_text() == "new"
