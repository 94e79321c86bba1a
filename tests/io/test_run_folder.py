"""The layout of runs: names that every file system takes, what runs share, what a user may give."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder, run_folders, seeds_of


def make(runs_dir: Path, method: str = "stars", key: str = "0a1b", seed: int = 0, dataset: str = "ntu60") -> RunFolder:
    """A run that was started."""
    folder = RunFolder.of(runs_dir, dataset, "xsub", method, key, seed)
    touch(folder.config)
    return folder


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_plugin_method_gets_a_folder_that_every_file_system_takes(tmp_path: Path) -> None:
    folder = RunFolder.of(tmp_path, "ntu60", "xsub", "my.module:Method", "0a1b2c", 3)
    assert folder.path == tmp_path / "ntu60" / "xsub" / "my.module_Method" / "0a1b2c" / "seed3"
    assert folder.seed == 3
    assert folder.run.name == "0a1b2c"
    assert RunFolder.of_record(folder.records / "knn.json") == folder


def test_a_folder_of_another_name_has_no_seed(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "seeds").seed is None
    assert RunFolder(tmp_path / "seed1b").seed is None


def test_a_stage_is_found_in_its_own_run_first_then_in_others_of_the_dataset(tmp_path: Path) -> None:
    own, other = make(tmp_path, "stars"), make(tmp_path, "mamp", "ffff", 2)
    elsewhere = make(tmp_path, dataset="ntu120")
    key = "abcdef" * 10
    assert own.find_stage("stage1", key) is None
    touch(elsewhere.stage_file("stage1", key))
    assert own.find_stage("stage1", key) is None  # of another dataset
    theirs = touch(other.stage_file("stage1", key))
    assert theirs.name == "stage1-abcdefabcdefabcd.pt"
    assert own.find_stage("stage1", key) == theirs
    mine = touch(own.stage_file("stage1", key))
    assert own.find_stage("stage1", key) == mine
    assert own.stage_files("stage1", key) == [mine, theirs]
    assert own.find_stage("stage2", key) is None


def test_a_relative_path_finds_the_same_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = make(tmp_path), make(tmp_path, "mamp")
    theirs = touch(other.stage_file("stage1", "a" * 64))
    mine = touch(own.stage_file("stage1", "a" * 64))
    monkeypatch.chdir(own.path)
    for here in (RunFolder(Path()), RunFolder(Path("../seed0"))):
        assert here.seed == 0
        assert [path.resolve() for path in here.stage_files("stage1", "a" * 64)] == [mine, theirs]


def test_a_folder_outside_of_runs_shares_nothing(tmp_path: Path) -> None:
    alone = RunFolder(tmp_path / "copy" / "of" / "a" / "run")
    touch(tmp_path / "copy/of/a/seed0/features/crop-1.npz")
    mine = touch(alone.features / "crop-2.npz")
    assert alone.feature_files("crop") == [mine]
    assert RunFolder(Path("/seed0")).find_stage("stage1", "a") is None  # too near the root to lie in a runs folder


def test_features_of_other_runs_only_where_they_are_asked_for(tmp_path: Path) -> None:
    own, other = make(tmp_path), make(tmp_path, "mamp")
    mine, theirs = touch(own.features / "crop-2.npz"), touch(other.features / "crop-1.npz")
    touch(other.features / "whole-1.npz")
    assert own.feature_files("crop") == [mine, theirs]
    assert own.feature_files("crop", everywhere=False) == [mine]


@pytest.mark.parametrize("levels", range(6))
def test_runs_are_found_from_every_folder_at_or_above_a_seed(tmp_path: Path, levels: int) -> None:
    folder = make(tmp_path)
    above = [tmp_path, *reversed(folder.path.relative_to(tmp_path).parents)][1:]
    start = [*(tmp_path / part for part in above), folder.path][levels]
    assert run_folders(start) == [folder]


def test_runs_are_sorted_with_seeds_as_numbers_and_what_is_no_run_is_left_out(tmp_path: Path) -> None:
    folders = [make(tmp_path, seed=seed) for seed in (2, 10)]
    touch(tmp_path / "ntu60/xsub/stars/0a1b/seed_notes/config.toml")
    (tmp_path / "ntu60/xsub/stars/0a1b/seed3").mkdir()
    assert run_folders(tmp_path) == folders
    assert run_folders(tmp_path / "nowhere") == []


def test_what_a_user_gives_means_the_seeds_of_one_run(tmp_path: Path) -> None:
    one, two = make(tmp_path, seed=0), make(tmp_path, seed=1)
    method = one.run.parent
    assert seeds_of(one.run) == seeds_of(method) == [one, two]
    assert seeds_of(two.path) == seeds_of(touch(two.encoder)) == [two]
    assert seeds_of(tmp_path) == seeds_of(tmp_path / "nowhere") == []
    make(tmp_path, key="ffff")
    with pytest.raises(UsageError, match=r"stars: holds 2 runs; give one of them: 0a1b, ffff"):
        seeds_of(method)
