"""Tuning the heads alone, then the upper half, gives the official losses, queues, rates, gradients and weights.

With nearest neighbours (STARS), momentum contrast and self-distillation, through `tune_stages` and the training loop.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from stars_bench.models.ablations import dino_tuning
from stars_bench.models.ablations.dino_tuning import DinoSettings, SelfDistillation
from stars_bench.models.ablations.moco_tuning import MocoSettings, MomentumTuning
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.momentum_teacher import cosine_momentum
from stars_bench.models.layers.nnclr import NeighbourTuning, TuningConfig, tune_by_neighbours
from stars_bench.models.layers.teacher_tuning import TeacherTuned
from stars_bench.models.layers.tuning import Tuned, tune_stages
from tests.golden.conftest import Arrays, below, tensor
from tests.golden2.conftest import TOLERANCE, OfficialBatches, Pool, check, facts

pytestmark = pytest.mark.usefixtures("float64")


def encoder(depth: int) -> SkeletonEncoder:
    return SkeletonEncoder(frames=24, joints=25, dim=16, depth=depth, heads=4)


QUEUE = {"queue.vectors": "queue", "queue.ids": "queue_id", "queue.pointer": "queue_ptr"}


def official_name(name: str, first_tuned: int) -> str:
    if name in QUEUE:
        return QUEUE[name]
    if not name.startswith("teacher."):
        return "encoder_student." + name.removeprefix("encoder.")
    name = name.removeprefix("teacher.module.")
    if name.startswith("blocks."):
        _, number, rest = name.split(".", 2)
        name = f"blocks.{int(number) + first_tuned}.{rest}"
    return f"encoder_teacher.{name}"


def official(model: Tuned, named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Named as the program does, with the teacher's frozen part, which is the student's."""
    found = {official_name(name, model.first_tuned): value for name, value in named.items()}
    if isinstance(model, TeacherTuned):
        found.pop("queue_id", None)  # MoCo's queue needs none
        students = {name.replace("_student", "_teacher"): value for name, value in found.items()}
        found = students | found
    return found


def load(model: Tuned, weights: dict[str, Tensor]) -> None:
    names = {name: official_name(name, model.first_tuned) for name in model.state_dict()}
    missing = model.load_state_dict({n: weights[own] for n, own in names.items() if own in weights}, strict=False)
    assert set(missing.missing_keys) <= {"queue.ids"}


def without_statistics(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in named.items() if "running_" not in name and "num_batches" not in name}


def check_gradients(batches: OfficialBatches, numbers: Arrays) -> None:
    for step in (3, 9):
        ours = {name.removeprefix("encoder."): gradient for name, gradient in batches.gradients[step].items()}
        check(ours, below(numbers, f"grad{step}/"))


def queue_of(model: NeighbourTuning | MomentumTuning, numbers: Arrays) -> dict[str, Tensor]:
    """What the file has of the queue, named as there."""
    found = {"queue": model.queue.vectors, "queue_id": model.queue.ids, "queue_ptr": model.queue.pointer}
    return {name: value for name, value in found.items() if name in numbers}


def check_queue(batches: OfficialBatches, numbers: Arrays) -> None:
    for name in batches.seen[0]:
        found = torch.stack([seen[name] for seen in batches.seen]).numpy()
        assert_allclose(found, numbers[name], **TOLERANCE, err_msg=name)


def test_nearest_neighbours_in_three_stages(golden2, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = golden2("stage2_three_stages.npz")
    config = TuningConfig(tune_epochs=2, tune_batch_size=8, queue_size=40, predictor_hidden=64)
    model = NeighbourTuning(encoder(4), config.queue_size, config.temperature, config.predictor_hidden)
    load(model, below(numbers, "init/"))
    assert_array_equal(numbers["ids"], numbers["rows"])
    batches = OfficialBatches(numbers["rows"], monkeypatch, look=lambda: queue_of(model, numbers))
    tune_by_neighbours(Pool(tensor(numbers["x"])), batches, model, config, head_epochs=2)
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    check_queue(batches, numbers)
    check_gradients(batches, numbers)
    for state, prefix in zip(batches.left, ("mid", "final"), strict=True):
        ours = official(model, state)
        check(without_statistics(ours), without_statistics(below(numbers, f"{prefix}/")))
        statistics = {name: value for name, value in ours.items() if "running_" in name}  # one update a step, not two
        check(statistics, below(numbers, f"{prefix}_once/"))
    for ours, stage in zip(batches.by_parameter, ("heads", "half"), strict=True):
        rates = {name.removeprefix("encoder."): rate for name, rate in ours.items()}
        assert rates == pytest.approx(facts("stage2_three_stages_rates.json")[stage], rel=1e-12)


@pytest.mark.parametrize(("name", "released_gpus"), [("documented", 0), ("released", 1)])
def test_momentum_contrast(golden2, monkeypatch: pytest.MonkeyPatch, name: str, released_gpus: int) -> None:
    numbers = golden2(f"moco_{name}.npz")
    config = MocoSettings(
        head_epochs=2,
        tune_epochs=2,
        tune_batch_size=8,
        queue_size=48,
        predictor_hidden=64,
        released_gpus=released_gpus,
    )
    model = MomentumTuning(encoder(4), config)
    load(model, below(numbers, "init/"))
    batches = OfficialBatches(numbers["rows"], monkeypatch, look=lambda: queue_of(model, numbers))
    pool = Pool(tensor(numbers["x"]))
    tune_stages(pool, batches, model, model.step_of, config, MocoSettings, config.head_epochs)
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    check_queue(batches, numbers)
    check_gradients(batches, numbers)
    for state, prefix in zip(batches.left, ("mid", "final"), strict=True):
        check(official(model, state), below(numbers, f"{prefix}/"))


@pytest.mark.parametrize(("name", "released_gpus"), [("documented", 0), ("released", 1)])
def test_self_distillation(golden2, monkeypatch: pytest.MonkeyPatch, name: str, released_gpus: int) -> None:
    numbers = golden2(f"dino_{name}.npz")
    config = DinoSettings(head_epochs=3, tune_epochs=3, tune_batch_size=8, out_dim=24, released_gpus=released_gpus)
    model = SelfDistillation(encoder(8), config)
    load(model, below(numbers, "init/"))
    parts: dict[str, Any] = {}

    def kept(part: str) -> None:
        compute = getattr(model, part)

        def compute_and_keep(*inputs: Tensor) -> Tensor:
            parts[part] = compute(*inputs)
            return parts[part]

        monkeypatch.setattr(model, part, compute_and_keep)

    kept("spread")
    kept("distillation")
    if released_gpus:  # the stored run has the losses of one GPU and the schedule of four
        monkeypatch.setattr(dino_tuning, "cosine_momentum", lambda start, steps: cosine_momentum(start, 4 * steps))
    batches = OfficialBatches(numbers["rows"], monkeypatch, look=lambda: parts)
    pool = Pool(tensor(numbers["x"]))
    tune_stages(pool, batches, model, model.step_of, config, DinoSettings, config.head_epochs)
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    assert_allclose([seen["spread"].item() for seen in batches.seen], numbers["koleo"], **TOLERANCE)
    crossed = numbers["kl"] + numbers["entropy"]
    assert_allclose([seen["distillation"].item() for seen in batches.seen], crossed, **TOLERANCE)
    check_gradients(batches, numbers)
    for state, prefix in zip(batches.left, ("mid", "final"), strict=True):
        check(official(model, state), below(numbers, f"{prefix}/"))


@pytest.mark.parametrize("gpus", [0, 4])
def test_the_teachers_momentum_of_every_step(golden2, gpus: int) -> None:
    expected = golden2(f"dino_{'released' if gpus else 'documented'}.npz")["momentum"]
    model = SelfDistillation(encoder(2), DinoSettings(tune_batch_size=16, released_gpus=gpus))
    model.begin("half", epochs=3, steps_per_epoch=2)
    assert_allclose([model.teacher.momentum(step % 6) for step in range(12)], expected, rtol=1e-12)
