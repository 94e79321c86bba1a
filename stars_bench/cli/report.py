"""The command that writes tables: report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stars_bench.api import StarsBenchError, UsageError
from stars_bench.cli.options import RunsDir, console, errors


class Format(StrEnum):
    """Forms of a report."""

    table = "table"
    md = "md"
    csv = "csv"


class Published(StrEnum):
    """Which published numbers stand beside the measured ones."""

    own = "own"
    all = "all"
    none = "none"


def report(
    form: Annotated[Format, typer.Option("--format", help="table, md or csv.")] = Format.table,
    published: Annotated[
        Published, typer.Option(help="own: of the methods measured; all: every joint-stream method; none.")
    ] = Published.own,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of the terminal.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Measured results beside published ones: mean, deviation and number of seeds, marks explained underneath."""
    from stars_bench.provenance import write_text
    from stars_bench.results import render, store, tables

    stored = store.read_records(runs_dir)
    for warning in stored.warnings:
        errors.print(f"[yellow]left out:[/] {warning}")
    if not stored.records:
        raise StarsBenchError(
            f"no records under {runs_dir}: run a method first (stars-bench run stars --protocol xsub)"
        )
    boards = tables.leaderboard(stored.records, published.value)
    if form is Format.table and out is None:
        console.print(render.to_rich(boards, console.width))
        return
    if form is Format.table and out is not None:
        if out.suffix not in (".md", ".csv"):
            raise UsageError(f"--out {out}: choose --format md or csv, or a name that ends in .md or .csv")
        form = Format(out.suffix.removeprefix("."))
    text = {Format.md: render.to_markdown, Format.csv: render.to_csv}[form](boards)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        console.print(f"written: {out}")
