"""What the README's commands install is pinned with hashes: every dependency, in the version of constraints.txt."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.paths import ROOT

RENEW = "run `python scripts/lock.py` (with uv at hand) after a change of pyproject.toml or constraints.txt"


def pins(text: str) -> dict[str, str]:
    """{name: version} of the lines `name==version`."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.fixture(scope="module")
def locked() -> dict[str, dict[str, str]]:
    return {path.stem: pins(path.read_text()) for path in sorted((ROOT / "locks").glob("*.txt"))}


def test_every_file_has_a_hash() -> None:
    for path in sorted((ROOT / "locks").glob("*.txt")):
        text = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
        blocks = [block for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE) if block]
        assert blocks, path.name
        for block in blocks:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), f"{path.name}: {block[:60]}"


def test_nothing_is_locked_twice(locked: dict[str, dict[str, str]]) -> None:
    names = [name for part, found in locked.items() if part != "torch-cpu" for name in found]
    assert sorted(names) == sorted(set(names))
    assert locked["torch-cpu"]["torch"] == locked["torch"]["torch"] + "+cpu"


def test_every_constraint_is_locked_in_its_version(locked: dict[str, dict[str, str]]) -> None:
    everything = {
        name: version for part in ("cuda", "dev", "docs", "run", "torch") for name, version in locked[part].items()
    }
    for name, version in pins((ROOT / "constraints.txt").read_text()).items():
        assert everything.get(name) == version, f"{name}=={version}: {RENEW}"


def test_every_dependency_is_locked(locked: dict[str, dict[str, str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in requirements} - {"stars-bench"}

    needed = {"run": names(project["dependencies"]) - {"torch"}}
    needed["dev"] = names([line for extra in ("dev", "dask", "tensorboard") for line in extras[extra]])
    needed["docs"] = names([line.partition("[")[0] for line in extras["docs"]])
    assert needed["run"] <= locked["run"].keys(), RENEW
    assert needed["docs"] <= locked["docs"].keys(), RENEW
    assert needed["dev"] <= locked["run"].keys() | locked["dev"].keys(), RENEW
    assert {"setuptools"} <= locked["run"].keys()  # what builds the package itself, without an isolated environment
