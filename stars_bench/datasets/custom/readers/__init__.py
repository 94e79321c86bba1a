"""From one file of a described dataset to coordinates (M, T, V, A) as stored; NaN if missing. One module a container.

A is what the file stores of a joint (`Coordinates.stored_axes`). Units and signs are applied later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stars_bench.datasets.custom.model import Coordinates
from stars_bench.datasets.custom.readers import arrays, json_text, table
from stars_bench.datasets.custom.readers.axes import Stored, check_size
from stars_bench.datasets.parsing.ntu_text import parse_ntu


def read(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    """Return the coordinates in a file's bytes: (M, T, V, A) float64, in the order of these joints.

    Raises:
        ParseError: The text is wrong; with its line.
        ValueError: The content is wrong; with the reason.
    """
    stored_joints = how.joints or tuple(joints)
    if how.format == "ntu":
        stored = parse_ntu(data, len(stored_joints), len(how.axes)).bodies
    elif how.format == "csv":
        stored = table.read(data, how, stored_joints)
    else:
        stored = (json_text if how.format == "json" else arrays).read(data, how, stored_joints)
    if stored_joints != tuple(joints):
        stored = stored[:, :, [stored_joints.index(joint) for joint in joints]]
    return stored


def read_action(data: bytes, how: Coordinates, key: str) -> str:
    """Return what a file says of its own action.

    Raises:
        ValueError: There is no such key, or its value is no text and no whole number.
    """
    value = (json_text if how.format == "json" else arrays).value(data, how, key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"{key} is no text and no whole number")  # noqa: TRY004 - the file's fault
    return str(value)


def one_after_another(files: Sequence[Stored]) -> Stored:
    """Join the coordinates of files that are one clip: (M, T, V, A), NaN where a file has fewer bodies."""
    bodies = max(len(stored) for stored in files)
    frames = sum(stored.shape[1] for stored in files)
    check_size(bodies, frames, files[0].shape[2] * files[0].shape[3])
    padded = [np.concatenate([stored, np.full((bodies - len(stored), *stored.shape[1:]), np.nan)]) for stored in files]
    return np.concatenate(padded, axis=1)
