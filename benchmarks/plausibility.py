"""What the measures of `preparation/plausibility.py` are in prepared data: where the bounds in docs/data.md come from.

Usage, at the top of a checkout, after `stars-bench prepare`:
    python -m benchmarks.plausibility FOLDER [FOLDER ...]     # such as data/pku1/mamp
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from stars_bench.preparation import plausibility
from stars_bench.preparation.plausibility import LENGTH, RULES
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import open_dataset

SHARES = (0, 1, 50, 99, 100)  # percent of the clips


def table(folder: Path) -> str:
    """A Markdown table of one dataset: a row a rule, its least value, percentiles, its largest, and the clips out."""
    dataset = open_dataset(folder.parent.parent, folder.parent.name, folder.name)
    clips = list(bodies_of(dataset, np.arange(dataset.num_clips)))
    measures = plausibility.measure(dataset.spec.skeleton, dataset.table["name"].tolist(), clips)
    findings = plausibility.judge(dataset.spec.skeleton, measures)
    values = measures.values.copy()
    values[:, LENGTH] /= np.median(values[:, LENGTH])
    lines = [
        f"{dataset.name}, profile {dataset.profile.name}: {len(clips):,} clips\n",
        "| measure | least | 1 % | half | 99 % | largest | out of bounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for column, rule in zip(values.T, RULES, strict=True):
        shown = " | ".join(f"{value:.3g}" for value in np.nanpercentile(column, SHARES))
        lines.append(f"| {rule.name} | {shown} | {sum(one.rule is rule for one in findings)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of a prepared dataset and profile")
    for folder in parser.parse_args().folders:
        print(table(folder.resolve()))


if __name__ == "__main__":
    main()
