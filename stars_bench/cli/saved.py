"""Commands on saved results: rescore, fuse, map."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stars_bench.api import StarsBenchError
from stars_bench.cli.options import RunsDir, console

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders: runs/DATASET/PROTOCOL/METHOD/KEY.")]


def rescore(
    runs: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a folder above several.")],
    confusion: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every confusion matrix there as CSV, with action names.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put metrics that a record lacks into it.")] = False,
) -> None:
    """Compute all metrics again from the saved predictions, without the model, and compare them with the records.

    The exit code is 1 when a number is not the recorded one.
    """
    from stars_bench import saved

    table = Table(box=None, pad_edge=False)
    for column in ("result", "metric", "recorded", "again"):
        table.add_column(column, justify="left" if column in ("result", "metric") else "right")
    wrong = 0
    for one in saved.read(runs):
        again = one.measured()
        recorded = {metric.name: metric.value for metric in one.record.metrics}
        title = f"{one.record.method.name} {one.record.evaluation.title} seed {one.record.seed}"
        for metric in again.metrics:
            old = recorded.get(metric.name)
            differs = old is not None and abs(old - metric.value) > saved.TOLERANCE
            wrong += differs
            style = "bold red" if differs else None
            table.add_row(title, metric.name, "" if old is None else f"{old:.2f}", f"{metric.value:.2f}", style=style)
            title = ""
        if write:
            saved.update(one, again)
        if confusion is not None:
            saved.write_confusion(one, confusion)
    console.print(table)
    if wrong:
        raise StarsBenchError(f"{wrong} metrics are not what the records say (red): the records were changed by hand")


def fuse(
    runs: Runs,
    weights: Annotated[
        str | None, typer.Option(metavar="LIST", help="One weight for each run, as 0.6,0.6,0.4. Default: 1 for each.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Sum the scores of runs on several streams, clip by clip, and keep the result as a record.

    The runs must have tested the same clips under the same seeds. Scores (logits) are summed as they are, with fixed
    weights, which the record states; choose no weights on a test part.

    `stars-bench fuse runs/ntu60/xsub/stars/JOINT_KEY runs/ntu60/xsub/stars/BONE_KEY runs/ntu60/xsub/stars/MOTION_KEY`
    """
    from stars_bench import saved
    from stars_bench.results import render, tables

    command = shlex.join(["stars-bench", *sys.argv[1:]])
    records = saved.fuse(runs, saved.parse_weights(weights, len(runs)), runs_dir, command)
    console.print(render.to_rich(tables.leaderboard(records), console.width))
    console.print(f"{len(records)} records under {runs_dir}")


def map_features(
    runs: Runs,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Written with the suffixes .png and .svg.")] = Path("map"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Which seed of each run.")] = 0,
) -> None:
    """Draw the features of test clips by t-SNE, one panel a run, with the paper's recipe: PNG and SVG.

    100 test clips of each of 15 classes (those of the paper where the data has them), PCA initialisation. The runs must
    have been evaluated with `--eval clusters`, whose numbers stand under the panels.

    `stars-bench map runs/ntu60/xsub/untrained/* runs/ntu60/xsub/mamp/* runs/ntu60/xsub/stars/*`
    """
    from stars_bench import maps

    for path in maps.draw(runs, seed, out):
        console.print(f"written: {path}")
