"""What every shipped method promises: presets, a source, reproducible and resumable training, an encoder that loads."""

from __future__ import annotations

import functools
import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stars_bench import registry
from stars_bench.experiments.plan import DEFAULT_PRESETS
from stars_bench.models.mamp import EncoderConfig
from stars_bench.testing.small_config import SMALL
from stars_bench.training import loop
from stars_bench.training.loop import Stage
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import FRAMES, JOINTS, parts
from tests.paths import ROOT
from tests.stand_in_gpu import OnGpu, stand_in_gpu, waits

METHODS = registry.names("methods")
TINY = {**SMALL, "frames": FRAMES}
STAGES = {
    "untrained": [],
    "mamp": ["stage1"],
    "mae": ["stage1"],
    "s-jepa": ["s-jepa"],
    "supervised": ["supervised"],
    "stars-3stage": ["stage1", "heads", "stage2"],
    "moco-tuning": ["stage1", "heads", "stage2"],
    "dino-tuning": ["stage1", "heads", "stage2"],
    "nnclr-scratch": ["stage2"],
    "mamp+nnclr": ["joint"],
    "stgcn": ["supervised"],
    "ctrgcn": ["supervised"],
    "skeletonclr": ["contrast"],
    "aimclr": ["contrast"],
    "hiclr": ["contrast"],
    "cmd": ["distillation"],
    "umurl": ["decorrelation"],
    "usdrl": ["decorrelation"],
    "raw": [],
}
"""Others: stage1 and stage2."""


class Stopped(Exception):
    """Stands for a kill."""


class StoppingRun(StageRun):
    """A run that is killed in its last stage, after `steps` steps there."""

    def __init__(self, *args, last: str, steps: int) -> None:
        super().__init__(*args)
        self.last, self.steps, self.checkpoint_seconds = last, steps, 0.0

    def train(self, stage: Stage) -> None:
        inner, done = stage.step.encode, 0

        @functools.wraps(inner)
        def encode(rows: torch.Tensor) -> torch.Tensor:
            nonlocal done
            done += 1
            if stage.name == self.last and done > self.steps:
                raise Stopped
            return inner(rows)

        stage.step = replace(stage.step, encode=encode)
        super().train(stage)


def config_of(name: str):
    config = registry.load("methods", name).Config
    return config(**{key: value for key, value in TINY.items() if key in config.model_fields})


def fit(name: str, run: StageRun) -> torch.nn.Module:
    method = registry.load("methods", name)()
    return method.fit(parts(48, 4)[0], run)


def plain_run(name: str, folder: Path, seed: int = 0) -> StageRun:
    return StageRun(config_of(name), seed, torch.device("cpu"), folder, {})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory):
    @functools.cache
    def of(name: str):
        run = plain_run(name, tmp_path_factory.mktemp("run"))
        return fit(name, run), [stage.name for stage in run.stages]

    return of


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_the_stages_that_it_should_and_nothing_is_left_frozen(name: str, fitted) -> None:
    encoder, stages = fitted(name)
    assert stages == STAGES.get(name, ["stage1", "stage2"])
    features = encoder.eval()(torch.randn(3, 3, encoder.frames, JOINTS, 2))
    assert features.shape == (3, encoder.dim)
    assert features.isfinite().all()
    assert all(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_its_encoder_is_built_again_for_a_checkpoint(name: str, fitted) -> None:
    encoder, _ = fitted(name)
    built = registry.load("methods", name)().build(config_of(name), JOINTS)
    built.load_state_dict(encoder.state_dict())
    x = torch.randn(2, 3, encoder.frames, JOINTS, 2)
    assert torch.equal(built.eval()(x), encoder.eval()(x))


@pytest.mark.parametrize("name", [name for name in METHODS if STAGES.get(name) != []])
def test_killed_in_its_last_stage_it_ends_with_the_same_weights(name: str, fitted, tmp_path: Path) -> None:
    encoder, stages = fitted(name)
    stopping = StoppingRun(config_of(name), 0, torch.device("cpu"), tmp_path, {}, last=stages[-1], steps=4)
    with pytest.raises(Stopped):
        fit(name, stopping)
    assert list(tmp_path.rglob("*.resume.pt"))
    resumed = fit(name, plain_run(name, tmp_path)).state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(resumed[key], value), key


@pytest.mark.parametrize("name", METHODS)
def test_on_a_gpu_it_mixes_no_devices_and_ends_with_the_same_weights(name: str, fitted, tmp_path: Path) -> None:
    with stand_in_gpu():
        run = StageRun(config_of(name), 0, torch.device("cuda"), tmp_path, {})
        encoder = registry.load("methods", name)().fit(parts(48, 4, device="cuda")[0], run)
        there = encoder.state_dict()
        assert all(isinstance(value, OnGpu) for value in there.values())
        here = {key: value.cpu() for key, value in there.items()}
    for key, value in fitted(name)[0].state_dict().items():
        assert torch.equal(here[key], value), key


@pytest.mark.parametrize("name", [name for name in METHODS if STAGES.get(name) != []])
def test_on_a_gpu_a_step_waits_for_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_step, seen = loop.one_step, {}

    def counted(stage: Stage, *args) -> torch.Tensor:
        waits.clear()
        loss = one_step(stage, *args)
        seen[stage.name] = dict(waits)  # of the last step: the first may fill in what is kept
        return loss

    monkeypatch.setattr(loop, "one_step", counted)
    with stand_in_gpu():
        run = StageRun(config_of(name), 0, torch.device("cuda"), tmp_path, {})
        registry.load("methods", name)().fit(parts(48, 4, device="cuda")[0], run)
    assert list(seen.values()) == [{}] * max(len(seen), 1)


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_decides_and_another_decides_otherwise(name: str, fitted, tmp_path: Path) -> None:
    encoder = fitted(name)[0]
    other = fit(name, plain_run(name, tmp_path, seed=1)).state_dict()
    differs = any(not torch.equal(other[key], value) for key, value in encoder.state_dict().items())
    assert differs == bool(list(encoder.parameters()))


@pytest.mark.parametrize("name", METHODS)
def test_it_says_what_it_is_and_whose(name: str) -> None:
    method = registry.load("methods", name)
    told = importlib.import_module(method.__module__).__doc__
    assert registry.summary("methods", name).endswith(".")
    assert registry.fact("methods", name, "citations") == getattr(method, "citations", None)
    assert registry.fact("methods", name, "official_checkpoints") == vars(method).get("official_checkpoints")
    assert bool(getattr(method, "citations", ())) == (name not in ("untrained", "raw"))
    presets = getattr(method.Config, "presets", DEFAULT_PRESETS)
    assert tuple(getattr(method, "costs", presets)) == presets
    assert "arXiv:" in told or "doi:" in told or name in ("untrained", "raw")


def test_the_page_of_methods_names_the_papers_that_they_cite() -> None:
    page = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    for name in METHODS:
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` | ")), None)
        for paper in registry.fact("methods", name, "citations") or ():
            assert row is None or paper.arxiv in row


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dataset", ["ntu60", "ntu120", "pku1", "pku2", "synthetic"])
def test_both_presets_hold_for_every_dataset(name: str, dataset: str) -> None:
    config = registry.load("methods", name).Config
    preset = getattr(config, "preset", lambda *_: config())  # one setting for all
    paper, quick = preset("paper", dataset), preset("quick", dataset)
    if isinstance(paper, EncoderConfig):
        assert (paper.frames, paper.dim, paper.depth, paper.heads) == (120, 256, 8, 8)
        assert (quick.frames, quick.dim, quick.depth, quick.heads) == (32, 64, 4, 4)
