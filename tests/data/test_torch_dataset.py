"""stars_bench.load: the parts of a protocol as PyTorch Datasets, with the very clips that evaluations get."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import stars_bench
from stars_bench.data import transforms
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.protocols.standard import cross_subject


def test_parts_hold_the_clips_of_the_protocol_with_labels_and_names(small_data: Path) -> None:
    parts = stars_bench.load("synthetic", "xsub", small_data, frames=16)
    split = cross_subject(parts.dataset.table)
    for part, rows in ((parts.train, split.train), (parts.test, split.test)):
        assert len(part) == len(rows) > 0
        assert part.names == parts.dataset.table["name"].iloc[rows].tolist()
        clip, label, name = part[len(part) - 1]
        assert (clip.shape, clip.dtype) == ((3, 16, 25, 2), torch.float32)
        assert (label, name) == (parts.dataset.table["label"][rows[-1]], part.names[-1])
        assert parts.classes[label] == parts.dataset.spec.classes[label]
    assert not set(parts.train.names) & set(parts.test.names)
    assert parts.bank is None


def test_items_are_the_clips_of_evaluations(small_data: Path) -> None:
    parts = stars_bench.load("synthetic", "xsub", small_data, frames=24, keep=0.9, stream="bone")
    expected = ClipPart(ClipStore.of(parts.dataset, stream="bone"), parts.test.rows).whole(torch.arange(5), 24, 0.9)
    assert torch.equal(torch.stack([parts.test[number][0] for number in range(5)]), expected)
    assert torch.equal(parts.test[-1][0], parts.test[len(parts.test) - 1][0])


def test_arrays_are_all_items_at_once(small_data: Path) -> None:
    part = stars_bench.load("synthetic", "xsub", small_data, frames=8).train
    clips, labels, names = part.arrays()
    assert isinstance(clips, np.ndarray)
    assert clips.shape == (len(part), 3, 8, 25, 2)
    items = [part[number] for number in range(len(part))]
    np.testing.assert_array_equal(clips, np.stack([clip.numpy() for clip, _, _ in items]))
    assert (labels.tolist(), names) == ([label for _, label, _ in items], [name for _, _, name in items])


def test_without_frames_clips_are_as_they_were_prepared(small_data: Path) -> None:
    parts = stars_bench.load("synthetic", "xsub", small_data, frames=None)
    clips, _, names = parts.test.arrays()
    assert len({clip.shape[1] for clip in clips}) > 1
    for clip, name in zip(clips, names, strict=True):
        bodies = parts.dataset.clip(name)
        np.testing.assert_array_equal(clip[..., : len(bodies)], bodies.transpose(3, 1, 2, 0))
        assert len(bodies) == 2 or not clip[..., 1].any()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_gives_batches(small_data: Path, workers: int) -> None:
    part = stars_bench.load("synthetic", "xsub", small_data, frames=8).train
    batches = list(DataLoader(part, batch_size=10, num_workers=workers))
    clips, labels, names = batches[0]
    assert (clips.shape, labels.dtype, len(names)) == ((10, 3, 8, 25, 2), torch.int64, 10)
    assert torch.equal(torch.cat([clips for clips, _, _ in batches]), torch.from_numpy(part.arrays()[0]))


def test_a_dataset_can_be_sent_to_another_process(small_data: Path) -> None:
    part = stars_bench.load("synthetic", "xsub", small_data, frames=8).test
    assert torch.equal(pickle.loads(pickle.dumps(part))[0][0], part[0][0])


def test_only_training_clips_are_augmented_and_differently_each_time(small_data: Path) -> None:
    parts = stars_bench.load("synthetic", "xsub", small_data, frames=16, augment=True)
    torch.manual_seed(0)
    first, second = parts.train[0][0], parts.train[0][0]
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, parts.train[0][0])
    assert torch.equal(parts.test[0][0], parts.test[0][0])


def test_validation_subjects_come_out_of_the_training_part(small_data: Path) -> None:
    whole = stars_bench.load("synthetic", "xsub", small_data, frames=8)
    parts = stars_bench.load(whole.dataset, "xsub", frames=8, validation="subjects", seed=1)
    assert sorted(parts.train.names + parts.test.names) == whole.train.names
    assert parts.test.names != stars_bench.load(whole.dataset, "xsub", frames=8, validation="subjects").test.names


def test_protocols_with_a_bank_and_settings(small_data: Path) -> None:
    parts = stars_bench.load("synthetic", "fewshot", small_data, frames=8, settings={"novel_classes": [9, 23]})
    assert parts.bank is not None
    assert set(parts.test.labels) == set(parts.bank.labels) == {8, 22}
    assert not {8, 22} & set(parts.train.labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "xset", "frames": 0}, "a whole number from 1 to 10,000"),
        ({"frames": None, "augment": True}, "needs frames=N"),
        ({"frames": 10**9}, "from 1 to 10,000"),
        ({"frames": "8"}, "frames='8': a whole number"),
        ({"dataset": 5}, "dataset: a name, not 5"),
        ({"data_dir": 5}, "data_dir=5: give a path"),
        ({"protocol": 5}, "protocol: a name, not 5"),
        ({"keep": 0.0}, "above 0 and at most 1"),
        ({"stream": "joints"}, "joint, bone, motion"),
        ({"validation": "random"}, "there is 'subjects'"),
        ({"settings": {"novel_classes": [3]}}, "xsub has none"),
        ({"protocol": "fewshot", "settings": {"novel_share": 2}}, "fewshot: novel_share"),
        ({"protocol": "fewshot", "validation": "subjects"}, "tests other classes"),
    ],
)
def test_wrong_use_is_told(small_data: Path, options: dict, said: str) -> None:
    with pytest.raises(stars_bench.UsageError, match=said):
        stars_bench.load(**({"dataset": "synthetic", "protocol": "xsub", "data_dir": small_data} | options))


def test_a_transform_must_return_a_clip(small_data: Path) -> None:
    def named(_: torch.Tensor) -> Any:
        return "clip"

    for transform, said in ((named, "named: must return a clip .*, not a str"), (torch.mean, r"not shape \(\)")):
        part = stars_bench.load("synthetic", "xsub", small_data, transform=[transforms.Resize(8), transform]).train
        with pytest.raises(stars_bench.UsageError, match=said):
            part[0]
        with pytest.raises(stars_bench.UsageError, match=said):
            part.arrays()


def test_an_index_out_of_range_ends_iteration(small_data: Path) -> None:
    part = stars_bench.load("synthetic", "xsub", small_data, frames=8).test
    with pytest.raises(IndexError):
        part[len(part)]
    assert len(list(part)) == len(part)
