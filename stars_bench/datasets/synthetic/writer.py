"""Raw NTU text: numbers as the sensor's own program printed them, one file a clip, written completely or not at all.

The original files were printed by .NET (`float.ToString()`, 7 significant digits, CRLF): see `printing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.synthetic.camera import SyntheticClip, make_clip
from stars_bench.datasets.synthetic.printing import print_clip
from stars_bench.datasets.synthetic.stage import ClipName, clip_names
from stars_bench.io import process_pool
from stars_bench.io.files import atomic_path
from stars_bench.io.numba_cache import compiled, kept

# Pinhole models of the Kinect v2's depth and colour camera, pixels: focal length x, y, centre x, y, fitted to public
# recordings.
CAMERAS = np.array([(366.3, -366.4, 256.3, 208.5), (1050.0, -1058.0, 976.0, 560.0)], np.float32)
PARENTS = np.array([0, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11])
# The sensor gives no orientation where a chain ends: head, feet, hand tips and thumbs.
CHAIN_ENDS = [3, 15, 19, 21, 22, 23, 24]
ORIENTED = ~np.isin(np.arange(25), CHAIN_ENDS)

PERFORMANCES_PER_TASK = 8


def to_text(clip: SyntheticClip) -> bytes:
    """Return the raw `.skeleton` file of a clip: ASCII with CRLF line ends."""
    across = clip.joints[:, 4] - clip.joints[:, 8]
    half = 0.5 * np.arctan2(-across[:, 2], across[:, 0])
    return print_clip(clip.counts, clip.ids, _numbers(clip.joints, np.cos(half), np.sin(half)), clip.states)


def write_raw(
    folder: Path,
    names: Sequence[str] | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write `NAME.skeleton` files, each atomically; files that already hold the same bytes are kept.

    Args:
        folder: Where the files go; it is created if needed.
        names: NTU names. Default: None, those of the quick start.
        seed: Seed of the whole dataset. Default: 0.
        jobs: Number of processes. Default: 1.
        progress: Called with (clips done, clips in all). Default: None.

    Returns:
        The paths, in the order of `names`.
    """
    names = clip_names() if names is None else names
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    for count in _run(list(_tasks(names)), folder, seed, jobs):
        done += count
        if progress is not None:
            progress(done, len(names))
    return [folder / f"{name}.skeleton" for name in names]


def _run(tasks: list[list[str]], folder: Path, seed: int, jobs: int) -> Iterable[int]:
    """Yield the number of clips that each task wrote, as tasks finish."""
    work = partial(_write_clips, folder, seed)
    if jobs == 1 or len(tasks) < 2:
        return map(work, tasks)
    to_text(make_clip(tasks[0][0], seed))  # what it compiles or loads is then there in every forked worker
    return process_pool.run(work, tasks, jobs)


def _tasks(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield names in portions; the cameras of a performance stay together, so that it is performed once."""

    def performance(name: str) -> tuple[int, int, int, int]:
        return ClipName.parse(name).performance

    together = [list(group) for _, group in groupby(sorted(names, key=performance), key=performance)]
    for start in range(0, len(together), PERFORMANCES_PER_TASK):
        yield [name for group in together[start : start + PERFORMANCES_PER_TASK] for name in group]


def _write_clips(folder: Path, seed: int, names: Sequence[str]) -> int:
    """Write a few clips; return their number."""
    for name in names:
        text = to_text(make_clip(name, seed))
        path = folder / f"{name}.skeleton"
        if path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text:
            continue
        with atomic_path(path) as temporary:
            temporary.write_bytes(text)
    return len(names)


@kept
def _numbers(joints: Any, cosines: Any, sines: Any) -> NDArray[np.float32]:
    """Return the printed numbers of bodies (B, 25, 3), without ids and states: (B, 2 + 25 * 11) float32.

    Lean; then per joint position, depth pixel, colour pixel, orientation. The heading of a body is twice the angle of
    `cosines` and `sines` (B,).
    """
    out = np.zeros((len(joints), 2 + 25 * 11), np.float32)
    for body in range(len(joints)):
        out[body, 0], _, out[body, 1] = _direction(joints, body, 20, 0)
        for joint in range(25):
            at = 2 + 11 * joint
            x, y, z = joints[body, joint, 0], joints[body, joint, 1], joints[body, joint, 2]
            out[body, at], out[body, at + 1], out[body, at + 2] = x, y, z
            for i in range(2):
                out[body, at + 3 + 2 * i] = x / z * CAMERAS[i, 0] + CAMERAS[i, 2]
                out[body, at + 4 + 2 * i] = y / z * CAMERAS[i, 1] + CAMERAS[i, 3]
            if ORIENTED[joint]:
                bone = _direction(joints, body, max(joint, 1), PARENTS[joint])
                w, x, y, z = _orientation(bone, cosines[body], sines[body])
                out[body, at + 7], out[body, at + 8], out[body, at + 9], out[body, at + 10] = w, x, y, z
    return out


@compiled
def _direction(joints: Any, body: int, end: int, start: int) -> Any:
    """Return the direction from one joint of a body to another, at length 1."""
    x = joints[body, end, 0] - joints[body, start, 0]
    y = joints[body, end, 1] - joints[body, start, 1]
    z = joints[body, end, 2] - joints[body, start, 2]
    length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-6))
    return x / length, y / length, z / length


@compiled
def _orientation(bone: Any, c: Any, s: Any) -> Any:
    """Return a unit quaternion, w first: the body's heading, then y along the bone to the joint."""
    x, y, z = bone
    # The shortest turn from y to the bone has the axis (z, 0, -x); a bone straight down has none and turns about x.
    straight_down = y < np.float32(-0.9999)
    w, x, z = np.float32(1) + y, np.float32(1) if straight_down else z, np.float32(0) if straight_down else -x
    w, x, y, z = w * c, x * c - z * s, w * s, z * c + x * s
    length = np.sqrt(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length
