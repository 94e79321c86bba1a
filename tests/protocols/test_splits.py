"""`split_of`: the one way from prepared data to a split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from stars_bench.errors import UsageError
from stars_bench.protocols.novel import UNSEEN
from stars_bench.protocols.splits import clips_in_no_part, config_of, make_split, split_of
from stars_bench.protocols.standard import XSUB
from stars_bench.protocols.validation import hold_out


class Dataset(NamedTuple):
    name: str
    table: pd.DataFrame
    complete: bool = False


@pytest.fixture
def dataset() -> Dataset:
    subjects = np.tile([1, 2, 3, 4, 5, 6], 10)
    labels = np.repeat(np.arange(60), 1)
    columns = {"subject": subjects, "label": labels, "camera": 1, "setup": 1, "replication": 1}
    return Dataset("ntu60", pd.DataFrame(columns))


def test_without_a_validation_part_it_is_the_protocols_split(dataset: Dataset) -> None:
    split, expected = split_of(dataset, XSUB), make_split(XSUB, "ntu60", dataset.table, complete=False)
    assert np.array_equal(split.train, expected.train)
    assert np.array_equal(split.test, expected.test)
    assert clips_in_no_part(split, len(dataset.table)) == 0
    assert clips_in_no_part(split, len(dataset.table) + 3) == 3


def test_a_validation_part_is_drawn_from_the_training_part_by_the_seed(dataset: Dataset) -> None:
    split = split_of(dataset, XSUB, validation="subjects", seed=3)
    expected = hold_out(dataset.table, split_of(dataset, XSUB), seed=3)
    assert np.array_equal(split.test, expected.test)
    assert set(split.test) < set(split_of(dataset, XSUB).train)


def test_wrong_use_is_one_line(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="there is 'subjects'"):
        split_of(dataset, XSUB, validation="clips")
    with pytest.raises(UsageError, match="seed=-1: a whole number, at least 0"):
        split_of(dataset, XSUB, validation="subjects", seed=-1)
    with pytest.raises(UsageError, match="xsub has none"):
        config_of(XSUB, {"novel_classes": [1]})
    assert config_of(XSUB, {}) is None
    with pytest.raises(UsageError, match="unseen"):
        config_of(UNSEEN, {"novel_classes": "none"})
