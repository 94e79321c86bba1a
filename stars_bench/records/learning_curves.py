"""The log of a run as learning curves: losses and learning rates of each stage by epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import read_json_lines

POINTS_PER_CURVE = 400


def logged(folder: RunFolder) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a seed's log by the key of their stage; epochs in order."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for line in _log(folder.log):
        if isinstance(line.get("key"), str) and isinstance(line.get("epoch"), int | float):
            stages.setdefault(line["key"], []).append(line)
    return stages


def curve(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the lines of one stage as {stage, epochs, values by quantity}, thinned."""
    thinned = lines[:: math.ceil(len(lines) / POINTS_PER_CURVE)]
    names = [name for name in lines[0] if name not in ("stage", "epoch", "step", "key")]
    values = {name: [_finite(line.get(name)) for line in thinned] for name in names}
    values = {name: one for name, one in values.items() if any(value is not None for value in one)}
    stage = str(lines[0].get("stage", lines[0].get("key")))
    return {"stage": stage, "epochs": [line["epoch"] for line in thinned], "values": values}


def _log(file: Path) -> list[dict[str, Any]]:
    try:
        return read_json_lines(file)
    except FileNotFoundError:
        return []
    except (OSError, StarsBenchError) as error:
        logging.getLogger(__name__).warning("no learning curves: %s", one_line(error))
        return []


def _finite(value: object) -> float | None:
    return round(float(value), 6) if isinstance(value, int | float) and math.isfinite(value) else None
