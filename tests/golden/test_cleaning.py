"""Raw NTU files through parser and cleaning: what the public preprocessing computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.cleaning import mamp
from stars_bench.datasets.parsing import ntu
from tests.paths import GOLDEN

FILES = sorted((GOLDEN / "raw").glob("*.skeleton"))


def denoised(file: Path) -> np.ndarray:
    joints, several, log = mamp.actors(ntu.parse(file.read_bytes()), mamp.MAMP_PARAMETERS)
    return mamp.seen_frames(joints, log) if several else joints


def test_there_are_golden_files() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actors_and_frames_are_those_of_the_public_preprocessing_exactly(file: Path) -> None:
    expected = np.load(GOLDEN / "clean.npz")[f"{file.stem}/denoised"]
    found = denoised(file)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_centred_clips_are_those_of_the_public_preprocessing(file: Path) -> None:
    expected = np.load(GOLDEN / "clean.npz")[f"{file.stem}/centered"]
    np.testing.assert_allclose(mamp.centre(denoised(file)), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_whole_profile_gives_the_same_clip_cut_to_300_frames(file: Path) -> None:
    expected = np.load(GOLDEN / "clean.npz")[f"{file.stem}/centered"][:300]
    bodies, _ = mamp.clean(ntu.parse(file.read_bytes()))
    assert bodies.shape == (expected.shape[1] // 75, len(expected), 25, 3)
    np.testing.assert_allclose(np.hstack([body.reshape(-1, 75) for body in bodies]), expected, rtol=1e-6, atol=1e-6)
