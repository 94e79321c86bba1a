"""check_method: test on tiny synthetic clips whether a method satisfies its contract, in seconds on a CPU."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import ConfigT, Method, Recipe, Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import of_validation, one_line
from stars_bench.testing.clips import CLASSES, training_part
from stars_bench.testing.faults import Tell, collected
from stars_bench.testing.killed_run import KilledRun, killed_in_every_stage
from stars_bench.testing.small_config import small_config
from stars_bench.training.stages import StageRun

CLIPS = 6  # whose features are looked at
CLOSE = 1e-4  # features of one clip, alone and in a batch: relative to the largest


def check_method(
    method: type[Method[ConfigT]] | str, settings: Mapping[str, object] | None = None, skeleton: Skeleton = KINECT_V2
) -> None:
    """Check a method: its names and presets, its features, and that its training is honest, repeatable and resumable.

    Args:
        method: The class, a registered name or "module:Class".
        settings: Settings of its Config, over the preset `quick` made small (`small_config.SMALL`); needed if that
            takes long or does not validate. Default: none.
        skeleton: Joint layout of the synthetic clips. Default: Kinect v2.

    Raises:
        NotConforming: The method has faults; `faults` has one line for each.
    """
    found: Any = registry.load("methods", method) if isinstance(method, str) else method
    with collected(str(getattr(found, "name", None) or getattr(found, "__name__", found))) as tell:
        if not callable(getattr(found, "fit", None)):
            tell("has no `fit(clips, run)`")
            return
        config = small_config(found, settings or {}, "check_method", tell)
        if config is not None:
            _check_recipe(found, tell)
            with tempfile.TemporaryDirectory() as folder:
                _check_fit(_Subject(found, config, skeleton, Path(folder)), tell)


def _check_recipe(method: Any, tell: Tell) -> None:
    """Check that the recipe of a method's own paper, if it names one, changes what there is."""
    recipe = getattr(method, "recipe", None)
    if recipe is None:
        return
    if not isinstance(recipe, Recipe):
        tell(f"recipe must be a stars_bench.api.Recipe, not a {type(recipe).__name__}")
        return
    changed = [("recipe.settings", method.Config, recipe.settings)]
    for name, values in recipe.evaluations.items():
        if name not in (known := registry.names("evaluations")):
            tell(f"recipe.evaluations: there is no {name!r}; there are {', '.join(known)}")
            continue
        changed.append((f"recipe.evaluations[{name!r}]", registry.load("evaluations", name).Config, values))
    for where, config, values in changed:
        if unknown := sorted(values.keys() - config.model_fields.keys()):
            tell(f"{where}: there is no setting {unknown[0]!r}; there are {', '.join(config.model_fields)}")
        try:
            made = config.preset("paper", "ntu60") if hasattr(config, "preset") else config()
            config.model_validate(made.model_dump() | dict(values))
        except ValidationError as error:
            tell(of_validation(error, where))


class _Subject:
    """A method with a small config; each fit has its own folder."""

    def __init__(self, method: Any, config: BaseModel, skeleton: Skeleton, folder: Path) -> None:
        self.method, self.config, self.skeleton, self.folder = method, config, skeleton, folder
        self.needs_labels = bool(getattr(method, "needs_labels", False))
        self.labels_read = False
        self.stages: list[str] = []

    def run(self, name: str) -> StageRun[BaseModel]:
        return StageRun(*self._arguments(name), checkpoint_seconds=0.0)

    def fit(self, run: StageRun[BaseModel], other_test_clips: bool = False) -> nn.Module:
        clips = training_part(self.skeleton, self.needs_labels, other_test_clips)
        try:
            encoder: nn.Module = self.method().fit(clips, run)
        finally:
            self.labels_read = clips.labels_read
        self.stages = [stage.name for stage in run.stages]
        return encoder

    def fit_killed(self) -> nn.Module:
        """Fit in a run that is killed once in every stage and resumed each time."""
        return killed_in_every_stage(lambda: KilledRun(*self._arguments("killed"), checkpoint_seconds=0.0), self.fit)

    def _arguments(self, folder: str) -> tuple[BaseModel, int, torch.device, Path, dict[str, object]]:
        return self.config, 0, torch.device("cpu"), self.folder / folder, {}


def _check_fit(subject: _Subject, tell: Tell) -> None:
    try:
        encoder = subject.fit(subject.run("first"))
    except Exception as error:
        if subject.labels_read and not subject.needs_labels:
            tell("reads labels: say `needs_labels = True`")
        else:
            tell(f"fit failed ({one_line(error)})")
        return
    if subject.labels_read and not subject.needs_labels:
        tell("reads labels: say `needs_labels = True`")
    if not isinstance(encoder, nn.Module) or not hasattr(encoder, "dim") or not hasattr(encoder, "frames"):
        tell("fit must return an nn.Module with `dim` and `frames`")
        return
    state = copy.deepcopy(encoder.state_dict())
    if bad := [key for key, value in state.items() if not value.isfinite().all()]:
        tell(f"returns NaN: {bad[0]} is not finite after training")
        return
    _check_features(subject, encoder, tell)
    _check_build(subject, encoder, tell)
    _check_honest(subject, state, tell)
    if subject.stages:
        _check_resumed(subject, state, tell)


@torch.no_grad()
def _check_features(subject: _Subject, encoder: nn.Module, tell: Tell) -> None:
    clips = training_part(subject.skeleton, labelled=False).whole(torch.arange(CLIPS), int(encoder.frames))  # type: ignore[arg-type]
    encoder.eval()
    try:
        features = encoder(clips)
        alone = encoder(clips[:1])
    except Exception as error:
        tell(f"the encoder fails on clips {tuple(clips.shape)} ({one_line(error)})")
        return
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != CLIPS:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        tell(f"features of {CLIPS} clips have shape {shape}, not ({CLIPS}, dim)")
        return
    if features.shape[1] != encoder.dim:
        tell(f"dim is {encoder.dim}, but features have {features.shape[1]} columns")
    if not features.isfinite().all():
        tell("returns NaN: features are not finite")
    elif (alone - features[:1]).abs().max() > CLOSE * features.abs().max():
        tell("features of a clip depend on the other clips of its batch (in eval mode)")
    _check_more(subject, encoder, clips, tell)


def _check_more(subject: _Subject, encoder: nn.Module, clips: Tensor, tell: Tell) -> None:
    """Check the optional methods of an encoder."""
    if callable(tokens := getattr(encoder, "tokens", None)) and (shape := _shape(tokens, clips, tell)) is not None:
        bodies, joints = clips.shape[4], clips.shape[3]
        if len(shape) != 5 or (shape[0], shape[1], shape[3]) != (CLIPS, bodies, joints):
            tell(f"tokens have shape {shape}, not ({CLIPS}, {bodies}, segments, {joints}, D)")
    if "classifier" in getattr(subject.method, "evaluations", ()):
        if not callable(classify := getattr(encoder, "classify", None)):
            tell("names the evaluation classifier, but the encoder has no classify(x)")
        elif (shape := _shape(classify, clips, tell)) not in (None, (CLIPS, CLASSES)):
            tell(f"classify gives shape {shape}, not ({CLIPS}, {CLASSES})")


def _shape(function: Callable[[Tensor], Tensor], clips: Tensor, tell: Tell) -> tuple[int, ...] | None:
    """Return the shape of the output of an encoder's function; report why there is none."""
    try:
        return tuple(function(clips).shape)
    except Exception as error:
        tell(f"{function.__name__} fails on clips {tuple(clips.shape)} ({one_line(error)})")
        return None


@torch.no_grad()
def _check_build(subject: _Subject, encoder: nn.Module, tell: Tell) -> None:
    """Check that a checkpoint can be loaded, if the method has `build`."""
    if not hasattr(subject.method, "build"):
        return
    clips = training_part(subject.skeleton, labelled=False).whole(torch.arange(2), int(encoder.frames))  # type: ignore[arg-type]
    try:
        built = subject.method().build(subject.config, len(subject.skeleton.joints))
        built.load_state_dict(encoder.state_dict())
        same = torch.equal(built.eval()(clips), encoder.eval()(clips))
    except Exception as error:
        tell(f"build(config, num_joints) does not give an encoder that loads a checkpoint ({one_line(error)})")
        return
    if not same:
        tell("build(config, num_joints) gives other features than the encoder whose weights it was given")


def _check_honest(subject: _Subject, state: Mapping[str, Tensor], tell: Tell) -> None:
    """Check that only the seed decides the weights, and no test clip."""
    torch.rand(7)  # what ran before must not matter
    other = _state(subject, "other-test-clips", other_test_clips=True)
    if (differs := _difference(state, other)) is None:
        return
    if again := _difference(state, _state(subject, "again")):
        tell(f"not reproducible under its seed: {again} differs between two runs; draw from torch's generators alone")
    else:
        tell(f"sees test clips: {differs} depends on clips that are not in the training part")


def _check_resumed(subject: _Subject, state: Mapping[str, Tensor], tell: Tell) -> None:
    try:
        resumed = subject.fit_killed().state_dict()
    except Exception as error:
        tell(f"cannot resume: killed between checkpoints and continued, fit failed ({one_line(error)})")
        return
    if differs := _difference(state, resumed):
        tell(
            f"cannot resume: {differs} differs when it is killed between checkpoints and continued; what a step "
            "changes must be in Stage.module or its optimizer"
        )


def _state(subject: _Subject, name: str, other_test_clips: bool = False) -> Mapping[str, Tensor]:
    state: Mapping[str, Tensor] = subject.fit(subject.run(name), other_test_clips).state_dict()
    return state


def _difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str | None:
    """Return the first tensor that two state dicts do not share."""
    if one.keys() != other.keys():
        return sorted(one.keys() ^ other.keys())[0]
    return next((key for key in one if not torch.equal(one[key], other[key])), None)
