"""The poses of pyskl's k400_hrnet.pkl, which lie in files of their own: a pickle of contents, and many of poses.

An annotation has "raw_file" (the file of its poses) for "keypoint", "frame_inds" (N,), the frames of its N poses,
and "box_score" (N,). A file of poses is {frame_dir: {"keypoint": (N, 17, 3)}}: x, y, score. As in pyskl
(github kennymckormick/pyskl, `DecompressPose`): poses of boxes below 0.5 are left out, and frames without a pose are
squeezed out. Of each frame the poses with the highest box scores come first, so that a body may jump between people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench.errors import StarsBenchError
from stars_bench.io.untrusted import unpickle

BODIES = 2
SURE_BOX = 0.5
FOLDER = "kpfiles"


def is_apart(annotations: list[Any]) -> bool:
    """Return whether annotations have their poses in files of their own."""
    return bool(annotations) and isinstance(annotations[0], dict) and "raw_file" in annotations[0]


def with_poses(path: Path, annotations: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield annotations with their poses, as `pyskl.read` takes them, a file of poses after the other.

    Args:
        path: The pickle of contents; files of poses lie beside it, or in a folder `kpfiles` there.
        annotations: Its annotations.

    Raises:
        StarsBenchError: A file of poses is missing or damaged, or does not fit.
    """
    opened, poses = "", {}
    for one in sorted(annotations, key=lambda one: str(one.get("raw_file", ""))):
        name = Path(str(one["raw_file"]).replace("\\", "/")).name
        if name != opened:
            opened, poses = name, _load(path, name)
        stored = poses.get(one["frame_dir"])
        yield _decompressed(path.parent / name, one, stored["keypoint"] if isinstance(stored, dict) else stored)


def _load(path: Path, name: str) -> dict[str, Any]:
    places = [path.parent / name, path.parent / FOLDER / name]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise StarsBenchError(f"{path}: names {name}, which is neither beside it nor in {FOLDER}/: fetch that, too")
    content = unpickle.load(file)
    if not isinstance(content, dict):
        raise StarsBenchError(f"{file}: expected a dictionary of poses, found {type(content).__name__}")
    return content


def _decompressed(file: Path, one: dict[str, Any], stored: Any) -> dict[str, Any]:
    where = f"{file}: {one['frame_dir']!r}"
    if stored is None:
        raise StarsBenchError(f"{where}: is not in it")
    poses, moments, sure = (np.asarray(part) for part in (stored, one.get("frame_inds"), one.get("box_score")))
    if poses.ndim != 3 or poses.shape[2] != 3 or not len(poses) == moments.size == sure.size:
        raise StarsBenchError(f"{where}: {len(poses):,} poses for {moments.size:,} frames and {sure.size:,} scores")
    kept = np.flatnonzero(sure.ravel() >= SURE_BOX)
    poses, moments, sure = poses[kept], moments.ravel()[kept], sure.ravel()[kept]
    order = np.lexsort((np.arange(len(sure)), -sure, moments))
    frames, starts, frame = np.unique(moments[order], return_index=True, return_inverse=True)
    place = np.arange(len(order)) - starts[frame]
    first = place < BODIES
    bodies = np.zeros((min(BODIES, int(place.max(initial=0)) + 1), len(frames), *poses.shape[1:]), poses.dtype)
    bodies[place[first], frame[first]] = poses[order][first]
    whole = {key: value for key, value in one.items() if key not in ("raw_file", "frame_inds", "box_score", "valid")}
    return whole | {"keypoint": bodies[..., :2], "keypoint_score": bodies[..., 2], "total_frames": len(frames)}
