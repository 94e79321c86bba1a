"""Commands on saved results: rescore, compare, fuse, map; and how `verify` looks at a run."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from stars_bench.cli.options import DataDir, RunsDir, console
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError, UsageError

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders: runs/DATASET/PROTOCOL/METHOD/KEY.")]


def rescore(
    runs: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a folder above several.")],
    confusion: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every confusion matrix there as CSV, with action names.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put metrics that a record lacks into it.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Compute all metrics again from the saved predictions, without the model, and compare them with the records.

    The exit code is 1 when a number is not the recorded one.
    """
    from stars_bench.experiments import rescore as saved

    del data_dir  # where the datasets described in it have names, from which a matrix has those of its actions
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


def verify_run(run: Path, data_dir: Path, again: bool, scratch: Path | None) -> None:
    """Check a run's files, and with `again` repeat the run; raise an error if something does not match."""
    from stars_bench.experiments import audit

    with Bars(console) as bars:
        result = audit.audit(run, data_dir, bars)
    counts = ", ".join(f"{count:,} {name if count > 1 else name.removesuffix('s')}" for name, count in result.counts)
    console.print(f"{run}: looked at {counts}", soft_wrap=True)
    for line in result.skipped:
        console.print(f"not looked at: {line}", style="dim", markup=False, soft_wrap=True)
    for line in result.faults:
        console.print(f"fault: {line}", style="red", markup=False, soft_wrap=True)
    if result.faults:
        number = len(result.faults)
        what = "1 thing does" if number == 1 else f"{number:,} things do"
        raise StarsBenchError(f"{what} not match (listed above); the same `run` again makes anew what is gone")
    console.print("Everything is as it was recorded.", style="green")
    if again:
        with TemporaryDirectory() if scratch is None else nullcontext(scratch) as folder:
            _repeat(run, data_dir, Path(folder))


def _repeat(run: Path, data_dir: Path, scratch: Path) -> None:
    from stars_bench.experiments.reproduce import rerun

    with Bars(console) as bars:
        result = rerun(run, data_dir, scratch, bars, lambda line: console.print(line, markup=False, soft_wrap=True))
    for title, lines, style in (
        ("the same", result.same, "green"),
        ("differs", result.differing, "yellow"),
        ("was not as it had been", result.circumstances, "dim"),
        ("outside the recorded 95 % interval", result.outside, "red"),
    ):
        for line in lines:
            console.print(f"{title}: {line}", style=style, markup=False, soft_wrap=True)
    if not result.ok:
        raise StarsBenchError("repeated, the run gives something else (listed above)")
    if result.differing:
        console.print("The repetition is within the recorded intervals; other circumstances round otherwise.")
    else:
        console.print("Repeated, the run gives the same bits.", style="green")


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or a record's .json.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another.")],
) -> None:
    """Check whether the numbers of two runs are comparable, and if not, why; then print what else differs.

    Two results are comparable if both were measured on the same clips by the same rule, after learning from the same
    clips, and neither has seen what it was tested on. The exit code is 1 if one pair is not.
    """
    from stars_bench.experiments import rescore as saved
    from stars_bench.records import comparable, store

    both = [[store.read_record(path) for path in saved.record_paths(run)] for run in (first, second)]
    pairs = comparable.pairs(*both)
    if not pairs:
        raise UsageError(f"{first} and {second} have no evaluation in common")
    apart = 0
    for ours, theirs in pairs:
        reasons, more = comparable.why_not(ours, theirs), comparable.to_know(ours, theirs)
        apart += bool(reasons)
        verdict = f"[red]not comparable[/]: {escape('; '.join(reasons))}" if reasons else "[green]comparable[/]"
        title = f"{ours.evaluation.title} seed {ours.seed} / {theirs.seed}"
        console.print(f"{escape(title)}: {verdict}", soft_wrap=True)
        if more:
            console.print(f"  to know: {'; '.join(more)}", style="dim", markup=False, soft_wrap=True)
    if apart:
        raise StarsBenchError(f"{apart} of {len(pairs)} pairs {'is' if apart == 1 else 'are'} not comparable")


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
    from stars_bench.experiments import rescore as saved
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard

    command = shlex.join(["stars-bench", *sys.argv[1:]])
    records = saved.fuse(runs, saved.parse_weights(weights, len(runs)), runs_dir, command)
    console.print(terminal.render(Leaderboard.of(records).tables, console.width))
    console.print(f"{len(records)} records under {runs_dir}")


def map_features(
    runs: Runs,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Written with the suffixes .png and .svg.")] = Path("map"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Which seed of each run.")] = 0,
    no_skeletons: Annotated[
        bool, typer.Option("--no-skeletons", help="Keep no small skeletons of the clips for the HTML report.")
    ] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Draw the features of test clips by t-SNE, one panel a run, with the paper's recipe: PNG and SVG.

    100 test clips of each of 15 classes (those of the paper where the data has them), PCA initialisation. The runs must
    have been evaluated with `--eval clusters`, whose numbers stand under the panels.

    `stars-bench map runs/ntu60/xsub/untrained/* runs/ntu60/xsub/mamp/* runs/ntu60/xsub/stars/*`
    """
    from stars_bench.experiments import tsne

    drawn = tsne.draw(runs, seed, out, None if no_skeletons else data_dir)
    for path in drawn.pictures:
        console.print(f"written: {path}", soft_wrap=True)
    if drawn.without_skeletons:
        console.print(f"kept without skeletons: {drawn.without_skeletons}", markup=False, soft_wrap=True)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder: runs/DATASET/PROTOCOL/METHOD/KEY.")],
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP...", help=".skeleton files; or names of clips of the run's prepared dataset."),
    ],
    seed: Annotated[int, typer.Option(metavar="N", help="Which seed of the run.")] = 0,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many actions to name.")] = 5,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")] = "cpu",
    data_dir: DataDir = Path("data"),
) -> None:
    """Classify clips: print the most likely actions by a finished run.

    The linear head that the run's evaluation trained on its encoder classifies; a supervised method does it itself. A
    file is cleaned as the run's data were.
    """
    from stars_bench.experiments.plan import choose_device
    from stars_bench.experiments.predict import predict as predicted

    table = Table(box=None, pad_edge=False)
    for column, justify in (("clip", "left"), ("action", "left"), ("probability", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for one in predicted(run, clips, data_dir, seed, top, choose_device(device)):
        name = escape(Path(one.clip).name)
        for action, share in one.actions:
            right = " [green](it is)[/]" if action == one.truth else ""
            table.add_row(name, escape(action) + right, f"{100 * share:.1f} %")
            name = ""
        if one.truth is not None and one.truth not in dict(one.actions):
            table.add_row("", f"[dim]it is: {escape(one.truth)}[/]", "")
    console.print(table)
