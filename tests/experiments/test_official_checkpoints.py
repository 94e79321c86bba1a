"""Checkpoints of MAMP and STARS: every tensor accounted for, nothing in a file is run, golden features come out."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.official import checkpoints as official_checkpoints
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import MaskedPrediction
from stars_bench.models.stars import Stars
from tests.paths import GOLDEN

FRAMES, DIM, DEPTH, HEADS = 24, 32, 4, 4  # of the golden encoders


@cache
def golden(file: str, prefix: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / file) as arrays:
        return {n.removeprefix(prefix): torch.from_numpy(arrays[n]) for n in arrays.files if n.startswith(prefix)}


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


@pytest.fixture
def mamp(tmp_path: Path) -> Path:
    return saved(tmp_path / "mamp.pth", {"model": golden("stage1_mamp.npz", "init/")})


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    return saved(tmp_path / "stars.pt", golden("stage2_nnclr.npz", "init/"))


def read(path: Path) -> official_checkpoints.OfficialEncoder:
    return official_checkpoints.encoder_of(official_checkpoints.load(path), path)


def features(path: Path, x: Tensor, **settings: int) -> np.ndarray:
    """Features in float64, as the golden ones were computed."""
    start = pretrained.fitted(pretrained.find(path, 0), {"heads": HEADS} | settings)
    encoder = pretrained.rebuild(start, 25).double()
    with torch.no_grad():
        return encoder(x.double()).numpy()


def direct(weights: dict[str, Tensor], x: Tensor) -> np.ndarray:
    encoder = SkeletonEncoder(FRAMES, 25, DIM, DEPTH, HEADS)
    encoder.load_state_dict(weights)
    with torch.no_grad():
        return encoder.double()(x.double()).numpy()


def test_official_weights_give_the_official_features(tmp_path: Path) -> None:
    with np.load(GOLDEN / "heads.npz") as arrays:
        x, pooled = torch.from_numpy(arrays["x"]), arrays["pooled"]
    weights = golden("heads.npz", "encoder/")
    plain = saved(tmp_path / "mamp.pth", {"model": weights})
    assert_allclose(features(plain, x), pooled, rtol=1e-6, atol=1e-6)
    flat = saved(tmp_path / "stars.pt", {f"encoder_student.{name}": value for name, value in weights.items()})
    assert_allclose(features(flat, x), pooled, rtol=1e-6, atol=1e-6)


def test_the_size_is_read_from_the_shapes_and_the_rest_is_named(mamp: Path, stars: Path) -> None:
    size = {"frames": FRAMES, "dim": DIM, "depth": DEPTH, "mlp_ratio": 4}
    found = read(mamp)
    assert (found.facts.method, found.size) == ("mamp", size)
    decoder = sum(name.startswith("decoder_") for name in golden("stage1_mamp.npz", "init/"))
    total = len(golden("stage1_mamp.npz", "init/"))
    left = f"not used: {decoder + 1} of {total} tensors (decoder {decoder}, mask token 1)"
    assert found.notes == (left, official_checkpoints.METHOD_NOTE)
    found = read(stars)
    assert (found.facts.method, found.size) == ("stars", size)
    total = len(golden("stage2_nnclr.npz", "init/"))
    left = f"not used: {13 + 3} of {total} tensors (head 13, queue 3)"
    assert found.notes == (left, official_checkpoints.TUNED_NOTE)
    assert len(found.state) == total - 16


def test_stars_weights_are_those_under_its_prefix(stars: Path) -> None:
    weights = golden("stage2_nnclr.npz", "init/encoder_student.")
    own = {name: value for name, value in weights.items() if not name.startswith("head.")}
    x = torch.randn(2, 3, FRAMES, 25, 2)
    assert np.array_equal(features(stars, x), direct(own, x))


def test_a_whole_mamp_checkpoint_loads_with_its_arguments_and_optimizer(tmp_path: Path) -> None:
    weights = golden("stage1_mamp.npz", "init/")
    content = {
        "model": weights,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "epoch": 399,
        "scaler": {"scale": 65536.0},
        "args": argparse.Namespace(lr=1e-3, model_args={"num_heads": HEADS, "depth": DEPTH}),
    }
    for name, new in (("new.pth", True), ("old.pth", False)):  # old: as torch saved before 1.6
        path = saved(tmp_path / name, content, _use_new_zipfile_serialization=new)
        found = read(path)
        assert found.size["heads"] == HEADS
        assert "the entries optimizer, scaler" in found.notes[0]
        assert found.facts.epoch == 399
        assert all(torch.equal(found.state[name], weights[name]) for name in found.state)


def test_heads_are_8_at_the_published_width_and_asked_for_elsewhere(tmp_path: Path, mamp: Path) -> None:
    with pytest.raises(UsageError, match="say --set heads=N"):
        pretrained.fitted(pretrained.find(mamp, 0), {})
    with pytest.raises(UsageError, match=r"heads must divide dim \(32\)"):
        pretrained.fitted(pretrained.find(mamp, 0), {"heads": 5})
    wide = saved(tmp_path / "wide.pth", {"model": SkeletonEncoder(8, 25, dim=256, depth=1).state_dict()})
    start = pretrained.fitted(pretrained.find(wide, 0), {})
    notes = (official_checkpoints.HEADS_NOTE, official_checkpoints.METHOD_NOTE)
    assert (start.config["heads"], start.notes) == (8, notes)
    assert pretrained.fitted(pretrained.find(wide, 0), {"heads": 4}).notes == (official_checkpoints.METHOD_NOTE,)


def test_what_a_file_says_of_its_heads_is_not_contradicted(tmp_path: Path, mamp: Path) -> None:
    weights = torch.load(mamp, weights_only=True)["model"]
    told = saved(tmp_path / "told.pth", {"model": weights, "args": argparse.Namespace(model_args={"num_heads": 2})})
    start = pretrained.find(told, 0)
    assert start.config["heads"] == pretrained.fitted(start, {"heads": 2}).config["heads"] == 2
    with pytest.raises(UsageError, match="says itself that it has 2 heads: leave out --set heads=N"):
        pretrained.fitted(start, {"heads": 4})


def test_other_frames_interpolate_the_temporal_table_alone_and_say_so(mamp: Path) -> None:
    start = pretrained.find(mamp, 0)
    same = pretrained.fitted(start, {"heads": HEADS})
    longer = pretrained.fitted(start, {"heads": HEADS, "frames": 40})
    assert longer.state["temp_embed"].shape == (1, 10, 1, DIM)
    different = [name for name in same.state if not torch.equal(same.state[name], longer.state[name])]
    assert different == ["temp_embed"]
    assert "temporal table interpolated from 24 frames to 40" in longer.notes
    assert same.key != longer.key
    assert features(mamp, torch.randn(2, 3, 40, 25, 2), frames=40).shape == (2, DIM)


@pytest.mark.parametrize(("before", "after"), [(6, 15), (30, 15), (5, 5)])
def test_interpolation_is_cubic_convolution_along_time(before: int, after: int) -> None:
    table = torch.randn(1, before, 1, 3, dtype=torch.float64)

    def kernel(x: np.ndarray, a: float = -0.75) -> np.ndarray:  # Keys 1981, with torch's a
        x = np.abs(x)
        near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    at = (np.arange(after) + 0.5) * before / after - 0.5
    taps = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
    weights = kernel(at[:, None] - taps)
    values = table[0, :, 0].numpy()[taps.clip(0, before - 1)]
    expected = (weights[:, :, None] * values).sum(1)
    assert_allclose(official_checkpoints.interpolated(table, after)[0, :, 0].numpy(), expected, atol=1e-12)


def changed(weights: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    """Weights with some replaced (None: left out); `__` stands for a dot."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in (weights | named).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm__weight": None}, r"MAMP's encoder lacks norm\.weight$"),
        ({"temp_embed": None}, "MAMP's encoder lacks temp_embed$"),
        ({"blocks__1__attn__qkv__bias": None, "norm__bias": None}, r"lacks blocks\.1\.attn\.qkv\.bias, norm\.bias$"),
        ({"norm__weight": torch.ones(3)}, r"of a wrong shape: norm\.weight \(3,\), not \(32,\)$"),
        ({"temp_embed": torch.ones(6)}, r"of a wrong shape: temp_embed \(6,\)$"),
        ({"temp_embed": torch.ones(1, 0, 1, 32)}, "frames: .* greater than or equal to 4"),
        ({"cls_token": torch.ones(1, 1, 32)}, "MAMP has no tensors like cls_token$"),
        ({"blocks__9__norm1__bias": torch.ones(32)}, r"no tensors like blocks\.9\.norm1\.bias$"),
        ({"head__fc__weight": torch.ones(60, 32)}, r"a classifier's head \(head\.fc\.weight\): .*with labels"),
        ({"norm__weight": [1.0]}, r"norm\.weight is no tensor but a list$"),
        ({"norm__weight": torch.full((32,), torch.nan)}, r"norm\.weight holds what are no weights"),
        ({"norm__bias": torch.zeros(32, dtype=torch.int64)}, r"norm\.bias holds what are no weights \(torch\.int64"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = saved(tmp_path / "x.pth", {"model": changed(golden("stage1_mamp.npz", "init/"), **changes)})
    with pytest.raises(StarsBenchError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder_student.cls_token", r"STARS has no tensors like encoder_student\.cls_token$"),
        ("encoder_teacher.norm.bias", r"STARS has no tensors like encoder_teacher\.norm\.bias$"),
        ("encoder_student.head.weight", r"STARS has no tensors like encoder_student\.head\.weight$"),
    ],
)
def test_another_networks_weights_are_not_taken_for_stars(tmp_path: Path, name: str, message: str) -> None:
    path = saved(tmp_path / "x.pt", golden("stage2_nnclr.npz", "init/") | {name: torch.ones(32)})
    with pytest.raises(StarsBenchError, match=message):
        read(path)


def test_names_behind_a_parallel_wrapper_and_stars_weights_in_a_dictionary_are_read(tmp_path: Path) -> None:
    mamp, stars = golden("stage1_mamp.npz", "init/"), golden("stage2_nnclr.npz", "init/")
    wrapped = {f"module.{name}": value for name, value in mamp.items()}
    found = read(saved(tmp_path / "wrapped.pth", {"model": wrapped}))
    assert all(torch.equal(found.state[name], mamp[name]) for name in found.state)
    assert "read without 'module.' in front" in found.notes
    for content in (
        {"model": stars, "epoch": 3},
        {f"module.{name}": value for name, value in stars.items()},
    ):
        found = read(saved(tmp_path / "stars.pt", content))
        assert found.facts.method == "stars"
        assert all(torch.equal(value, stars[f"encoder_student.{name}"]) for name, value in found.state.items())


def test_official_weights_may_come_as_safetensors(stars: Path, mamp: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    for file, weights in ((stars, torch.load(stars)), (mamp, torch.load(mamp)["model"])):
        _are_equal(file, weights, save_file)


def _are_equal(file: Path, weights: dict[str, Tensor], save_file: Callable[..., None]) -> None:
    same = file.with_suffix(".safetensors")
    save_file({name: value.clone() for name, value in weights.items()}, same)
    found, expected = read(same), read(file)
    assert (found.facts, found.size, found.notes) == (expected.facts, expected.size, expected.notes)
    assert all(torch.equal(found.state[name], value) for name, value in expected.state.items())


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 64, b"{}"])
def test_safetensors_that_are_none_are_one_line(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("safetensors")
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(StarsBenchError, match=r"x\.safetensors: (cannot be read as safetensors|is no|MAMP)"):
        read(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [{"weights": torch.ones(2)}, [torch.ones(2)], {"model": 3}])
def test_another_file_is_told_apart_in_one_line(tmp_path: Path, content: object) -> None:
    with pytest.raises(StarsBenchError, match=r"^[^\n]*no checkpoint[^\n]*$"):
        read(saved(tmp_path / "x.pt", content))


class Attack:
    """Unpickled by pickle, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("where", ["beside", "in the arguments", "in an old file", "in a bare pickle"])
def test_a_hostile_file_is_refused_and_nothing_of_it_is_run(tmp_path: Path, where: str) -> None:
    trap = tmp_path / "trap"
    weights = golden("stage1_mamp.npz", "init/")
    path = tmp_path / "hostile.pth"
    if where == "in the arguments":
        saved(path, {"model": weights, "args": argparse.Namespace(x=Attack(trap))})
    elif where == "in a bare pickle":
        path.write_bytes(pickle.dumps({"model": Attack(trap)}, protocol=2))
    else:
        saved(path, {"model": weights, "x": Attack(trap)}, _use_new_zipfile_serialization=where == "beside")
    with pytest.raises(StarsBenchError, match=r"refused, nothing was run: it holds (posix|nt)\.mkdir; [^\n]*$"):
        pretrained.find(path, 0)
    assert not trap.exists()
    with path.open("rb") as file:  # the attack is a real one
        if where == "in a bare pickle":
            pickle.load(file)
            assert trap.is_dir()


def test_objects_beyond_plain_data_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"model": {}, "best": np.float64(3)})
    with pytest.raises(StarsBenchError, match=r"refused, nothing was run: it holds numpy\.[^\n]*multiarray\.scalar;"):
        official_checkpoints.load(path)


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 cut short"])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    with pytest.raises(StarsBenchError, match=r"^[^\n]*x\.pth: cannot be read as a checkpoint \([^\n]+\)$"):
        official_checkpoints.load(path)


def test_mamp_is_written_with_its_official_names(tmp_path: Path) -> None:
    weights = golden("stage1_mamp.npz", "init/")
    model = MaskedPrediction(SkeletonEncoder(FRAMES, 25, DIM, DEPTH, HEADS), 2, 0.9, 0.8)
    ours = model.state_dict()
    assert official_checkpoints.write(tmp_path / "out.pth", official_checkpoints.LAYOUTS["mamp"], ours) == len(weights)
    content = torch.load(tmp_path / "out.pth", weights_only=True)
    assert content.keys() == {"model"}
    assert {name: value.shape for name, value in content["model"].items()} == {
        name: value.shape for name, value in weights.items()
    }
    assert torch.equal(content["model"]["decoder_pred.weight"], ours["decoder_pred.weight"])
    with pytest.raises(StarsBenchError, match=r"MAMP has no name for teacher\.x"):
        official_checkpoints.write(
            tmp_path / "other.pth", official_checkpoints.LAYOUTS["mamp"], ours | {"teacher.x": torch.ones(1)}
        )
    assert not (tmp_path / "other.pth").exists()


def test_a_subclass_does_not_inherit_what_its_stages_may_be_exported_as() -> None:
    class Other(Stars):
        pass

    assert official_checkpoints.trains(Stars, "stars")
    assert not official_checkpoints.trains(Other, "stars")
