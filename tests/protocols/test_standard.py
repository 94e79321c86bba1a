"""Splits give the published counts on the complete name lists, and are properties of the clips, not of their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.datasets.ntu import expected_names
from stars_bench.datasets.parsing.ntu import parse_name
from stars_bench.errors import StarsBenchError
from stars_bench.protocols.splits import make_split
from stars_bench.protocols.standard import XSET, XSUB, XVIEW
from stars_bench.protocols.validation import hold_out

SPECS = {spec.name: spec for spec in (XSUB, XVIEW, XSET)}


def table_of(names: list[str]) -> pd.DataFrame:
    rows = [parse_name(name) for name in names]
    table = pd.DataFrame(
        [(s, c, p, r, a - 1) for s, c, p, r, a in rows],
        columns=["setup", "camera", "subject", "replication", "label"],
    )
    return table.assign(name=names)


@pytest.fixture(scope="module")
def complete() -> dict[str, pd.DataFrame]:
    return {name: table_of(expected_names(name)) for name in ("ntu60", "ntu120")}


@pytest.mark.parametrize(
    ("dataset", "protocol", "train", "test"),
    [
        ("ntu60", "xsub", 40_091, 16_487),
        ("ntu60", "xview", 37_646, 18_932),
        ("ntu120", "xsub", 63_026, 50_919),
        ("ntu120", "xset", 54_468, 59_477),
    ],
)
def test_published_counts_on_the_complete_dataset(complete, dataset, protocol, train, test) -> None:
    split = make_split(SPECS[protocol], dataset, complete[dataset], complete=True)
    assert (len(split.train), len(split.test)) == (train, test)
    assert not np.intersect1d(split.train, split.test).size
    assert SPECS[protocol].expected[dataset] == (train, test)


def test_wrong_counts_on_a_complete_dataset_are_an_error(complete) -> None:
    with pytest.raises(StarsBenchError, match="published are"):
        make_split(XSUB, "ntu60", complete["ntu60"].iloc[:-1], complete=True)


def test_an_empty_part_is_an_error(complete) -> None:
    only_train = complete["ntu60"].query("subject == 1")
    with pytest.raises(StarsBenchError, match="in the test part"):
        make_split(XSUB, "ntu60", only_train, complete=False)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), protocol=st.sampled_from(["xsub", "xview", "xset"]))
def test_a_partial_or_shuffled_table_gives_the_sub_split(complete, seed, protocol) -> None:
    table = complete["ntu120"]
    whole = SPECS[protocol].split(table)
    part = table.sample(frac=0.01, random_state=seed)
    split = SPECS[protocol].split(part)
    assert set(part["name"].iloc[split.train]) == set(table["name"].iloc[whole.train]) & set(part["name"])
    assert set(part["name"].iloc[split.test]) == set(table["name"].iloc[whole.test]) & set(part["name"])


def test_pku_mmd_follows_its_own_files() -> None:
    table = pd.DataFrame(
        {"subject": [2, 2, 3], "camera": [1, 2, 3], "official_xsub": ["train", "test", ""], "official_xview": "train"}
    )
    split = XSUB.split(table)
    assert split.train.tolist() == [0]
    assert split.test.tolist() == [1]


def test_validation_holds_out_whole_training_subjects(complete) -> None:
    table = complete["ntu60"]
    split = XSUB.split(table)
    inner = hold_out(table, split, seed=3)
    assert set(np.concatenate([inner.train, inner.test])) == set(split.train)
    train_subjects, held_out = (set(table["subject"].iloc[ids]) for ids in (inner.train, inner.test))
    assert not train_subjects & held_out
    assert 0.2 <= len(inner.test) / len(split.train) < 0.35
    assert set(hold_out(table, split, seed=4).test) != set(inner.test)
