"""Checkpoint files of each kind give the official features and logits, and say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

import stars_bench
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.official import checkpoints
from stars_bench.models.layers.encoder import SkeletonEncoder
from tests.datasets.raw_writers import write_ntu
from tests.golden.conftest import Arrays, tensor
from tests.golden2.conftest import facts, file

FACTS = facts("checkpoints/facts.json")
HEADS = 2
"""Of all files; STARS's do not say it."""
EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def expected(golden2) -> Arrays:
    return golden2("checkpoints/expected.npz")


def path_of(name: str) -> Path:
    return file(f"checkpoints/{name}")


def read(path: Path) -> checkpoints.OfficialEncoder:
    return checkpoints.encoder_of(checkpoints.load(path), path)


def rebuilt(name: str) -> torch.nn.Module:
    said = {} if FACTS[name]["heads"] else {"heads": HEADS}
    start = pretrained.fitted(pretrained.find(path_of(name), 0), said)
    return pretrained.rebuild(start, 25).double().eval()


@pytest.mark.parametrize("name", FACTS)
def test_features_are_the_official_ones(expected: Arrays, name: str) -> None:
    with torch.no_grad():
        assert_allclose(rebuilt(name)(tensor(expected["x"])).numpy(), expected[f"pooled/{name}"], **EXACT)


@pytest.mark.parametrize("name", ["finetune_ntu60_xsub.pth", "linprobe_ntu60_xsub.pth"])
def test_a_classifier_gives_the_official_logits(expected: Arrays, name: str) -> None:
    with torch.no_grad():
        logits = rebuilt(name).classify(tensor(expected["x"])).numpy()
    assert_allclose(logits, expected[f"logits/{name}"], **EXACT)


@pytest.mark.parametrize(
    ("name", "last"), [("linprobe_ntu60_xsub.pth", "head.fc.1"), ("finetune_ntu60_xsub.pth", "head.fc2")]
)
def test_outputs_of_no_class_are_left_out_as_of_the_x_view_probe_with_120(
    expected: Arrays, name: str, last: str, tmp_path: Path
) -> None:
    content = torch.load(path_of(name), weights_only=False)
    for part in ("weight", "bias"):
        trained = content["model"][f"{last}.{part}"]
        content["model"][f"{last}.{part}"] = torch.cat([trained, torch.full_like(trained, 9.0)])
    torch.save(content, tmp_path / "wide.pth")
    found = pretrained.fitted(pretrained.find(tmp_path / "wide.pth", 0), {})
    assert pretrained.cut_to_classes(found, "synthetic") is found  # its outputs may be another dataset's classes
    start = pretrained.cut_to_classes(found, "ntu60")
    assert any("120 outputs for the 60 classes of ntu60" in note for note in start.notes)
    encoder = pretrained.rebuild(start, 25).double().eval()
    with torch.no_grad():
        assert_allclose(encoder.classify(tensor(expected["x"])), expected[f"logits/{name}"], **EXACT)
    clips = [f"S001C00{camera}P00{person}R001A00{camera}" for camera in (1, 2) for person in (1, 3)]
    write_ntu(tmp_path / "raw", clips)
    stars_bench.prepare("ntu60", raw=tmp_path / "raw", data_dir=tmp_path / "data", jobs=1)
    where = {"data_dir": tmp_path / "data", "runs_dir": tmp_path / "runs", "device": "cpu", "progress": False}
    (result,) = stars_bench.evaluate(tmp_path / "wide.pth", protocol="xsub", evaluations="classifier", **where)
    assert result.record.evaluation.name == "classifier"
    assert not audit(tmp_path / "runs", tmp_path / "data").faults


@pytest.mark.parametrize("name", ["moco_third.pt", "dino_third.pt"])
def test_a_teacher_has_the_official_features(expected: Arrays, name: str) -> None:
    weights = torch.load(path_of(name), weights_only=True)
    start = "encoder_teacher."
    own = {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start) and ".head." not in n}
    encoder = SkeletonEncoder(frames=24, joints=25, dim=8, depth=4, heads=HEADS)
    encoder.load_state_dict(own)
    with torch.no_grad():
        features = encoder.double()(tensor(expected["x"])).numpy()
    assert_allclose(features, expected[f"pooled_teacher/{name}"], **EXACT)


@pytest.mark.parametrize("name", FACTS)
def test_a_file_says_what_it_is(name: str) -> None:
    found, said = read(path_of(name)), dict(FACTS[name])
    if name == "stars_second.pt":  # only its values differ from those of a tuned encoder
        said["method"] = "stars"
    for key in ("program", "method", "dataset", "protocol", "epoch", "heads", "labels_seen"):
        assert getattr(found.facts, key) == said[key], key
    if said["program"] == "MAMP":
        assert found.facts.stage == said["stage"]
        assert found.facts.stream == "joint"
    assert {key: found.size[key] for key in ("frames", "dim", "depth", "mlp_ratio")} == {
        key: said[key] for key in ("frames", "dim", "depth", "mlp_ratio")
    }


@pytest.mark.parametrize("name", FACTS)
def test_every_tensor_is_accounted_for(name: str) -> None:
    content = checkpoints.load(path_of(name))
    weights = content.get("model", content)
    found = read(path_of(name))
    left = [note for note in found.notes if note.startswith("not used: ")]
    unused = int(left[0].split()[2]) if left and " tensors (" in left[0] else 0
    assert len(weights) == FACTS[name]["tensors"] == len(found.state) + unused


@pytest.mark.parametrize("name", [name for name, said in FACTS.items() if "same_encoder_as" in said])
def test_frozen_encoders_are_those_of_stage_1(name: str) -> None:
    own, first = read(path_of(name)).state, read(path_of(FACTS[name]["same_encoder_as"])).state
    assert all(torch.equal(own[key], value) for key, value in first.items())
    assert own.keys() - first.keys() == {key for key in own if key.startswith("head.")}


def test_the_encoder_of_fine_tuning_is_another() -> None:
    own, first = (read(path_of(f"{kind}_ntu60_xsub.pth")).state for kind in ("finetune", "mamp"))
    assert not any(torch.equal(own[key], value) for key, value in first.items() if key.endswith("qkv.weight"))


def test_weights_in_a_state_dict_are_those_alone(tmp_path: Path) -> None:
    for name in ("stars_merged.pt", "stars_ddp_names.pt", "moco_third.pt", "dino_third.pt"):
        weights = torch.load(path_of(name), weights_only=True)
        torch.save({"state_dict": weights}, tmp_path / name)
        boxed, plain = read(tmp_path / name), read(path_of(name))
        assert boxed.facts == plain.facts
        assert boxed.notes == plain.notes
        assert all(torch.equal(boxed.state[key], value) for key, value in plain.state.items())


def test_what_it_was_trained_on_needs_not_be_said_and_is_not_contradicted(tmp_path: Path) -> None:
    start = pretrained.as_stated(pretrained.find(path_of("mamp_ntu60_xsub.pth"), 0), tmp_path)
    assert (start.dataset, start.protocol, len(start.train or ())) == ("ntu60", "xsub", 40_091)
    assert "MAMP, pretrain, trained on ntu60 xsub, epoch 399, as the file says" in start.notes
    same = pretrained.trained_on(pretrained.find(path_of("mamp_ntu60_xsub.pth"), 0), "ntu60:xsub", tmp_path)
    assert same.train == start.train
    with pytest.raises(UsageError, match=r"--trained-on ntu60:xview: \S+ says itself .*: ntu60 xsub; leave it out$"):
        pretrained.trained_on(pretrained.find(path_of("mamp_ntu60_xsub.pth"), 0), "ntu60:xview", tmp_path)
    silent = pretrained.trained_on(pretrained.find(path_of("stars_merged.pt"), 0), "ntu60:xview", tmp_path)
    assert (silent.dataset, silent.protocol) == ("ntu60", "xview")


def test_clips_that_cannot_be_looked_up_are_unknown_and_said(tmp_path: Path) -> None:
    start = pretrained.as_stated(pretrained.find(path_of("mamp_pku2_xsub.pth"), 0), tmp_path)
    assert (start.dataset, start.protocol, start.train) == ("pku2", "xsub", None)
    assert any(note.startswith("which clips it was trained on is unknown here: ") for note in start.notes)


def changed(weights: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in (weights | named).items() if value is not None}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("finetune_ntu60_xsub.pth", {"head__bn__bias": None}, r"head\.bn\.bias$"),
        ("finetune_ntu60_xsub.pth", {"head__fc1__weight": torch.ones(16, 3)}, r"head\.fc1\.weight$"),
        ("linprobe_ntu60_xsub.pth", {"head__fc__1__bias": None}, r"head\.fc\.1\.bias, head\.fc\.1\.weight$"),
        ("linprobe_ntu60_xsub.pth", {"head__fc__2__bias": torch.ones(60)}, r"head\.fc\.2\.bias$"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], message: str
) -> None:
    content = dict(checkpoints.load(path_of(name)))
    torch.save(content | {"model": changed(content["model"], **changes)}, tmp_path / name)
    with pytest.raises(StarsBenchError, match=rf"missing, unknown or of a wrong shape: {message}"):
        read(tmp_path / name)


def test_a_fine_tuned_file_is_measured_with_its_own_classifier(small_data: Path, tmp_path: Path) -> None:
    content = dict(checkpoints.load(path_of("finetune_ntu60_xsub.pth")))
    weights = dict(content["model"])
    for name in ("head.fc2.weight", "head.fc2.bias"):  # as many classes as the synthetic dataset has
        weights[name] = torch.cat([weights[name], weights[name] - 1])
    path = tmp_path / "finetuned.pth"
    torch.save(content | {"model": weights}, path)
    where = {"data_dir": small_data, "runs_dir": tmp_path / "runs", "device": "cpu", "progress": False}
    (result,) = stars_bench.evaluate(path, protocol="xsub", evaluations="classifier", **where)
    record = result.record
    assert (record.method.name, record.evaluation.name) == ("fine-tuned", "classifier")
    assert (record.init.method, record.init.dataset, record.init.protocol) == ("fine-tuned", "ntu60", "xsub")
    assert record.init.train_clips == 40_091
