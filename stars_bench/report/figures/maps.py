"""Figures: maps of features in two dimensions, one panel a method, with a legend of action names. PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench.io.files import atomic_path
from stars_bench.io.outputs import mark

PANEL_INCHES, LEGEND_INCHES = 3.4, 2.3
PNG_DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Map:
    """One panel.

    Args:
        title: Title of the panel.
        coordinates: (N, 2) places of clips.
        labels: (N,) their classes.
        caption: Line of numbers under the panel. Default: none.
    """

    title: str
    coordinates: np.ndarray
    labels: np.ndarray
    caption: str = ""


def draw_maps(maps: Sequence[Map], class_names: Mapping[int, str], files: Sequence[Path], subtitle: str = "") -> None:
    """Draw panels side by side with one legend, as PNG and SVG.

    Args:
        maps: The panels.
        class_names: Names of the classes (0-based) that occur.
        files: Where to; the suffix says the format.
        subtitle: A line above the panels. Default none.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    classes = sorted({int(label) for panel in maps for label in panel.labels})
    colours = dict(zip(classes, _colours(len(classes)), strict=True))
    # Text stays text, and the file depends on its content alone.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "stars-bench"}):
        figure = Figure(figsize=(PANEL_INCHES * len(maps) + LEGEND_INCHES, PANEL_INCHES + 0.7), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
            _panel(axes, panel, colours)
        handles = [_dot(colours[label], f"{label + 1} {class_names[label]}") for label in classes]
        figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=7, handletextpad=0.2)
        if subtitle:
            figure.suptitle(subtitle, fontsize=9)
        for file in files:
            _save(figure, file)


def _panel(axes: Any, panel: Map, colours: Mapping[int, Any]) -> None:
    points = [colours[int(label)] for label in panel.labels]
    axes.scatter(*panel.coordinates.T, s=5, c=points, linewidths=0)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.caption, fontsize=7)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")  # one scale across and up, and panels of one size
    axes.spines[:].set_color("0.8")


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab20"](place % 20) for place in range(count)]


def _dot(colour: Any, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="", marker="o", markersize=4, color=colour, label=label)


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        form = path.suffix.removeprefix(".")
        metadata = {"Date": None, "Creator": mark("map")} if form == "svg" else {"Software": mark("map")}
        figure.savefig(temporary, format=form, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
