"""The command that writes tables: report."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stars_bench.cli.options import RunsDir, console, errors
from stars_bench.errors import StarsBenchError, UsageError

if TYPE_CHECKING:
    from stars_bench.report.leaderboard import Leaderboard


class Format(StrEnum):
    """Formats of a report."""

    table = "table"
    md = "md"
    csv = "csv"
    latex = "latex"
    html = "html"
    figure = "figure"


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
    asked: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="table, md, csv, latex, html (one file, with curves and maps) or figure (accuracy against hours and "
            "FLOP: .png, .svg or .pdf). Default: as the name of --out says, else a table.",
        ),
    ] = None,
    by: Annotated[
        By,
        typer.Option(help="A table for each dataset and protocol, each evaluation or each method; all: one table."),
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
            help="Lay the tables out as this TOML file says: rows, names, groups, merged heads (docs/tables.md).",
        ),
    ] = None,
    table_init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the layout of this report as such a file, to edit, and print nothing else."
        ),
    ] = None,
    caption: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Caption of the only table, as plain text.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Label of the only table in LaTeX: tab:linear.")
    ] = None,
    published: Annotated[
        str,
        typer.Option(
            metavar="own|all|PATTERN|none",
            help="own: of the methods measured; all: every joint-stream method; a PATTERN of names: mamp,'*CLR'; none.",
        ),
    ] = "own",
    sources: Annotated[
        Sources | None,
        typer.Option(
            help="first-hand: only published numbers that a method's authors print; all: second-hand ones (°) where "
            "theirs are not known. Default: first-hand in LaTeX, else all.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Print every row's difference to this one on the same test clips, and p < .05 where Holm allows.",
        ),
    ] = None,
    intervals: Annotated[
        Intervals,
        typer.Option(
            help="Where 95 % intervals stand. notes: what they mean and how wide they are, under each table; cells: "
            "also behind each number, as ± half their width, in place of the deviation over seeds; none."
        ),
    ] = Intervals.notes,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to this file; LaTeX gets a .bib file with its citations beside it."),
    ] = None,
    skeletons: Annotated[
        bool,
        typer.Option(
            "--skeletons",
            help="html: the dots of the maps play their clips. The page then holds coordinates of the dataset; NTU "
            "RGB+D and PKU-MMD may not be redistributed.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are not of this command.")] = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Print measured results beside published ones: mean, deviation and number of seeds, with marks explained below.

    `stars-bench report --format latex --evaluations knn,linear --by all --caption "Linear and k-NN" --out table.tex`

    `stars-bench report --table-init table.toml`, then `stars-bench report --table table.toml --out table.tex`

    `stars-bench report --format html --out page.html`
    """
    from stars_bench.io.outputs import write_outputs
    from stars_bench.records import store
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard

    found = store.read_records(runs_dir)
    for warning in found.warnings:
        errors.print(f"[yellow]left out:[/] {warning}")
    for line in found.edited:
        errors.print(
            f"warning: {line}; stars-bench verify says what differs", style="yellow", markup=False, soft_wrap=True
        )
    if not found.stored:
        raise StarsBenchError(
            f"no records under {runs_dir}: run a method first (stars-bench run stars --protocol xsub)"
        )
    if asked is None and out is not None and out.suffix not in SUFFIXES:
        raise UsageError(f"--out {out}: choose a --format, or a name that ends in {', '.join(SUFFIXES)}")
    form = asked or (Format.table if out is None else SUFFIXES[out.suffix])
    if skeletons and form is not Format.html:
        raise UsageError("--skeletons: only a page (--format html) has skeletons")
    leaderboard = Leaderboard.of(
        found.stored,
        table=table,
        by=by.value,
        methods=methods,
        evaluations=evaluations,
        published=published,
        sources=None if sources is None else sources.value,
        baseline=baseline,
        intervals=intervals.value,
        caption=caption,
        label=label,
    )
    if table_init is not None:  # it has no mark: what is edited in it is never overwritten
        write_outputs({table_init: leaderboard.to_toml()}, "", overwrite=force)
        console.print(f"written: {table_init}; edit it, then stars-bench report --table {table_init}")
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
    texts = _texts(form, leaderboard, out, skeletons)
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
