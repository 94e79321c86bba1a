"""Two runs side by side: which results of theirs are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.experiments.finished.comparison import compare
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import write_record


def test_of_an_evaluation_with_several_settings_those_are_compared_that_both_runs_have(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    epochs = {"stars": {0: (2, 5), 1: (5,)}, "mamp": {0: (5,), 1: (5, 9)}}
    for method, seeds in epochs.items():
        for seed, several in seeds.items():
            for count in several:
                linear = {"name": "linear", "settings": {}, "config": {"epochs": count}}
                record = make_record(seed=seed, **{f"evaluation__{name}": value for name, value in linear.items()})
                write_record(RunFolder.of(tmp_path, "ntu60", "xsub", method, "key", seed), record)
    (found,) = compare(*(tmp_path / "ntu60" / "xsub" / method / "key" for method in epochs)).evaluations
    assert (found.pairs, found.seeds) == (((0, 0, ()), (1, 1, ())), (2, 2))


def test_runs_without_a_common_evaluation_are_told_by_what_each_has(
    tmp_path: Path, make_record: Callable[..., Record]
) -> None:
    def run(method: str, name: str, **settings: int) -> Path:
        evaluation = {"name": name, "settings": settings, "config": settings}
        record = make_record(**{f"evaluation__{key}": value for key, value in evaluation.items()})
        folder = RunFolder.of(tmp_path, "ntu60", "xsub", method, "key", 0)
        write_record(folder, record)
        return tmp_path / "ntu60" / "xsub" / method / "key"

    first, second, third = run("stars", "knn", k=1), run("mamp", "knn", k=20), run("raw", "linear")
    with pytest.raises(UsageError) as told:
        compare(first, second)
    has = f"nothing to compare: {first} has k-NN k=1, {second} has k-NN k=20; give one of them once more with "
    assert str(told.value) == f"{has}the settings of knn, with --set knn.NAME=VALUE"
    with pytest.raises(UsageError, match=r"has k-NN k=1, .* has linear; .* with an --eval of the other$"):
        compare(first, third)
