"""Raw NTU text: numbers as the sensor's own program printed them, a file a clip, whole or not at all.

The original files were printed by .NET (`float.ToString()`, 7 significant digits, CRLF). A clip holds some 20,000
numbers, so they are printed all at once: digits are looked up in tables, and blanks cut out at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np

from stars_bench.datasets.synthetic.camera import SyntheticClip, make_clip
from stars_bench.datasets.synthetic.stage import ClipName, clip_names
from stars_bench.provenance import atomic_path

# Pinhole models of the Kinect v2, pixels: (focal length x, y, centre x, y), fitted to public recordings.
DEPTH_CAMERA = (366.3, -366.4, 256.3, 208.5)
COLOUR_CAMERA = (1050.0, -1058.0, 976.0, 560.0)
PARENTS = np.array([0, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11])
# The sensor gives no orientation where a chain ends: head, feet, hand tips and thumbs.
CHAIN_ENDS = [3, 15, 19, 21, 22, 23, 24]

SMALLEST_FIXED = 1e-4  # below it .NET prints an exponent
PERFORMANCES_PER_TASK = 8


def to_text(clip: SyntheticClip) -> bytes:
    """The raw `.skeleton` file of a clip: ASCII with CRLF line ends."""
    blocks = _number_blocks(_columns(clip))
    heads = _heads(clip)
    out = [b"%d\r\n" % len(clip.counts)]
    body = 0
    for count in clip.counts.tolist():
        out.append(b"%d\r\n" % count)
        for _ in range(count):
            out += (heads[body], blocks[body])
            body += 1
    return b"".join(out)


def write_raw(
    folder: Path,
    names: Sequence[str] | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Writes `NAME.skeleton` files, each atomically; files that already hold the same bytes are kept.

    Args:
        folder: made when it does not exist.
        names: NTU names; None: the quickstart's.
        seed: of everything.
        jobs: processes.
        progress: called with (clips done, clips in all).

    Returns: the paths, in the order of `names`.
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
    """Clips written by each task, as tasks finish."""
    if jobs == 1 or len(tasks) < 2:
        return (_write_clips(folder, names, seed) for names in tasks)
    from joblib import Parallel, delayed  # only here: importing it takes longer than a few clips

    work = Parallel(n_jobs=jobs, return_as="generator_unordered")
    written: Iterable[int] = work(delayed(_write_clips)(folder, names, seed) for names in tasks)
    return written


def _tasks(names: Sequence[str]) -> Iterator[list[str]]:
    """Names in portions; the cameras of a performance stay together, so that it is performed once."""

    def performance(name: str) -> tuple[int, int, int, int]:
        clip = ClipName.parse(name)
        return clip.setup, clip.performer, clip.replication, clip.action

    together = [list(group) for _, group in groupby(sorted(names, key=performance), key=performance)]
    for start in range(0, len(together), PERFORMANCES_PER_TASK):
        yield [name for group in together[start : start + PERFORMANCES_PER_TASK] for name in group]


def _write_clips(folder: Path, names: Sequence[str], seed: int) -> int:
    """Writes a few clips; the number of clips."""
    for name in names:
        text = to_text(make_clip(name, seed))
        path = folder / f"{name}.skeleton"
        if path.is_file() and path.stat().st_size == len(text) and path.read_bytes() == text:
            continue
        with atomic_path(path) as temporary:
            temporary.write_bytes(text)
    return len(names)


def _heads(clip: SyntheticClip) -> list[bytes]:
    """The two lines before the joints of each body: id, clipped edges, hands, restricted, lean, state; joint count."""
    spine = clip.joints[:, 20] - clip.joints[:, 0]
    lean = spine[:, [0, 2]] / np.maximum(np.linalg.norm(spine, axis=1, keepdims=True), 1e-6)
    tracked = clip.states[:, [7, 11]] == 2
    return [
        f"{number} 0 {left:d} {left:d} {right:d} {right:d} 0 {x:.7G} {y:.7G} 2\r\n25\r\n".encode()
        for number, (left, right), (x, y) in zip(clip.ids.tolist(), tracked.tolist(), lean.tolist(), strict=True)
    ]


def _columns(clip: SyntheticClip) -> np.ndarray:
    """(B, 25, 12) float32: position, depth pixel, colour pixel, orientation, state."""
    table = np.empty((*clip.states.shape, 12), dtype=np.float32)
    table[:, :, :3] = clip.joints
    slopes = clip.joints[:, :, :2] / clip.joints[:, :, 2:]
    for first, (focal_x, focal_y, centre_x, centre_y) in ((3, DEPTH_CAMERA), (5, COLOUR_CAMERA)):
        table[:, :, first] = slopes[:, :, 0] * focal_x + centre_x
        table[:, :, first + 1] = slopes[:, :, 1] * focal_y + centre_y
    table[:, :, 7:11] = _orientations(clip.joints)
    table[:, :, 11] = clip.states
    return table


def _orientations(joints: np.ndarray) -> np.ndarray:
    """Unit quaternions (B, 25, 4), w first: the body's heading, then y along the bone to the joint; 0 at chain ends."""
    bones = joints - joints[:, PARENTS]
    bones[:, 0] = joints[:, 1] - joints[:, 0]
    x, y, z = np.moveaxis(bones / np.maximum(np.linalg.norm(bones, axis=2, keepdims=True), 1e-6), 2, 0)
    # The shortest turn from y to the bone has the axis (z, 0, -x); a bone straight down has none and turns about x.
    w, x, z = 1 + y, np.where(y < -0.9999, 1.0, z), np.where(y < -0.9999, 0.0, -x)
    across = joints[:, 4] - joints[:, 8]
    heading = 0.5 * np.arctan2(-across[:, 2], across[:, 0])[:, None]
    c, s = np.cos(heading), np.sin(heading)
    turned = np.stack([w * c, x * c - z * s, w * s, z * c + x * s], axis=2)
    turned /= np.linalg.norm(turned, axis=2, keepdims=True)
    turned[:, CHAIN_ENDS] = 0.0
    return turned


def _number_blocks(table: np.ndarray) -> list[bytes]:
    """The 25 lines of each body in a table (B, 25, 12) of float32."""
    cells = _cells(table.reshape(-1))
    cells[11::12, 21:23] = (13, 10)
    return [body.tobytes().translate(None, b"\0") for body in cells.reshape(len(table), -1)]


def _cells(values: np.ndarray) -> np.ndarray:
    """Each number of (N,) float32 below 10,000 as a row of 24 bytes, 0 for nothing: (N, 24) uint8.

    Three words: sign, 4 integer digits and point; 5 decimals; 5 decimals and a space. The product below is exact (24
    bits times 5**10), so rounding to 7 digits agrees with "%.7G" in every case.
    """
    size = np.abs(values.astype(np.float64))
    digits = np.searchsorted(_POWERS, size, side="right")  # 0 for 0.0001 to 0.001, ..., 7 for 1,000 to 10,000
    scaled = np.rint(size * _SCALE[digits]).astype(np.int64) * _REST[digits]
    whole = scaled // 10**10
    decimals = scaled - whole * 10**10
    high = decimals // 10**5
    low = decimals - high * 10**5
    fronts, padded_or_trimmed, trimmed = _tables()
    words = np.empty((len(values), 3), dtype="<u8")
    words[:, 0] = fronts[whole + 10_000 * ((values < 0) & (scaled > 0)) + 20_000 * (decimals > 0)]
    words[:, 1] = padded_or_trimmed[high + 100_000 * (low == 0)]
    words[:, 2] = trimmed[low]
    cells = words.view(np.uint8)
    for i in np.flatnonzero((size < SMALLEST_FIXED) & (size > 0)):
        cells[i, :21] = np.frombuffer(f"{values[i]:.7G}".encode().ljust(21, b"\0"), np.uint8)
    return cells


_POWERS = 10.0 ** np.arange(-3, 4)
_SCALE = 10.0 ** np.arange(10, 2, -1)
_REST = 10 ** np.arange(0, 8)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words of 8 ASCII bytes (0 for nothing) for every group of digits.

    Returns: (40000,) integers without leading zeros, + 10,000 with a minus, + 20,000 with a point; (200000,) 5
    decimals, + 100,000 without trailing zeros; (100000,) 5 decimals without trailing zeros and a space.
    """
    fronts = np.zeros((40_000, 8), dtype=np.uint8)
    numbers = np.arange(10_000)[:, None] // 10 ** np.arange(3, -1, -1)
    written = (numbers > 0) | (np.arange(4) == 3)
    fronts[:, 1:5] = np.tile(np.where(written, numbers % 10 + ord("0"), 0), (4, 1))
    fronts[10_000:20_000, 0] = fronts[30_000:, 0] = ord("-")
    fronts[20_000:, 5] = ord(".")

    decimals = np.zeros((200_000, 8), dtype=np.uint8)
    digits = np.arange(100_000)[:, None] // 10 ** np.arange(4, -1, -1) % 10
    trailing = np.cumsum(digits[:, ::-1] != 0, axis=1)[:, ::-1] == 0
    decimals[:100_000, :5] = digits + ord("0")
    decimals[100_000:, :5] = np.where(trailing, 0, digits + ord("0"))
    last = decimals[100_000:].copy()
    last[:, 5] = ord(" ")
    return fronts.view("<u8")[:, 0], decimals.view("<u8")[:, 0], last.view("<u8")[:, 0]
