"""What names a result: its code, the weights that it starts from, and nothing that it does not use."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stars_bench.errors import UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.source import closure, modules
from stars_bench.records.record import Record
from stars_bench.records.store import read_records
from stars_bench.report.leaderboard import Leaderboard
from tests.experiments.test_runner import TINY

METHOD = """
import helper_of_mine
import torch
from pathlib import Path
from pydantic import BaseModel
from torch import nn
from stars_bench.api import Stage

class Encoder(nn.Module):
    dim, frames = 16, 8

    def __init__(self, joints):
        super().__init__()
        self.scale = 1.0
        self.fc = nn.Linear(3 * 8 * joints * 2, 16)

    def forward(self, x):
        return helper_of_mine.act(self.scale * self.fc(x.flatten(1)))

class Config(BaseModel):
    epochs: int = 0

class Mine:
    name, Config = "mine", Config

    def fit(self, clips, run):
        encoder = Encoder(clips.num_joints)
        if helper_of_mine.WEIGHTS.endswith(".txt"):
            encoder.scale = float(Path(helper_of_mine.WEIGHTS).read_text())
        elif helper_of_mine.WEIGHTS:
            encoder.load_state_dict(torch.load(helper_of_mine.WEIGHTS, weights_only=True))
        encoder = encoder.to(run.device)
        if run.config.epochs:
            loss = lambda rows: encoder(clips.whole(rows, 8, 0.95)).square().mean()
            optimizer = torch.optim.SGD(encoder.parameters(), lr=1e-3)
            run.train(Stage("own", {}, encoder, optimizer, loss, len(clips), run.config.epochs, 16))
        return encoder
"""
HELPER = "import torch\nWEIGHTS = {weights!r}\ndef act(x):\n    return {act}\n"
RunMine = Callable[..., list[Record]]


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that writes the module which the method imports; the method itself is there already."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "method_of_mine.py").write_text(METHOD)

    def write(act: str = "torch.relu(x)", weights: str = "") -> None:
        (tmp_path / "helper_of_mine.py").write_text(HELPER.format(act=act, weights=weights))
        _forget()

    write()
    yield write
    _forget()


def _forget() -> None:
    """Makes the next import read the files, as another command does."""
    for name in ("method_of_mine", "helper_of_mine"):
        sys.modules.pop(name, None)


@pytest.fixture
def run(small_data: Path, tmp_path: Path) -> RunMine:
    """A function that runs a method as a command does, with k-NN alone."""

    def start(
        *settings: str, method: str = "method_of_mine:Mine", seed: int = 0, tell: Callable[[str], None] | None = None
    ) -> list[Record]:
        request = Request(
            method,
            "xsub",
            small_data,
            tmp_path / "runs",
            preset="quick",
            evaluations=("knn",),
            overrides=settings,
            seeds=(seed,),
            training=TrainingOptions("cpu"),
        )
        return runner.run(request, tell=tell)

    return start


def _top1(records: list[Record]) -> list[float]:
    return [record.metrics[0].value for record in records]


def _report(runs: Path) -> str:
    return Leaderboard.of(read_records(runs).stored, published="none").to_markdown()


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_helper_beside_a_plug_in_is_a_part_of_its_result(
    helper: Callable[..., None], run: RunMine, tmp_path: Path, epochs: int
) -> None:
    before = run(f"epochs={epochs}")
    assert run(f"epochs={epochs}") == before
    assert len(list(tmp_path.rglob("own-*.pt"))) == epochs
    helper(act="x * 0 + 1")
    after = run(f"epochs={epochs}")
    assert _top1(after) != _top1(before)
    assert len(list(tmp_path.rglob("own-*.pt"))) == 2 * epochs
    modules = before[0].code.modules, after[0].code.modules
    assert modules[0] is not None
    assert modules[1] is not None
    differing = {name for name in modules[0] if modules[0][name] != modules[1][name]}
    assert differing == {"helper_of_mine"}
    assert {"method_of_mine", "stars_bench.evaluation.knn", "stars_bench.records.metrics"} <= set(modules[0])
    assert set(before[0].code.distributions or {}) >= {"torch", "numpy"}


def test_seeds_of_different_code_are_marked_and_told(helper: Callable[..., None], run: RunMine, tmp_path: Path) -> None:
    run()
    helper(act="x + 1")
    run(seed=1)
    text = _report(tmp_path / "runs")
    assert "averaged over different code" in text
    assert "seed 0: helper\\_of\\_mine " in text
    helper()
    run(seed=1)
    assert "averaged over different" not in _report(tmp_path / "runs")


@pytest.mark.parametrize("epochs", [0, 1])
def test_weights_that_fit_loads_are_a_part_of_the_result(
    helper: Callable[..., None], run: RunMine, tmp_path: Path, epochs: int
) -> None:
    file = tmp_path / "weights.pt"
    torch.manual_seed(0)
    layer = torch.nn.Linear(3 * 8 * 25 * 2, 16)
    torch.save({f"fc.{name}": value for name, value in layer.state_dict().items()}, file)
    helper(weights=str(file))
    before = run(f"epochs={epochs}")
    assert _top1(run(f"epochs={epochs}")) == _top1(before)
    torch.save({f"fc.{name}": torch.zeros_like(value) for name, value in layer.state_dict().items()}, file)
    after = run(f"epochs={epochs}")
    assert _top1(after) != _top1(before)
    assert after[0].weights != before[0].weights
    if epochs:
        (first,), (second,) = before[0].stages, after[0].stages
        assert first.code == second.code
        assert first.state != second.state
        assert first.key != second.key


@pytest.mark.parametrize("epochs", [0, 1])
def test_a_number_that_fit_reads_is_a_part_of_the_result(
    helper: Callable[..., None], run: RunMine, tmp_path: Path, epochs: int
) -> None:
    file = tmp_path / "scale.txt"
    file.write_text("1")
    helper(weights=str(file))
    before = run(f"epochs={epochs}")
    file.write_text("-1")
    after = run(f"epochs={epochs}")
    assert _top1(after) != _top1(before)
    assert [stage.key for stage in after[0].stages] != [stage.key for stage in before[0].stages] or not epochs


@pytest.mark.parametrize(
    ("place", "kept", "used"),
    [
        ("self.scale = 1.0", "self._mine = {}", "self._mine"),
        ("self.scale = 1.0", "self.mine = [{}.numpy()]", "torch.from_numpy(self.mine[0])"),
        ("self.scale = 1.0", "self.mine = {{1: [nn.Embedding.from_pretrained({})]}}", "self.mine[1][0].weight"),
        ("def forward(self, x):", "self.mine = ({},)", "self.mine[0]"),
    ],
)
@pytest.mark.usefixtures("helper")
def test_weights_that_no_state_dict_has_are_a_part_of_the_result(
    run: RunMine, tmp_path: Path, place: str, kept: str, used: str
) -> None:
    file = tmp_path / "weights.pt"
    text = METHOD.replace(place, f"{place}\n        {kept.format(f'torch.load({str(file)!r})')}")
    text = text.replace("self.fc(x.flatten(1))", f"self.fc(x.flatten(1) * {used})")
    (tmp_path / "method_of_mine.py").write_text(text)
    torch.manual_seed(0)
    torch.save(torch.randn(1, 3 * 8 * 25 * 2), file)
    before = run("epochs=1")
    assert run("epochs=1") == before
    torch.save(torch.randn(1, 3 * 8 * 25 * 2), file)
    assert run("epochs=1")[0].predictions.digest != before[0].predictions.digest


@pytest.mark.usefixtures("helper")
def test_a_fit_that_trains_nothing_is_run_by_every_command_and_says_so(run: RunMine) -> None:
    said: list[str] = []
    run(tell=said.append)
    line = "fit trained nothing through run.train, so every command runs it again, and the digest of its weights names "
    assert f"mine xsub seed 0: {line}its results" in said
    said.clear()
    run("epochs=1", tell=said.append)
    assert not [line for line in said if "trained nothing" in line]


@pytest.mark.usefixtures("helper")
def test_features_are_those_of_the_weights_whatever_an_encoders_key_promises(
    run: RunMine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stars_bench.experiments.encoder_source.digest_json", lambda _: "always the same")
    for epochs in (1, 2):
        run(f"epochs={epochs}")
    names = [file.name for file in tmp_path.rglob("features/*.npz")]
    assert len(names) == len(set(names)) == 4


def test_a_stage_depends_on_the_code_that_it_uses_and_on_no_other(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys() -> dict[str, str]:
        request = Request("stars", "xsub", small_data, tmp_path / "runs", preset="quick", overrides=TINY[:-2])
        records = runner.run(replace(request, evaluations=("knn",), training=TrainingOptions("cpu")))
        return {stage.name: stage.key for stage in records[0].stages}

    def edited(name: str) -> None:
        read = modules.source_of

        def source(module: str) -> modules.ModuleSource | None:
            found = read(module)
            return None if found is None else found._replace(digest="edited") if module == name else found

        monkeypatch.setattr(closure, "source_of", source)

    before = keys()
    edited("stars_bench.models.aimclr")
    assert keys() == before
    edited("stars_bench.models.layers.nnclr")
    after = keys()
    assert after["stage1"] == before["stage1"]
    assert after["stage2"] != before["stage2"]
    edited("stars_bench.models.layers.encoder")
    assert keys()["stage1"] != before["stage1"]


def test_code_that_cannot_be_read_is_refused_before_anything_is_written(run: RunMine, tmp_path: Path) -> None:
    typed = types.ModuleType("typed_by_hand")
    exec(METHOD.replace("import helper_of_mine", ""), vars(typed))
    sys.modules[typed.__name__] = typed
    try:
        with pytest.raises(UsageError, match=r"^typed_by_hand:Mine: its source code cannot be read.*in a file"):
            run(method="typed_by_hand:Mine")
    finally:
        del sys.modules[typed.__name__]
    assert not (tmp_path / "runs").exists()
