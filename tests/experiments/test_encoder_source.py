"""A method or an encoder that does the wrong thing fails in one line, and no result of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipStore
from stars_bench.errors import StarsBenchError
from stars_bench.experiments import runner
from stars_bench.experiments.encoder_source import source_of
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.experiments.seed_run import SeedRun
from stars_bench.io.files import write_text
from stars_bench.protocols.standard import XSUB
from stars_bench.training import checkpoint

SIZE = ("frames=8", "dim=16", "depth=1", "heads=2")


class Features(nn.Module):
    """An encoder that computes its features by a function."""

    def __init__(self, function: Callable[[Tensor], object], **attributes: object) -> None:
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> object:
        return self.function(x)


class Fitting:
    """A method whose `fit` returns what a test says."""

    name: ClassVar[str] = "fitting"

    class Config(BaseModel):
        pass

    starts_from: ClassVar[tuple[str, ...]] = ("untrained",)
    returned: ClassVar[Any] = None

    def fit(self, clips: Any, run: Any) -> Any:  # noqa: ARG002
        return self.returned


class Building(Fitting):
    """A method whose `build` returns what a test says, and that must not come to train."""

    name: ClassVar[str] = "building"

    def build(self, config: Any, num_joints: int) -> Any:  # noqa: ARG002
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned

    def fit(self, clips: Any, run: Any) -> Any:  # noqa: ARG002
        raise AssertionError("trained although its encoder is wrong")


ELSEWHERE = replace(XSUB, name="elsewhere", datasets=("ntu60",))


@pytest.fixture
def request_for(small_data: Path, tmp_path: Path) -> Callable[..., Request]:
    def make(method: str | type, **changes: Any) -> Request:
        name = method if isinstance(method, str) else f"{__name__}:{method.__name__}"
        overrides = SIZE if name == "untrained" else ()
        where = (small_data, tmp_path / "runs", "synthetic")
        request = Request(name, "xsub", *where, evaluations=("knn",), preset="quick", overrides=overrides)
        return replace(request, training=TrainingOptions("cpu"), **changes)

    return make


def seed_run(request: Request) -> SeedRun:
    plan = resolve(request)
    clips = ClipStore.of(plan.dataset, plan.device)
    return runner.seed_run(plan, 0, clips, source_of(plan))


ENCODER = {"dim": 1200, "frames": 8}
WRONG: dict[str, tuple[object, str]] = {
    "no module": (3, "must return an nn.Module with `dim` and `frames`"),
    "no dim": (Features(lambda x: x.flatten(1), frames=8), "must return an nn.Module with `dim` and `frames`"),
    "no frames": (Features(lambda x: x.flatten(1), dim=1200), "must return an nn.Module with `dim` and `frames`"),
    "shape": (
        Features(lambda x: x.flatten(2), **ENCODER),
        r"must map clips \(2, 3, 8, 25, 2\) to features \(2, D\), not to shape \(2, 3, 400\)",
    ),
    "clips": (Features(lambda x: x.flatten(1)[:1], **ENCODER), r"not to shape \(1, 1200\)"),
    "type": (Features(lambda x: [x], **ENCODER), "not to a list"),
    "whole numbers": (Features(lambda x: x.flatten(1).long(), **ENCODER), r"\(torch.int64, float32\) are not finite"),
    "infinite": (Features(lambda x: x.flatten(1) / 0, **ENCODER), r"features of 2 clips .* are not finite numbers"),
    "dim": (Features(lambda x: x.flatten(1), dim=5, frames=8), "says dim=5, but its features have 1200 numbers"),
    "error": (
        Features(lambda x: x @ torch.zeros(3, 3), **ENCODER),
        r"fails on clips of shape \(2, 3, 8, 25, 2\) \(RuntimeError: ",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_encoder_of_fit_is_not_kept(
    case: str, request_for: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    returned, message = WRONG[case]
    monkeypatch.setattr(Fitting, "returned", returned)
    request = request_for(Fitting)
    with pytest.raises(StarsBenchError, match=rf"^fitting: .*{message}") as raised:
        runner.run(request)
    assert "\n" not in str(raised.value)
    assert not request.runs_dir.exists()


class Trained(Fitting):
    """A method that has trained a stage before its encoder turns out to be wrong."""

    name: ClassVar[str] = "trained"

    def fit(self, clips: Any, run: Any) -> Any:  # noqa: ARG002
        write_text(run.folder.stage_file("pretrain", "0123"), "hours of work")
        return Features(lambda x: x, **ENCODER)


def test_what_was_trained_for_a_wrong_encoder_stays(request_for: Callable[..., Request]) -> None:
    request = request_for(Trained)
    with pytest.raises(StarsBenchError, match="not to shape"):
        runner.run(request)
    assert [path.name for path in request.runs_dir.rglob("*.pt")] == ["pretrain-0123.pt"]


def test_who_trains_nothing_by_mistake_is_told_once(
    request_for: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fitting, "returned", Features(lambda x: x.flatten(1), **ENCODER))
    for method, count in ((Fitting, 1), ("untrained", 0), ("raw", 0)):
        said: list[str] = []
        runner.run(request_for(method, seeds=(0, 1)), tell=said.append)
        assert len([line for line in said if "fit trained nothing" in line]) == count, method


@pytest.mark.parametrize(("method", "told"), [(Fitting, 1), (Building, 0), ("untrained", 0)])
def test_a_method_without_build_is_told_before_it_trains(
    method: str | type, told: int, request_for: Callable[..., Request]
) -> None:
    notices = resolve(request_for(method)).notices
    assert [notice for notice in notices if "has no build(config, num_joints)" in notice] == notices
    assert len(notices) == told


@pytest.mark.parametrize("case", [*WRONG, "fails"])
def test_a_wrong_encoder_that_can_be_built_fails_before_anything_is_written(
    case: str, request_for: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    returned, message = WRONG.get(
        case, (ValueError("no such\nlayer"), r"build\(config, 25\) fails \(ValueError: no such")
    )
    monkeypatch.setattr(Building, "returned", returned)
    request = request_for(Building)
    with pytest.raises(StarsBenchError, match=rf"^building: .*{message}") as raised:
        runner.run(request)
    assert "\n" not in str(raised.value)
    assert not request.runs_dir.exists()


def test_a_broken_encoder_to_start_from_fails_before_anything_is_written(
    request_for: Callable[..., Request], tmp_path: Path
) -> None:
    trained = request_for("untrained")
    runner.run(trained)
    (file,) = trained.runs_dir.rglob("encoder.pt")
    state, broken = checkpoint.load(file), tmp_path / "encoder.pt"
    weights = state["encoder"]
    start = {"init": broken, "runs_dir": tmp_path / "other"}

    checkpoint.save(broken, state | {"encoder": {name: value * float("nan") for name, value in weights.items()}})
    with pytest.raises(StarsBenchError, match=r"untrained: the features of 2 clips .* are not finite numbers"):
        runner.run(replace(trained, overrides=(), **start))

    checkpoint.save(broken, state | {"encoder": dict(list(weights.items())[1:])})
    with pytest.raises(StarsBenchError, match="does not fit skeletons of 25 joints"):
        runner.run(request_for(Fitting, **start))
    assert not (tmp_path / "other").exists()


def test_trying_an_encoder_changes_nothing_of_the_result(request_for: Callable[..., Request], tmp_path: Path) -> None:
    tried, untried = (seed_run(request_for("untrained", runs_dir=tmp_path / name)) for name in ("tried", "untried"))
    tried.check()
    assert not tried.folder.path.exists()
    results = [[record.predictions.digest for record in run.records()] for run in (tried, untried)]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "ntu60"}, "ntu60 is not prepared in .*: run `stars-bench prepare ntu60"),
        ({"protocol": "unseen"}, "synthetic unseen: no clip of the prepared data is in the test part"),
        ({"protocol": f"{__name__}:ELSEWHERE"}, r"synthetic has no protocol elsewhere \(ntu60 have it\)"),
        ({"protocol": "json:loads"}, "loads is no ProtocolSpec, so it is no protocol"),
        ({"method": "json:loads"}, "loads is no class, so it is no method"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(
    request_for: Callable[..., Request], changes: dict[str, str], message: str
) -> None:
    request = replace(request_for("untrained"), **changes)
    with pytest.raises(StarsBenchError, match=message) as raised:
        runner.run(request)
    assert "\n" not in str(raised.value)
    assert not request.runs_dir.exists()
