"""What is half written is removed when nobody writes it any more, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.io import partial
from stars_bench.io.files import alone_in, atomic_path
from stars_bench.io.partial import ABANDONED_AFTER, SUFFIX, machine, remove_abandoned
from tests.killed import NO_PROCESS, left_by_a_killed_process

WRITE = """
import os, sys
from pathlib import Path
from stars_bench.io.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), 9)
"""


def aged(path: Path, seconds: float) -> Path:
    state = path.stat()
    os.utime(path, (state.st_atime - seconds, state.st_mtime - seconds))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_what_a_killed_export_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    out = tmp_path / "export.npz"
    subprocess.run([sys.executable, "-c", WRITE, str(out)], check=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [SUFFIX]
    with atomic_path(tmp_path / "another.npz") as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["another.npz"]


def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.pt") as temporary:
        remove_abandoned(tmp_path)
        assert temporary.exists()


@pytest.mark.parametrize("name", ["00000000-1-1", f"00000000-{NO_PROCESS}-1"])
def test_what_another_machine_writes_stays_for_a_day(tmp_path: Path, name: str) -> None:
    (file := tmp_path / f".a.pt.{name}.abc.partial").write_bytes(b"half")
    with alone_in(tmp_path):
        pass
    assert aged(file, ABANDONED_AFTER - 60).exists()
    remove_abandoned(tmp_path)
    assert file.exists()
    aged(file, 120)
    remove_abandoned(tmp_path)
    assert not file.exists()


def test_files_of_other_programs_stay(tmp_path: Path) -> None:
    names = [".download.partial", ".a.b.partial", f"a.{machine()}-1-1.abc.partial", f".a.{machine()}-x-1.abc.partial"]
    for name in names:
        (tmp_path / name).write_bytes(b"theirs")
        aged(tmp_path / name, 2 * ABANDONED_AFTER)
    remove_abandoned(tmp_path, deep=True)
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_folders_are_removed_and_links_not_followed(tmp_path: Path) -> None:
    (kept := tmp_path / "kept").mkdir()
    (kept / "file").touch()
    folder, link = (tmp_path / f".{name}.{machine()}-{NO_PROCESS}-1.abc.partial" for name in ("folder", "link"))
    folder.mkdir()
    (folder / "shard").touch()
    link.symlink_to(kept)
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()


def test_without_locks_nothing_of_another_machine_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise NotImplementedError("this file system has no locks")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    own = left_by_a_killed_process(tmp_path / "run" / "stages" / "stage1.pt")
    (other := own.with_name(".stage1.pt.00000000-7.abc.partial")).write_bytes(b"half")
    with alone_in(tmp_path / "run"):
        pass
    assert other.exists()
    assert not own.exists()


def test_a_container_on_the_same_machine_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine()
    monkeypatch.setattr("platform.node", lambda: "another")
    partial.machine.cache_clear()
    there = machine()
    partial.machine.cache_clear()
    assert here != there


def test_a_long_name_does_not_make_the_partial_name_too_long(tmp_path: Path) -> None:
    with atomic_path(tmp_path / ("x" * 250)) as temporary:
        temporary.write_text("whole")
    assert len(next(tmp_path.iterdir()).name) == 250


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_without_proc_what_another_process_writes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path / "nothing"))
    partial._start_of.cache_clear()
    left = tmp_path / f"{partial.prefix_of('file')}abcd{SUFFIX}"
    partial._start_of.cache_clear()
    left.touch()
    remove_abandoned(tmp_path)
    assert left.exists()
    aged(left, ABANDONED_AFTER + 1)
    remove_abandoned(tmp_path)
    assert not left.exists()
