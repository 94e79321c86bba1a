"""Accuracy against cost: a point a measured number, one panel for hours of training and one for FLOP of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stars_bench.errors import UsageError
from stars_bench.io.files import atomic_path
from stars_bench.io.outputs import mark
from stars_bench.report.layouts.facts import devices, hours, multiply_adds
from stars_bench.report.results.result import Result
from stars_bench.report.table import Column, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_INCHES, LEGEND_INCHES = 3.4, 2.2
DOTS_PER_INCH = 200
LOGARITHMIC = 10
"""Costs that differ by more than this factor have a logarithmic axis."""
MARKERS = "os^Dv<>Ph*Xd"
FLOP_PER_MULTIPLY_ADD = 2
FORMS = (".png", ".svg", ".pdf")
"""What a figure's file ends in."""

UNDATED: dict[str, dict[str, str | None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""What leaves the date out of a figure, by its form: the file depends on its content alone."""


class Point(NamedTuple):
    """One measured number and what it cost.

    Args:
        row: The row that it stands in.
        result: The number.
        hours: Hours of training; None where they are not known.
        gflop: 10⁹ operations of the encoder for one clip; None where they are not known.
    """

    row: str
    result: Result
    hours: float | None
    gflop: float | None


class Chart(NamedTuple):
    """The points of one column.

    Args:
        title: Its head.
        points: One a measured row.
    """

    title: str
    points: tuple[Point, ...]


def charts(tables: Sequence[Table]) -> list[Chart]:
    """Return the points of every column of accuracies.

    Args:
        tables: The tables.

    Raises:
        UsageError: No measured accuracy has a known cost.
    """
    every = [_chart(table, place, column) for table in tables for place, column in enumerate(table.columns)]
    found = [chart for chart in every if any(point.hours or point.gflop for point in chart.points)]
    if not found:
        raise UsageError("--format figure: no measured accuracy has a known cost: encoders without training have none")
    return found


def _chart(table: Table, place: int, column: Column) -> Chart:
    points = []
    for row in table.rows:
        value = row.cells[place].value
        if isinstance(value, Result) and value.main.unit == "%":
            adds = multiply_adds([value])
            gflop = None if adds is None else FLOP_PER_MULTIPLY_ADD * adds / 1e9
            points.append(Point(row.label, value, hours([value]), gflop))
    return Chart(": ".join(filter(None, (table.title.rstrip("."), column.title))), tuple(points))


def draw(tables: Sequence[Table], path: Path) -> None:
    """Draw two panels a column: accuracy against hours of training, and against FLOP; as the suffix says.

    Args:
        tables: The tables.
        path: A file that ends in .png, .svg or .pdf.

    Raises:
        UsageError: No measured accuracy has a known cost.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    found = charts(tables)
    labels = list(dict.fromkeys(point.row for chart in found for point in chart.points))
    on = ", ".join(devices([point.result for chart in found for point in chart.points]))
    size = (2 * PANEL_INCHES + LEGEND_INCHES, 0.85 * PANEL_INCHES * len(found))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "stars-bench", "font.size": 8}):
        figure = Figure(figsize=size, layout="constrained")
        for (left, right), chart in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
            _panel(left, chart, lambda point: point.hours, f"hours of training on {on}", labels)
            _panel(right, chart, lambda point: point.gflop, "GFLOP of the encoder for one clip", labels)
        figure.legend(handles=[_key(labels, label) for label in labels], loc="outside right center", frameon=False)
        with atomic_path(path) as temporary:
            form = path.suffix.removeprefix(".")
            figure.savefig(temporary, format=form, dpi=DOTS_PER_INCH, metadata=_metadata(form))


def _panel(axes: Axes, chart: Chart, cost: Callable[[Point], float | None], axis: str, labels: Sequence[str]) -> None:
    """Draw the points whose cost is known."""
    known = [(point, x) for point in chart.points if (x := cost(point))]
    for point, x in known:
        style = _style(labels, point.row)
        axes.errorbar(x, point.result.value, yerr=point.result.main.std, capsize=2, linestyle="", **style)
    costs = [x for _, x in known]
    if costs and max(costs) > LOGARITHMIC * min(costs):
        axes.set_xscale("log")
    axes.set_xlabel(axis)
    axes.set_ylabel("top-1 accuracy in %")
    axes.set_title(chart.title, fontsize=8)
    axes.grid(visible=True, color="0.9")
    axes.set_axisbelow(True)


def _style(labels: Sequence[str], label: str) -> dict[str, Any]:
    """Return colour and marker of a row, the same in all panels and different without colours."""
    from matplotlib import colormaps

    place = labels.index(label)
    return {"color": colormaps["tab10"](place % 10), "marker": MARKERS[place % len(MARKERS)], "markersize": 5}


def _key(labels: Sequence[str], label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", label=label, **_style(labels, label))


def _metadata(form: str) -> dict[str, str | None]:
    """Return what marks the file as this command's, so that it may be replaced, and leaves out the date."""
    return {"Software" if form == "png" else "Creator": mark("report"), **UNDATED[form]}
