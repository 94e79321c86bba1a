"""The released archives: the source archive has the tests and pages of the repository, the wheel all that it reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.paths import ROOT

BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files of the repository, without what lies in the working folder beside them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    copy = tmp_path_factory.mktemp("checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def built(checkout: Path, kind: str, folder: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(folder)], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.mark.slow
def test_the_source_archive_holds_every_file_of_the_repository(tracked: Path, tmp_path: Path) -> None:
    with tarfile.open(built(tracked, "sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    here = {str(file.relative_to(tracked)) for file in tracked.rglob("*") if file.is_file()}
    made = {name for name in here if name.startswith(("stars_bench.egg-info/", "build/"))}
    assert here - made - held == set()


@pytest.mark.slow
def test_the_wheel_holds_every_file_that_the_package_reads(tracked: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built(tracked, "wheel", tmp_path)) as archive:
        held = set(archive.namelist())
        (about,) = (archive.read(name).decode() for name in held if name.endswith(".dist-info/METADATA"))
    package = {str(file.relative_to(tracked)) for file in (tracked / "stars_bench").rglob("*") if file.is_file()}
    assert package - held == set()
    for line in ("Author: The stars-bench authors", "Requires-Python: >=3.11", "Classifier: Typing :: Typed"):
        assert line in about
