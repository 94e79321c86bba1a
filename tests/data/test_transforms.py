"""stars_bench.transforms: the crops, turns and streams of the methods, for one clip, for a batch and for `load`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import stars_bench
from stars_bench import transforms as T
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.storage.shards import PreparedDataset, open_dataset

FRAMES = 20


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> PreparedDataset:
    return open_dataset(small_data, "synthetic")


@pytest.fixture(scope="module")
def part(dataset: PreparedDataset) -> ClipPart:
    return ClipPart(ClipStore.of(dataset), dataset.table.index.to_numpy()[:12])


@pytest.fixture(scope="module")
def clips(dataset: PreparedDataset) -> list[Tensor]:
    """Whole clips (3, F, V, 2), as they were prepared."""
    whole = stars_bench.load(dataset, "xsub", frames=None)
    by_name = {name: clip for each in (whole.train, whole.test) for clip, _, name in each}
    return [by_name[name] for name in dataset.table["name"][:12]]


@pytest.mark.parametrize("keep", [1.0, 0.95, 0.5])
def test_a_centre_crop_is_that_of_evaluations(part: ClipPart, clips: list[Tensor], keep: float) -> None:
    expected = part.whole(torch.arange(12), FRAMES, keep)
    assert torch.equal(torch.stack([T.CenterCrop(FRAMES, keep)(clip) for clip in clips]), expected)


def test_random_crops_and_turns_are_those_of_stage_1(part: ClipPart, clips: list[Tensor]) -> None:
    transform = T.Compose([T.RandomCrop(FRAMES, min_frames=8), T.RandomRotation(0.3)])
    for number, clip in enumerate(clips):
        torch.manual_seed(number)
        expected = part.cropped(torch.tensor([number]), FRAMES)[0]
        torch.manual_seed(number)
        assert torch.equal(T.Compose([T.RandomCrop(FRAMES), T.RandomRotation(0.3)])(clip), expected)
        assert transform(clip).shape == (3, FRAMES, 25, 2)


def test_streams_are_those_of_the_methods(dataset: PreparedDataset, clips: list[Tensor]) -> None:
    for name in ("bone", "motion"):
        expected = ClipPart(ClipStore.of(dataset, stream=name), dataset.table.index.to_numpy()[:12])
        transform = T.Compose([T.CenterCrop(FRAMES), T.Stream(name, dataset.spec.skeleton)])
        assert torch.equal(
            torch.stack(list(map(transform, clips))), expected.whole(torch.arange(12), FRAMES, keep=0.95)
        )
    assert torch.equal(T.Stream("joint")(clips[0]), clips[0])


def test_a_batch_is_its_clips(clips: list[Tensor], dataset: PreparedDataset) -> None:
    batch = torch.stack([T.Resize(40)(clip) for clip in clips])
    skeleton = dataset.spec.skeleton
    for transform in (T.CenterCrop(16), T.Resize(16), T.Stream("bone", skeleton), T.Stream("motion")):
        assert torch.equal(transform(batch), torch.stack([transform(clip) for clip in batch]))
    for transform in (T.RandomCrop(16, min_frames=4), T.RandomRotation(0.3)):
        assert transform(batch).shape[0] == len(batch)
        turned = transform(batch.new_ones(batch.shape) * torch.linspace(0, 1, 40).view(40, 1, 1))
        assert not torch.equal(turned[0], turned[1])


def test_resizing_keeps_all_frames_and_a_crop_only_those_with_a_body() -> None:
    ramp = torch.arange(1.0, 11.0).view(1, 10, 1, 1).expand(3, 10, 25, 2).clone()
    ramp[:, 6:] = 0
    assert torch.equal(T.Resize(10)(ramp), ramp)
    assert T.CenterCrop(6, keep=1.0)(ramp)[0, :, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert T.CenterCrop(keep=0.5)(ramp)[0, :, 0, 0].tolist() == [2, 3, 4, 5]


def test_shares_bound_the_length_of_random_crops() -> None:
    torch.manual_seed(0)
    crop = T.RandomCrop(min_share=0.25, max_share=0.5, min_frames=1)
    lengths = {crop(torch.ones(3, 100, 25, 2)).shape[1] for _ in range(200)}
    assert min(lengths) >= 25
    assert 45 < max(lengths) <= 50
    assert T.RandomCrop(min_share=0.1, max_share=0.1)(torch.ones(3, 100, 25, 2)).shape[1] == 64


def test_a_generator_of_its_own_repeats_and_leaves_torchs_alone(clips: list[Tensor]) -> None:
    def drawn() -> Tensor:
        source = torch.Generator().manual_seed(3)
        transform = T.Compose([T.RandomCrop(16, generator=source), T.RandomRotation(generator=source)])
        return torch.stack(list(map(transform, clips)))

    before = torch.get_rng_state()
    assert torch.equal(drawn(), drawn())
    assert torch.equal(torch.get_rng_state(), before)


def test_compose_flattens_and_calls_own_functions_clip_by_clip() -> None:
    seen: list[tuple[int, ...]] = []

    def look(clip: Tensor) -> Tensor:
        seen.append(tuple(clip.shape))
        return clip

    transform = T.Compose([T.Compose([T.Resize(4)]), [look, T.RandomRotation(0.0)]])
    assert len(transform) == 3
    assert transform.frames == 4
    assert transform(torch.ones(2, 3, 9, 25, 2)).shape == (2, 3, 4, 25, 2)
    assert seen == [(3, 4, 25, 2)] * 2


def test_load_takes_transforms_and_tests_without_chance(dataset: PreparedDataset) -> None:
    parts = stars_bench.load(dataset, "xsub", transform=[T.RandomCrop(16), T.Stream("bone"), T.RandomRotation(0.2)])
    torch.manual_seed(1)
    mine = parts.train[0][0]
    torch.manual_seed(1)
    usual = stars_bench.load(dataset, "xsub", frames=16, augment=True, max_angle=0.2, stream="bone").train[0][0]
    assert torch.equal(mine, usual)
    plain = stars_bench.load(dataset, "xsub", frames=16, stream="bone").test
    assert torch.equal(parts.test[3][0], plain[3][0])
    other = stars_bench.load(dataset, "xsub", transform=T.RandomCrop(16), test_transform=T.CenterCrop(8)).test
    assert other[0][0].shape[1] == 8


def test_a_loaded_part_with_a_function_of_ones_own_works_in_batches_and_workers(dataset: PreparedDataset) -> None:
    part = stars_bench.load(dataset, "xsub", transform=[T.CenterCrop(16), torch.neg]).train
    expected = -torch.from_numpy(stars_bench.load(dataset, "xsub", frames=16).train.arrays()[0])
    assert torch.equal(torch.from_numpy(part.arrays()[0]), expected)
    batches = [clips for clips, _, _ in DataLoader(pickle.loads(pickle.dumps(part)), batch_size=7)]
    assert torch.equal(torch.cat(batches), expected)
    resized = stars_bench.load(dataset, "xsub", transform=[torch.neg, T.Resize(9)]).train
    assert resized.arrays()[0].shape[2] == 9


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: T.CenterCrop(0), "frames=0: a whole number from 1 to 10,000"),
    (lambda: T.CenterCrop(keep=1.5), "keep=1.5: the share"),
    (lambda: T.RandomCrop(min_share=0.6, max_share=0.5), "min_share=0.6"),
    (lambda: T.RandomCrop(min_frames=0), "min_frames=0"),
    (lambda: T.RandomRotation(-1.0), "max_angle=-1.0"),
    (lambda: T.Stream("joints"), "joint, bone, motion"),  # type: ignore[arg-type]
    (lambda: T.Stream("bone")(torch.ones(3, 4, 25, 2)), "25 joints, but no skeleton"),
    (lambda: T.Compose([3]), "cannot be called"),  # type: ignore[list-item]
    (lambda: T.Resize(4)(torch.ones(3, 4)), r"shape \(3, 4\)"),
    (lambda: T.Resize(4)(np.ones((3, 4, 25, 2))), r"not a ndarray: torch\.from_numpy\(clip\)"),  # type: ignore[arg-type]
    (lambda: T.Resize(4)([1.0]), "a clip is a tensor"),  # type: ignore[arg-type]
    (lambda: T.CenterCrop()(torch.ones(2, 3, 4, 25, 2)), "crops differ in length; give frames=N"),
    (lambda: T.CenterCrop(3)(torch.ones(3, 4, 25, 3)), "at most 2"),
]


@pytest.mark.parametrize(("use", "said"), WRONG, ids=[said for _, said in WRONG])
def test_wrong_use_is_one_clear_line(use: Callable[[], object], said: str) -> None:
    with pytest.raises(stars_bench.UsageError, match=said):
        use()


def test_load_refuses_a_transform_beside_the_options_that_it_replaces(dataset: PreparedDataset) -> None:
    with pytest.raises(stars_bench.UsageError, match="leave out the other options"):
        stars_bench.load(dataset, "xsub", transform=T.CenterCrop(8), stream="bone")
