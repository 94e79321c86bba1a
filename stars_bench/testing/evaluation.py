"""check_evaluation: test on tiny synthetic clips whether an evaluation satisfies its contract, in seconds on a CPU."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import ConfigT, Evaluation, Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import one_line
from stars_bench.evaluation.subject import Subject
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.protocols.splits import BEST_ON_TEST, VALIDATION
from stars_bench.records.outcome import Outcome
from stars_bench.testing.clips import CLASSES, FRAMES, EvaluationClips, evaluation_clips
from stars_bench.testing.faults import Tell, collected
from stars_bench.testing.killed_run import KilledRun, killed_in_every_stage
from stars_bench.testing.small_config import small_config
from stars_bench.training.stages import StageRun

ALIGNED = 0.75
"""Share of test clips that keep their prediction in another order: rounding may change a few, chance gives 1/4."""


class CheckEncoder(SkeletonEncoder):
    """A small encoder with random weights and every optional method that an evaluation may call."""

    def __init__(self, joints: int) -> None:
        super().__init__(FRAMES, joints, dim=16, depth=1, heads=2)
        self.head = nn.Linear(16, CLASSES)

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.head(self(x))
        return logits

    def layer_of(self, parameter: str) -> int:
        """Return the layer number as the encoder does; the head belongs to the last layer."""
        return len(self.blocks) + 1 if parameter.startswith("head.") else super().layer_of(parameter)


def check_evaluation(
    evaluation: type[Evaluation[ConfigT]] | str,
    settings: Mapping[str, object] | None = None,
    skeleton: Skeleton = KINECT_V2,
) -> None:
    """Check an evaluation: that its outcomes fit the test part, and that it is honest, repeatable and resumable.

    It never sees test labels, nor clips that are in neither part. Its predictions have the right shape, stand in the
    order of the test part, and are the same under the same seed. It does not change the encoder, which other
    evaluations use too.

    Args:
        evaluation: The class, a registered name or "module:Class".
        settings: Settings of its Config, over the preset `quick` made small; needed if that takes long or does not
            validate. Default: none.
        skeleton: Joint layout of the synthetic clips. Default: Kinect v2.

    Raises:
        NotConforming: The evaluation has faults; `faults` has one line for each.
    """
    found: Any = registry.load("evaluations", evaluation) if isinstance(evaluation, str) else evaluation
    with collected(str(getattr(found, "name", None) or getattr(found, "__name__", found))) as tell:
        if not callable(getattr(found, "run", None)):
            tell("has no `run(subject)`")
            return
        if unknown := [name for name in getattr(found, "selects", ()) if name not in (VALIDATION, BEST_ON_TEST)]:
            tell(f"selects has {unknown[0]!r}; there are {VALIDATION} and {BEST_ON_TEST}")
        config = small_config(found, settings or {}, "check_evaluation", tell)
        if config is not None:
            with tempfile.TemporaryDirectory() as folder:
                _check_runs(_Trial(found, config, skeleton, Path(folder)), tell)


class _Trial:
    """An evaluation with a small config; each run has its own folder."""

    def __init__(self, evaluation: Any, config: BaseModel, skeleton: Skeleton, folder: Path) -> None:
        self.evaluation, self.config, self.skeleton, self.folder = evaluation, config, skeleton, folder
        self.labels_read = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = CheckEncoder(len(skeleton.joints)).eval()
        self.weights = {name: value.clone() for name, value in self.encoder.state_dict().items()}

    def outcomes(self, folder: str, clips: EvaluationClips | None = None) -> Any:
        """Return the outcomes of the evaluation for these clips, in a run of its own."""
        return self._evaluate(StageRun(*self._arguments(folder)), clips or evaluation_clips(self.skeleton))

    def outcomes_when_killed(self) -> Any:
        """Return the outcomes of a run that is killed once in every stage and resumed each time."""
        return killed_in_every_stage(
            lambda: KilledRun(*self._arguments("killed"), checkpoint_seconds=0.0),
            lambda run: self._evaluate(run, evaluation_clips(self.skeleton)),
        )

    def _arguments(self, folder: str) -> tuple[BaseModel, int, torch.device, Path, dict[str, object]]:
        return self.config, 0, torch.device("cpu"), self.folder / folder, {}

    def _evaluate(self, run: StageRun[BaseModel], clips: EvaluationClips) -> Any:
        subject = Subject(
            encoder=self.encoder,
            train=clips.train,
            test=clips.test,
            num_classes=CLASSES,
            run=run,
            names={"train": clips.train_names, "test": clips.test_names},
            key="check",
            test_classes=CLASSES,
            class_names=("drink water", "throw", "clapping", "jump up"),
            unseen=np.array([CLASSES - 1]),
            draw_episodes=partial(draw_episodes, clips.train.labels.numpy(), clips.test_labels),
        )
        try:
            return self.evaluation().run(subject)
        finally:
            self.labels_read = self.labels_read or clips.test.labels_read


def _check_runs(trial: _Trial, tell: Tell) -> None:
    clips = evaluation_clips(trial.skeleton)
    try:
        outcomes = trial.outcomes("first", clips)
    except Exception as error:
        tell("reads the labels of the test part" if trial.labels_read else f"run failed ({one_line(error)})")
        return
    if trial.labels_read:
        tell("reads the labels of the test part")
    if changed := _changed(trial):
        tell(f"changes the encoder ({changed}), which other evaluations are given, too: train a copy (deepcopy)")
        return
    if not isinstance(outcomes, list) or not outcomes or not all(isinstance(one, Outcome) for one in outcomes):
        tell("run must return a list of stars_bench.api.Outcome, at least one")
        return
    for outcome in outcomes:
        if fault := _fault_of(outcome, len(clips.test)):
            tell(fault)
            return
    if len({json.dumps(dict(one.settings), sort_keys=True) for one in outcomes}) < len(outcomes):
        tell("two outcomes have the same settings: their records would be one file")
    np.random.rand(7), torch.rand(7)  # noqa: NPY002 - what ran before must not matter
    if not _same(outcomes, trial.outcomes("again")):
        tell("not reproducible under its seed: two runs predict differently; draw from torch's generators alone")
        return
    _check_honest(trial, outcomes, tell)
    _check_order(trial, outcomes, tell)
    if any(one.stages for one in outcomes) and not _same(outcomes, trial.outcomes_when_killed()):
        tell(
            "cannot resume: predictions differ when it is killed between checkpoints and continued; what a step "
            "changes must be in Stage.module or its optimizer"
        )


def _changed(trial: _Trial) -> str | None:
    """Return the first tensor of the encoder that has changed."""
    now = trial.encoder.state_dict()
    if now.keys() != trial.weights.keys():
        return sorted(now.keys() ^ trial.weights.keys())[0]
    return next((name for name, value in trial.weights.items() if not torch.equal(value, now[name])), None)


def _fault_of(outcome: Outcome, tests: int) -> str | None:
    """Return what is wrong with one outcome, given the number of test clips."""
    predictions, rows = outcome.predictions, outcome.rows
    try:
        json.dumps(dict(outcome.settings))
    except TypeError as error:
        return f"settings {outcome.settings!r} are not JSON ({error})"
    if outcome.kind not in ("classes", "episodes", "clusters"):
        return f"kind is {outcome.kind!r}: it must be classes, episodes or clusters"
    if outcome.kind == "episodes" and rows is None:
        return "an outcome of episodes has no `rows`, the test clips that its predictions are of"
    if not isinstance(predictions, np.ndarray) or not np.issubdtype(predictions.dtype, np.integer):
        return f"predictions must be whole numbers in a NumPy array, not {_kind_of(predictions)}"
    expected = (tests,) if rows is None else rows.shape
    if predictions.shape != expected:
        what = f"{tests} test clips" if rows is None else f"rows {rows.shape}"
        return f"predictions have shape {predictions.shape}, for {what}; they must be {expected}"
    if rows is not None and rows.size and (rows.min() < 0 or rows.max() >= tests):
        return f"rows names the test clip {rows.max() if rows.max() >= tests else rows.min()} of 0..{tests - 1}"
    if predictions.size and predictions.min() < 0:
        return f"predicts {predictions.min()}: numbers of classes and clusters begin at 0"
    if outcome.kind != "clusters" and predictions.size and predictions.max() >= CLASSES:
        return f"predicts the class {predictions.max()} of 0..{CLASSES - 1}"
    return _fault_of_more(outcome, tests)


def _fault_of_more(outcome: Outcome, tests: int) -> str | None:
    """Return what is wrong with the optional parts of an outcome."""
    scores, by_epoch = outcome.scores, outcome.by_epoch
    if scores is not None:
        if scores.shape != (tests, CLASSES):
            return f"scores have shape {scores.shape}; they must be ({tests}, {CLASSES}), test clips by classes"
        if not np.isfinite(scores).all():
            return "scores are not finite"
    if by_epoch is not None and (by_epoch.ndim != 2 or by_epoch.shape[1] != tests):
        return f"by_epoch has shape {by_epoch.shape}; it must be (epochs, {tests})"
    return None


def _kind_of(value: object) -> str:
    return f"{value.dtype}" if isinstance(value, (np.ndarray, Tensor)) else type(value).__name__


def _check_honest(trial: _Trial, outcomes: Sequence[Outcome], tell: Tell) -> None:
    """Check that only the clips of both parts decide the outcomes."""
    if not _same(outcomes, trial.outcomes("others", evaluation_clips(trial.skeleton, other_clips_outside=True))):
        tell("reads clips that are in neither part: predictions depend on them")
    if not _same(outcomes, trial.outcomes("renamed", evaluation_clips(trial.skeleton, other_names=True))):
        tell("reads the names of test clips, which may hold their classes: predictions depend on them")


def _check_order(trial: _Trial, outcomes: Sequence[Outcome], tell: Tell) -> None:
    """Check that each clip keeps its prediction if the test part has another order."""
    clips = evaluation_clips(trial.skeleton, reverse=True)
    for one, other in zip(outcomes, trial.outcomes("reversed", clips), strict=False):
        if one.kind != "classes" or one.rows is not None:
            continue
        if (one.predictions[::-1] == other.predictions).mean() < ALIGNED:
            tell("predictions are not in the order of the test part: with its clips in another order, they are others'")
            return


def _same(outcomes: Sequence[Outcome], others: Any) -> bool:
    if not isinstance(others, list) or len(others) != len(outcomes):
        return False
    return all(
        one.settings == other.settings
        and np.array_equal(one.predictions, other.predictions)
        and (one.scores is None or (other.scores is not None and np.array_equal(one.scores, other.scores)))
        for one, other in zip(outcomes, others, strict=True)
    )
