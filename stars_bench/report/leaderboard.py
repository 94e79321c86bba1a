"""Measured results beside published ones, as an object to look at, to work with and to print."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from stars_bench.display.console import CarefulConsole
from stars_bench.errors import StarsBenchError, UsageError, for_python
from stars_bench.io.default_folders import existing_runs
from stars_bench.io.outputs import write_outputs
from stars_bench.records.name_patterns import by_patterns
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord, read_records, with_path
from stars_bench.report import csv, html, latex, markdown, terminal
from stars_bench.report.layouts import By, tables
from stars_bench.report.results.collect import collect
from stars_bench.report.results.published import OWN, Sources, from_sources
from stars_bench.report.results.result import Results
from stars_bench.report.table import Intervals, Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """Results in tables: mean and deviation over seeds, marks, best and second, published numbers apart.

    A notebook shows it as HTML, a Python console as text. A writer returns its text and, given a path, also writes it
    to that file.

    Attributes:
        results: The numbers, and the notes of their benchmarks.
        by: What its tables are: "dataset" (and protocol), "evaluation" or "method".
        sources: Published numbers of which sources: "first-hand" (the authors' own) or "all". None: first-hand in
            LaTeX, which goes into a paper, all elsewhere, where second-hand ones are marked.
        intervals: Where the 95 % intervals stand: "notes" under the tables, "cells", or "none".

    Example:
        >>> table = stars_bench.leaderboard("runs", by="evaluation", methods="stars,mamp")
        >>> table.to_frame().query("metric == 'top1' and kind == 'measured'")
        >>> table.to_latex("table.tex")
    """

    results: Results
    by: By = "dataset"
    sources: Sources | None = None
    intervals: Intervals = "notes"

    @classmethod
    def of(
        cls,
        records: Iterable[Record | StoredRecord],
        *,
        by: By = "dataset",
        methods: str | None = None,
        published: str = OWN,
        sources: Sources | None = None,
        baseline: str | None = None,
        intervals: Intervals = "notes",
    ) -> Leaderboard:
        """Rank records.

        Args:
            records: Those without a metric that tables show are left out. Only of records with their files does a page
                show what lies beside them.
            by: What the tables are.
            methods: Patterns of the measured methods to keep, as "stars,*clr"; None: all.
            published: "own": published rows of the methods that were measured; "all": of every method that uses joints
                alone; "none"; else patterns of names, as "MAMP,*CLR". Only numbers of the same dataset, protocol,
                evaluation and settings stand beside a column.
            sources: "first-hand": only numbers that a method's authors print; "all": a second-hand one where theirs is
                not known, marked. None: first-hand in LaTeX, all elsewhere.
            baseline: a method, or the label of a row: all others get their difference to it on the same test clips.
            intervals: where the 95 % intervals stand: under the tables, in their cells in place of the deviation over
                seeds, or nowhere.

        Raises:
            UsageError: a pattern that no method has, or a baseline that is no row.
        """
        stored = with_path(records)
        if methods is not None:
            names = by_patterns((one.record.method.name for one in stored), methods, "--methods", "measured methods")
            stored = [one for one in stored if one.record.method.name in names]
        return cls(collect(stored, published, baseline), by, sources, intervals)

    @cached_property
    def tables(self) -> list[Table]:
        """The tables; every number is in exactly one of them."""
        return tables(from_sources(self.results, self.sources or "all"), self.by, self.intervals)

    @cached_property
    def latex_tables(self) -> list[Table]:
        """The tables as LaTeX has them: with first-hand published numbers alone, unless all were asked for."""
        return tables(from_sources(self.results, self.sources or "first-hand"), self.by, self.intervals)

    def to_frame(self) -> pd.DataFrame:
        """Make one line per number and metric, measured and published."""
        return csv.to_frame(self.tables)

    def to_text(self, width: int = 80) -> str:
        """Print the tables as a terminal shows them.

        Args:
            width: Characters of a line.
        """
        with StringIO() as text:
            CarefulConsole(file=text, width=width, force_jupyter=False).print(terminal.render(self.tables, width))
            return text.getvalue()

    def to_markdown(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """Print the tables in GitHub's Markdown.

        Args:
            path: A file to write, too.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: Such a file is there.
        """
        return _written(markdown.render(self.tables), path, overwrite)

    def to_csv(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        """Print the lines of `to_frame`.

        Args:
            path: A file to write, too.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: Such a file is there.
        """
        return _written(csv.render(self.tables), path, overwrite)

    def to_latex(self, path: str | Path | None = None, *, overwrite: bool = False) -> str:
        r"""Print the tables for \input, which need booktabs and graphicx.

        Args:
            path: A file to write, too. The tables then cite their sources, whose entries are written beside it with
                the suffix .bib; without a file the sources are named under the tables.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: The path ends in .bib, or a file is there that no report wrote.
        """
        if path is None:
            return latex.render(self.latex_tables).tables
        file = Path(path)
        texts = latex.files(self.latex_tables, file)
        write_outputs(texts, "report", overwrite=overwrite)
        return texts[file]

    def to_html(self, path: str | Path | None = None, skeletons: bool = False, *, overwrite: bool = False) -> str:
        """Print one page with curves, confusions and maps, and where each number comes from.

        Args:
            path: A file to write, too.
            skeletons: Put the clips of the maps into the page, which their licence may not let you hand on.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: A file is there that no report wrote; or skeletons were asked for, and `stars-bench map` kept
                none.
        """
        return _written(html.render(self.tables, skeletons), path, overwrite)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return html.snippet(self.tables)


@for_python
def leaderboard(
    runs_dir: str | Path | None = None,
    *,
    by: By = "dataset",
    methods: str | None = None,
    published: str = OWN,
    sources: Sources | None = None,
    baseline: str | None = None,
    intervals: Intervals = "notes",
) -> Leaderboard:
    """Tabulate everything that was measured below a folder of runs, as `stars-bench report` does.

    Args:
        runs_dir: The folder; None for $STARS_BENCH_RUNS, else "runs". A record that cannot be read is left out with a
            warning; one that was edited is only warned of.
        by: What the tables are: "dataset" (and protocol), "evaluation" or "method".
        methods: Patterns of the measured methods to keep, as "stars,*clr"; None: all.
        published: Published numbers of the methods measured ("own"), of "all" methods, of "none", or of patterns of
            names.
        sources: Published numbers of "first-hand" sources alone, or of "all", where second-hand ones are marked. None:
            first-hand in LaTeX, all elsewhere.
        baseline: a method (or the label of a row) that all others are compared with on the same test clips.
        intervals: Where the 95 % intervals stand: under the tables ("notes"), in their "cells" in place of the
            deviation over seeds, or nowhere ("none").

    Raises:
        UsageError: There is no such folder, `by`, `sources` or `intervals` is no choice, a pattern fits nothing, or the
            baseline is no row.
        StarsBenchError: there are no records.
    """
    known = {
        "by": (by, get_args(By)),
        "sources": (sources, (*get_args(Sources), None)),
        "intervals": (intervals, get_args(Intervals)),
    }
    for name, (value, choices) in known.items():
        if value not in choices:
            raise UsageError(f"{name}={value!r}: choose one of {', '.join(map(str, choices))}")
    folder = existing_runs(runs_dir)
    found = read_records(folder)
    for warning in (*found.warnings, *found.edited):
        warnings.warn(warning, stacklevel=3)  # 1 is this line, 2 is `for_python`
    if not found.stored:
        raise StarsBenchError(f"no records under {folder}: run a method first (stars-bench run stars --protocol xsub)")
    return Leaderboard.of(
        found.stored,
        by=by,
        methods=methods,
        published=published,
        sources=sources,
        baseline=baseline,
        intervals=intervals,
    )


@for_python
def _written(text: str, path: str | Path | None, overwrite: bool) -> str:
    if path is not None:
        write_outputs({Path(path): text}, "report", overwrite=overwrite)
    return text
