"""Crops, resizing and rotation of whole batches equal the official per-clip code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from stars_bench.data.clip_store import ClipPart, ClipStore, random_crop, rotate, rotation_matrices
from tests.golden.conftest import Arrays, tensor

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
OUT = 24


def store_of(*clips: np.ndarray) -> ClipStore:
    """A store of two-body clips given as (3, F, V, 2)."""
    frames = np.array([clip.shape[1] for clip in clips])
    joints = np.concatenate([clip.transpose(3, 1, 2, 0).reshape(-1, clip.shape[2], 3) for clip in clips])
    offset = np.concatenate([[0], np.cumsum(2 * frames)[:-1]])
    return ClipStore(np.ascontiguousarray(joints), offset, frames, np.full(len(clips), 2), absent="zero")


@pytest.fixture(scope="module")
def arrays(golden) -> Arrays:
    return golden("crop_rotate.npz")


def test_centre_crops(arrays: Arrays) -> None:
    names = [name for name in arrays if name.startswith("center/")]
    assert names
    for name in names:
        _, length, keep = name.split("/")
        clips = ClipPart(store_of(arrays["seq"][:, : int(length)]), np.array([0]))
        assert_allclose(clips.whole(torch.tensor([0]), OUT, float(keep))[0], arrays[name], **TOLERANCE, err_msg=name)


def test_random_crops_with_the_draws_of_the_reference(arrays: Arrays) -> None:
    cases = sorted({name.split("/")[1] for name in arrays if name.startswith("random/")}, key=int)
    store = store_of(*(arrays[f"random/{case}/in"] for case in cases))
    fraction, length, bias = np.stack([arrays[f"random/{case}/p_len_bias"] for case in cases], 1)
    place = torch.from_numpy((bias + 0.5) / (store.valid.numpy() - length + 1))
    start, found = random_crop(store.valid, torch.from_numpy(2 * fraction - 1), place)
    assert found.tolist() == length.tolist()
    assert start.tolist() == bias.tolist()
    out = store.resized(torch.arange(len(cases)), start, found, OUT)
    for i, case in enumerate(cases):
        assert_allclose(out[i], arrays[f"random/{case}/out"], **TOLERANCE, err_msg=case)


def test_rotation(arrays: Arrays) -> None:
    assert_allclose(rotation_matrices(tensor(arrays["angles"])[None])[0], arrays["matrix"], **TOLERANCE)
    turned = rotate(tensor(arrays["seq"])[None], tensor(arrays["rot_angles"])[None])
    assert_allclose(turned[0], arrays["rot_out"], **TOLERANCE)
