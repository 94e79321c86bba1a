"""`--compile`: the same numbers, one graph for all batches; told where it cannot be, recorded, never mixed up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from typer.testing import CliRunner

from stars_bench.cli import app
from stars_bench.data import random
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import plan, runner
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import MaskedPrediction, cropped_losses
from stars_bench.records import store
from stars_bench.training.numerics import compile as compile_module
from stars_bench.training.numerics.compile import compilable, compiled
from tests.evaluation.small_subject import FRAMES, JOINTS, parts
from tests.experiments.finished.test_reproduce import TINY

pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute"),  # torch looks there while it captures
    pytest.mark.filterwarnings("ignore:.torch.jit"),  # and imports its own old parts
]
EQUAL = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch.compile captures graphs as ever, but runs them as they are, which takes no compiler and no minute."""
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    yield
    torch._dynamo.reset()


MODE = "max-autotune-no-cudagraphs"
"""No other test's: what is compiled is kept by its mode."""


def steps(model: MaskedPrediction, batches: tuple[int, ...]) -> list[Tensor]:
    """Losses of stage 1, features with gradients and without, and the gradients of all of them."""
    model.zero_grad()
    torch.manual_seed(1)
    found = []
    for clips in batches:
        x = torch.randn(clips, 3, 16, 25, 2)
        losses, features = model.clip_losses(x), model.encoder(x)
        (losses.sum() + features.square().sum()).backward()
        with torch.no_grad():
            found += [losses.detach(), features.detach(), model.encoder.eval()(x)]
        model.encoder.train()
    return found + [p.grad.clone() for p in model.parameters() if p.grad is not None]


def model(drop_path: float = 0.0) -> MaskedPrediction:
    torch.manual_seed(0)
    encoder = SkeletonEncoder(frames=16, dim=32, depth=3, heads=4)
    encoder.set_drop_path(drop_path)
    return MaskedPrediction(encoder, decoder_depth=3, mask_ratio=0.9)


@pytest.mark.usefixtures("float64", "traced")
@pytest.mark.parametrize("drop_path", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_the_same_numbers_and_no_new_graph_for_another_batch(drop_path: float) -> None:
    plain = steps(model(drop_path), (4, 2, 3))
    with compiled(MODE):
        first = steps(model(drop_path), (4,))
        graphs = counters["stats"]["unique_graphs"]
        again = steps(model(drop_path), (4, 2, 3))
    assert 6 <= graphs <= 12  # two functions a block, but one graph for all blocks alike
    assert counters["stats"]["unique_graphs"] == graphs
    assert not counters["graph_break"]
    assert len(first) < len(again)
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, **EQUAL)


@pytest.mark.usefixtures("traced")
def test_outside_and_under_none_nothing_is_compiled() -> None:
    @compilable
    def function(x: Tensor) -> Tensor:
        return x * 2 if not torch.compiler.is_compiling() else x * 3

    x = torch.ones(2)
    with compiled(MODE):
        assert function(x).tolist() == [3, 3]
        with compiled(None):
            assert function(x).tolist() == [2, 2]
        assert function(x).tolist() == [3, 3]
    assert function(x).tolist() == [2, 2]


def test_where_torch_cannot_compile_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> object:
        raise OSError("no C++ compiler\nin PATH")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=none))
    line = re.escape("--compile: torch cannot compile here (OSError: no C++ compiler); leave it out")
    with compiled(MODE), pytest.raises(StarsBenchError, match=f"^{line}$"):
        compilable(lambda x: x + 1)(torch.ones(2))


@pytest.mark.usefixtures("traced")
def test_a_compiled_run_says_so_and_is_never_taken_for_another(small_data: Path, tmp_path: Path) -> None:
    told: list[str] = []
    plain = Request(
        "stars", "xsub", small_data, tmp_path, preset="quick", overrides=TINY[:-2], training=TrainingOptions("cpu")
    )
    plain = replace(plain, evaluations=("knn",))
    (first, *_) = runner.run(plain)
    (second, *_) = runner.run(replace(plain, training=TrainingOptions("cpu", compile=True)), tell=told.append)
    assert (first.environment.compiled, second.environment.compiled) == (False, True)
    assert counters["stats"]["unique_graphs"] > 0
    assert not [line for line in told if "finished before" in line or "changes nothing" in line]
    folders = sorted(tmp_path.glob("synthetic/xsub/stars/*"))
    assert sorted("compile = true" in (folder / "seed0/config.toml").read_text() for folder in folders) == [False, True]
    assert first.weights == second.weights  # graphs run as they are
    assert first.method.model_dump() == second.method.model_dump()  # multiply-adds too


def test_a_method_without_blocks_is_told_that_it_changes_nothing(small_data: Path, tmp_path: Path) -> None:
    told: list[str] = []
    request = Request(
        "raw", "xsub", small_data, tmp_path, evaluations=("knn",), training=TrainingOptions("cpu", compile=True)
    )
    runner.run(request, tell=told.append)
    assert told[-1] == "raw xsub seed 0: --compile changes nothing: raw has no transformer blocks"


@pytest.mark.usefixtures("traced")
def test_all_that_stage_1_draws_and_computes_is_one_graph_with_the_plain_numbers() -> None:
    clips, network, rows = parts(12, 0)[0], stage_1(), torch.arange(12)
    found = []
    for function in (
        cropped_losses.__wrapped__,
        torch.compile(cropped_losses.__wrapped__, backend="eager", fullgraph=True),
    ):
        network.zero_grad()
        torch.manual_seed(3)
        losses = function(network, clips, rows, FRAMES, 0.3)
        losses.mean().backward()
        found.append([losses.detach(), *(p.grad.clone() for p in network.parameters() if p.grad is not None)])
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def stage_1() -> MaskedPrediction:
    torch.manual_seed(0)
    return MaskedPrediction(SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=1, heads=2), decoder_depth=1, mask_ratio=0.8)


@pytest.mark.usefixtures("traced")
def test_a_step_is_compiled_as_one_only_where_that_is_asked_for_divided_or_not() -> None:
    clips, network = parts(12, 0)[0], stage_1()

    def losses(first: int, count: int) -> Tensor:
        torch.manual_seed(3)
        with random.share(first, count, 12):
            return cropped_losses(network, clips, torch.arange(first, first + count), FRAMES, 0.3).detach()

    plain = losses(0, 12)
    for whole in (False, True):
        counters.clear()
        torch._dynamo.reset()
        with compiled(MODE, whole=whole):
            assert torch.equal(losses(0, 12), plain)
        assert (counters["stats"]["unique_graphs"] == 1) == whole
    with compiled(MODE, whole=True):
        assert torch.equal(torch.cat([losses(0, 5), losses(5, 7)]), plain)


def test_small_steps_on_a_gpu_alone_are_replayed_and_never_where_gradients_add_up() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert compile_module._is_replayed(gpu, 32)
    assert not compile_module._is_replayed(gpu, 33)
    assert not compile_module._is_replayed(cpu, 2)
    with torch.no_grad():
        assert not compile_module._is_replayed(gpu, 2)
    with random.share(0, 2, 16, parts=1):
        assert compile_module._is_replayed(gpu, 2)
    with random.share(0, 2, 16, parts=2):
        assert not compile_module._is_replayed(gpu, 2)


@pytest.mark.parametrize(("words", "asked"), [((), False), (("--compile",), True), (("--compile", "step"), "step")])
def test_the_command_takes_it_alone_or_with_step(
    words: tuple[str, ...], asked: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Request] = []

    def stop(request: Request, *_: object, **__: object) -> None:
        seen.append(request)
        raise StarsBenchError("far enough")

    monkeypatch.setattr(plan, "resolve", stop)
    monkeypatch.setattr(runner, "resolve", stop)
    CliRunner().invoke(app, ["run", *words, "mamp", "--protocol", "xsub", "--runs-dir", str(tmp_path)])
    assert [request.training.compile for request in seen][:1] == [asked]
    assert seen[0].method == "mamp"


def test_another_word_than_step_is_refused() -> None:
    with pytest.raises(UsageError, match=r'^compile = "?\'stage\'"?: must be True'):
        TrainingOptions(compile="stage")  # type: ignore[arg-type]
    done = CliRunner().invoke(app, ["run", "--compile=stage", "mamp", "--protocol", "xsub"])
    assert done.exit_code == 2


def command(data: Path, runs: Path) -> list[str]:
    words = ["run", "mamp", "--protocol", "xsub", "--preset", "quick", "--compile", "--eval", "knn"]
    words += ["--data-dir", str(data), "--runs-dir", str(runs), "--checkpoint-seconds", "0", "--set", "epochs=6"]
    small = [item for item in TINY[:7] if not item.startswith("epochs")]
    return [sys.executable, "-m", "stars_bench", *words, *(part for item in small for part in ("--set", item))]


@pytest.mark.slow
def test_really_compiled_a_run_ends_with_the_same_bits_killed_or_not(small_data: Path, tmp_path: Path) -> None:
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "kept"), "COLUMNS": "80"}
    found = []
    for killed in (False, True):
        runs = tmp_path / str(killed)
        if killed:
            process = subprocess.Popen(command(small_data, runs), env=environment, stdout=subprocess.DEVNULL)
            deadline = time.monotonic() + 300
            while not list(runs.rglob("*.resume.pt")) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        done = subprocess.run(command(small_data, runs), env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("resumes from its checkpoint" in done.stdout) == killed
        (record, *_) = store.read_records(runs).records
        assert record.environment.compiled
        found.append((record.weights, record.metrics))
    assert found[0] == found[1]
    assert any((tmp_path / "kept").rglob("*.so"))  # there was something to compile, and it was


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_really_compiled_stage_1_has_the_losses_and_gradients_of_the_plain_functions() -> None:
    plain = steps(model(0.5), (4, 3))
    with compiled():
        fused = steps(model(0.5), (4, 3))
    for one, other in zip(plain, fused, strict=True):
        torch.testing.assert_close(one, other, **EQUAL)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_compiled_blocks_give_the_plain_features() -> None:
    encoder: nn.Module = SkeletonEncoder(frames=16, dim=32, depth=3, heads=4).cuda()
    x = torch.randn(5, 3, 16, 25, 2, device="cuda")
    with compiled():
        fused = encoder(x)
    torch.testing.assert_close(encoder(x), fused, rtol=1e-4, atol=1e-4)


def test_an_old_torch_is_told_of_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stars_bench.training.numerics.compile.LIMIT", "no_such_setting")
    with pytest.raises(UsageError, match=r"^--compile needs a newer torch than \S+: leave it out"), compiled():
        raise AssertionError("it began")
