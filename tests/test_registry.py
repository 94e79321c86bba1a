"""Names to objects: all that ships can be loaded, the nearest name is suggested, `module:Class` and files work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.registry import Registry
from tests.datasets.custom import custom_files


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current folder that has a protocol `mine`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "own_protocol.py").write_text(
        "from dataclasses import replace\n"
        "from stars_bench.protocols.standard import XSUB\n"
        "MINE = replace(XSUB, name='mine')\n"
    )
    yield "own_protocol"
    sys.modules.pop("own_protocol", None)


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """The description of a dataset `gym`."""
    path = tmp_path / "gym.toml"
    path.write_text(custom_files.HEAD + custom_files.CSV + custom_files.SPLIT)
    return path


@pytest.mark.parametrize("kind", list(registry.BUILT_IN))
def test_everything_registered_can_be_loaded(kind: str) -> None:
    for name in registry.names(kind):
        assert registry.load(kind, name).name == name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'stars'"):
        registry.load("methods", "star")


def test_a_method_can_be_named_by_module_and_class() -> None:
    assert registry.load("methods", "stars_bench.models.stars:Stars").name == "stars"
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        registry.load("methods", "nowhere:Stars")
    with pytest.raises(UsageError, match="has no 'Nothing'"):
        registry.load("methods", "stars_bench.models.stars:Nothing")


def test_what_is_imported_or_named_is_known_to_that_registry_alone(own_code: str, tmp_path: Path) -> None:
    importing, naming, other = Registry(), Registry(), Registry()
    importing.import_module(own_code)
    mine = importing.load("protocols", "mine")
    assert naming.load("protocols", f"{own_code}:MINE") is mine
    importing.check_from_file("protocols", f"{own_code}:MINE", tmp_path)
    naming.check_from_file("protocols", f"{own_code}:MINE", tmp_path)
    with pytest.raises(UsageError, match="no protocol is called 'mine'"):
        other.load("protocols", "mine")
    with pytest.raises(UsageError, match=f"--import {own_code}"):
        other.check_from_file("protocols", f"{own_code}:MINE", tmp_path)


def test_of_two_data_folders_the_one_added_last_counts(described: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "gym").mkdir(parents=True)
        text = described.read_text().replace('title = "Gym exercises"', f'title = "{folder}"')
        (tmp_path / folder / "gym" / registry.DESCRIPTION).write_text(text)
    own = Registry()
    with pytest.raises(UsageError, match="no dataset is called 'gym'"):
        own.load("datasets", "gym")
    for folder in ("one", "two", "one"):
        own.add_data_dir(tmp_path / folder)
        assert own.load("datasets", "gym").title == folder
    assert "gym" in own.names("datasets")
    assert own.summary("datasets", "gym") == ""


def test_a_file_of_a_dataset_is_loaded_by_its_path(described: Path) -> None:
    assert Registry().load("datasets", str(described)).title == "Gym exercises"
    with pytest.raises(UsageError, match="no protocol is called"):
        Registry().load("protocols", str(described))
    with pytest.raises(UsageError, match="a path, which is not followed"):
        Registry().check_from_file("datasets", str(described), described)


def test_a_described_dataset_has_no_name_of_another(described: Path) -> None:
    described.write_text(described.read_text().replace('name = "gym"', 'name = "ntu60"'))
    with pytest.raises(UsageError, match=r"gym\.toml: name: 'ntu60' is another dataset's name"):
        Registry().load("datasets", str(described))


@pytest.mark.parametrize(
    ("kind", "target", "fault"),
    [
        ("datasets", "stars_bench.protocols.standard:XSUB", "is no DatasetSpec, so it is no dataset"),
        ("protocols", "json:loads", "is no ProtocolSpec"),
        ("methods", "json:loads", "is no class"),
        ("methods", "stars_bench.evaluation.knn:KNN", "has no `fit`, so it is no method"),
        ("methods", "stars_bench.evaluation.knn:KNNConfig", "has no `name`"),
        ("evaluations", "stars_bench.models.stars:Stars", "has no `run`"),
    ],
)
def test_an_object_of_another_kind_is_refused(kind: str, target: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        Registry().load(kind, target)
