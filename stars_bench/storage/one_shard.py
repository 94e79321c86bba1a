"""A single shard, opened as if it were a prepared dataset of its own: to look into, finished or not."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from stars_bench.errors import UsageError
from stars_bench.storage.shards import PreparedDataset


def open_shard(path: Path) -> PreparedDataset:
    """The clips of one shard (`shard-00000.h5`), without those of its folder.

    Raises:
        UsageError: there is none, or it cannot be read as one.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            about = {name: file.attrs[name] for name in ("dataset", "profile", "parameters", "absent_body")}
            joints = json.loads(file.attrs["joint_names"])
            clips, rows = len(file["name"]), int(file["joints"].shape[0])
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as a shard ({error})") from error
    profile = {
        "name": str(about["profile"]),
        "summary": "",
        "parameters": json.loads(about["parameters"]),
        "absent_body": str(about["absent_body"]),
    }
    index = {
        "dataset": str(about["dataset"]),
        "profile": profile,
        "joint_names": joints,
        "digest": "",
        "num_clips": clips,
        "expected_clips": None,
        "complete": False,
        "shards": [{"file": path.name, "clips": clips, "rows": rows}],
        "official_splits": {},
    }
    return PreparedDataset(path.parent, index)
