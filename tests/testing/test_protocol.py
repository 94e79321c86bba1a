"""check_protocol: all that ships passes, and each fault is told in its own line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.api import Split
from stars_bench.protocols import official
from stars_bench.protocols.standard import XSUB
from stars_bench.testing import NotConforming, check_protocol
from stars_bench.testing.protocol import ntu_table


@pytest.fixture(scope="module")
def table():
    return ntu_table("ntu60").iloc[::40].reset_index(drop=True)


def by(column, parts=lambda odd: (np.flatnonzero(~odd), np.flatnonzero(odd))):
    return lambda table: Split(*parts((table[column] % 2 == 1).to_numpy()))


def changing(table) -> Split:
    table["subject"] = 0
    return Split(np.array([0]), np.array([1]))


def by_order(table) -> Split:
    half = len(table) // 2
    return Split(np.arange(half), np.arange(half, len(table)))


def by_rank(table) -> Split:
    first = (table["name"].rank() % 2 == 0).to_numpy()
    return Split(np.flatnonzero(first), np.flatnonzero(~first))


def only_in_order(table) -> Split:
    if not table["name"].is_monotonic_increasing:
        raise KeyError("order")
    return by("subject")(table)


def only_whole(table) -> Split:
    return by("subject")(table) if len(table) > 1000 else table["nothing"]


FAULTS = {
    "fails in another order": (only_in_order, "split failed on clips in another order (KeyError: 'order')"),
    "fails on a part": (only_whole, "split failed on clips when others are not there (KeyError: 'nothing')"),
    "not a Split": (lambda _: ([0], [1]), "split gives a tuple, not a stars_bench.api.Split"),
    "lists": (lambda _: Split([0], [1]), "train must be row numbers (N,) int64"),
    "masks": (by("subject", lambda odd: (~odd, odd)), "train must be row numbers (N,) int64"),
    "empty": (by("subject", lambda odd: (np.flatnonzero(odd), np.arange(0))), "test is empty"),
    "outside": (lambda table: Split(np.array([0]), np.array([len(table)])), "test has the row"),
    "descending": (by("subject", lambda odd: (np.flatnonzero(odd)[::-1], np.flatnonzero(~odd))), "not ascending"),
    "in both": (by("subject", lambda odd: (np.flatnonzero(odd), np.arange(len(odd)))), "are in both train and test"),
    "bank in test": (
        by("subject", lambda odd: (np.flatnonzero(odd), np.flatnonzero(~odd), np.flatnonzero(~odd))),
        "are in both bank and test",
    ),
    "changes the table": (changing, "split changes the clip table"),
    "fails": (lambda table: table["nothing"], "split failed (KeyError: 'nothing')"),
    "by order": (by_order, "depends on the order of the clips"),
    "by rank": (by_rank, "a clip changes its part when others are not there"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_in_one_line(name: str, table) -> None:
    split, told = FAULTS[name]
    with pytest.raises(NotConforming) as caught:
        check_protocol(replace(XSUB, split=split, expected={}), {"ntu60": table})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rule": ""}, "rule must be one line"),
        ({"datasets": ()}, "datasets is empty"),
        ({"evaluations": ("knnn",)}, "there is no evaluation 'knnn'"),
        ({"held_out": "persons"}, "held_out is 'persons', not a column of the clip table"),
        ({"expected": {"ntu60": (1, 2)}}, "published are (1, 2)"),
    ],
)
def test_what_it_says_of_itself_is_checked(changes, told: str, table) -> None:
    with pytest.raises(NotConforming) as caught:
        check_protocol(replace(XSUB, **{"expected": {}} | changes), {"ntu60": table})
    assert told in str(caught.value)


def test_something_else_is_told() -> None:
    with pytest.raises(NotConforming, match=r"not a stars_bench\.api.ProtocolSpec"):
        check_protocol(by_order)  # type: ignore[arg-type]


OF_EACH_KIND = {"zeroshot-55-5", "zeroshot-46-5", "fewshot-dastm", "oneshot-validation"}
"""Of the published class splits; test_class_splits.py counts the clips of all."""


@pytest.mark.parametrize(
    "name", [name for name in registry.names("protocols") if name in OF_EACH_KIND or name not in registry.CLASS_SPLITS]
)
def test_all_that_ships_conforms_and_gives_its_published_counts(name: str) -> None:
    if name not in official.NAMES:
        check_protocol(name)
        return
    clips = ntu_table("ntu60").iloc[::100].reset_index(drop=True)
    parts = clips["subject"].map(lambda subject: ("train", "test", "")[subject % 3])
    check_protocol(name, {"mine": clips.assign(item=clips["name"], **{f"official_{name}": parts})})
