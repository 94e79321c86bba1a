"""Novel classes are never trained on, parts never share a clip, and the published counts and leaks come out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.api import ProtocolSpec, Split
from stars_bench.datasets.ntu import expected_names
from stars_bench.errors import StarsBenchError
from stars_bench.protocols.novel import (
    FEWSHOT,
    ONESHOT,
    ONESHOT_ACTIONS,
    UNSEEN,
    FewShotConfig,
    exemplar_name,
    few_shot,
    novel_labels,
)
from stars_bench.protocols.splits import make_split
from stars_bench.protocols.standard import XSET, XSUB, XVIEW
from tests.protocols.test_standard import table_of


@pytest.fixture(scope="module")
def ntu120() -> pd.DataFrame:
    return table_of(expected_names("ntu120"))


@pytest.fixture(scope="module")
def ntu60() -> pd.DataFrame:
    return table_of(expected_names("ntu60"))


def counts(split: Split) -> tuple[int, int, int]:
    assert split.bank is not None
    return len(split.train), len(split.bank), len(split.test)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [(UNSEEN, (40_091, 22_935, 34_432)), (FEWSHOT, (40_091, 22_935, 34_432)), (ONESHOT, (95_001, 20, 18_924))],
    ids=lambda value: value.name if isinstance(value, ProtocolSpec) else "",
)
def test_published_counts_on_the_complete_name_list(ntu120, spec, expected) -> None:
    assert counts(make_split(spec, "ntu120", ntu120, complete=True)) == expected


def test_unseen_has_all_clips_of_classes_61_to_120(ntu120) -> None:
    split = make_split(UNSEEN, "ntu120", ntu120, complete=True)
    assert len(split.labelled) + len(split.test) == 57_367


def test_the_training_part_of_unseen_is_that_of_ntu60_x_sub(ntu120, ntu60) -> None:
    split = make_split(UNSEEN, "ntu120", ntu120, complete=True)
    other = make_split(XSUB, "ntu60", ntu60, complete=True)
    assert set(ntu120["name"].iloc[split.train]) == set(ntu60["name"].iloc[other.train])


def test_one_shot_has_one_exemplar_a_class(ntu120) -> None:
    split = make_split(ONESHOT, "ntu120", ntu120, complete=True)
    assert sorted(ntu120["label"].iloc[split.labelled] + 1) == list(ONESHOT_ACTIONS)
    assert exemplar_name(55) == "S001C003P008R001A055"
    assert exemplar_name(61) == "S018C003P008R001A061"


def names(table: pd.DataFrame, rows: np.ndarray) -> set[str]:
    return set(table["name"].iloc[rows])


def test_the_leaks_between_ntu60_and_ntu120_have_their_published_sizes(ntu60, ntu120) -> None:
    split = {spec.name: make_split(spec, "ntu60", ntu60, complete=True) for spec in (XSUB, XVIEW)}
    other = {spec.name: make_split(spec, "ntu120", ntu120, complete=True) for spec in (XSUB, XSET)}
    assert len(names(ntu60, split["xsub"].test) & names(ntu120, other["xset"].train)) == 10_389
    assert len(names(ntu60, split["xview"].test) & names(ntu120, other["xsub"].train)) == 13_415
    assert sum(action <= 60 for action in ONESHOT_ACTIONS) == 10
    novel = ntu120[ntu120["label"] >= 60]
    assert (novel["subject"] <= 40).sum() == 5_398


@st.composite
def some_clips(draw: st.DrawFn) -> pd.DataFrame:
    complete = expected_names("ntu120")
    chosen = draw(st.lists(st.integers(0, len(complete) - 1), min_size=1, max_size=300, unique=True))
    return table_of([complete[i] for i in chosen])


@settings(max_examples=30, deadline=None)
@given(some_clips(), st.integers(0, 2**16))
def test_parts_share_no_clip_and_do_not_depend_on_order_or_absent_clips(ntu120, table, seed) -> None:
    shuffled = table.sample(frac=1, random_state=seed, ignore_index=True)
    for spec in (UNSEEN, ONESHOT):
        split, again, whole = spec.split(table), spec.split(shuffled), spec.split(ntu120)
        parts = [names(table, rows) for rows in (split.train, split.labelled, split.test)]
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert parts == [names(shuffled, rows) for rows in (again.train, again.labelled, again.test)]
        complete = [names(ntu120, rows) for rows in (whole.train, whole.labelled, whole.test)]
        assert parts == [part & set(table["name"]) for part in complete]


@settings(max_examples=30, deadline=None)
@given(some_clips(), st.integers(0, 5), st.floats(0.05, 0.95))
def test_few_shot_never_trains_on_a_novel_class(table, seed, share) -> None:
    if table["label"].nunique() < 2:
        return
    config = FewShotConfig(seed=seed, novel_share=share)
    try:
        split = few_shot(table, config)
    except StarsBenchError:  # with two classes a large share leaves none to train on
        assert round(share * table["label"].nunique()) >= table["label"].nunique()
        return
    base = set(table["label"].iloc[split.train])
    novel = set(table["label"].iloc[split.labelled]) | set(table["label"].iloc[split.test])
    assert not base & novel
    assert not set(table["subject"].iloc[split.labelled]) & set(table["subject"].iloc[split.test])


def test_novel_classes_can_be_named_as_they_are_printed(ntu60) -> None:
    split = few_shot(ntu60, FewShotConfig(novel_classes=(1, 60)))
    assert set(ntu60["label"].iloc[split.labelled]) == {0, 59}
    assert not {0, 59} & set(ntu60["label"].iloc[split.train])
    assert len(novel_labels(np.arange(60), FewShotConfig())) == 30


def test_a_novel_class_without_clips_is_an_error(ntu60) -> None:
    with pytest.raises(StarsBenchError, match="novel class 61 has no clip"):
        few_shot(ntu60, FewShotConfig(novel_classes=(61,)))
    with pytest.raises(StarsBenchError, match="none is left to train on"):
        few_shot(ntu60, FewShotConfig(novel_classes=tuple(range(1, 61))))


def test_an_empty_bank_is_an_error(ntu120) -> None:
    without = ntu120[~ntu120["name"].isin([exemplar_name(action) for action in ONESHOT_ACTIONS])]
    with pytest.raises(StarsBenchError, match="in the bank"):
        make_split(ONESHOT, "ntu120", without.reset_index(drop=True), complete=False)
