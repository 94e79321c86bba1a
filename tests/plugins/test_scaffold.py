"""Templates of plug-ins: what they write conforms, runs without installing, and is listed once it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.plugins.scaffold import KINDS, write_plugin
from tests.paths import ROOT


def python(*arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, (ROOT, path))))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def install(folder: Path, site: Path) -> None:
    """What an installer leaves of the entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = [(group, *one) for group, listed in project["entry-points"].items() for one in listed.items()]
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{name} = {to}\n" for group, name, to in points))
    for package in folder.glob("*/__init__.py"):
        (site / package.parent.name).symlink_to(package.parent)


def test_their_own_tests_pass_and_their_code_is_clean(tmp_path: Path) -> None:
    folders = [write_plugin(kind, f"my-{kind}", tmp_path)[0] for kind in KINDS]
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folders[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    together = [str(folder / "tests") for folder in folders[1:]]
    path = Path(os.pathsep.join(map(str, folders)))
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", *together, cwd=tmp_path, path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(together)} passed" in done.stdout
    for folder in folders:
        ruff = python("-m", "ruff", "check", "--isolated", "--no-cache", "--line-length", "120", ".", cwd=folder)
        assert ruff.returncode == 0, ruff.stdout


@pytest.mark.slow
def test_their_types_are_whole(tmp_path: Path, monkeypatch) -> None:
    """All kinds at once, with their tests and the plug-ins of docs/adding.md, under the settings of this project.

    Most of the time goes into reading what they import, which the cache of the project's own check holds.
    """
    folders = {f"my_{kind}": write_plugin(kind, f"my-{kind}", tmp_path)[0] for kind in KINDS}
    page = dict(re.findall(r"```python file=(\S+)\n(.*?)```", (ROOT / "docs" / "adding.md").read_text(), re.DOTALL))
    for name in ("byol.py", "nearest_mean.py"):
        (tmp_path / name).write_text(page[name])
    for package, folder in folders.items():
        (folder / "tests" / f"test_{package}.py").rename(folder / package / f"test_{package}.py")
    monkeypatch.setenv("MYPYPATH", os.pathsep.join(map(str, (tmp_path, *folders.values()))))
    modules = [word for package in folders for word in ("-p", package)]
    modules += ["-m", "byol", "-m", "nearest_mean"]
    settings = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"))
    done = python("-m", "mypy", *settings, *modules, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found in 14 source files" in done.stdout


def test_a_method_runs_without_installing_and_is_listed_when_installed(small_data: Path, tmp_path: Path) -> None:
    folder, _ = write_plugin("method", "my-idea", tmp_path)
    places = ("--data-dir", str(small_data), "--runs-dir", str(tmp_path / "runs"))
    run = ("-m", "stars_bench", "run", "my_idea.method:MyIdea", "--protocol", "xsub", "--preset", "quick")
    done = python(*run, "--eval", "knn", "--set", "epochs=1", *places, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "my-idea" in done.stdout
    install(folder, tmp_path / "site")
    listed = python("-m", "stars_bench", "list", "methods", cwd=tmp_path, path=tmp_path / "site")
    assert "my-idea" in listed.stdout
    assert "Two random crops of a clip" in listed.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("My Idea", "cannot be a name"),
        ("2nd", "cannot be a name"),
        ("class", "cannot be a name"),
        ("stars", "there is a method called 'stars' already"),
        ("json", "there is a Python module called 'json' already"),
    ],
)
def test_a_name_that_cannot_be_is_told(name: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        write_plugin("method", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_plugin("method", "my-idea", tmp_path)
    with pytest.raises(UsageError, match="is there already: nothing is overwritten"):
        write_plugin("protocol", "my-idea", tmp_path)
    assert (tmp_path / "my-idea" / "my_idea" / "method.py").exists()
    assert not (tmp_path / "my-idea" / "my_idea" / "protocol.py").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_says_what_to_do_next(kind: str, tmp_path: Path) -> None:
    done = python("-m", "stars_bench", f"new-{kind}", "my-idea", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    target = f"my_idea.{kind}:" + ("MyIdea" if kind in ("method", "evaluation") else "MY_IDEA")
    assert target in done.stdout
    assert target in (tmp_path / "my-idea" / "pyproject.toml").read_text()
