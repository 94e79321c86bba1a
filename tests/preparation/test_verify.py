"""verify: every change of a prepared dataset is found and named, and what is missing is listed by setup and camera."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rich.console import Console

from stars_bench.datasets.ntu import NTU60
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.errors import StarsBenchError
from stars_bench.io.files import digest_json
from stars_bench.preparation.prepare import prepare
from stars_bench.preparation.verify import VerifyReport, missing_by_setup, render, verify
from stars_bench.preparation.verify_shard import check_shard
from stars_bench.storage.shards import PreparedDataset, open_dataset, read_index
from tests.datasets.raw_writers import one_person, write_ntu, write_pku

NAMES = [f"S{setup:03}C00{camera}P008R001A{action:03}" for setup in (1, 2) for camera in (1, 2, 3) for action in (1, 2)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """raw/ with twelve clips, data/ with them prepared in four shards."""
    folder = tmp_path_factory.mktemp("verify")
    write_ntu(folder / "raw", NAMES)
    prepare(NTU60, [folder / "raw"], folder / "data", jobs=1, shard_bytes=50_000)
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path / "data"


def checked(data: Path) -> VerifyReport:
    return verify(open_dataset(data, "ntu60"))


def shown(report: VerifyReport) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(render(report))
    return capture.get()


def changed(data: Path, change: Callable[[h5py.File], Any]) -> tuple[str, ...]:
    """The faults after a change inside the second shard, those of the file's own digest left out."""
    path = data / "ntu60" / "mamp" / "shard-00001.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    faults = checked(data).faults
    assert any("its bytes have changed" in fault for fault in faults)
    assert all(fault.startswith(f"{path}: ") for fault in faults)
    return tuple(fault.removeprefix(f"{path}: ") for fault in faults if "its bytes" not in fault)


def rewritten(file: h5py.File, name: str, values: Any) -> None:
    del file[name]
    file.create_dataset(name, data=values)


def test_an_untouched_dataset_has_no_fault(data: Path) -> None:
    calls: list[tuple[str, int, int, str]] = []
    report = verify(open_dataset(data, "ntu60"), progress=lambda *call: calls.append(call))
    assert report.ok
    assert report.faults == ()
    assert (report.clips, report.shards, report.complete) == (12, 4, False)
    assert calls[0] == ("read shards", 0, 12, "")
    assert calls[-1] == ("read shards", 12, 12, "")
    assert "as when it was prepared" in shown(report)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_flipped_byte_of_a_shard_is_found(made: Path, tmp_path: Path, compression: str) -> None:
    prepare(NTU60, [made / "raw"], tmp_path, jobs=1, compression=compression)
    (path,) = (tmp_path / "ntu60" / "mamp").glob("shard-*.h5")
    index = read_index(path.parent) or {}
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        findings = check_shard(path.parent, index["shards"][0], index, classes=60)
        assert findings.faults[0] == f"{path}: its bytes have changed: SHA-256 is not that of the index"
    path.write_bytes(whole)
    assert check_shard(path.parent, index["shards"][0], index, classes=60).faults == ()


def test_a_shard_that_is_gone_or_cut_off_is_named(data: Path) -> None:
    folder = data / "ntu60" / "mamp"
    (folder / "shard-00000.h5").unlink()
    cut = folder / "shard-00002.h5"
    cut.write_bytes(cut.read_bytes()[:1000])
    gone, digest, unreadable = checked(data).faults
    assert gone.startswith(f"{folder / 'shard-00000.h5'}: cannot be read (No such file")
    assert digest.startswith(f"{cut}: its bytes have changed")
    assert unreadable.startswith(f"{cut}: cannot be read as a shard")
    assert "\n" not in gone + digest + unreadable


def test_changed_coordinates_are_traced_to_their_clip(data: Path) -> None:
    def move(file: h5py.File) -> None:
        joints = file["joints"][()]
        joints[7, 3, 1] += 0.001  # the second clip: five frames each
        rewritten(file, "joints", joints)

    assert changed(data, move) == (f"{NAMES[4]}: coordinates or metadata have changed (content digest differs)",)


def test_a_changed_label_or_performer_is_traced_too(data: Path) -> None:
    def relabel(file: h5py.File) -> None:
        file["label"][0] = 7
        file["subject"][2] = 9

    (fault,) = changed(data, relabel)
    assert fault.startswith(f"{NAMES[3]} and 1 more clips: ")


def test_coordinates_that_are_not_finite_are_named(data: Path) -> None:
    def spoil(file: h5py.File) -> None:
        joints = file["joints"][()]
        joints[12, 0, 0] = np.nan
        rewritten(file, "joints", joints)

    assert f"{NAMES[5]}: coordinates that are not finite" in changed(data, spoil)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("offset", 6, "the offsets do not follow"),
        ("num_frames", 4, "the offsets do not follow"),
        ("num_frames", 0, "no frame"),
        ("num_bodies", 3, "neither 1 nor 2"),
        ("label", 60, "a label is not in 0..59"),
        ("name", NAMES[3].encode(), "two clips have one name"),
    ],
)
def test_columns_that_cannot_be_are_named(data: Path, column: str, value: Any, fault: str) -> None:
    def spoil(file: h5py.File) -> None:
        file[column][1] = value

    assert any(fault in found for found in changed(data, spoil))


def test_missing_columns_shorter_columns_and_other_attributes_are_named(data: Path, tmp_path: Path) -> None:
    def attribute(file: h5py.File) -> None:
        file.attrs["absent_body"] = "duplicate"

    assert changed(data, attribute) == ("attribute absent_body is 'duplicate', not 'zero'",)
    shutil.copytree(data, tmp_path / "two")
    (fault,) = changed(tmp_path / "two", lambda file: file.pop("camera"))
    assert "cannot be read as a shard" in fault
    shutil.copytree(data, tmp_path / "three")
    (fault,) = changed(tmp_path / "three", lambda file: rewritten(file, "subject", [1, 2]))[1:]
    assert fault == "column subject has 2 entries, the index says 3 clips"


def write_index(path: Path, index: dict[str, Any]) -> None:
    """An index that says something else, with the checksum of what it says."""
    content = {key: value for key, value in index.items() if key != "checksum"}
    path.write_text(json.dumps(content | {"checksum": digest_json(content)}))


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("digest", "0" * 64, "its digest is not that of the clips"),
        ("num_clips", 11, "it says 11 clips, the shards have 12"),
    ],
)
def test_an_index_that_is_not_that_of_its_shards_is_found(data: Path, key: str, value: Any, fault: str) -> None:
    path = data / "ntu60" / "mamp" / "index.json"
    index = read_index(path.parent) or {}
    write_index(path, index | {key: value})
    assert checked(data).faults == (f"{path}: {fault}",)


def test_an_index_that_was_changed_by_hand_is_found(data: Path) -> None:
    path = data / "ntu60" / "mamp" / "index.json"
    index = read_index(path.parent) or {}
    path.write_text(json.dumps(index | {"official_splits": {"xsub": {"train": []}}}))
    assert checked(data).faults == (f"{path}: its content has changed (checksum differs)",)
    del index["checksum"]  # as those written before there were any
    path.write_text(json.dumps(index))
    assert checked(data).faults == (f"{path}: it has no checksum: it was changed by hand, or is of an older version",)


def test_what_was_imported_is_to_be_imported_again(data: Path) -> None:
    dataset = open_dataset(data, "ntu60")
    dataset.profile = replace(dataset.profile, name="imported-mamp")
    assert verify(dataset).remedy == "import ntu60 (imported-mamp) again"


def test_a_damaged_index_is_one_line_that_says_what_to_do(data: Path) -> None:
    dataset = open_dataset(data, "ntu60")
    path = dataset.folder / "index.json"
    index = json.loads(path.read_text())
    del index["shards"][0]["sha256"]
    path.write_text(json.dumps(index))
    with pytest.raises(StarsBenchError, match=r"shards.0.sha256: is missing; .*prepare ntu60 --profile mamp --force"):
        verify(dataset)


def test_shards_that_the_index_does_not_list_are_found(data: Path) -> None:
    folder = data / "ntu60" / "mamp"
    shutil.copy(folder / "shard-00000.h5", folder / "shard-00009.h5")
    assert checked(data).faults == (f"{folder / 'index.json'}: shard-00009.h5 lies in the folder but not in the index",)


def test_what_is_missing_is_listed_by_setup_and_camera(data: Path) -> None:
    report = checked(data)
    assert len(report.missing) == 56_578 - 12
    assert not set(NAMES) & set(report.missing)
    assert report.missing_by_setup["1"]["1"] == (958, 960)
    assert len(report.missing_by_setup) == 17
    text = shown(report)
    assert "Partial: 56,566 clips are missing." in text
    assert "958 of 960" in text
    assert "all 1,199" in text
    assert max(map(len, text.splitlines())) <= 80


def test_setups_that_lack_nothing_are_left_out_of_the_table() -> None:
    expected = ["S001C001P001R001A001", "S001C002P001R001A001", "S002C001P001R001A001"]
    assert missing_by_setup(expected[:1], expected) == {"1": {"1": (1, 1), "2": (0, 1)}}


def test_clips_that_were_set_aside_are_counted_among_the_missing(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "raw", tmp_path / "raw")
    (tmp_path / "raw" / f"{NAMES[0]}.skeleton").write_bytes(b"0\n")
    prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    report = checked(tmp_path / "data")
    assert report.set_aside == 1
    assert "1 of them set aside" in " ".join(shown(report).split())


def test_videos_that_the_split_files_name_are_missed(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"0002-L": "3,10,40,1\n", "0002-M": "1,0,20,1\n", "0003-R": "2,5,9,1\n"})
    (tmp_path / "raw" / "skeleton" / "0002-M.txt").unlink()
    prepare(PKU1, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    report = verify(open_dataset(tmp_path / "data", "pku1"))
    assert report.ok
    assert report.missing == ("0002-M",)
    assert report.missing_by_setup == {"all": {"L": (0, 1), "M": (1, 1), "R": (0, 1)}}
    assert "Partial: 1 video is missing" in shown(report)


def test_the_counts_of_the_protocols_are_checked_when_the_dataset_is_complete(data: Path) -> None:
    path = data / "ntu60" / "mamp" / "index.json"
    index = read_index(path.parent) or {}
    write_index(path, index | {"complete": True})
    dataset = open_dataset(data, "ntu60")
    dataset._spec = replace(NTU60, expected_names=lambda: NAMES)
    report = verify(dataset)
    assert report.missing == ()
    assert report.protocols["xview"] == (8, 4)
    assert f"{dataset.folder}: xview has (8, 4) clips, published are (37646, 18932)" in report.faults


def test_an_index_that_says_complete_when_names_are_missing_is_a_fault(data: Path) -> None:
    path = data / "ntu60" / "mamp" / "index.json"
    write_index(path, (read_index(path.parent) or {}) | {"complete": True})
    assert any("says complete, but 56,566 are missing" in fault for fault in checked(data).faults)


# --------------------------------------------------------------------------------------------- raw files


def compared(made: Path, raw: Path) -> VerifyReport:
    return verify(PreparedDataset(made / "data" / "ntu60" / "mamp", read_index(made / "data/ntu60/mamp") or {}), [raw])


def test_the_raw_files_give_the_prepared_clips_again(made: Path) -> None:
    assert compared(made, made / "raw").ok


def test_raw_files_that_changed_came_or_went_are_faults(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "raw", tmp_path / "raw")
    (tmp_path / "raw" / f"{NAMES[0]}.skeleton").write_bytes(one_person(5, seed=99))
    (tmp_path / "raw" / f"{NAMES[1]}.skeleton").write_bytes(b"broken")
    (tmp_path / "raw" / f"{NAMES[2]}.skeleton").unlink()
    write_ntu(tmp_path / "raw", ["S003C001P008R001A001"])
    differ, new, absent = compared(made, tmp_path / "raw").faults
    assert differ.startswith(f"{NAMES[0]} and 1 more: the raw file gives another clip")
    assert new.startswith("S003C001P008R001A001: in the raw files, but not")
    assert absent == f"{NAMES[2]}: no raw file of it in {tmp_path / 'raw'}"
