"""Arrays of NumPy and MATLAB: npz, npy (an array, or the dictionary that txt2npy writes) and mat."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.lib import format as npy

from stars_bench.datasets.custom.model import Coordinates
from stars_bench.datasets.custom.readers.axes import Stored, arranged, check_size, real, with_scores
from stars_bench.datasets.raw_files.zip import LARGEST
from stars_bench.errors import one_line
from stars_bench.io.untrusted import unpickle

ALONE = ""
"""Name of an array that stands alone in its file."""


def read(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    """Return coordinates (M, T, V, A) as stored.

    Raises:
        ValueError: The file cannot be read, or its content is wrong.
    """
    named = _loaded(data, how)
    stored = _bodies(named, how.key, how, len(joints), len(how.axes))
    if how.score_key is None:
        return stored
    return with_scores(stored, _bodies(named, how.score_key, how, len(joints), 1))


def value(data: bytes, how: Coordinates, key: str) -> Any:
    """Return a single text or number of a file.

    Raises:
        ValueError: There is none under this key.
    """
    found = np.asarray(_one(_loaded(data, how), key))
    if found.size != 1:
        raise ValueError(f"{key} is an array of {found.size:,} values, not one")
    return found.ravel()[0].item()


def _bodies(named: Mapping[str, Any], key: str | None, how: Coordinates, joints: int, axes: int) -> Stored:
    if key is None or not key.endswith("[]"):
        return arranged(real(np.asarray(_one(named, key))), how.order, joints, axes)
    numbered = re.compile(re.escape(key.removesuffix("[]")) + r"(\d+)")
    found = sorted((int(match[1]), name) for name in named if (match := numbered.fullmatch(name)))
    if not found:
        raise ValueError(f"there is no array {key.replace('[]', '0')!r}: there are {_names(named)}")
    bodies = [
        arranged(real(np.asarray(_array(named, name))), how.order.replace("M", ""), joints, axes)[0]
        for _, name in found
    ]
    frames = max(map(len, bodies))
    check_size(len(bodies), frames, joints * axes)
    stored = np.full((len(bodies), frames, joints, axes), np.nan)
    for row, body in zip(stored, bodies, strict=True):
        row[: len(body)] = body
    return stored


def _one(named: Mapping[str, Any], key: str | None) -> Any:
    if ALONE in named:
        return named[ALONE]
    name = key if key is not None or len(named) != 1 else next(iter(named))
    if name is None or name not in named:
        raise ValueError(f"there is no array {name!r}: there are {_names(named)}; say key")
    return _array(named, name)


def _array(named: Mapping[str, Any], name: str) -> Any:
    """Return one of the arrays; those of an npz are read only now."""
    try:
        return named[name]
    except Exception as error:  # damaged archives and headers can fail in any way
        raise ValueError(f"array {name!r} cannot be read ({one_line(error)})") from error


def _names(named: Mapping[str, Any]) -> str:
    return ", ".join(list(map(str, named))[:20])


def _loaded(data: bytes, how: Coordinates) -> Mapping[str, Any]:
    """Return the arrays of a file by name."""
    try:
        if how.format == "mat":
            return _matlab(data)
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST:
                    raise ValueError("it promises more data than any clip has")
            arrays: Mapping[str, Any] = np.load(io.BytesIO(data), allow_pickle=False)
            return arrays
        return _npy(data)
    except Exception as error:  # damaged archives and headers can fail in any way
        raise ValueError(f"cannot be read as {how.format} ({one_line(error)})") from error


def _npy(data: bytes) -> Mapping[str, Any]:
    """Return the array of a npy file, or the arrays of a dictionary in it, which is read without running anything."""
    stream = io.BytesIO(data)
    try:
        return {ALONE: np.load(stream, allow_pickle=False)}
    except ValueError:
        stream.seek(0)
        version = npy.read_magic(stream)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        if not header(stream)[2].hasobject:
            raise
    content = unpickle.loads_object(data[stream.tell() :])
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError("it holds objects that are no dictionary of arrays")
    return content


def _matlab(data: bytes) -> Mapping[str, Any]:
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[512:520] == b"\x89HDF\r\n\x1a\n":  # MATLAB 7.3
        with h5py.File(io.BytesIO(data), "r") as file:
            return {name: one[()].T for name, one in file.items() if isinstance(one, h5py.Dataset)}
    from scipy.io import loadmat

    named = loadmat(io.BytesIO(data))
    return {name: one for name, one in named.items() if not name.startswith("__")}
