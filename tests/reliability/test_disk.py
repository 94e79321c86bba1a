"""Disks that are full, folders that cannot be written, other file systems: one line, and nothing half written stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from stars_bench.io import process_pool
from tests.reliability.command import prepare_arguments, run_arguments
from tests.reliability.source import finish

pytestmark = pytest.mark.skipif(not process_pool.CAN_FORK, reason="needs Linux")
OTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
FULL = "the disk (or a quota) is full; make room and run the same command again, which resumes\n"


def small_files(blocks: int) -> Sequence[str]:
    """Words before a command, under which no file can have more than so many blocks of 512 bytes."""
    return ("sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh")


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str, *more: str) -> bool:
        """Whether it could be mounted (again)."""
        command = ["mount", *more, "-t", "tmpfs", "-o", options, "none", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """An empty disk of 40 kB; skipped where nothing may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    if shutil.which("mount") is None or not disk.mount("size=40k"):
        pytest.skip("may not mount")
    yield disk
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def public(raw_files: Path) -> Iterator[Path]:
    """A folder with raw files that every user can read, and nobody but its owner write."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        shutil.copytree(raw_files, folder / "raw")
        if shutil.which("setpriv") is None or os.geteuid() != 0:
            pytest.skip("cannot act as another user")
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("jobs", [1, 2])
def test_prepare_on_a_full_disk_says_so_and_goes_on_when_there_is_room(raw_files: Path, disk: Disk, jobs: int) -> None:
    arguments = prepare_arguments(raw_files, jobs)
    folder = disk.folder / "data" / "synthetic" / "mamp"
    line = f"error: {folder.relative_to(disk.folder)}: cannot be written ({FULL[:-1]})\n"
    assert finish(arguments, disk.folder) == (1, line)
    assert not (folder / "index.json").exists()
    assert not list(disk.folder.rglob(".*"))
    assert disk.mount("size=20m", "-o", "remount") or disk.mount("remount,size=20m")
    assert finish(arguments, disk.folder) == (0, "")


def test_prepare_where_no_file_may_be_so_large(raw_files: Path, tmp_path: Path) -> None:
    code, told = finish(prepare_arguments(raw_files, 1), tmp_path, *small_files(8))
    assert (code, told) == (1, f"error: data/synthetic/mamp: cannot be written ({FULL[:-1]})\n")
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.slow
def test_run_on_a_full_disk_says_so_and_goes_on_when_there_is_room(small_data: Path, disk: Disk) -> None:
    arguments = run_arguments(small_data)
    for size in (4, 12, 40, 120, 180, 220):  # kB: full while settings, a checkpoint, features, a record are written
        assert disk.mount(f"remount,size={size}k")
        code, told = finish(arguments, disk.folder)
        assert code == 1, told
        assert told.count("\n") == 1
        assert "disk is full" in told or "are free in" in told or FULL in told
        assert not list(disk.folder.rglob(".*.partial"))
        assert disk.mount("remount,size=8m")
    assert finish(arguments, disk.folder) == (0, "")
    assert len(list(disk.folder.rglob("records/*.json"))) == 5


def test_a_disk_that_can_only_be_read_is_told_of_and_read(raw_files: Path, small_data: Path, disk: Disk) -> None:
    assert disk.mount("remount,size=20m")
    assert finish(prepare_arguments(raw_files, 1), disk.folder) == (0, "")
    assert disk.mount("remount,ro")
    assert finish(prepare_arguments(raw_files, 1), disk.folder) == (0, "")  # was ready
    code, told = finish((*prepare_arguments(raw_files, 1), "--profile", "raw"), disk.folder)
    assert (code, told) == (1, "error: data/synthetic/raw: cannot be written (Read-only file system)\n")
    code, told = finish(run_arguments(small_data), disk.folder)
    assert code == 1
    assert told.endswith("config.toml: Read-only file system\n")
    assert told.count("\n") == 1


def test_a_folder_of_somebody_else_is_told_of(public: Path) -> None:
    arguments = prepare_arguments(public / "raw", 1)
    refused = (1, "error: data/synthetic/mamp: cannot be written (Permission denied)\n")
    assert finish(arguments, public, *OTHER_USER) == refused
    assert finish(arguments, public) == (0, "")
    assert finish(arguments, public, *OTHER_USER) == (0, "")  # ready, and may be read
    assert finish((*arguments, "--force"), public, *OTHER_USER) == refused
    assert (public / "data" / "synthetic" / "mamp" / "index.json").exists()
    code, told = finish(run_arguments(public / "data"), public, *OTHER_USER)
    assert code == 1
    assert told.endswith("config.toml: Permission denied\n")
    assert told.count("\n") == 1


def test_a_raw_file_that_may_not_be_read_is_told_of_and_its_clip_is_not_set_aside(public: Path) -> None:
    file = min((public / "raw").iterdir())
    file.chmod(0o600)
    (public / "data").mkdir()
    (public / "data").chmod(0o777)
    code, told = finish(prepare_arguments(public / "raw", 1), public, *OTHER_USER)
    assert code == 1
    assert told.startswith(f"error: {file}: cannot be read now (Permission denied)")
    assert told.count("\n") == 1
    file.chmod(0o644)
    assert finish(prepare_arguments(public / "raw", 1), public, *OTHER_USER) == (0, "")


def test_nothing_is_written_but_in_the_output_on_another_file_system(
    raw_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        assert finish(prepare_arguments(raw_files), folder) == (0, "")
        assert finish(
            (*run_arguments(folder / "data", "untrained")[:14], "--eval", "knn", "--set", "frames=8"), folder
        ) == (0, "")
        assert (folder / "runs").is_dir()
    left = [path for path in tmp_path.rglob("*") if not path.name.startswith("torchinductor")]  # torch's own, empty
    assert not left
