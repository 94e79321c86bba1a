"""Prepared data that were changed, and shards made by an attacker: one line, before a number is computed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stars_bench.datasets.ntu import NTU60
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import digest_json
from stars_bench.preparation.verify import verify
from stars_bench.storage import shard_file
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset, left_out, prepared_datasets, read_index
from tests.formats.clips import ntu_clips, prepared

NAMES = [f"S001C00{camera}P00{subject}R001A00{action}" for camera in (1, 2) for subject in (1, 2) for action in (1, 2)]


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return prepared(tmp_path, NTU60, ntu_clips(NAMES))


def opened(dataset: PreparedDataset) -> PreparedDataset:
    return PreparedDataset(dataset.folder, read_index(dataset.folder) or {}, NTU60)


def write_index(dataset: PreparedDataset, change: Callable[[dict[str, Any]], Any]) -> None:
    """The index after a change, with the checksum of what it then says."""
    index = read_index(dataset.folder) or {}
    change(index)
    del index["checksum"]
    (dataset.folder / "index.json").write_text(json.dumps(index | {"checksum": digest_json(index)}))


def read_all(dataset: PreparedDataset) -> None:
    again = opened(dataset)
    again.table, again.load()


def replaced(dataset: PreparedDataset, name: str, **made: Any) -> Path:
    """The first shard, one of its datasets made anew."""
    path = dataset.shards[0]
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, **made)
    return path


def test_untouched_data_are_read(dataset: PreparedDataset) -> None:
    read_all(dataset)
    assert len(list(bodies_of(opened(dataset), np.arange(len(NAMES))))) == len(NAMES)


# ------------------------------------------------------------------------------------- changed by hand


@pytest.mark.parametrize("column", shard_file.NUMBERS)
def test_a_number_of_a_clip_that_was_changed_is_refused(dataset: PreparedDataset, column: str) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        file[column][0] += 1
    with pytest.raises(UsageError, match=rf"{dataset.shards[0].name}: is not the shard .*digest differs.*--force"):
        opened(dataset).table  # noqa: B018


@pytest.mark.parametrize("column", shard_file.TEXTS)
def test_a_text_of_a_clip_that_was_changed_is_refused(dataset: PreparedDataset, column: str) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        file[column][0] = b"S" + file[column][0][1:-1] + b"9"
    with pytest.raises(UsageError, match="is not the shard that was prepared"):
        opened(dataset).table  # noqa: B018


def test_an_attribute_that_was_changed_is_refused(dataset: PreparedDataset) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        file.attrs["absent_body"] = "duplicate"
    with pytest.raises(UsageError, match="is not the shard that was prepared"):
        opened(dataset).table  # noqa: B018


@pytest.mark.parametrize("known", ["columns", "sha256"])
def test_a_label_is_compared_with_indexes_of_older_versions_too(dataset: PreparedDataset, known: str) -> None:
    if known == "sha256":
        write_index(dataset, lambda index: [entry.pop("columns") for entry in index["shards"]])
    read_all(dataset)
    with h5py.File(dataset.shards[0], "r+") as file:
        file["label"][0] += 1
    with pytest.raises(UsageError, match="is not the shard that was prepared"):
        read_all(dataset)


def test_coordinates_that_were_changed_are_refused_however_they_are_read(dataset: PreparedDataset) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        joints = file["joints"][()] * 1000
        del file["joints"]
        file.create_dataset("joints", data=joints)
    again = opened(dataset)
    name = again.table["name"].iat[0]
    for read in (again.load, lambda: again.clip(0), lambda: list(bodies_of(again, np.arange(2)))):
        with pytest.raises(UsageError, match=rf"{name}.*coordinates or metadata have changed .*--force"):
            read()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (["profile", "absent_body"], "duplicate"),
        (["official_splits"], {"xsub": {"train": []}}),
        (["shards"], []),
        (["num_clips"], 3),
        (["digest"], "0" * 64),
        (["checksum"], None),
    ],
)
def test_an_index_that_was_changed_is_refused(dataset: PreparedDataset, where: list[str], value: Any) -> None:
    path = dataset.folder / "index.json"
    index = json.loads(path.read_text())
    inner = index
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    path.write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"index\.json: was changed after it was written .*--force"):
        opened(dataset).table  # noqa: B018


def test_an_error_of_the_disk_is_not_called_damage(dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("Can't read data (file read failed: time = now, errno = 5, error message = 'Input/output error')")

    monkeypatch.setattr(shard_file, "_check", fails)
    with pytest.raises(OSError, match=r"\[Errno 5\].*shard-00000") as caught:
        opened(dataset).table  # noqa: B018
    assert "damaged" not in str(caught.value)


# ------------------------------------------------------------------------------- made by an attacker


def test_links_into_other_files_are_not_followed(dataset: PreparedDataset, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["label"] = np.zeros(4, "<i8")
    for link in (h5py.ExternalLink(str(tmp_path / "other.h5"), "/label"), h5py.SoftLink("/subject")):
        with h5py.File(dataset.shards[0], "r+") as file:
            del file["label"]
            file["label"] = link
        with pytest.raises(UsageError, match=rf"{dataset.shards[0].name}: .*refused: label is {type(link).__name__}"):
            read_all(dataset)


def test_a_loop_of_links_ends(dataset: PreparedDataset) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        del file["label"], file["subject"]
        file["label"], file["subject"] = h5py.SoftLink("/subject"), h5py.SoftLink("/label")
    with pytest.raises(UsageError, match="refused: label is SoftLink"):
        read_all(dataset)


def test_a_group_is_no_column(dataset: PreparedDataset) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        del file["label"]
        file.create_group("label")
    with pytest.raises(UsageError, match="refused: label is HardLink, not a dataset"):
        read_all(dataset)


def test_data_that_lie_in_other_files_are_not_read(dataset: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8 * len(NAMES)))
    clips = len(dataset.table)
    path = replaced(dataset, "label", shape=(clips,), dtype="<i8", external=[(tmp_path / "secret", 0, 8 * clips)])
    with pytest.raises(UsageError, match="refused: label lies in other files"):
        read_all(dataset)
    layout = h5py.VirtualLayout((clips,), "<i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "label", (clips,))
    with h5py.File(path, "r+") as file:
        del file["label"]
        file.create_virtual_dataset("label", layout)
    with pytest.raises(UsageError, match="refused: label lies in other files"):
        read_all(dataset)


@pytest.mark.parametrize(
    ("name", "made", "why"),
    [
        ("label", {"data": np.zeros(4, "<i8"), "compression": "gzip"}, "packed by filters"),
        ("label", {"data": np.zeros(4, "<i8"), "compression": "lzf"}, "packed by filters"),
        ("joints", {"data": np.zeros((9, 25, 3), "<f4"), "compression": "lzf"}, "packed by filters"),
        ("joints", {"data": np.zeros((9, 25, 3), "<f4"), "fletcher32": True}, "packed by filters"),
        ("label", {"shape": (1 << 40,), "dtype": "<i8"}, "claims 8,796,093,022,208 bytes"),
        ("name", {"shape": (4,), "dtype": "S1000000"}, "claims|texts of"),
        ("name", {"data": ["a", "b"], "dtype": h5py.string_dtype()}, "an array of object"),
        ("joints", {"data": np.zeros((9, 25, 3))}, "an array of float64"),
        ("label", {"data": np.zeros((2, 2), "<i8")}, "in 2 dimensions"),
    ],
)
def test_what_no_shard_has_is_refused_unread(
    dataset: PreparedDataset, name: str, made: dict[str, Any], why: str
) -> None:
    path = replaced(dataset, name, **made)
    with pytest.raises(UsageError, match=rf"{path.name}: .*refused: {name} .*({why})"):
        read_all(dataset)


def test_coordinates_that_unpack_a_thousandfold_are_refused(dataset: PreparedDataset) -> None:
    packing = {"compression": "gzip", "shuffle": True, "chunks": (4096, 25, 3)}
    replaced(dataset, "joints", data=np.zeros((1 << 14, 25, 3), "<f4"), **packing)
    with pytest.raises(UsageError, match="refused: joints claims 4,915,200 bytes"):
        read_all(dataset)


def test_a_chunk_that_unpacks_to_more_than_a_chunk_is_refused(dataset: PreparedDataset) -> None:
    with h5py.File(dataset.shards[0], "r+") as file:
        file["joints"].id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(1 << 22)) + os.urandom(1 << 20))
    again = opened(dataset)
    for read in (again.load, lambda: again.clip(0)):
        with pytest.raises(UsageError, match="cannot be unpacked: they are no chunk"):
            read()


@pytest.mark.parametrize(
    ("column", "value"), [("offset", -1), ("offset", 1 << 62), ("num_frames", 1 << 62), ("num_frames", -3)]
)
def test_offsets_and_lengths_that_lead_out_of_the_shard_are_refused(
    dataset: PreparedDataset, column: str, value: int
) -> None:
    path = dataset.shards[0]
    with h5py.File(path, "r+") as file:
        file[column][0] = value
        digest = shard_file.digest_of_columns(shard_file.read_columns(file), dict(file.attrs))
    write_index(dataset, lambda index: index["shards"][0].update(columns=digest))
    with pytest.raises(UsageError, match=r"is not the shard .*(the offsets do not follow|a clip has no frame)"):
        read_all(dataset)


@pytest.mark.parametrize(
    ("where", "value", "line"),
    [
        (["profile"], None, "profile: input should be an object"),
        (["profile", "parameters"], [], "profile.parameters: input should be an object"),
        (["profile", "other"], 1, "profile.other: "),
        (["official_splits"], {"xsub": 1}, "official_splits.xsub: input should be an object"),
        (["num_clips"], "x", "num_clips: input should be a valid integer"),
        (["quality", "missing"], {"setup": {"1": 3}}, "quality.missing.setup.1: a list, not one value"),
        (["joint_names"], 3, "joint_names: a list, not one value"),
        (["shards", 0, "rows"], -1, "shards.0.rows: input should be greater than or equal to 0"),
    ],
)
def test_an_index_of_another_form_is_one_line_and_no_dataset(
    dataset: PreparedDataset, where: list[Any], value: Any, line: str
) -> None:
    def change(index: Any) -> None:
        for key in where[:-1]:
            index = index[key]
        index[where[-1]] = value

    write_index(dataset, change)
    path, data = dataset.folder / "index.json", dataset.folder.parents[1]
    with pytest.raises(UsageError, match=f"^{path}: {line}.*; `stars-bench prepare ntu60 --profile mamp --force`"):
        read_index(dataset.folder)
    assert prepared_datasets(data) == []
    assert list(left_out(data)) == [path]


def test_an_index_that_is_no_file_leaves_the_other_datasets_as_they_are(dataset: PreparedDataset) -> None:
    path = dataset.folder.parent / "raw" / "index.json"
    path.parent.mkdir()
    os.mkfifo(path)
    data = dataset.folder.parents[1]
    assert [found.folder for found in prepared_datasets(data)] == [dataset.folder]
    assert left_out(data) == {path: f"{path}: is no regular file; remove or rename it"}


@pytest.mark.parametrize(
    "name", ["../shard-00000.h5", "/etc/shard-00000.h5", "a/shard-00000.h5", "index.json", 3, None]
)
def test_an_index_names_only_shards_of_its_folder(dataset: PreparedDataset, name: Any) -> None:
    write_index(dataset, lambda index: index["shards"][0].update(file=name))
    with pytest.raises(
        UsageError, match=r"index\.json: .*(is no name of a shard|file: input should be a valid string)"
    ):
        read_all(dataset)


def test_a_shard_is_counted_once(dataset: PreparedDataset) -> None:
    write_index(dataset, lambda index: index["shards"].append(index["shards"][0]))
    with pytest.raises(UsageError, match="it lists a shard twice"):
        read_all(dataset)


def test_a_shard_may_lie_on_another_disk_and_is_compared_as_any_other(dataset: PreparedDataset, tmp_path: Path) -> None:
    path = dataset.shards[0].rename(tmp_path / "elsewhere.h5")
    dataset.shards[0].symlink_to(path)
    read_all(dataset)
    assert verify(opened(dataset)).faults == ()
    with h5py.File(path, "r+") as file:
        file["label"][0] += 1
    with pytest.raises(UsageError, match=f"{dataset.shards[0].name}: is not the shard that was prepared"):
        read_all(dataset)
    assert verify(opened(dataset)).faults


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no FIFOs")
@pytest.mark.parametrize("name", ["shard-00000.h5", "index.json"])
def test_a_fifo_is_refused_at_once(dataset: PreparedDataset, name: str) -> None:
    (dataset.folder / name).unlink()
    os.mkfifo(dataset.folder / name)
    with pytest.raises(StarsBenchError, match=f"{name}: is no regular file; remove or rename it"):
        read_all(dataset)
