"""Measured results beside published ones, as an object to look at, to work with and to print."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from stars_bench.display.console import CarefulConsole
from stars_bench.errors import StarsBenchError, UsageError, for_python
from stars_bench.io.default_folders import existing_runs
from stars_bench.io.outputs import output_file, write_outputs
from stars_bench.records.name_patterns import by_patterns
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord, read_records, with_path
from stars_bench.report import csv, html, latex, markdown, terminal
from stars_bench.report.figures.costs import FORMS, draw
from stars_bench.report.layouts.fill import fill
from stars_bench.report.layouts.standard import By, layouts
from stars_bench.report.layouts.table_file import Intervals, Sources, TableFile, parse, read
from stars_bench.report.results.collect import Asked, collect
from stars_bench.report.results.published import ALL, OWN
from stars_bench.report.results.result import Results
from stars_bench.report.table import Table

if TYPE_CHECKING:
    import pandas as pd

USUAL: Mapping[str, object] = {
    "by": "dataset",
    "methods": None,
    "evaluations": None,
    "published": OWN,
    "baseline": None,
    "intervals": "notes",
}
"""What is asked for where nothing is said."""


@dataclass(frozen=True, repr=False)
class Leaderboard:
    """Results in tables: mean and deviation over seeds, marks, best and second, published numbers apart.

    A notebook shows it as HTML, a Python console as text. A writer returns its text and, given a path, also writes it
    to that file.

    Attributes:
        results: The numbers, and the notes of their benchmarks.
        layout: Its tables, as a file of `--table` describes them.
        file: That file; empty for a standard layout.

    Example:
        >>> table = stars_bench.leaderboard("runs", by="evaluation", methods="stars,mamp")
        >>> table.to_frame().query("metric == 'top1' and kind == 'measured'")
        >>> table.to_latex("table.tex")
    """

    results: Results
    layout: TableFile
    file: str = ""

    @classmethod
    def of(
        cls,
        records: Iterable[Record | StoredRecord],
        *,
        table: str | Path | Mapping[str, Any] | None = None,
        by: By = "dataset",
        methods: str | None = None,
        evaluations: str | None = None,
        published: str = OWN,
        sources: Sources | None = None,
        baseline: str | None = None,
        intervals: Intervals = "notes",
        caption: str | None = None,
        label: str | None = None,
    ) -> Leaderboard:
        """Rank records.

        Args:
            records: Those without a metric that tables show are left out. Only of records with their files does a page
                show what lies beside them.
            table: A TOML file that lays tables out, or its content; it says by itself what the other arguments say,
                but for the sources, the caption and the label. None: as `by` says.
            by: What the tables are.
            methods: Patterns of the measured methods to keep, as "stars,*clr"; None: all.
            evaluations: Patterns of the evaluations to keep, by name or head of the column, as "linear,k-NN k=1"; None:
                all.
            published: "own": published rows of the methods that were measured; "all": of every method that uses joints
                alone; "none"; else patterns of names, as "MAMP,*CLR". Only numbers of the same dataset, protocol,
                evaluation and settings stand beside a column.
            sources: "first-hand": only numbers that a method's authors print; "all": a second-hand one where theirs is
                not known, marked. None: first-hand in LaTeX, all elsewhere.
            baseline: a method, or the label of a row: all others get their difference to it on the same test clips.
            intervals: where the 95 % intervals stand: under the tables, in their cells in place of the deviation over
                seeds, or nowhere.
            caption: The caption of the only table, as plain text; None: its title and what its numbers are.
            label: What LaTeX refers to the only table by; None: nothing.

        Raises:
            UsageError: a pattern that no method or evaluation has, a baseline that is no row, a caption for several
                tables, or a file of tables that is wrong.
        """
        stored = with_path(records)
        options = {"published": published, "baseline": baseline, "intervals": intervals}
        if table is not None:
            given = {"by": by, "methods": methods, "evaluations": evaluations} | options
            if changed := [f"--{name}" for name, value in given.items() if value != USUAL[name]]:
                raise UsageError(f"--table: the file says what {', '.join(changed)} would: leave {changed[0]} out")
            return cls._of_file(stored, table, sources)._captioned(caption, label)
        if methods is not None:
            names = by_patterns((one.record.method.name for one in stored), methods, "--methods", "measured methods")
            stored = [one for one in stored if one.record.method.name in names]
        if evaluations is not None:
            stored = _of_evaluations(stored, evaluations)
        results = collect(stored, published, baseline)
        layout = TableFile.model_validate(options | {"sources": sources, "table": layouts(results, by)})
        return cls(results, layout)._captioned(caption, label)

    @classmethod
    def _of_file(
        cls, stored: Sequence[StoredRecord], table: str | Path | Mapping[str, Any], sources: Sources | None
    ) -> Leaderboard:
        file = "table" if isinstance(table, Mapping) else str(table)
        layout = parse(table, file) if isinstance(table, Mapping) else read(Path(table))
        asked = Asked(layout.places, layout.published_names, layout.published is not None)
        results = collect(stored, layout.published or ALL, layout.baseline, asked)
        return cls(results, layout if sources is None else layout.model_copy(update={"sources": sources}), file)

    def _captioned(self, caption: str | None, label: str | None) -> Leaderboard:
        """Give the only table a caption and a label, which may be None."""
        given = {key: value for key, value in (("caption", caption), ("label", label)) if value is not None}
        if not given:
            return self
        if len(self.layout.table) != 1:
            titles = "; ".join(table.caption or table.title for table in self.layout.table)
            raise UsageError(
                f"--{next(iter(given))}: is for one table, and there are {len(self.layout.table)} ({titles}): --by all "
                "makes one; --table-init FILE writes a file that says each table's own"
            )
        content = self.layout.model_dump(exclude_unset=True)
        content["table"] = [content["table"][0] | given]
        return replace(self, layout=parse(content, "--caption, --label"))

    @cached_property
    def tables(self) -> list[Table]:
        """The tables; in a standard layout every number is in exactly one of them."""
        return self._tables(self.layout.sources or "all")

    @cached_property
    def latex_tables(self) -> list[Table]:
        """The tables as LaTeX has them: with first-hand published numbers alone, unless all were asked for."""
        return self._tables(self.layout.sources or "first-hand")

    def _tables(self, sources: Sources) -> list[Table]:
        where, how = f"{self.file}: table" if self.file else "table", self.layout.intervals
        filled = [
            fill(one, self.results, sources=sources, intervals=how, where=f"{where}.{place}")
            for place, one in enumerate(self.layout.table)
        ]
        found = [table for table in filled if table.rows]
        if filled and not found:
            raise UsageError(f"{where}: has second-hand numbers alone; --sources all prints them")
        return found

    def to_toml(self) -> str:
        """Print the layout as a file of `--table`, to change rows, columns and names in."""
        return self.layout.to_toml()

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
        """Print the lines of `to_frame`; of a file of tables, its rows and columns.

        Args:
            path: A file to write, too.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: Such a file is there.
        """
        text = csv.render_layout(self.tables) if self.file else csv.render(self.tables)
        return _written(text, path, overwrite)

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

    @for_python
    def to_figure(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Draw accuracy against hours of training and against FLOP, a row of panels for each column.

        Args:
            path: A file that ends in .png, .svg or .pdf.
            overwrite: Replace a file that no report wrote. Default False.

        Raises:
            UsageError: Such a file is there, the file's name says no format, or no cost is known.
        """
        if Path(path).suffix not in FORMS:
            raise UsageError(f"{path}: a figure ends in {', '.join(FORMS)}")
        draw(self.tables, output_file(Path(path), "report", overwrite=overwrite))

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return html.snippet(self.tables)


@for_python
def leaderboard(
    runs_dir: str | Path | None = None,
    *,
    table: str | Path | Mapping[str, Any] | None = None,
    by: By = "dataset",
    methods: str | None = None,
    evaluations: str | None = None,
    published: str = OWN,
    sources: Sources | None = None,
    baseline: str | None = None,
    intervals: Intervals = "notes",
    caption: str | None = None,
    label: str | None = None,
) -> Leaderboard:
    """Tabulate everything that was measured below a folder of runs, as `stars-bench report` does.

    Args:
        runs_dir: The folder; None for $STARS_BENCH_RUNS, else "runs". A record that cannot be read is left out with a
            warning; one that was edited is only warned of.
        table: A TOML file that lays tables out, or its content; it says by itself what the other arguments say, but for
            the sources, the caption and the label. None: as `by` says.
        by: What the tables are: "dataset" (and protocol), "evaluation" or "method"; "all" is one table.
        methods: Patterns of the measured methods to keep, as "stars,*clr"; None: all.
        evaluations: Patterns of the evaluations to keep, as "linear,k-NN k=1"; None: all.
        published: Published numbers of the methods measured ("own"), of "all" methods, of "none", or of patterns of
            names.
        baseline: a method (or the label of a row) that all others are compared with on the same test clips.
        intervals: Where the 95 % intervals stand: under the tables ("notes"), in their "cells" in place of the
            deviation over seeds, or nowhere ("none").
        sources: Published numbers of "first-hand" sources alone, or of "all", where second-hand ones are marked. None:
            first-hand in LaTeX, all elsewhere.
        caption: The caption of the only table, as plain text; None: its title and what its numbers are.
        label: What LaTeX refers to the only table by; None: nothing.

    Raises:
        UsageError: There is no such folder, `by`, `sources` or `intervals` is no choice, a pattern fits nothing, the
            baseline is no row, or the file of tables is wrong.
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
        table=table,
        by=by,
        methods=methods,
        evaluations=evaluations,
        published=published,
        sources=sources,
        baseline=baseline,
        intervals=intervals,
        caption=caption,
        label=label,
    )


def _of_evaluations(stored: list[StoredRecord], patterns: str) -> list[StoredRecord]:
    """Keep the records of evaluations whose name or title fits a pattern."""
    both = [(one, {one.record.evaluation.name, one.record.evaluation.title}) for one in stored]
    names = {name for _, own in both for name in sorted(own)}
    kept = set(by_patterns(sorted(names), patterns, "--evaluations", "evaluations measured"))
    return [one for one, own in both if own & kept]


@for_python
def _written(text: str, path: str | Path | None, overwrite: bool) -> str:
    if path is not None:
        write_outputs({Path(path): text}, "report", overwrite=overwrite)
    return text
