"""A pyskl pickle written clip by clip: a dictionary whose last value is a list, in pickle's protocol 4.

Written opcode by opcode, because Python's pickler keeps every object until the end, and under numpy 2 it writes names
that numpy 1 does not know. Any Python 3 with numpy reads the result with a plain `pickle.load`.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

HALF, SINGLE, RECONSTRUCT, NDARRAY = range(4)  # where the preamble stores what all arrays share


def write(stream: IO[bytes], head: Mapping[str, Any], name: str, items: Iterable[Any]) -> None:
    """Write {**head, name: [*items]}. Values: dict, list, tuple, str, int, bool, None, float16 and float32 arrays."""
    stream.write(pickle.PROTO + b"\x04" + PREAMBLE + pickle.EMPTY_DICT + pickle.MARK)
    for key, value in head.items():
        stream.write(_plain(key) + _plain(value))
    stream.write(_plain(name) + pickle.EMPTY_LIST)
    for item in items:
        stream.write(_plain(item) + pickle.APPEND)
    stream.write(pickle.SETITEMS + pickle.STOP)


def _plain(value: Any) -> bytes:
    match value:
        case None:
            return pickle.NONE
        case bool():
            return pickle.NEWTRUE if value else pickle.NEWFALSE
        case int():
            return pickle.BININT + struct.pack("<i", value)
        case str():
            text = value.encode()
            return pickle.BINUNICODE + struct.pack("<I", len(text)) + text
        case tuple():
            return pickle.MARK + b"".join(map(_plain, value)) + pickle.TUPLE
        case list():
            return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(_plain, value)) + pickle.APPENDS
        case dict():
            pairs = (_plain(key) + _plain(item) for key, item in value.items())
            return pickle.EMPTY_DICT + pickle.MARK + b"".join(pairs) + pickle.SETITEMS
        case np.ndarray():
            return _array(value)
    raise TypeError(f"{type(value).__name__} cannot be written")


def _array(array: NDArray[np.float16 | np.float32]) -> bytes:
    """Write an array as numpy pickles it: _reconstruct(ndarray, (0,), b"b"), then its state."""
    dtype, kind = (HALF, "<f2") if array.dtype == np.float16 else (SINGLE, "<f4")
    data = array.astype(kind, copy=False).tobytes()
    made = _get(RECONSTRUCT) + _get(NDARRAY) + _plain((0,)) + _bytes(b"b") + pickle.TUPLE3 + pickle.REDUCE
    state = _plain(1) + _plain(array.shape) + _get(dtype) + pickle.NEWFALSE + _bytes(data)
    return made + pickle.MARK + state + pickle.TUPLE + pickle.BUILD


def _bytes(data: bytes) -> bytes:
    return pickle.BINBYTES + struct.pack("<I", len(data)) + data


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _put(number: int) -> bytes:
    return pickle.BINPUT + bytes([number]) + pickle.POP


def _get(number: int) -> bytes:
    return pickle.BINGET + bytes([number])


def _dtype(kind: str) -> bytes:
    made = _global("numpy", "dtype") + _plain((kind, False, True)) + pickle.REDUCE
    return made + _plain((3, "<", None, None, None, -1, -1, 0)) + pickle.BUILD


PREAMBLE = b"".join(
    [
        *(_dtype("f2"), _put(HALF)),
        *(_dtype("f4"), _put(SINGLE)),
        *(_global("numpy.core.multiarray", "_reconstruct"), _put(RECONSTRUCT)),
        *(_global("numpy", "ndarray"), _put(NDARRAY)),
    ]
)
