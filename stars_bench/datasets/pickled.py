"""Datasets of poses in pictures whose clips come in one pickle of pyskl or MMAction2, and in no raw files.

`stars-bench import FILE.pkl --dataset NAME` reads it (`formats/pyskl.py`): github kennymckormick/pyskl, tools/data.
Faster-RCNN boxes and HRNet-w32 poses of COCO's 17 keypoints, in pixels, with scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from stars_bench.api import PLANE, Clip, Found, Profile, RawItem, SetAside, Skeleton
from stars_bench.datasets.skeletons.layouts import COCO_17
from stars_bench.errors import UsageError

POSES: Skeleton = replace(COCO_17, channels=PLANE)
PROFILES = {
    "imported-pyskl": Profile(
        "imported-pyskl", "as the pickle has them: pixels and scores; normalised when they are read", {}, "zero"
    )
}
WHERE = "Fetch {file} from https://download.openmmlab.com/mmaction/pyskl/data/{path}, then: {command}"


def refuse(paths: Iterable[Path], *, command: str) -> Found:
    """Refuse raw files: there are none.

    Raises:
        UsageError: Always; with the command that imports the pickle.
    """
    del paths
    raise UsageError(f"its clips come in one pickle, which `{command}` reads; there are no raw files to prepare")


def never(item: RawItem, data: Mapping[str, bytes], profile: Profile) -> list[Clip | SetAside]:
    """Convert nothing: `refuse` finds nothing.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(item.name, len(data), profile.name)


def pickled(name: str, folder: str, file: str) -> dict[str, Any]:
    """Return the fields of a `DatasetSpec` that all these datasets share.

    Args:
        name: Name of the dataset.
        folder: Where the pickle lies on the server.
        file: Name of the pickle.
    """
    command = f"stars-bench import {file} --dataset {name}"
    return {
        "name": name,
        "skeleton": POSES,
        "profiles": PROFILES,
        "default_profile": "imported-pyskl",
        "find": partial(refuse, command=command),
        "convert": never,
        "where": WHERE.format(file=file, path=f"{folder}/{file}", command=command),
    }
