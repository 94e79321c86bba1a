"""stars_bench.run and stars_bench.evaluate: what the commands do, encoders of one's own, and faults in one line."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import stars_bench
from stars_bench import cli
from stars_bench.evaluation.subject import Subject, WrongEncoder
from stars_bench.experiments.public.given_encoder import given
from stars_bench.models.untrained import Untrained
from stars_bench.records.store import read_records

SIZE = {"frames": 8, "dim": 16, "depth": 1, "heads": 2}
WIDTH = 12


class Net(nn.Module):
    """A small encoder for clips of 25 joints, without `dim` or `frames`."""

    def __init__(self, seed: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layer = nn.Linear(3 * 25 * 2, WIDTH)
        self.gain = gain
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.layer(x.mean(2).flatten(1))) * self.gain


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def call(small_data: Path, runs: Path) -> dict[str, Any]:
    """Arguments of every call."""
    return {
        "dataset": "synthetic",
        "protocol": "xsub",
        "evaluations": "knn",
        "device": torch.device("cpu"),
        "progress": False,
        "data_dir": small_data,
        "runs_dir": str(runs),
    }


def test_run_does_what_the_command_does(call: dict[str, Any], small_data: Path, tmp_path: Path) -> None:
    results = stars_bench.run(
        "untrained", **call | {"evaluations": ["knn", "linear"]}, preset="quick", settings={**SIZE, "linear.epochs": 2}
    )
    options = [f"--set={key}={value}" for key, value in {**SIZE, "linear.epochs": 2}.items()]
    where = [f"--data-dir={small_data}", f"--runs-dir={tmp_path / 'other'}", "--device=cpu", "--preset=quick"]
    command = ["run", "untrained", "--protocol=xsub", "--eval=knn", "--eval=linear", *options, *where]
    cli.app(command, standalone_mode=False)
    there = {one.record.evaluation.title: one for one in read_records(tmp_path / "other").stored}
    assert {one.record.evaluation.title for one in results} == there.keys()
    for one in results:
        twin = there[one.record.evaluation.title]
        assert one.metrics == twin.metrics
        assert one.record.method == twin.record.method
        assert one.record.predictions == twin.record.predictions
        assert one.path is not None
        assert twin.path is not None
        assert one.path.relative_to(call["runs_dir"]) == twin.path.relative_to(tmp_path / "other")
        assert one.path.exists()


def test_the_same_call_is_taken_from_the_records(call: dict[str, Any]) -> None:
    first = stars_bench.run("untrained", **call, preset="quick", settings=SIZE, seeds=[0, 2])
    again = stars_bench.run("untrained", **call, preset="quick", settings=SIZE, seeds=[0, 2])
    assert list(first) == list(again)
    assert [one.record.seed for one in first] == [0] * 4 + [2] * 4


def test_a_class_need_not_be_registered(call: dict[str, Any]) -> None:
    class Mine(Untrained):
        name = "mine"

    results = stars_bench.run(Mine, **call, preset="quick", settings=SIZE)
    assert {one.record.method.name for one in results} == {"mine"}
    assert results[0].record.method.target.endswith("Mine")


def test_results_are_a_list_with_tables(call: dict[str, Any]) -> None:
    results = stars_bench.run("untrained", **call, preset="quick", settings=SIZE)
    assert isinstance(results, stars_bench.RunResults)
    assert (len(results), len(results[1:])) == (4, 3)
    frame = results.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["evaluation"]) == {"knn"}
    value = next(metric.value for metric in results[0].metrics if metric.name == "top1")
    assert f"<td>{value:.2f}</td>" in results._repr_html_()
    assert "synthetic data" in results._repr_html_()
    assert repr(results).startswith("4 records\nuntrained synthetic xsub seed 0 k-NN k=1: top1 ")


def test_progress_is_shown_handed_over_or_left_out(call: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    stars_bench.run("untrained", **call, preset="quick", settings=SIZE)
    assert capsys.readouterr().out == ""
    stars_bench.run("untrained", **call | {"progress": True}, preset="quick", settings=SIZE, seeds=1)
    assert "test features: 36 samples" in capsys.readouterr().out
    told: list[str] = []
    stars_bench.run(
        "untrained", **call | {"progress": lambda task, *_: told.append(task)}, preset="quick", settings=SIZE, seeds=2
    )
    assert "untrained xsub seed 2: test features" in told


def test_an_encoder_is_keyed_by_its_weights(call: dict[str, Any], runs: Path) -> None:
    net = Net()
    first = stars_bench.evaluate(net, name="mine", frames=16, **call)
    files = {file: file.stat().st_mtime_ns for file in runs.rglob("*.*") if "features" in str(file)}
    assert list(stars_bench.evaluate(Net(), name="mine", frames=16, **call)) == list(first)
    assert {file: file.stat().st_mtime_ns for file in runs.rglob("*.*") if "features" in str(file)} == files
    other = stars_bench.evaluate(Net(seed=1), name="mine", frames=16, **call)
    assert other[0].path != first[0].path
    assert other[0].record.weights != first[0].record.weights
    frame = stars_bench.leaderboard(runs).to_frame()
    assert frame[frame["kind"] == "measured"]["label"].nunique() == 2
    shown = repr(stars_bench.leaderboard(runs))
    assert f"weights {first[0].record.method.config['weights'][:12]}, init run" in shown
    assert not re.search("[0-9a-f]{13}", shown)
    assert "unknown which test clips the encoder saw" in first[0].record.marks


def test_a_given_encoder_is_not_kept_and_that_is_said(call: dict[str, Any]) -> None:
    found = stars_bench.evaluate(Net(), name="mine", frames=16, **call)
    with pytest.raises(stars_bench.UsageError, match=r"no encoder\.pt: the weights of an encoder given in Python"):
        stars_bench.load_encoder(found[0].path.parents[1])


def test_the_users_module_is_neither_changed_nor_left_in_training(call: dict[str, Any]) -> None:
    net = Net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    results = stars_bench.evaluate(
        net,
        name="mine",
        frames=16,
        **call | {"evaluations": "finetune"},
        preset="quick",
        settings={"finetune.epochs": 1},
    )
    assert results[0].record.method.parameters == sum(each.numel() for each in net.parameters())
    assert net.training
    assert not hasattr(net, "dim")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("change", [{"gain": 2.0}, {"frames": 8}])
def test_attributes_and_length_are_part_of_the_key(call: dict[str, Any], change: dict[str, Any]) -> None:
    first = stars_bench.evaluate(Net(), name="mine", frames=16, **call)
    frames = change.pop("frames", 16)
    assert stars_bench.evaluate(Net(**change), name="mine", frames=frames, **call)[0].path != first[0].path


def test_code_is_part_of_the_key(call: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    monkeypatch.syspath_prepend(str(tmp_path))
    source = "from torch import nn\nfrom my_helper import SCALE\nclass Flat(nn.Module):\n    frames = 8\n"
    (tmp_path / "my_encoder.py").write_text(source + "    def forward(self, x): return SCALE * x.mean(2).flatten(1)\n")
    paths = []
    for scale in (1, 1, -2):
        (tmp_path / "my_helper.py").write_text(f"SCALE = {scale}\n")
        for name in ("my_helper", "my_encoder"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        encoder = importlib.import_module("my_encoder").Flat()
        paths.append(stars_bench.evaluate(encoder, name="flat", **call)[0].path)
    assert paths[0] == paths[1] != paths[2]


def test_a_function_with_frames_is_an_encoder_and_what_it_holds_counts(call: dict[str, Any]) -> None:
    def made(weights: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: x.mean(2).flatten(1) * weights

    paths = [
        stars_bench.evaluate(made(torch.full((1,), value)), name="plain", frames=8, **call)[0].path
        for value in (1.0, 1.0, 2.0)
    ]
    assert paths[0] == paths[1] != paths[2]
    part = functools.partial(torch.Tensor.flatten, start_dim=1)
    assert len(stars_bench.evaluate(part, name="partial", frames=4, **call)) == 4


def test_what_it_was_trained_on_is_counted(call: dict[str, Any]) -> None:
    said = stars_bench.evaluate(Net(), name="mine", frames=8, trained_on="synthetic:xview", **call)
    assert said[0].record.init is not None
    assert said[0].record.init.test_clips_seen
    assert any(mark.startswith("encoder saw") for mark in said[0].record.marks)


def test_the_encoder_of_a_run_is_evaluated_as_by_the_command(call: dict[str, Any]) -> None:
    trained = stars_bench.run("untrained", **call, preset="quick", settings=SIZE, seeds=[0, 3])
    assert trained[0].path is not None
    again = stars_bench.evaluate(trained[0].path.parents[2], **call)
    assert [one.record.seed for one in again] == [0] * 4 + [3] * 4
    assert [one.metrics for one in again] == [one.metrics for one in trained]


class Wrong(nn.Module):
    frames = 8

    def __init__(self, function: Callable[[Tensor], Any], **attributes: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def fails(x: Tensor) -> Tensor:
    raise ValueError(f"no such\nlayer {x.shape}")


FAULTS: list[tuple[Any, dict[str, Any], str]] = [
    (Wrong(lambda x: x.mean()), {}, r"must map clips \(2, 3, 8, 25, 2\) to features \(2, D\), not to shape \(\)"),
    (Wrong(lambda x: x.flatten(2)), {}, r"not to shape \(2, 3, 400\)"),
    (Wrong(lambda x: x.flatten(1)[:1]), {}, r"not to shape \(1, 1200\)"),
    (Wrong(lambda x: x.flatten(1)[:, :0]), {}, r"not to shape \(2, 0\)"),
    (Wrong(lambda x: [x]), {}, "not to a list"),
    (Wrong(lambda x: x.flatten(1) / 0), {}, "are not finite numbers"),
    (Wrong(lambda x: x.flatten(1).long()), {}, "are not finite numbers"),
    (Wrong(lambda x: x.flatten(1), dim=5), {}, "says dim=5, but its features have 1200 numbers"),
    (Wrong(fails), {}, r"fails on clips of shape \(2, 3, 8, 25, 2\) \(ValueError: no such\)"),
    (Net(), {}, "needs the number of frames T"),
    (Net(), {"frames": 10**9}, r"frames=1000000000: at most 10,000, since a batch of 256 such clips takes 1\.5 GB"),
    (Net(), {"frames": 8, "stream": "bones"}, r'^stream="bones": there are'),
    (Net(), {"frames": 8, "settings": {"linear.lr": 1}}, r'^settings={"linear\.lr": 1}: linear is not evaluated'),
    (Net(), {"frames": 8, "precision": "half"}, r'^precision="half": there are'),
    (Net(), {"frames": 8, "protocol": 5}, "evaluate: protocol: input should be a valid string"),
    (Net(), {"frames": 8, "dataset": 5}, "evaluate: dataset: input should be a valid string"),
    (Net(), {"frames": 8, "data_dir": 5}, "^data_dir=5: give a path"),
    (Net(), {"frames": 8, "evaluations": 5}, r"^evaluate: evaluations: .*\(got 5\)"),
    (Net(), {"frames": 8, "profile": 5}, "evaluate: profile: input should be a valid string"),
    (Net(), {"frames": 8, "preset": "papers"}, "no preset"),
    (Net(), {"frames": 8, "preset": 5}, "evaluate: preset: input should be"),
    (Net(), {"frames": 8, "device": 5}, r"evaluate: training\.device: input should be"),
    (Net(), {"frames": 8, "progress": 5}, "progress=5: True, False, or a function"),
    (Net(), {"frames": 8, "trained_on": 5}, "evaluate: trained_on: input"),
    (Net(), {"frames": 8, "validation": 5}, "evaluate: validation: input"),
    (Net(), {"frames": 8, "deterministic": 5}, r"evaluate: training\.deterministic: input should be a valid boolean"),
    (Net(), {"frames": 0}, "needs the number of frames T"),
    (Net, {"frames": 8}, "an nn.Module or a function"),
    (3, {"frames": 8}, "an nn.Module or a function"),
    (Net(), {"frames": 8, "name": None}, "needs a name for its rows"),
    (Net(), {"frames": 8, "name": 5}, 'one line of text: name="mine", not 5'),
    (Net(), {"frames": 8, "name": "a\nb"}, r'one line of text: name="mine", not \'a\\nb\''),
    (Net(), {"frames": 8, "name": "stars"}, "is a method of stars-bench"),
    (Net(), {"frames": 8, "settings": {"lr": 1}}, "nothing is left to train"),
    (Net(), {"frames": 8, "settings": {"knn.k": object()}}, "settings: knn.k is a object"),
    (Net(), {"frames": 8, "protocol": "xsubb"}, "did you mean 'xsub'"),
    (Net(), {"frames": 8, "dataset": "ntu60"}, "ntu60 is not prepared"),
    (Net(), {"frames": 8, "evaluations": "nkn"}, "did you mean 'knn'"),
    (Net(), {"frames": 8, "seeds": ()}, "one or more whole numbers"),
    (Net(), {"frames": 8, "seeds": (0.5,)}, "one or more whole numbers"),
    (Net(), {"frames": 8, "seeds": "0"}, "one or more whole numbers"),
    (Net(), {"frames": 8, "seeds": True}, "one or more whole numbers"),
    (Net(), {"frames": True}, "needs the number of frames T"),
    (Net(), {"frames": 8, "settings": ["knn.k"]}, "settings=.*: a mapping, such as"),
    (Net(), {"frames": 8, "grad_accum": 0}, "grad_accum=0: a whole number, at least 1"),
    (Net(), {"frames": 8, "grad_accum": "2"}, "grad_accum='2': a whole number, at least 1"),
    (Net(), {"frames": 8, "checkpoint_seconds": "a"}, "checkpoint_seconds='a': a number of seconds"),
    (Net(), {"frames": 8, "grad_acum": 2}, "grad_acum: no such option; there are"),
    (Net(), {"frames": 8, "trained_on": "ntu60"}, "say DATASET:PROTOCOL"),
    ("nowhere", {"name": None}, "there is no such folder"),
    ("nowhere", {}, "leave name= and stream= out"),
]


@pytest.mark.parametrize(("encoder", "change", "said"), FAULTS, ids=[said for _, _, said in FAULTS])
def test_bad_input_is_one_clear_line_before_anything_is_written(
    call: dict[str, Any], runs: Path, encoder: Any, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(stars_bench.StarsBenchError, match=said) as raised:
        stars_bench.evaluate(encoder, **call | {"name": "mine"} | change)
    assert "\n" not in str(raised.value)
    assert not runs.exists()


class WrongLater(nn.Module):
    """Right for the clips that it is tried on, wrong as soon as it is given more than a few."""

    frames = 8

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor) -> Any:
        features = x.mean((2, 4)).flatten(1)
        if len(x) <= 2:
            return features
        if self.fault == "fails":
            raise ValueError("too many\nclips")
        return {"nan": features / 0, "width": features[:, :5], "shape": x, "list": [features]}[self.fault]


LATER = {
    "nan": r"numbers that are not finite for \d+ of",
    "width": "the encoder gives 5 numbers, and 75 at first",
    "shape": r"gives shape \(\d+, 3, 8, 25, 2\) for \d+ clips",
    "list": "gives a list for",
    "fails": r"fails on clips of shape \(\d+, 3, 8, 25, 2\) \(ValueError: too many\)",
}


@pytest.mark.parametrize("fault", LATER)
def test_an_encoder_that_turns_out_to_be_wrong_leaves_nothing(call: dict[str, Any], runs: Path, fault: str) -> None:
    with pytest.raises(stars_bench.StarsBenchError, match=LATER[fault]) as raised:
        stars_bench.evaluate(WrongLater(fault), name="mine", **call)
    assert "\n" not in str(raised.value)
    assert not runs.exists()


def test_what_was_there_before_a_wrong_encoder_stays(
    call: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    stars_bench.evaluate(net, name="mine", frames=8, **call)
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    checked: list[str] = []

    def check(_: Subject, __: np.ndarray, names: np.ndarray) -> None:
        checked.append(names[0])
        if len(checked) == 2:  # the features of the training part are written already
            raise WrongEncoder("wrong on the test part")

    monkeypatch.setattr(Subject, "_check", check)
    with pytest.raises(stars_bench.StarsBenchError, match="wrong on the test part"):
        stars_bench.evaluate(net, name="mine", frames=8, **call, settings={"knn.crop": 0.5})
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


SCALE, NET = torch.ones(3), nn.Identity()


def test_global_weights_alone_make_another_result(call: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def encoder(x: Tensor) -> Tensor:
        return NET(x.mean((2, 3, 4)) * SCALE)

    paths = []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        monkeypatch.setitem(globals(), "NET", nn.Linear(3, 5))
        paths.append(stars_bench.evaluate(encoder, name="mine", frames=8, **call)[0].path)
    assert paths[0] == paths[2] != paths[1]


def _doubled(_module: nn.Module, _inputs: object, features: Tensor) -> Tensor:
    return -2 * features


def _centred(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0] - 1,)


def _flat(module: nn.Module, x: Tensor) -> Tensor:
    return x.mean((2, 4)).flatten(1) * module.gain


def test_hooks_and_functions_that_are_bound_to_a_module_are_part_of_the_key() -> None:
    changes: list[Callable[[Net], object]] = [
        lambda _: None,
        lambda net: net.register_forward_hook(_doubled),
        lambda net: net.layer.register_forward_pre_hook(_centred),
        lambda net: setattr(net, "forward", types.MethodType(_flat, net)),
    ]
    keys = []
    for change in changes:
        net = Net()
        change(net)
        keys.append(given(net, "mine", 8).key)
    assert len(set(keys)) == len(keys)


def test_two_functions_of_one_name_are_two_results(call: dict[str, Any]) -> None:
    one, other = (lambda x: x.mean((2, 3, 4))), (lambda x: x.amax((2, 3, 4)))
    paths = [stars_bench.evaluate(each, name="mine", frames=8, **call)[0].path for each in (one, other, one)]
    assert paths[0] == paths[2] != paths[1]


def test_what_cannot_be_identified_is_refused(call: dict[str, Any]) -> None:
    class Holder:
        frames = 8

        def __init__(self, value: object) -> None:
            self.value = value

        def __call__(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    with pytest.raises(stars_bench.UsageError, match=r"Holder\.value: a generator, which cannot be identified"):
        stars_bench.evaluate(Holder(_ for _ in ()), name="mine", **call)
    assert len(stars_bench.evaluate(Holder([1, torch.ones(2), {"a": "b"}]), name="mine", **call)) == 4


def test_run_refuses_in_one_line_before_anything_is_written(call: dict[str, Any], runs: Path) -> None:
    for method, change, said in (
        ("star", {}, "did you mean 'stars'"),
        ("mamp", {"settings": {"lrr": 1}}, "did you mean"),
        ("mamp", {"protocol": "fewshot", "validation": "subjects"}, "is not for fewshot"),
        ("mamp", {"stream": "joints"}, "joint, bone, motion"),
        ("mamp", {"device": "tpu"}, "not a device"),
        (Net, {}, "Net: is no method: it has no name and no Config and no fit"),
        (5, {}, "method: a name or a class, not 5"),
    ):
        with pytest.raises(stars_bench.UsageError, match=said):
            stars_bench.run(method, **call | change)
    assert not runs.exists()


def test_a_module_typed_without_source_is_refused(call: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    typed = types.ModuleType("typed_in_a_test")
    monkeypatch.setitem(sys.modules, typed.__name__, typed)
    exec("from torch import nn\nclass T(nn.Module):\n    def forward(self, x): return x.flatten(1)", vars(typed))
    with pytest.raises(stars_bench.UsageError, match="typed_in_a_test:T: its source code cannot be read"):
        stars_bench.evaluate(typed.T(), name="mine", frames=8, **call)
