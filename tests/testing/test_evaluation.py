"""check_evaluation: what conforms passes, all that ships does, and each fault is told in its own line."""

from __future__ import annotations

import pytest

from stars_bench import registry
from stars_bench.datasets.skeletons.layouts import KINECT_V1
from stars_bench.testing import NotConforming, check_evaluation
from tests.testing import broken_evaluations

SETTINGS = {
    "finetune": {"test_every": 1},
    "semi": {"percents": [25.0], "lists": 1},
    "fewshot": {"ways": [2], "shots": [1, 5], "episodes": 10},
    "clusters": {"restarts": 2},
}

FAULTS = {
    "NoName": "has no `name`",
    "NoRun": "has no `run(subject)`",
    "SelectsByMood": "selects has 'mood'; there are validation and best-on-test",
    "PlainConfig": "Config is not a pydantic model",
    "ReadsTestLabels": "reads the labels of the test part",
    "ReadsTestLabelsQuietly": "reads the labels of the test part",
    "ReadsNames": "reads the names of test clips, which may hold their classes",
    "ReadsOtherClips": "reads clips that are in neither part",
    "NotReproducible": "not reproducible under its seed",
    "Sorted": "predictions are not in the order of the test part",
    "ChangesTheEncoder": "changes the encoder (norm.weight)",
    "NoList": "run must return a list of stars_bench.api.Outcome",
    "TooFew": "predictions have shape (23,), for 24 test clips; they must be (24,)",
    "Scores": "predictions must be whole numbers in a NumPy array, not float32",
    "NoSuchClass": "of 0..3",
    "WrongScores": "scores have shape (24, 3); they must be (24, 4)",
    "ScoresAreNaN": "scores are not finite",
    "WrongEpochs": "by_epoch has shape (24, 2); it must be (epochs, 24)",
    "EpisodesWithoutRows": "an outcome of episodes has no `rows`",
    "RowsBeyond": "rows names the test clip 24 of 0..23",
    "TwiceTheSame": "two outcomes have the same settings",
    "SettingsAreNotJson": "are not JSON",
    "CannotResume": "cannot resume: predictions differ",
}


@pytest.mark.parametrize("name", ["Good", "Trained"])
def test_what_conforms_passes(name: str) -> None:
    check_evaluation(getattr(broken_evaluations, name))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_in_one_line(name: str) -> None:
    with pytest.raises(NotConforming) as caught:
        check_evaluation(getattr(broken_evaluations, name))
    assert any(FAULTS[name] in fault for fault in caught.value.faults), caught.value.faults
    assert len(caught.value.faults) == 1 or name == "NoName"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", registry.BUILT_IN["evaluations"])
def test_all_that_ships_conforms(name: str) -> None:
    check_evaluation(name, SETTINGS.get(name))


def test_another_joint_layout_will_do() -> None:
    check_evaluation("knn", skeleton=KINECT_V1)


def test_settings_that_do_not_fit_are_told() -> None:
    with pytest.raises(NotConforming, match="there is no 'neighbours'; Config has k, crop"):
        check_evaluation("knn", {"neighbours": 3})
