"""Two runs side by side: which results of theirs are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
