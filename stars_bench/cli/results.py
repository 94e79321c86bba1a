"""Commands on saved results: rescore, compare, fuse, map; and how `verify` looks at a run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from stars_bench.cli import program
from stars_bench.cli.options import DataDir, RunPath, RunPaths, RunsDir, console
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError

if TYPE_CHECKING:
    from stars_bench.experiments.finished.comparison import Compared

Force = Annotated[bool, typer.Option("--force", help="Overwrite files that this command did not write.")]


def rescore(
    runs: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="A run, a record, or a folder of several.", autocompletion=program.offer_runs
        ),
    ],
    confusion: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write each confusion matrix as CSV into this folder, with the names of the actions."
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Add missing metrics to the records.")] = False,
    force: Force = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Compute all metrics again from the saved predictions, without the model, and compare them with the records.

    The exit code is 1 if a number differs from the recorded one.
    """
    from stars_bench.experiments.finished import rescore as saved

    del data_dir  # where the datasets described in it have names, from which a matrix has those of its actions
    table = Table(box=None, pad_edge=False)
    for column in ("result", "metric", "recorded", "again"):
        table.add_column(column, justify="left" if column in ("result", "metric") else "right")
    wrong = 0
    written: list[Path | None] = []
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
            written.append(saved.write_confusion(one, confusion, overwrite=force))
    console.print(table)
    if confusion is not None:
        count = sum(path is not None for path in written)
        rest = f"; {len(written) - count} of the results classify nothing" if count < len(written) else ""
        what = f"{count} confusion {'matrix' if count == 1 else 'matrices'}"
        console.print(f"written: {confusion}: {what} as CSV{rest}", markup=False, soft_wrap=True)
    if wrong:
        raise StarsBenchError(
            f"{wrong} metrics are not what the records say (red): they were changed, or another version wrote them"
        )


def verify_run(run: Path, data_dir: Path, again: bool, scratch: Path | None) -> None:
    """Check a run's files, and with `again` repeat the run; raise an error if something does not match."""
    from stars_bench.experiments.finished import audit

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
        raise StarsBenchError(
            f"{what} not match (listed above). Do not use these results: restore the files from a copy, or delete "
            "those that the lines name and give the command of the run again, which computes them from the data"
        )
    console.print("Everything is as it was recorded.", style="green")
    if again:
        with TemporaryDirectory() if scratch is None else nullcontext(scratch) as folder:
            _repeat(run, data_dir, Path(folder))


def _repeat(run: Path, data_dir: Path, scratch: Path) -> None:
    from stars_bench.experiments.finished.reproduce import rerun

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


class Unit(StrEnum):
    """What is sampled when two methods are compared."""

    person = "person"
    performance = "performance"


def compare(
    first: RunPath,
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another run.", autocompletion=program.offer_runs)],
    by: Annotated[
        Unit | None,
        typer.Option(
            help="Unit of the intervals and tests. Default: person if the test part has four persons or more, else "
            "performance."
        ),
    ] = None,
) -> None:
    """Compare two runs on the same test clips: are they comparable, and how do results and settings differ?

    Prints the difference with its 95 % interval and two p-values. One is for these trained models (sign flips by
    person). The other is for the methods (with the noise of training), if both have several seeds. docs/statistics.md
    explains them.

    Two results are comparable when both were measured on the same clips by the same rule, after learning from the same
    clips, and neither has seen what it was tested on. The exit code is 1 when one pair is not.
    """
    from stars_bench.experiments.finished.comparison import compare as compared

    found = compared(first, second, by and by.value)
    for one in found.evaluations:
        for ours, theirs, reasons in one.pairs:
            verdict = f"[red]not comparable[/]: {escape('; '.join(reasons))}" if reasons else "[green]comparable[/]"
            console.print(f"{escape(one.title)} seed {ours} / {theirs}: {verdict}", soft_wrap=True)
        for line in _differences(one):
            console.print(f"  {line}", markup=False, soft_wrap=True)
    for title, lines in (("settings that differ", found.settings), ("to know", found.circumstances)):
        if lines:
            console.print(f"{title}: {'; '.join(lines)}", style="dim", markup=False, soft_wrap=True)
    pairs = [reasons for one in found.evaluations for *_, reasons in one.pairs]
    if apart := sum(map(bool, pairs)):
        raise StarsBenchError(f"{apart} of {len(pairs)} pairs {'is' if apart == 1 else 'are'} not comparable")


def _differences(one: Compared) -> Iterator[str]:
    """What is said of the difference of two results."""
    from stars_bench.records.record_facts import PLURALS

    found = one.difference
    if found is None or one.accuracies is None:
        yield f"no paired difference: {one.why_none}"
        return
    ours, theirs = one.accuracies
    yield (
        f"{ours:.1f} / {theirs:.1f} %, difference {found.value:+z.1f} [{found.low:+z.1f}, {found.high:+z.1f}] points "
        f"(95 %, {found.clusters:,} {PLURALS[found.unit]}; {one.seeds[0]} / {one.seeds[1]} results over seeds)"
    )
    flips = "all sign flips" if found.exact else "sign flips"
    models = f"these trained models: p = {found.p_models:.2g} ({flips} by {found.unit})"
    methods = (
        "the methods: training noise unknown, give several seeds of both"
        if found.p_methods is None
        else f"the methods: p = {found.p_methods:.2g} (noise of training included)"
    )
    yield f"{models}; {methods}"
    if found.least_p >= 0.05:
        yield f"{found.clusters} {PLURALS[found.unit]} can show no difference: p is at least {found.least_p:.3g}"
    elif found.smallest:  # no person differs: nothing is known of the noise
        yield f"smallest difference that would be found (80 % power): {found.smallest:.1f} points"


def fuse(
    runs: RunPaths,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Weights (0.6,0.6,0.4), or those of a paper: 2s-agcn, ctr-gcn, pyskl. Default: 1 for each.",
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Sum the scores of runs on several streams, clip by clip, and store the result as a record.

    The runs must have tested the same clips under the same seeds. Scores (logits) are summed as they are, with fixed
    weights, which the record states; choose no weights on a test part. `--weights ctr-gcn` takes the published ones of
    joint, bone, motion and bone-motion (four streams).

    `stars-bench fuse runs/ntu60/xsub/stars/JOINT_KEY runs/ntu60/xsub/stars/BONE_KEY runs/ntu60/xsub/stars/MOTION_KEY`
    """
    from stars_bench.experiments.finished import rescore as saved
    from stars_bench.records.store import located
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard

    command = shlex.join(["stars-bench", *sys.argv[1:]])
    records = saved.fuse(runs, saved.parse_weights(weights, runs), runs_dir, command)
    console.print(terminal.render(Leaderboard.of(located(records, runs_dir)).tables, console.width))
    console.print(f"{len(records)} record{'s' * (len(records) != 1)} written under {runs_dir}")


def map_features(
    runs: RunPaths,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Name of the output files; .png and .svg are added.")
    ] = Path("map"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of each run to draw.")] = 0,
    no_skeletons: Annotated[
        bool, typer.Option("--no-skeletons", help="Do not save small skeletons of the clips for the HTML report.")
    ] = False,
    force: Force = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Draw t-SNE maps of the features of test clips as in the paper, one panel for each run, as PNG and SVG.

    Draws 100 test clips of each of 15 classes (the paper's classes, if the data has them), with PCA initialisation.
    First evaluate the runs with `--eval clusters`. Its results are printed under the panels.

    `stars-bench map runs/ntu60/xsub/untrained/* runs/ntu60/xsub/mamp/* runs/ntu60/xsub/stars/*`
    """
    from stars_bench.experiments.finished import tsne

    drawn = tsne.draw(runs, seed, out, None if no_skeletons else data_dir, overwrite=force)
    for path in drawn.pictures:
        console.print(f"written: {path}", soft_wrap=True)
    if drawn.without_skeletons:
        console.print(f"kept without skeletons: {drawn.without_skeletons}", markup=False, soft_wrap=True)


def predict(
    run: RunPath,
    clips: Annotated[
        list[str],
        typer.Argument(
            metavar="CLIP...",
            help=".skeleton files, folders or zips of them, ARCHIVE.zip:MEMBER, or names of prepared clips.",
        ),
    ],
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the run to use.")] = 0,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Number of actions to print.")] = 5,
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu or cuda.")] = "cpu",
    window: Annotated[
        int | None, typer.Option(min=1, metavar="FRAMES", help="Classify each window of this many frames.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, metavar="FRAMES", help="Frames between two windows. Default: a quarter of a window."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the result as CSV.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with the recordings and a timeline of the windows."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Classify clips, or windows of long recordings, with a finished run. Prints the most likely actions.

    The classifier is the linear head of the run's evaluation, or the method itself if it is supervised. A file is
    cleaned like the run's data. `--window 64 --stride 16` classifies windows of 64 frames; the last window ends with
    the recording.
    """
    from stars_bench.experiments.finished import timeline
    from stars_bench.experiments.finished.predict import predict as predicted
    from stars_bench.experiments.plan import choose_device
    from stars_bench.io.files import write_text
    from stars_bench.io.outputs import output_file

    csv, out = (None if one is None else output_file(one, overwrite=force) for one in (csv, out))
    recordings: list[Any] = []
    keep = None if out is None else (lambda spec, one: recordings.append((spec, one)))
    found = predicted(run, clips, data_dir, seed, top, choose_device(device), window, stride, keep)
    if csv is not None:
        timeline.write_csv(csv, found)
        console.print(f"{csv}: written", soft_wrap=True)
    if out is not None:
        write_text(out, timeline.page(recordings[0][0], [one for _, one in recordings], found))
        console.print(f"{out}: written", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column, justify in (("clip", "left"), ("action", "left"), ("probability", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for one in found:
        name = escape(Path(one.clip).name)
        if one.frames is not None:
            name += f" {one.frames[0]}-{one.frames[1]}"
        for action, share in one.actions:
            right = " [green](it is)[/]" if action == one.truth else ""
            table.add_row(name, escape(action) + right, f"{100 * share:.1f} %")
            name = ""
        if one.truth is not None and one.truth not in dict(one.actions):
            table.add_row("", f"[dim]it is: {escape(one.truth)}[/]", "")
    console.print(table)
