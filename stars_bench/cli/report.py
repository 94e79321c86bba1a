"""Commands that hand results on: report, pack, unpack."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stars_bench.cli.options import DataDir, RunsDir, console, errors
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError, UsageError

if TYPE_CHECKING:
    from stars_bench.records.store import StoredRecords
    from stars_bench.report.leaderboard import Leaderboard


class Format(StrEnum):
    """Formats of a report."""

    table = "table"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"
    figure = "figure"
    site = "site"


SUFFIXES = {".md": Format.md, ".csv": Format.csv, ".tex": Format.latex, ".html": Format.html} | dict.fromkeys(
    (".png", ".svg", ".pdf"), Format.figure
)
"""Files that say their format by their name."""


class Sources(StrEnum):
    """Sources of published numbers."""

    first_hand = "first-hand"
    all = "all"


class Intervals(StrEnum):
    """Places of the 95 % intervals."""

    notes = "notes"
    cells = "cells"
    none = "none"


class By(StrEnum):
    """Subjects of the tables of a report."""

    dataset = "dataset"
    evaluation = "evaluation"
    method = "method"
    all = "all"


def report(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Folders of runs, packs, or folders of packs. Default: --runs-dir."),
    ] = None,
    asked: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="table, md, csv, latex, html (one file, with curves and maps), figure (accuracy against hours and "
            "FLOP: .png, .svg or .pdf) or site (a folder: the table, a page a run, downloads; every entry is verified "
            "first). Default: by the suffix of --out, else table.",
        ),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            help="One table for each dataset and protocol, for each evaluation, or for each method. all: a single "
            "table."
        ),
    ] = By.dataset,
    methods: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only these measured methods: stars,'*clr'.")
    ] = None,
    evaluations: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only these evaluations: knn,linear or 'k-NN k=1'.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with the layout: rows, names, groups, merged column heads (docs/tables.md).",
        ),
    ] = None,
    table_init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the layout of this report as a file for --table, and print nothing else."
        ),
    ] = None,
    caption: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Caption, as plain text. Only for a single table.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="LaTeX label (tab:linear). Only for a single table.")
    ] = None,
    published: Annotated[
        str,
        typer.Option(
            metavar="own|all|PATTERN|none",
            help="Published numbers to print. own: of the measured methods. all: of every method (joint stream). "
            "none. Or a PATTERN of names: mamp,'*CLR'.",
        ),
    ] = "own",
    sources: Annotated[
        Sources | None,
        typer.Option(
            help="first-hand: only published numbers that a method's authors report. all: also second-hand numbers "
            "(°), if "
            "theirs are not known. Default: first-hand in LaTeX, else all.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Print the difference of each row to this method on the same test clips, and p < .05 if it is "
            "significant (Holm).",
        ),
    ] = None,
    intervals: Annotated[
        Intervals,
        typer.Option(
            help="Where to print 95 % intervals. notes: their meaning and width under each table. cells: also after "
            "each "
            "number, as ± half their width, instead of the deviation over seeds. none: nowhere."
        ),
    ] = Intervals.notes,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="File to write, for a site a folder. For LaTeX, a .bib file with the citations is written beside it.",
        ),
    ] = None,
    skeletons: Annotated[
        bool,
        typer.Option(
            "--skeletons",
            help="html: the dots of the maps play their clips. The page then contains coordinates of the dataset. NTU "
            "RGB+D and PKU-MMD may not be redistributed.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that this command did not write.")] = False,
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Print your results beside published ones: mean, deviation and number of seeds. Notes explain all marks.

    `stars-bench report --format latex --evaluations knn,linear --by all --caption "Linear and k-NN" --out table.tex`

    `stars-bench report --table-init table.toml`, then `stars-bench report --table table.toml --out table.tex`

    `stars-bench report --format html --out page.html`

    `stars-bench report results.zip theirs.zip --format site --out site`
    """
    from stars_bench.experiments.sharing.gathered import gathered
    from stars_bench.records.store import read_records

    if asked is None and out is not None and out.suffix not in SUFFIXES:
        raise UsageError(f"--out {out}: choose a --format, or a name that ends in {', '.join(SUFFIXES)}")
    form = asked or (Format.table if out is None else SUFFIXES[out.suffix])
    if skeletons and form is not Format.html:
        raise UsageError("--skeletons: only a page (--format html) has skeletons")
    choices: dict[str, Any] = {
        "table": table,
        "by": by.value,
        "methods": methods,
        "evaluations": evaluations,
        "published": published,
        "sources": None if sources is None else sources.value,
        "baseline": baseline,
        "intervals": intervals.value,
        "caption": caption,
        "label": label,
    }
    output = Output(form, out, table_init, skeletons, force)
    if form is Format.site:
        _site(places or [runs_dir], data_dir, output, choices)
    elif places:
        with gathered(places) as found:  # which holds what was unpacked, from which a page is drawn
            _write(found.records(), places, output, choices)
    else:
        _write(read_records(runs_dir), [runs_dir], output, choices)


class Output(NamedTuple):
    """Where a report goes, and how.

    Args:
        form: Its format.
        out: The file or folder; None: the terminal.
        table_init: The file for its layout, in place of the report.
        skeletons: Whether a page holds skeletons.
        force: Whether other files are replaced.
    """

    form: Format
    out: Path | None
    table_init: Path | None
    skeletons: bool
    force: bool


def _site(places: list[Path], data_dir: Path, output: Output, choices: dict[str, Any]) -> None:
    from stars_bench.experiments.sharing.site import site

    if output.out is None:
        raise UsageError("--format site: name its folder: --out DIR")
    if output.table_init is not None:
        raise UsageError("--table-init: writes the layout of a table, not of a site: leave --format site out")
    with Bars(console) as bars:
        made = site(places, output.out, data_dir, overwrite=output.force, progress=bars, **choices)
    for line in made.left_out:
        errors.print(f"left out: {line}", style="yellow", markup=False, soft_wrap=True)
    told = f"{len(made.entries)} run{'s' * (len(made.entries) != 1)}, {len(made.left_out)} entries left out"
    console.print(f"written: {made.index} ({told})", markup=False, soft_wrap=True)


def _write(found: StoredRecords, places: list[Path], output: Output, choices: dict[str, Any]) -> None:
    from stars_bench.io.outputs import write_outputs
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard

    for warning in found.warnings:
        errors.print(f"[yellow]left out:[/] {warning}")
    for line in found.edited:
        errors.print(
            f"warning: {line}; stars-bench verify says what differs", style="yellow", markup=False, soft_wrap=True
        )
    if not found.stored:
        where = ", ".join(map(str, places))
        raise StarsBenchError(f"no records under {where}: run a method first (stars-bench run stars --protocol xsub)")
    leaderboard = Leaderboard.of(found.stored, **choices)
    form, out, force = output.form, output.out, output.force
    if output.table_init is not None:  # it has no mark: what is edited in it is never overwritten
        write_outputs({output.table_init: leaderboard.to_toml()}, "", overwrite=force)
        console.print(f"written: {output.table_init}; edit it, then stars-bench report --table {output.table_init}")
        return
    if form is Format.figure:
        if out is None:
            raise UsageError("--format figure: name its file: --out costs.png (or .svg, .pdf)")
        leaderboard.to_figure(out, overwrite=force)
        console.print(f"written: {out}")
        return
    if form is Format.table and out is None:
        console.print(terminal.render(leaderboard.tables, console.width))
        return
    texts = _texts(form, leaderboard, out, output.skeletons)
    write_outputs({path: text for path, text in texts.items() if path is not None}, "report", overwrite=force)
    for path, text in texts.items():
        if path is None:
            typer.echo(text, nl=False)
        else:
            console.print(f"written: {path}")


def _texts(form: Format, leaderboard: Leaderboard, out: Path | None, skeletons: bool) -> Mapping[Path | None, str]:
    """The report in its format by the file that it goes to; None is the terminal."""
    from stars_bench.report import latex

    match form:
        case Format.table:
            return {out: leaderboard.to_text(console.width)}
        case Format.md:
            return {out: leaderboard.to_markdown()}
        case Format.csv:
            return {out: leaderboard.to_csv()}
        case Format.html:
            return {out: leaderboard.to_html(skeletons=skeletons)}
    if out is None:  # LaTeX: without a file there is no .bib file, and sources are named under the tables
        return {None: leaderboard.to_latex()}
    return dict(latex.files(leaderboard.latex_tables, out).items())


def pack(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of runs, at any level: runs, runs/ntu60/xsub, one run."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write: results.zip.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that this command did not write.")] = False,
) -> None:
    """Pack runs into one file to share them: records, predictions, settings, learning curves, encoders.

    A pack contains no clips and no absolute paths of this machine. Encoders are safetensors with a model card.
    `stars-bench report FILE` prints the table of a pack, and `stars-bench unpack FILE` turns it into runs.
    """
    from stars_bench.experiments.sharing.pack import pack as packed

    report = packed(runs, out, overwrite=force)
    for name in report.runs:
        console.print(name, markup=False, soft_wrap=True)
    if report.shortened:
        s = "s" * (report.shortened != 1)
        console.print(f"{report.shortened} record{s}: paths of this machine in the command or remarks are shortened")
    counts = ((len(report.runs), "seed"), (report.records, "record"), (report.encoders, "encoder"))
    told = ", ".join(f"{count:,} {name}{'s' * (count != 1)}" for count, name in counts)
    console.print(f"{report.file}: {told}, {report.size / 1e6:,.1f} MB", soft_wrap=True)


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `stars-bench pack` wrote.")],
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Unpack runs that `stars-bench pack` packed, so that every command can use them. Overwrites nothing."""
    from stars_bench.experiments.sharing.unpack import unpack as unpacked

    report = unpacked(file, runs_dir)
    for folder in report.folders:
        console.print(f"{folder}", markup=False, soft_wrap=True)
    for folder in report.there:
        console.print(f"{folder}: was there already, the same", style="dim", markup=False, soft_wrap=True)
    console.print(f"`stars-bench verify {runs_dir}` checks what can be checked here", markup=False, soft_wrap=True)
