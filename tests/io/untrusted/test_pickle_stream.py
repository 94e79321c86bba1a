"""The streamed pickle: what any Python 3 with any numpy reads, and bounded memory."""

from __future__ import annotations

import io
import pickle
import pickletools
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from stars_bench.io.untrusted import pickle_stream

ITEMS = [
    {"frame_dir": "S001", "label": 3, "keypoint": np.arange(150, dtype=np.float16).reshape(1, 2, 25, 3), "n": None},
    {"frame_dir": "ü" * 300, "label": -1, "keypoint": np.zeros((2, 0, 25, 3), np.float16), "n": (True, False, ())},
]
HEAD = {"split": {"xsub_train": ["S001"], "xsub_val": []}, "source": {"a": "b"}}


def written(items: object) -> bytes:
    stream = io.BytesIO()
    pickle_stream.write(stream, HEAD, "annotations", items)  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_plain_pickle_load_gives_everything_back() -> None:
    found = pickle.loads(written(iter(ITEMS)))
    assert found["split"] == HEAD["split"]
    assert list(found) == ["split", "source", "annotations"]
    for item, expected in zip(found["annotations"], ITEMS, strict=True):
        array = item.pop("keypoint")
        np.testing.assert_array_equal(array, expected["keypoint"])
        assert array.dtype == np.float16
        assert array.flags.writeable
        assert item == {key: value for key, value in expected.items() if key != "keypoint"}


def test_it_names_nothing_that_numpy_1_lacks() -> None:
    texts = [argument for _, argument, _ in pickletools.genops(written(ITEMS)) if isinstance(argument, str)]
    modules = {text for text in texts if "numpy" in text}
    assert modules == {"numpy dtype", "numpy ndarray", "numpy.core.multiarray _reconstruct"}


def test_an_empty_list_is_written() -> None:
    assert pickle.loads(written([]))["annotations"] == []


def test_what_cannot_be_written_is_said() -> None:
    with pytest.raises(TypeError, match="complex"):
        written([1j])


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    def many() -> Iterator[np.ndarray]:
        for _ in range(200):
            yield np.zeros(50_000, np.float16)

    class Sink(io.RawIOBase):
        def write(self, data: object) -> int:
            return len(data)  # type: ignore[arg-type]

    tracemalloc.start()
    pickle_stream.write(Sink(), {}, "items", many())  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
