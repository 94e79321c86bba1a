"""Whatever is in a file: no crash, no hang, no memory beyond a bound, and a message that names the file."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.damage import damaged
from tests.fuzz.targets import NAMES, TARGETS, survive

EXAMPLES = 30
MIB = 1 << 20
ROOM = dict.fromkeys(TARGETS, 8 * MIB) | {"npz": 128 * MIB, "npy": 128 * MIB, "label": 192 * MIB}
"""Of memory that a parser may take whatever the size of the file: for a block of a large array, and Python's own."""


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_read_or_refused_as_users_are_told(name: str, tmp_path: Path) -> None:
    outcomes = [survive(TARGETS[name], data, tmp_path) for data in TARGETS[name].seeds()]
    assert None in outcomes


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_as_users_are_told(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]

    @given(damaged(target.seeds()))
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    def hold(data: bytes) -> None:
        survive(target, data, tmp_path)

    hold()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=[*HealthCheck])
def test_many_damaged_files_are_read_or_refused(name: str, tmp_path: Path, data: st.DataObject) -> None:
    survive(TARGETS[name], data.draw(damaged(TARGETS[name].seeds())), tmp_path)


# ------------------------------------------------------------------------------------------- what was found once


def npy(shape: tuple[int, ...] | str, data: bytes = b"", descr: str = "'<f4'") -> bytes:
    """An array of .npy whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(packed: bool = False, **members: bytes) -> bytes:
    """A zip of such members, under their names."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return stream.getvalue()


def two_clips(**other: bytes) -> bytes:
    """An npz of two clips a part, some members of which are others."""
    clips, labels = npy((2, 3, 150), np.ones(900, "<f4").tobytes()), npy((2,), b"\0" * 8, "'<i4'")
    parts = {f"{kind}_{part}__npy": data for part in ("train", "test") for kind, data in (("x", clips), ("y", labels))}
    return npz(**(parts | other))


def shared(inner: Any, times: int = 60) -> Any:
    """Lists that hold the one before twice: few bytes in a pickle, 2 ** times items when unfolded."""
    for _ in range(times):
        inner = type(inner)((inner, inner))
    return inner


def keyed() -> bytes:
    """A pickle of a dictionary whose key is such a tuple; pickle.dumps would never end."""
    key = b"K\x01K\x02\x86" + b"".join(b"\x94h" + bytes([number]) + b"\x86" for number in range(60))
    return b"\x80\x04}" + key + b"Ns."


def saved(content: Any) -> bytes:
    stream = BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def expanded() -> bytes:
    """A checkpoint of a tensor of 10^10 numbers, all the same four bytes."""
    return saved({"schema_version": 1, "model": {"joints_embed.proj.bias": torch.ones(1).expand(10**10)}})


def repacked() -> bytes:
    """A checkpoint whose members are packed a thousandfold."""
    source, stream = zipfile.ZipFile(BytesIO(saved({"model": {"a": torch.zeros(8 * MIB)}}))), BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in source.infolist():
            archive.writestr(member.filename, source.read(member))
    return stream.getvalue()


def record(change: Callable[[str], str]) -> bytes:
    return change(TARGETS["record"].seeds()[-1].decode()).encode()


def ragged() -> bytes:
    """JSON of 20,000 frames without a body and one of 20,000: an array of 4 * 10^8 bodies."""
    return json.dumps({"frames": [{"people": []}] * 20_000 + [{"people": [{"keypoints": []}] * 20_000}]}).encode()


KEYPOINT = {"frame_dir": NAMES[0][:20], "label": 0, "total_frames": 2}
FOUND: list[tuple[str, str, Callable[[], bytes], str]] = [
    ("label", "an empty label file lost its video without a word", lambda: b"", ""),
    ("label", "a million lines that are none took a gigabyte", lambda: b"x\n" * 10**6, ""),
    ("npz", "a member without .npy was a KeyError", lambda: npz(**dict.fromkeys(
        ("x_train", "y_train", "x_test", "y_test"), b"")), "has no x_train"),
    ("npz", "10^9 frames a clip", lambda: two_clips(x_train__npy=npy((2, 10**9, 150))), "larger than any of clips"),
    ("npz", "10^12 clips", lambda: two_clips(y_train__npy=npy((10**12,), b"", "'<i4'")), "larger than any of clips"),
    ("npz", "a label of 0.5 was taken for 0", lambda: two_clips(
        y_train__npy=npy((2,), np.array([0, 0.5], "<f4").tobytes())), "not a whole number"),
    ("npz", "a label that is NaN warned of a cast", lambda: two_clips(
        y_train__npy=npy((2,), np.array([0, np.nan], "<f4").tobytes())), "not a whole number"),
    ("npy", "a header that Python cannot split into tokens", lambda: npy("(2, '''"), "damaged header"),
    ("npy", "a header of brackets in brackets", lambda: npy("(" * 3_000), "damaged header"),
    ("npy", "a header of four gigabytes", lambda: b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "damaged header"),
    ("npy", "10^15 frames", lambda: npy((2, 3, 10**15, 25, 2)), "larger than any of clips"),
    ("npy", "fewer clips than none", lambda: npy((-2, 3, 2, 25, 2)), "larger than any of clips"),
    ("npy", "a coordinate beyond float32 became infinite", lambda: npy(
        (2, 3, 2, 25, 2), np.full(600, 1e300).tobytes(), "'<f8'"), "all 2 clips were set aside"),
    ("pickle", "a key that takes for ever to hash", keyed, "neither a text nor a number"),
    ("pickle", "a set of bytes and bytes of sets", lambda: b"\x80\x04" + b"\x8f" * MIB + b".", "holds a set"),
    ("pickle", "lists of lists in the place of an array", lambda: pickle.dumps(
        {"annotations": [KEYPOINT | {"keypoint": shared([0.5])}]}), "keypoint is a list, not an array"),
    ("pickle", "a source that takes for ever to print", lambda: pickle.dumps(
        {"source": {"program": "stars-bench", "profile": shared([0])}, "annotations": []}), "holds no clip"),
    ("pickle", "a coordinate beyond float32 became infinite", lambda: pickle.dumps({"annotations": [
        KEYPOINT | {"keypoint": np.full((1, 2, 25, 3), 1e300)}]}), "all 1 clips were set aside"),
    ("pickle", "keys of several lines", lambda: pickle.dumps({"a\nb\x1b[31m": 1}), "a dictionary"),
    ("label-pickle", "lists in the place of labels", lambda: pickle.dumps((NAMES, shared([0]))), "whole numbers"),
    ("checkpoint", "a tensor of 10^10 numbers that are one", expanded, "that the file does not hold"),
    ("own-checkpoint", "a tensor of 10^10 numbers that are one", expanded, "that the file does not hold"),
    ("checkpoint", "a packed checkpoint", repacked, "promises more data than it holds"),
    ("own-checkpoint", "a packed checkpoint", repacked, "promises more data than it holds"),
    ("record", "lists in lists in lists", lambda: b"[" * 100_000, ""),
    ("record", "a number of 5,000 digits", lambda: b"9" * 5_000, ""),
    ("record", "a seed that no table holds", lambda: record(lambda text: text.replace(
        '"seed": 3', '"seed": 1' + "0" * 30)), ""),
    ("zip", "names with control characters", lambda: npz(
        **{f"{folder}/{NAMES[0].replace('.', '__')}": folder.encode() for folder in ("a\x01\nb", "c")}), "found twice"),
    ("description", "lists in lists in lists", lambda: b"name = " + b"[" * 100_000, "cannot be read as a description"),
    ("json", "lists in lists in lists", lambda: b"[" * 100_000, ""),
    ("json", "a number of 5,000 digits", lambda: b"9" * 5_000, ""),
    ("json", "a body in one frame for every frame", ragged, ""),
    ("described-npz", "a header that Python cannot split into tokens", lambda: npy("(2, '''"), ""),
    ("setting", "a number of 5,000 digits", lambda: b"dim=" + b"9" * 5_000, "dim"),
    ("setting", "lists in lists in lists", lambda: b"dim=" + b"[" * 100_000, "dim"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "what", "data", "words"), FOUND, ids=[f"{name}: {what}" for name, what, *_ in FOUND])
def test_what_was_found_once_is_told(
    name: str, what: str, data: Callable[[], bytes], words: str, tmp_path: Path
) -> None:
    message = survive(TARGETS[name], data(), tmp_path)
    if words:
        assert message is not None, what
        assert words in message


# --------------------------------------------------------------------------------------------------------- memory

WORST: dict[str, tuple[int, Callable[[], bytes]]] = {
    "skeleton": (24, lambda: b"1\n1\n7 0 0 0 0 0 0 0 0 0\n25\n" + b"0 " * (MIB // 2)),
    "video": (24, lambda: b"0 " * MIB),
    "label": (40, lambda: b"1,0,400,1\n" * 1_000),
    "split": (80, lambda: b"Training videos:\n" + b"a," * (MIB // 8)),
    "npz": (1, lambda: npz(packed=True, **{f"{kind}_{part}__npy": npy((1 << 20, *rest), bytes(4 << 20), "'<i4'")
                           for part in ("train", "test") for kind, rest in (("x", (1, 150)), ("y", ()))})),
    "npy": (1, lambda: npy((2, 3, 50_000, 25, 2), bytes(60 * MIB))),
    "label-pickle": (80, lambda: b"\x80\x04]" + b"]a" * (MIB // 16) + b"K\x01\x86."),
    "pickle": (80, lambda: b"\x80\x04]" + b"}a" * (MIB // 16) + b"."),
    "record": (40, lambda: b"[" + b"[]," * (MIB // 8) + b"[]]"),
}  # fmt: skip
"""By parser: bytes that it may take for a byte of the file, beyond ROOM, and a file that takes much."""


@pytest.mark.slow
@pytest.mark.parametrize("name", WORST)
def test_memory_stays_below_its_bound(name: str, tmp_path: Path) -> None:
    factor, make = WORST[name]
    data = make()
    survive(TARGETS[name], TARGETS[name].seeds()[0], tmp_path)  # what is imported or kept is no part of it
    tracemalloc.start()
    try:
        survive(TARGETS[name], data, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{name}: {len(data) / MIB:.2f} MiB, {peak / MIB:.0f} MiB at the peak")
    assert peak < ROOM[name] + factor * len(data)
