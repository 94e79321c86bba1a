"""Pickles from elsewhere: arrays and plain containers come in, everything else is refused by name and never called."""

from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.io.untrusted import unpickle

ARRAYS = [
    np.arange(24, dtype=np.float16).reshape(2, 3, 4),
    np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    np.arange(5, dtype=">i4"),
    np.array([True, False]),
    np.array(["S001", "C2"]),
    np.array([b"abc"]),
    np.zeros((0, 25, 3), np.float32),
    np.array(7.5),
]

PYTHON_2_LABELS = b"\x80\x02]q\x00(U\x0dfirst.skeletonq\x01U\x06secondq\x02e]q\x03(K\x01K\x02e\x86q\x04.".replace(
    b"U\x0dfirst.skeleton", b"U\x0efirst.skeleton"
)
PYTHON_2_ARRAY = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x02\x85"
    b"cnumpy\ndtype\nq\x04U\x02f4K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    b"U\x08" + np.array([1.5, -200.25], "<f4").tobytes() + b"tb."
)


def load(tmp_path: Path, data: bytes) -> Any:
    (tmp_path / "file.pkl").write_bytes(data)
    return unpickle.load(tmp_path / "file.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_of_numbers_and_texts_come_back_as_they_were(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    found = np.asarray(load(tmp_path, pickle.dumps(array, protocol)))
    assert type(found) is np.ndarray
    assert found.dtype == pickle.loads(pickle.dumps(array, protocol)).dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_and_numbers_come_back_as_they_were(tmp_path: Path, protocol: int) -> None:
    value = {
        "a": [1, 2.5, None, True, "text ü"],
        "b": (b"", b"\xff\x00", 10**30),
        "c": np.float32(1.5),
        "d": np.int64(3),
    }
    assert load(tmp_path, pickle.dumps(value, protocol)) == value
    assert load(tmp_path, pickle.dumps(collections.OrderedDict(value), protocol)) == value


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_pickles_of_numpy_1_and_numpy_2_are_read_alike(tmp_path: Path, core: str) -> None:
    data = pickle.dumps(ARRAYS[0], 2)
    written = "numpy._core" if b"numpy._core" in data else "numpy.core"
    found = load(tmp_path, data.replace(f"c{written}.".encode(), f"c{core}.".encode()))
    np.testing.assert_array_equal(np.asarray(found), ARRAYS[0])


def test_pickles_of_python_2_are_read(tmp_path: Path) -> None:
    assert load(tmp_path, PYTHON_2_LABELS) == (["first.skeleton", "second"], [1, 2])
    np.testing.assert_array_equal(np.asarray(load(tmp_path, PYTHON_2_ARRAY)), np.array([1.5, -200.25], np.float32))


def test_shared_objects_stay_shared_and_cost_nothing(tmp_path: Path) -> None:
    array = np.zeros(10_000)
    found = load(tmp_path, pickle.dumps([array] * 1000, 4))
    assert all(item is found[0] for item in found)


class Runs:
    """Runs a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def calls(module: str, name: str, *arguments: Any) -> bytes:
    """A pickle that calls a function by its name."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + pickle.dumps(arguments, 2)[2:-1] + b"R."


def array_state(shape: Any, dtype: bytes, data: bytes) -> bytes:
    """A pickle of an array with a state of one's own."""
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    kind = b"cnumpy\ndtype\n" + pickle.dumps((dtype.decode(), False, True), 2)[2:-1] + b"R"
    return (
        b"\x80\x04"
        + made
        + b"(K\x01"
        + pickle.dumps(shape, 2)[2:-1]
        + kind
        + b"\x89B"
        + struct.pack("<I", len(data))
        + data
        + b"tb."
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused_and_the_command_is_not_run(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "canary"
    payload = [np.zeros(3), Runs(os.system, f"touch {canary}")]
    with pytest.raises(StarsBenchError, match=r"refused, nothing was run: .*(posix|nt|os)\.system"):
        load(tmp_path, pickle.dumps(payload, protocol))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("builtins", "eval", ("1 + 1",)),
        ("__builtin__", "exec", ("x = 1",)),
        ("builtins", "getattr", ({}, "keys")),
        ("builtins", "list", ("abc",)),
        ("subprocess", "Popen", ("true",)),
        ("importlib", "import_module", ("os",)),
        ("pickle", "loads", (b"",)),
        ("numpy", "load", ("x.npy", None, True)),
        ("numpy", "fromfile", ("/etc/passwd",)),
        ("numpy", "memmap", ("/etc/passwd",)),
        ("numpy.core.multiarray", "fromfile", ("/etc/passwd",)),
        ("numpy.testing._private.utils", "runstring", ("1", {})),
        ("numpy.f2py", "compile", ("",)),
        ("torch", "load", ("x",)),
        ("collections", "defaultdict", ()),
        ("copyreg", "_reconstructor", ()),
    ],
)
def test_every_other_name_is_refused_by_name(tmp_path: Path, module: str, name: str, arguments: tuple) -> None:
    with pytest.raises(StarsBenchError, match=f"{module}.{name}"):
        load(tmp_path, calls(module, name, *arguments))


def test_a_name_with_dots_does_not_reach_what_is_behind_an_allowed_one(tmp_path: Path) -> None:
    stack_global = b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93."
    with pytest.raises(StarsBenchError, match=r"numpy\.ndarray\.__init__"):
        load(tmp_path, stack_global)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (calls("numpy", "ndarray", (10**12,)), "calls numpy.ndarray"),
        (calls("numpy.core.multiarray", "_reconstruct", None, (10**12,), b"b"), "does not hold"),
        (calls("builtins", "bytes", 10**12), "takes 0 positional arguments"),
        (calls("_codecs", "encode", "abc", "utf-8"), "_codecs.encode"),
        (calls("_codecs", "encode", "abc", "rot13"), "_codecs.encode"),
        (calls("numpy", "dtype", "O"), "not of numbers"),
        (calls("numpy", "dtype", "f8,f8"), "not of numbers"),
        (calls("numpy", "dtype", "S999999999"), "not of numbers"),
        (array_state((10**12,), b"f8", b"12345678"), "does not hold"),
        (array_state((2**62,), b"S0", b""), "does not hold"),
        (array_state((-1,), b"f8", b""), "impossible shape"),
        (array_state(("x",), b"f8", b""), "impossible shape"),
        (b"\x80\x02X\x01\x00\x00\x00a" + b"r\xff\xff\xff\x7f.", "run out of memory"),
        (b"\x80\x02X\x01\x00\x00\x00a" + b"p999999999\n.", "run out of memory"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**50) + b"abc.", "cannot be read"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.", "cut off"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.", "cannot be read"),
        (b"\x80\x02Pfile\n.", "outside the file"),
        (b"\x80\x05\x97.", "cannot be read"),
        (b"\x80\x02\x82\x01.", "cannot be read"),
        (b"", "cannot be read"),
        (b"not a pickle", "cannot be read"),
        (pickle.dumps([1, 2, 3], 4)[:-3], "cannot be read"),
    ],
)
def test_claims_that_the_file_does_not_keep_are_refused_in_one_line(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(StarsBenchError, match=why) as raised:
        load(tmp_path, data)
    assert "\n" not in str(raised.value)


def test_an_allowed_function_cannot_be_changed_for_the_next_file(tmp_path: Path) -> None:
    changed = b"\x80\x02c_codecs\nencode\n}X\x0c\x00\x00\x00__defaults__NsN\x86b."
    with pytest.raises(StarsBenchError, match="changes a function"):
        load(tmp_path, changed)
    token = b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aNsb."
    with pytest.raises(StarsBenchError, match="changes a function"):
        load(tmp_path, token)


def test_a_text_is_not_multiplied_by_encoding_it_again_and_again(tmp_path: Path) -> None:
    text = b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"q\x010"
    again = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R0" * 50
    with pytest.raises(StarsBenchError, match="far more data"):
        load(tmp_path, b"\x80\x02" + text + again + b"N.")
