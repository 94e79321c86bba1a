"""check_method: what conforms passes, all that ships does, and each fault is told in its own line."""

from __future__ import annotations

import pytest

from stars_bench import registry
from stars_bench.datasets.skeletons.layouts import KINECT_V1
from stars_bench.testing import NotConforming, check_method
from tests.testing import broken_methods

QUICKLY = ("untrained", "raw", "mamp")

FAULTS = {
    "NoName": "has no `name`",
    "NoRecipe": "recipe must be a stars_bench.api.Recipe, not a str",
    "RecipeWithoutSetting": "recipe.settings: there is no setting 'depth'; there are width, lr",
    "RecipeWithAWrongValue": "recipe.evaluations['linear']",
    "RecipeWithoutEvaluation": "recipe.evaluations: there is no 'linera'; there are knn",
    "NoFit": "has no `fit(clips, run)`",
    "PlainConfig": "Config is not a pydantic model",
    "WrongPreset": "preset 'huge' cannot be made (KeyError: 'huge')",
    "ReadsLabels": "reads labels: say `needs_labels = True`",
    "ReadsLabelsQuietly": "reads labels: say `needs_labels = True`",
    "BeyondItsPart": "fit failed (IndexError:",
    "AsksForTheStore": "fit failed (AttributeError:",
    "SeesTestClips": "sees test clips: layer.weight depends on clips that are not in the training part",
    "NoEncoder": "fit must return an nn.Module with `dim` and `frames`",
    "WrongShape": "features of 6 clips have shape (6, 8, 1), not (6, dim)",
    "WrongDim": "dim is 9, but features have 8 columns",
    "ReturnsNaN": "returns NaN: features are not finite",
    "LossIsNaN": "diverged: the loss is nan",
    "SeesItsNeighbours": "features of a clip depend on the other clips of its batch",
    "FailsOnClips": "the encoder fails on clips (6, 3, 16, 25, 2) (KeyError: 'eval')",
    "WrongTokens": "tokens have shape (6, 8), not (6, 2, segments, 25, D)",
    "NoClassify": "the encoder has no classify(x)",
    "WrongClassify": "classify gives shape (6, 2), not (6, 4)",
    "WrongBuild": "does not give an encoder that loads a checkpoint (RuntimeError:",
    "OtherBuild": "gives other features than the encoder whose weights it was given",
    "NotReproducible": "not reproducible under its seed: layer.weight differs between two runs",
    "CannotResume": "cannot resume: layer.weight differs",
    "FailsWhenResumed": "cannot resume: killed between checkpoints and continued, fit failed (ValueError:",
}


def test_what_conforms_passes() -> None:
    check_method(broken_methods.Good)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_in_one_line(name: str) -> None:
    with pytest.raises(NotConforming) as caught:
        check_method(getattr(broken_methods, name))
    assert any(FAULTS[name] in fault for fault in caught.value.faults), caught.value.faults
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("settings", "told"), [({"hight": 3}, "there is no 'hight'"), ({"width": "x"}, "width")])
def test_settings_that_do_not_fit_are_told(settings, told: str) -> None:
    with pytest.raises(NotConforming, match=told):
        check_method(broken_methods.Good, settings)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICKLY else pytest.mark.slow) for name in registry.names("methods")],
)
def test_all_that_ships_conforms(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize("name", ["mamp", pytest.param("stars", marks=pytest.mark.slow)])
def test_it_can_be_tried_on_another_layout(name: str) -> None:
    check_method(name, skeleton=KINECT_V1)
