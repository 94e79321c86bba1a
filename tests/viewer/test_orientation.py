"""A right hand is drawn where the sensor's colour camera saw it, which colorX and colorY of raw files tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stars_bench.api import Source
from stars_bench.datasets.skeletons.kinect import JOINTS
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.viewer import pictures
from stars_bench.viewer.raw import raw_scene
from stars_bench.viewer.scene import Scene, bones
from tests.paths import GOLDEN_RAW

GOLDEN = sorted(GOLDEN_RAW.glob("*.skeleton"))
RIGHT_HAND, LEFT_HAND = JOINTS.index("right hand"), JOINTS.index("left hand")
FACING = "S001C001P001R001A006"


def pixels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 25, 2) colour pixels of a file's bodies, line by line, and their coordinates (n, 25, 3)."""
    rows = [line.split() for line in path.read_text().splitlines()]
    numbers = np.array([row for row in rows if len(row) == 12], float).reshape(-1, 25, 12)
    return numbers[:, :, 5:7], numbers[:, :, :3]


def drawn(scene: Scene, take: int, frame: int, eye: bool = False) -> dict[tuple[int, int], np.ndarray]:
    """Where the one body's bones are drawn: by (child, parent) the ends (2, 2), x to the right, y up."""
    axes = Figure().subplots()
    window = pictures.windows(scene)[take]
    actors = pictures._Actors(axes, scene.skeleton, 1, eye)
    actors.show(window, frame)
    segments, colours = actors.lines.get_segments(), actors.lines.get_colors()
    assert len(segments) == len(colours) == 24
    # Far bones come first: put them back in the order of the layout.
    joints = window.take.bodies[0, frame]
    pairs = np.array(bones(scene.skeleton))
    order = np.argsort(-joints[pairs, 2].mean(axis=1).astype(np.float64), kind="stable")
    return {tuple(pairs[place].tolist()): segment for place, segment in zip(order, segments, strict=True)}


@pytest.fixture(scope="module")
def facing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up raw file: one person in front of the sensor, whose feet point towards it."""
    (path,) = write_raw(tmp_path_factory.mktemp("facing"), [FACING])
    return path


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_in_golden_files_right_and_up_are_those_of_the_colour_picture(path: Path) -> None:
    colour, joints = pixels(path)
    good = np.isfinite(colour).all(axis=2) & (joints[..., 2] > 0.1)
    across, up = (joints[good][:, axis] / joints[good][:, 2] for axis in (0, 1))
    assert np.corrcoef(across, colour[good][:, 0])[0, 1] > 0.999
    assert np.corrcoef(up, -colour[good][:, 1])[0, 1] > 0.999  # rows of pixels go down


@pytest.mark.parametrize("take", [0, 1], ids=["as recorded", "cleaned"])
def test_bones_point_where_the_colour_camera_saw_them(facing: Path, take: int) -> None:
    scene = raw_scene(Source(facing))
    colour, joints = pixels(facing)
    recorded = scene.takes[0].bodies[0]
    for frame in (0, recorded.shape[0] // 2):
        (row,) = np.flatnonzero(np.abs(joints - recorded[frame]).max(axis=(1, 2)) < 1e-6)
        for (child, parent), (end, start) in drawn(scene, take, frame).items():
            step, seen = end - start, (colour[row, child] - colour[row, parent]) * (1, -1)
            if np.hypot(*seen) > 25 and np.hypot(*step) > 0.05:  # pixels, metres: not a bone towards the camera
                cosine = step @ seen / np.hypot(*step) / np.hypot(*seen)
                assert cosine > 0.9, (JOINTS[child], JOINTS[parent])


def test_whoever_faces_the_camera_has_the_right_hand_on_the_right_and_an_eye_sees_it_on_the_left(facing: Path) -> None:
    scene = raw_scene(Source(facing))
    feet = scene.takes[0].bodies[0][0]
    assert (feet[[15, 19], 2] < feet[[14, 18], 2]).all()  # towards the sensor
    colour, _ = pixels(facing)
    assert colour[0, RIGHT_HAND, 0] > colour[0, LEFT_HAND, 0]
    for eye, sign in ((False, 1), (True, -1)):
        places = {child: end for (child, _), (end, _) in drawn(scene, 0, 0, eye).items()}
        assert sign * (places[RIGHT_HAND][0] - places[LEFT_HAND][0]) > 0.1
        assert places[JOINTS.index("head")][1] > places[JOINTS.index("left foot")][1] + 1  # metres: y is up


def test_the_scale_is_one_for_both_axes_and_for_all_takes(facing: Path) -> None:
    scene = raw_scene(Source(facing))
    one, other = pictures.windows(scene)
    assert (one.half == other.half).all()
    figure = Figure(figsize=(3, 9))
    axes = figure.subplots()
    pictures._window(axes, one)
    FigureCanvasAgg(figure).draw()
    start, end = axes.transData.transform([(0, 0), (1, 1)])
    width, height = end - start
    assert width == pytest.approx(height)
