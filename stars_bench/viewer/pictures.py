"""Scenes as pictures, by matplotlib: film strips and contact sheets (PNG), and animations (GIF).

Seen from the sensor, without perspective: x to the right, y up, one scale for both and for all takes of a clip, nearer
bones over farther ones. A body has a colour; its left side is lighter. `eye` turns the mirror image of the sensor's
colour camera into what an eye at its place would see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Skeleton
from stars_bench.errors import UsageError
from stars_bench.io.files import atomic_path
from stars_bench.io.outputs import mark
from stars_bench.viewer.scene import Bodies, Scene, Take, bones, head, left_joints, middle_and_half

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BODY_COLOURS = ("#1668c1", "#d1481f", "#2e8b57", "#8a4fbf", "#a87900", "#5d6770")
LIGHTER = 0.55  # of the left side: how far towards white
MARGIN = 0.08  # metres around what is drawn
POSES = 8  # of a film strip
SHEET_POSES = 4  # of one clip on a contact sheet
INCHES_A_METRE = 0.95
PNG_DOTS_PER_INCH, GIF_DOTS_PER_INCH = 150, 90
SMALLEST_HALF = 0.5  # metres: a still child fills no wall
GIF_EVERY = 2  # frames: 15 pictures a second
GIF_MOST = 450  # pictures
WIDTH_OF_NAME = 1.7  # inches
BLENDS = 8  # shades of a GIF between each colour and white


@dataclass(frozen=True)
class Frame:
    """A window on one take.

    Args:
        take: The take.
        middle: (2,) x and y of its middle, metres.
        half: (2,) half its size, metres.
        title: Line of text above it.
    """

    take: Take
    middle: NDArray[np.floating[Any]]
    half: NDArray[np.floating[Any]]
    title: str


def windows(scene: Scene) -> list[Frame]:
    """Return one window for each take of a clip, all of one size."""
    middles, half = middle_and_half([take.bodies for take in scene.takes])
    size = np.maximum(half[:2], SMALLEST_HALF) + MARGIN
    return [Frame(take, middle[:2], size, take.title) for take, middle in zip(scene.takes, middles, strict=True)]


def strip(scene: Scene, path: Path, eye: bool = True, poses: int = POSES) -> None:
    """Draw a film strip: a row a take, with evenly spaced frames that hold a body."""
    frames = windows(scene)
    width, height = (2 * INCHES_A_METRE * frames[0].half).tolist()
    figure, grid = _figure(len(frames), poses, (width, height), _heading(scene), 0.2)
    for row, frame in zip(grid, frames, strict=True):
        _row(row, scene.skeleton, frame, eye)
        row[0].set_ylabel(frame.title, fontsize=8)
    _save_png(figure, path)


def sheet(scenes: Sequence[Scene], path: Path, title: str, eye: bool = True) -> None:
    """Draw a contact sheet: a few poses of each clip's last take in a row, its name above, three clips abreast."""
    from matplotlib.figure import Figure

    abreast = min(3, len(scenes))
    down = -(-len(scenes) // abreast)
    tallest = max(float(window.half[1] / window.half[0]) for scene in scenes for window in windows(scene)[-1:])
    height = min(tallest, 1.35) + 0.4  # inches: a pose is about one wide
    figure = Figure(figsize=(4.1 * abreast, height * down + 0.45), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for part, scene in zip(figure.subfigures(down, abreast, squeeze=False).flat, scenes, strict=False):
        part.suptitle(f"{scene.name}\n{scene.facts[0]}", fontsize=7)
        row = part.subplots(1, SHEET_POSES, squeeze=False)[0]
        _row(row, scene.skeleton, windows(scene)[-1], eye, numbers=False)
    _save_png(figure, path)


def animation(scenes: Sequence[Scene], path: Path, eye: bool = True) -> None:
    """Draw a GIF at the speed of the recording: the takes of one clip, or several clips, side by side.

    Raises:
        UsageError: The clip is too long for a GIF.
    """
    panels = [(scene, frame) for scene in scenes for frame in windows(scene)[-1 if len(scenes) > 1 else 0 :]]
    longest = max(frame.take.bodies.shape[1] for _, frame in panels)
    if longest > GIF_EVERY * GIF_MOST:
        raise UsageError(
            f"a GIF of {longest:,} frames: choose some with --frames 0:{GIF_EVERY * GIF_MOST}, or use HTML"
        )
    abreast = min(4, len(panels))
    heading = _heading(scenes[0]) if len(scenes) == 1 else ""
    width, height = (np.max([2 * INCHES_A_METRE * frame.half for _, frame in panels], axis=0) * 1.2).tolist()
    size = max(width, WIDTH_OF_NAME), height
    figure, grid = _figure(-(-len(panels) // abreast), abreast, size, heading, 0.3)
    actors = []
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (scene, frame) in zip(grid.flat, panels, strict=False):
        _window(axes, frame)
        axes.set_title(frame.title if len(scenes) == 1 else f"{scene.name}\n{scene.facts[0]}", fontsize=7)
        actors.append((_Actors(axes, scene.skeleton, len(frame.take.bodies), eye), frame))
    _save_gif(figure, actors, range(0, longest, GIF_EVERY), scenes[0].rate, path)


# ----------------------------------------------------------------------------------------------- drawing


class _Actors:
    """The bodies of one window, moved from frame to frame."""

    def __init__(self, axes: Axes, skeleton: Skeleton, bodies: int, eye: bool) -> None:
        from matplotlib.collections import LineCollection

        self.sign = -1.0 if eye else 1.0
        self.pairs = np.array(bones(skeleton)).reshape(-1, 2)
        left = set(left_joints(skeleton))
        self.colours = np.array([[_colour(body, child in left) for child, _ in self.pairs] for body in range(bodies)])
        self.heads = [joint for joint in [head(skeleton)] if joint is not None]
        self.lines = LineCollection([], linewidths=1.8, capstyle="round", joinstyle="round")
        axes.add_collection(self.lines)
        self.dots = axes.scatter([], [], s=26, linewidths=0, zorder=3)
        self.number = axes.text(0.02, 0.02, "", transform=axes.transAxes, fontsize=6, color="0.45")

    def show(self, frame: Frame, at: int, number: bool = True) -> None:
        """Put the bodies where they are in a frame, or in the last frame of a shorter take."""
        at = min(at, frame.take.bodies.shape[1] - 1)
        joints = frame.take.bodies[:, at].astype(np.float64)
        flat = np.stack([(joints[..., 0] - frame.middle[0]) * self.sign, joints[..., 1] - frame.middle[1]], axis=-1)
        segments = flat[:, self.pairs].reshape(-1, 2, 2)
        depth = joints[:, self.pairs, 2].mean(axis=2).reshape(-1)
        drawn = np.flatnonzero(np.isfinite(segments).all(axis=(1, 2)))
        order = drawn[np.argsort(-depth[drawn], kind="stable")]  # far ones first
        self.lines.set_segments(list(segments[order]))
        self.lines.set_color([tuple(colour) for colour in self.colours.reshape(-1, 4)[order].tolist()])
        heads = flat[:, self.heads].reshape(-1, 2)
        self.dots.set_offsets(heads)
        self.dots.set_facecolor([_colour(body, False) for body in range(len(joints)) for _ in self.heads])
        self.number.set_text(f"frame {frame.take.number(at)}" if number else "")


def _colour(body: int, left: bool) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(BODY_COLOURS[body % len(BODY_COLOURS)])
    light = LIGHTER if left else 0.0
    return red + (1 - red) * light, green + (1 - green) * light, blue + (1 - blue) * light, 1.0


def _row(row: Sequence[Axes], skeleton: Skeleton, frame: Frame, eye: bool, numbers: bool = True) -> None:
    for axes, at in zip(row, _poses(frame.take.bodies, len(row)), strict=True):
        _window(axes, frame)
        _Actors(axes, skeleton, len(frame.take.bodies), eye).show(frame, at, numbers)


def _poses(bodies: Bodies, count: int) -> list[int]:
    there = np.flatnonzero(np.isfinite(bodies).any(axis=(0, 2, 3)))
    return [int(there[place]) for place in np.linspace(0, len(there) - 1, count).round().astype(int)]


def _figure(rows: int, columns: int, inches: tuple[float, ...], heading: str, gap: float) -> tuple[Figure, Any]:
    """Return a grid of windows of equal size, with a heading above."""
    from matplotlib.figure import Figure

    head = 0.18 * (heading.count("\n") + 1) + 0.15 if heading else 0.05
    width, height = max(columns * inches[0], 3.2), rows * (inches[1] + gap)
    figure = Figure(figsize=(width + 0.4, height + head), layout="constrained")
    if heading:
        figure.suptitle(heading, fontsize=8)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _window(axes: Axes, frame: Frame) -> None:
    axes.set(xlim=(-frame.half[0], frame.half[0]), ylim=(-frame.half[1], frame.half[1]), xticks=[], yticks=[])
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_color("0.88")


def _heading(scene: Scene) -> str:
    return "\n".join((scene.name, *scene.facts[:1]))


# ------------------------------------------------------------------------------------------------- files


def _save_png(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=PNG_DOTS_PER_INCH, metadata={"Software": mark("view")})


def _palette() -> list[int]:
    """Return all colours in use, and black, in shades up to white: red, green, blue, 0 to 255."""
    drawn = [_colour(body, left)[:3] for body in range(len(BODY_COLOURS)) for left in (False, True)] + [(0.0,) * 3]
    shades = np.linspace(0, 1, BLENDS)[:, None, None]
    mixed = (1 - shades) * np.array(drawn) + shades
    return np.unique(np.round(255 * mixed.reshape(-1, 3)).astype(int), axis=0).reshape(-1).tolist()


def _save_gif(figure: Figure, actors: list[tuple[_Actors, Frame]], frames: range, rate: float, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(GIF_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    pictures: list[Image.Image] = []
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    for at in frames:
        for drawn, frame in actors:
            drawn.show(frame, at)
        canvas.draw()  # type: ignore[no-untyped-call]
        figure.set_layout_engine("none")  # places were found with the first picture
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        picture = Image.fromarray(pixels).convert("RGB")
        pictures.append(picture.quantize(palette=palette, dither=Image.Dither.NONE))
    with atomic_path(path) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 * GIF_EVERY / rate),
            loop=0,
            comment=mark("view").encode(),
        )
