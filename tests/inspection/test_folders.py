"""doctor, folders: one that cannot be written, is full, is on a slow disk or has no locks is named with what to do."""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from stars_bench.inspection import folders
from stars_bench.io import files


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refuse)
    finding = folders._room("data", tmp_path / "not/yet/there", tmp_path)
    assert finding.state == "problem"
    assert "cannot be written (Permission denied)" in finding.text
    assert "--data-dir" in finding.remedy


def test_a_file_in_place_of_a_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    first, *_ = folders.examine(tmp_path / "data", tmp_path / "runs")
    room = folders._room("runs", tmp_path / "runs", folders.existing(tmp_path / "runs"))
    assert first.text.endswith("not made yet")
    assert (room.state, room.remedy) == ("problem", "name a folder with --runs-dir")


@pytest.mark.parametrize(("gib", "state"), [(0.1, "problem"), (4, "warning"), (400, "OK")])
def test_room_is_compared_with_what_a_paper_needs(
    gib: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(gib * folders.GIB)))
    finding = folders._room("data", tmp_path, tmp_path)
    assert finding.state == state
    assert ("make room (20 GiB or more)" in finding.remedy) == (state != "OK")


def test_a_disk_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    written, read = folders._speed(tmp_path)
    assert written > 0
    assert read > 0
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_without_locks_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folders, "_speed", lambda _: (9.0, 300.0))
    monkeypatch.setattr(files, "_acquire", refuse)
    disk, locks = folders._disk("runs", tmp_path)
    assert (disk.state, "writes 9 MiB/s" in disk.text, "--runs-dir" in disk.remedy) == ("warning", True, True)
    assert (locks.state, locks.text) == ("warning", "this file system has no locks (No locks available)")
    assert list(tmp_path.iterdir()) == []


def test_locks_that_two_get_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.lock_fault(tmp_path) is None
    monkeypatch.setattr(files, "_acquire", lambda *_: None)
    assert files.lock_fault(tmp_path) == "a second command gets a lock that the first one holds"
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def broken(**_: object):
        raise OSError(errno.EIO, "Input/output error")
        yield

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", broken)
    (disk,) = folders._disk("data", tmp_path)
    assert disk.state == "problem"
    assert "Input/output error" in disk.text


def test_the_innermost_mount_names_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [("/", "ext4"), (str(tmp_path), "nfs4"), (str(tmp_path / "deeper"), "tmpfs")]
    listed = [SimpleNamespace(mountpoint=point, fstype=kind) for point, kind in mounts]
    monkeypatch.setattr(folders.psutil, "disk_partitions", lambda **_: listed)
    assert folders._file_system(tmp_path) == "nfs4"
