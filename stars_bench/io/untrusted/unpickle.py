"""Pickles from elsewhere, read without running anything: arrays of numbers or texts, and plain containers.

A pickle is a program. The few calls that numpy's arrays need are answered by functions of our own; any other name is
refused, by name, before anything is called. What a file claims to hold is held against its own size. Python's manual
("Restricting Globals") gives the principle; pickles of Python 2 and of numpy 1 and 2 are read alike.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import re
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex

import numpy as np

from stars_bench.errors import StarsBenchError, one_line, printable
from stars_bench.io import allowance
from stars_bench.io.untrusted.pickle_scan import Refused, scan

PLAIN_DTYPE = re.compile(r"[<>|=]?([?biufcSU])(\d{0,4})")
BYTES_PER_BYTE = 2  # texts and arrays may be made of the same bytes of the file, one from the other


def load(path: Path) -> Any:
    """Return the content of a pickle file: containers, texts, numbers and numpy arrays (use `np.asarray` on these).

    Needs memory for the whole content.

    Raises:
        StarsBenchError: It asks for anything else, or is damaged.
    """
    try:
        size = _scan(path)
        with path.open("rb") as file:
            return _Reader(file, _Budget(BYTES_PER_BYTE * size)).load()
    except Refused as error:
        raise StarsBenchError(f"{path}: refused, nothing was run: {printable(str(error))}") from None
    except MemoryError as error:
        raise allowance.too_little_memory(path, error) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise StarsBenchError(f"{path}: cannot be read as a pickle ({one_line(error)})") from error


def loads_object(data: bytes) -> Any:
    """Return the only element of a pickled array of objects, as `np.save` writes a dictionary; otherwise as `load`.

    Args:
        data: The bytes of the pickle.

    Raises:
        StarsBenchError: It asks for anything else, or is damaged.
    """
    try:
        scan(data)
        reader = _Reader(io.BytesIO(data), _Budget(BYTES_PER_BYTE * len(data)))
        reader.calls["numpy", "dtype"] = _Call(partial(_Dtype, objects=True))
        array = reader.load()
        if not isinstance(array, _Array) or array.element is None:
            raise Refused("it holds no single object")
        return array.element[0]
    except Refused as error:
        raise StarsBenchError(f"refused, nothing was run: {printable(str(error))}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise StarsBenchError(f"cannot be read as a pickle ({one_line(error)})") from error


def _scan(path: Path) -> int:
    """Look at what the pickle would do; the file's size."""
    with path.open("rb") as file:
        try:
            data: mmap.mmap | bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:  # this file system has no maps
            data = file.read()
        with data if isinstance(data, mmap.mmap) else nullcontext():
            scan(data)
            return len(data)


class _Budget:
    """How many bytes a pickle may still make."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Refused("it makes far more data than it holds")


class _Call:
    """Answers one of the allowed calls. A pickle can call it, but not change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise Refused("it changes a function")


class _Dtype:
    """A dtype while it is unpickled: its kind and size, then its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, text: Any, *_: Any, objects: bool = False) -> None:
        if objects and text in ("O8", "|O", "O"):
            self.dtype = np.dtype("O")
            return
        if not isinstance(text, str) or not PLAIN_DTYPE.fullmatch(text):
            raise Refused(f"it holds an array of {str(text)[:40]!r}, not of numbers or texts")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        if self.dtype.hasobject:
            return
        _, order, *structure = state[:5]
        if any(part is not None for part in structure) or order not in ("<", ">", "|", "="):
            raise Refused("it holds an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array while it is unpickled."""

    budget: _Budget
    element: list[Any] | None = None
    """Of an array of objects, which is never made: the only one of them, in a list."""

    def __setstate__(self, state: Any, /) -> None:
        _, shape, described, fortran, data = state
        dtype, shape = _dtype(described), _shape(shape)
        if dtype.hasobject:
            if not isinstance(data, list) or math.prod(shape) != len(data) or len(data) != 1:
                raise Refused("it holds an array of several objects")
            self.element = data
            return
        data = _encode(data) if isinstance(data, str) else data
        if not isinstance(data, bytes) or math.prod(shape) * dtype.itemsize != len(data) or not dtype.itemsize:
            raise Refused(f"it claims an array of shape {shape} that it does not hold")
        self.budget.take(len(data))
        super().__setstate__((1, shape, dtype, bool(fortran), data))  # type: ignore[arg-type]


class _Reader(pickle.Unpickler):
    def __init__(self, file: Any, budget: _Budget) -> None:
        super().__init__(file, encoding="latin1")  # numpy's arrays of Python 2 need this
        self.budget = budget
        calls: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "ndarray"): _never,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): self._encoded,
            ("collections", "OrderedDict"): _empty(dict),
        }
        calls |= {(module, "bytes"): _empty(bytes) for module in ("builtins", "__builtin__")}
        for core in ("numpy.core", "numpy._core"):
            calls[f"{core}.multiarray", "_reconstruct"] = self._reconstruct
            calls[f"{core}.multiarray", "scalar"] = self._scalar
            calls[f"{core}.numeric", "_frombuffer"] = self._from_buffer
        self.calls = {name: _Call(function) for name, function in calls.items()}

    def find_class(self, module: str, name: str, /) -> Any:
        call = self.calls.get((module, name))
        if call is None:
            raise Refused(f"it asks for {module}.{name}, which no array needs")
        return call

    def persistent_load(self, _: Any, /) -> NoReturn:
        raise Refused("it refers to something outside the file")

    def _reconstruct(self, _subtype: Any, shape: Any, *_: Any) -> _Array:
        if tuple(shape) != (0,):
            raise Refused("it claims an array that it does not hold")
        array = np.empty(0, np.uint8).view(_Array)
        array.budget = self.budget
        return array

    def _scalar(self, described: Any, data: Any = b"") -> Any:
        dtype, data = _dtype(described), _encode(data) if isinstance(data, str) else data
        if dtype.hasobject or not isinstance(data, bytes) or len(data) != dtype.itemsize:
            raise Refused("it claims a number that it does not hold")
        self.budget.take(len(data))
        return np.frombuffer(data, dtype)[0]

    def _from_buffer(self, data: Any, described: Any, shape: Any, order: Any) -> np.ndarray[Any, np.dtype[Any]]:
        if _dtype(described).hasobject or not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
            raise Refused("it claims an array that it does not hold")
        self.budget.take(len(data))
        return np.frombuffer(data, _dtype(described)).reshape(_shape(shape), order=order)

    def _encoded(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Refused("it asks for _codecs.encode of something that is no array")
        self.budget.take(len(text))
        return _encode(text)


def _never(*_: Any) -> NoReturn:
    raise Refused("it calls numpy.ndarray itself")


def _empty(kind: type) -> Callable[[], Any]:
    """Return a call that takes no arguments: `bytes(10**12)` would take all memory."""
    return lambda: kind()


def _dtype(described: Any) -> np.dtype[Any]:
    if not isinstance(described, _Dtype):
        raise Refused("it holds an array of something else than numbers or texts")
    return described.dtype


def _shape(shape: Any) -> tuple[int, ...]:
    if isinstance(shape, SupportsIndex):
        shape = (shape,)
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise Refused("it claims an array of an impossible shape")
    return shape


def _encode(text: str) -> bytes:
    return text.encode("latin1")
