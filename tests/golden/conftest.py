"""Golden numbers of the reference programs: the folder of STARS_BENCH_GOLDEN, else this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.paths import GOLDEN

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def golden(golden_dir: Path) -> Callable[[str], Arrays]:
    def read(name: str) -> Arrays:
        with np.load(golden_dir / name) as file:
            return dict(file)

    return read


def tensor(array: np.ndarray) -> Tensor:
    """float64 for floats, as they are otherwise."""
    found = torch.from_numpy(np.asarray(array))
    return found.double() if found.is_floating_point() else found


def below(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """The arrays under `prefix`, named without it."""
    return {name.removeprefix(prefix): tensor(value) for name, value in arrays.items() if name.startswith(prefix)}
