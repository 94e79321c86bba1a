"""Bodies filled up, centred and turned to x as the program of UmURL has it; to z, which 2s-AGCN does first, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from stars_bench.datasets.cleaning.agcn import place
from tests.golden.conftest import Arrays

CLIPS = ("one_body", "two_bodies", "second_starts_late", "gap_in_the_middle")
FRAMES = 300


@pytest.fixture(scope="module")
def arrays(golden) -> Arrays:
    return golden("agcn_place.npz")


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_is_that_of_the_program_also_behind_its_end(name: str, arrays: Arrays) -> None:
    bodies = arrays[f"{name}_in"]
    padded = np.pad(bodies, ((0, 0), (0, FRAMES - bodies.shape[1]), (0, 0), (0, 0)))
    assert_allclose(place(padded, "x"), arrays[f"{name}_out"], rtol=0, atol=1e-6)
    # what is stored ends with the recording
    assert_allclose(place(bodies, "x"), arrays[f"{name}_out"][:, : bodies.shape[1]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CLIPS)
def test_the_spine_stands_along_z_before_the_shoulders_are_turned_to_x(name: str, arrays: Arrays) -> None:
    bodies = arrays[f"{name}_in"]
    upright, both = place(bodies, "z")[0, 0], place(bodies, "zx")
    spine, shoulders = upright[1] - upright[0], both[0, 0, 8] - both[0, 0, 4]
    assert_allclose(spine, [0, 0, np.linalg.norm(spine)], atol=1e-6)
    assert_allclose(shoulders, [np.linalg.norm(shoulders), 0, 0], atol=1e-6)
    assert_allclose(both, turned(place(bodies, "z"), upright[8] - upright[4]), atol=1e-6)


def turned(bodies: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Turn bodies about the cross product of `across` and x, by Rodrigues' formula, joint by joint."""
    unit = across / np.linalg.norm(across)
    axis = np.cross(unit, [1, 0, 0])
    axis /= np.linalg.norm(axis)
    angle = np.arccos(unit[0])
    out = np.empty_like(bodies)
    for index in np.ndindex(bodies.shape[:3]):
        v = bodies[index]
        out[index] = v * np.cos(angle) + np.cross(axis, v) * np.sin(angle) + axis * (axis @ v) * (1 - np.cos(angle))
    return out


def test_what_is_parallel_already_or_has_no_direction_is_not_turned() -> None:
    bodies = np.zeros((1, 2, 25, 3), np.float32)
    bodies[0, :, 1] = [0, 0, 1]
    bodies[0, :, 4], bodies[0, :, 8] = [1, 0.5, 1], [-1, 0.5, 1]  # the shoulders look against x
    centred = bodies - [0, 0, 1]
    centred[~bodies.any(-1)] = 0
    assert_allclose(place(bodies, "zx"), centred)
