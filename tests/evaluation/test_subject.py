"""Features are extracted once per encoder, crop and clip, and found again by whoever may use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stars_bench.errors import StarsBenchError
from stars_bench.evaluation import feature_cache
from stars_bench.evaluation.feature_cache import FeatureFiles
from stars_bench.evaluation.knn import KNNConfig
from stars_bench.evaluation.subject import BATCH, Subject, probe
from stars_bench.io.run_folder import RunFolder
from stars_bench.training.memory import OutOfMemory
from tests.evaluation.still_clips import Reader, still_subject

RNG = np.random.default_rng(0)
FEATURES, LABELS = RNG.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 4
RUN = Path("runs/xsub/mine/key/seed0")


def subject(root: Path, train: slice, test: slice, run: Path = RUN, **more: object) -> Subject:
    rows = np.arange(40)
    return still_subject(
        FEATURES, LABELS, rows[train], rows[test], KNNConfig(), root / run, reuse=True, **more
    )  # fmt: skip


def read(of: Subject, keep: float = 0.95) -> tuple[np.ndarray, np.ndarray, int]:
    """Features of both parts, and how many clips the encoder had to read for them."""
    parts = of.features("train", keep).numpy(), of.features("test", keep).numpy()
    return *parts, of.encoder.clips_read


def test_each_clip_is_read_once(tmp_path: Path) -> None:
    first = subject(tmp_path, slice(0, 30), slice(30, 40))
    train, test, count = read(first)
    assert np.array_equal(train, FEATURES[:30])
    assert np.array_equal(test, FEATURES[30:])
    assert count == 40
    assert read(first)[2] == 40
    again = subject(tmp_path, slice(0, 30), slice(30, 40))
    assert np.array_equal(read(again)[0], train)
    assert again.encoder.clips_read == 0


def test_another_part_extracts_only_what_is_missing(tmp_path: Path) -> None:
    read(subject(tmp_path, slice(0, 10), slice(10, 20)))
    other = subject(tmp_path, slice(23, None, -1), slice(2, 14))  # other clips, another order
    train, test, count = read(other)
    assert np.array_equal(train, FEATURES[slice(23, None, -1)])
    assert np.array_equal(test, FEATURES[2:14])
    assert count == 4


def test_another_run_of_the_same_encoder_finds_them(tmp_path: Path) -> None:
    read(subject(tmp_path, slice(0, 30), slice(30, 40)))
    other = subject(tmp_path, slice(0, 5), slice(20, 40), run=Path("runs/fewshot/mine/other/seed0"))
    assert np.array_equal(read(other)[1], FEATURES[20:])
    assert other.encoder.clips_read == 0
    assert not (tmp_path / "runs/fewshot/mine/other/seed0/features").exists()


@pytest.mark.parametrize(
    "change", [{"key": "another encoder"}, {"data": {"digest": "other data"}}, {"encoder": torch.nn.Identity}, "crop"]
)
def test_whatever_features_depend_on_extracts_anew(tmp_path: Path, change: object) -> None:
    read(subject(tmp_path, slice(0, 30), slice(30, 40)))
    if change == "crop":
        other = subject(tmp_path, slice(0, 30), slice(30, 40))
        assert read(other, keep=1.0)[2] == 40
        return
    if "encoder" in change:  # of another module: other code
        change = {"encoder": type("Reader", (Reader,), {"__module__": "torch.nn"})(6)}
    other = replace(subject(tmp_path, slice(0, 30), slice(30, 40)), **change)
    assert read(other)[2] == 40


def test_runs_that_extract_at_once_do_no_harm(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c", "d"])
    one, other = (FeatureFiles(RunFolder(tmp_path / run), "key") for run in ("run", "run"))
    assert not one.find(names[:3])[1].any()
    assert not other.find(names[1:])[1].any()
    one.add(names[:3], np.full((3, 2), 1, np.float32))
    other.add(names[1:], np.full((3, 2), 1, np.float32))
    other.add(names[1:], np.full((3, 2), 1, np.float32))
    found, there = one.find(names[::-1])
    assert there.all()
    assert (found == 1).all()
    assert len(list((tmp_path / "run" / "features").iterdir())) == 2


def test_a_damaged_file_is_named_and_its_clips_are_missing(tmp_path: Path) -> None:
    file = FeatureFiles(RunFolder(tmp_path), "key").add(np.array(["a"]), np.ones((1, 2), np.float32))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(StarsBenchError, match=r"key-\w+\.npz: damaged"):
        feature_cache.read(file)
    lines: list[str] = []
    _, there = FeatureFiles(RunFolder(tmp_path), "key", tell=lines.append).find(np.array(["a"]))
    assert not there.any()
    assert lines == [f"features: {file} is damaged: kept as {file.name}.damaged, and made again"]


def test_features_under_the_name_of_others_are_damage(tmp_path: Path) -> None:
    names = np.array(["a"])
    one, other = (FeatureFiles(RunFolder(tmp_path), key) for key in ("crop1-one", "crop1-other"))
    own, another = (files.add(names, np.full((1, 2), number, np.float32)) for number, files in enumerate((one, other)))
    assert feature_cache.read(own)[1].max() == 0
    own.write_bytes(another.read_bytes())
    with pytest.raises(StarsBenchError, match="damaged: holds features of crop1-other"):
        feature_cache.read(own)
    assert not one.find(names)[1].any()
    assert own.with_name(f"{own.name}.damaged").exists()


class Diverged(Reader):
    """An encoder of which one weight is no longer a number, for the clips of one kind."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        out[out[:, 0] > 1] = float("nan")
        return out


def test_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    of = replace(subject(tmp_path, slice(0, 30), slice(30, 40)), encoder=Diverged(6))
    bad = FEATURES[:30, 0] > 1
    first = np.flatnonzero(bad)[0]
    with pytest.raises(
        StarsBenchError, match=rf"not finite for {bad.sum()} of 30 clips, the first clip{first:05} \(fl"
    ):
        of.features("train")
    assert not list(tmp_path.rglob("*.npz"))


class Narrower(Reader):
    """An encoder whose features have another width for the last, shorter batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, : len(x)]


def test_features_of_another_width_than_before_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BATCH, "cpu", 8)
    of = replace(subject(tmp_path, slice(0, 27), slice(30, 40)), encoder=Narrower(6))
    with pytest.raises(
        StarsBenchError, match=r"train features: the encoder gives shape \(3, 3\) for 3 clips, not \(3, 6\)"
    ):
        of.features("train")
    assert not list(tmp_path.rglob("*.npz"))


class TooLarge(Reader):
    """An encoder that the device has no memory for."""

    def forward(self, _: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_features_that_find_no_memory_say_so(tmp_path: Path) -> None:
    of = replace(subject(tmp_path, slice(0, 30), slice(30, 40)), encoder=TooLarge(6))
    with pytest.raises(OutOfMemory, match="test features: out of memory with 16 clips at once: end what else uses"):
        of.features("test")


class Half(torch.nn.Module):
    """An encoder with batch normalisation, one part of which is frozen in evaluation mode."""

    dim, frames = 1, 1

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.tuned = torch.nn.BatchNorm1d(1).eval(), torch.nn.BatchNorm1d(1)

    def forward(self, x: Tensor) -> Tensor:
        assert not any(part.training for part in self.modules())
        return self.tuned(self.frozen(x.flatten(1).mean(1, keepdim=True)))


def test_a_probed_encoder_stays_as_it_was(tmp_path: Path) -> None:
    encoder, clips = Half(), subject(tmp_path, slice(0, 30), slice(30, 40)).test
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert probe(encoder, clips, "float32", "mine") == 1
    assert [encoder.training, encoder.frozen.training, encoder.tuned.training] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_one_clip_is_enough_to_probe(tmp_path: Path) -> None:
    clips = subject(tmp_path, slice(0, 30), slice(30, 31)).test
    assert probe(Half(), clips, "float32", "mine") == 1
