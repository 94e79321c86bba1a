"""A single shard, opened as if it were a prepared dataset of its own: to look into, finished or not."""

from __future__ import annotations

import json
from pathlib import Path

from stars_bench.errors import UsageError
from stars_bench.io.files import digest_json
from stars_bench.io.sealed import Damaged
from stars_bench.storage.shard_file import digest_of_columns, opened, read_columns
from stars_bench.storage.shards import PreparedDataset


def open_shard(path: Path) -> PreparedDataset:
    """Return the clips of one shard (`shard-00000.h5`), without those of its folder.

    Raises:
        UsageError: There is none, or it cannot be read as one.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    try:
        with opened(path) as file:
            about = {name: file.attrs[name] for name in ("dataset", "profile", "parameters", "absent_body")}
            joints = json.loads(file.attrs["joint_names"])
            clips, rows = len(file["name"]), int(file["joints"].shape[0])
            found = digest_of_columns(read_columns(file), dict(file.attrs))
    except Damaged as error:
        raise UsageError(f"{error}: cannot be read as a shard") from error
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
        "shards": [{"file": path.name, "clips": clips, "rows": rows, "columns": found}],
        "official_splits": {},
    }
    return PreparedDataset(path.parent, index | {"checksum": digest_json(index)})
