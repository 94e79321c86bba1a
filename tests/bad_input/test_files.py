"""Real-life damage, through the command line: good clips are kept, a bad one is told in one line with file and line.

The files lie beside this one (`ntu`, `pku`), what is said of each in `cases.toml`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stars_bench.datasets.raw_files.sources import LARGEST
from stars_bench.storage.shards import open_dataset
from tests.datasets.archive_writers import snapshot, with_promise, write_zip
from tests.datasets.raw_writers import one_person, write_ntu

HERE = Path(__file__).parent
CASES = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))
GOOD = ["S001C001P001R001A001", "S001C002P001R001A001", "S001C003P001R001A001"]


def prepare(dataset: str, *raw: Path, data: Path, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command as a user gives it."""
    places = [part for path in raw for part in ("--raw", str(path))]
    command = [sys.executable, "-m", "stars_bench", "prepare", dataset, *places, "--data-dir", str(data), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def index(data: Path, dataset: str) -> dict[str, Any]:
    """What became of every clip."""
    content: dict[str, Any] = json.loads((data / dataset / "mamp" / "index.json").read_text(encoding="utf-8"))
    return content


def faults(data: Path, dataset: str) -> dict[str, list[str]]:
    """`FILE:LINE: reason` of everything that was set aside, by clip."""
    told: dict[str, list[str]] = {}
    for item in index(data, dataset)["quality"]["set_aside"]:
        told.setdefault(item["name"], []).append(f"{item['where']}: {item['reason']}")
    return told


def test_of_a_folder_of_damaged_ntu_files_the_good_clips_are_kept_and_each_bad_one_has_its_line(tmp_path: Path) -> None:
    raw, expected, kept = tmp_path / "raw", {}, set(GOOD)
    write_ntu(raw, GOOD)
    for number, (case, told) in enumerate(CASES["ntu"].items(), start=2):
        name = f"S001C001P001R001A{number:03}"
        shutil.copy(HERE / "ntu" / f"{case}.skeleton", raw / f"{name}.skeleton")
        if told == "kept":
            kept.add(name)
        else:
            place = f"{raw / name}.skeleton" + ("" if told[0].isalpha() else ":")
            expected[name] = [place + (f": {told}" if told[0].isalpha() else told)]
    assert {path.stem for path in (HERE / "ntu").iterdir()} == CASES["ntu"].keys()
    done = prepare("ntu120", raw, data=tmp_path / "data")
    assert faults(tmp_path / "data", "ntu120") == expected
    assert index(tmp_path / "data", "ntu120")["quality"]["clips"] == len(kept)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: {len(expected)} clips were set aside (listed above, all in index.json); the others are ready"
    )


def test_of_a_folder_of_damaged_videos_and_labels_every_clip_that_can_be_is_kept(tmp_path: Path) -> None:
    raw, expected, kept = tmp_path / "raw", {}, set()
    for folder in ("skeleton", "label"):
        (raw / folder).mkdir(parents=True)
    cases = [(kind, case, told) for kind, told_of in CASES["pku"].items() for case, told in told_of.items()]
    for number, (kind, case, told) in enumerate(cases, start=2):
        video = f"{number:04}-L"
        for folder in ("skeleton", "label"):
            file = HERE / "pku" / folder / f"{case if folder == kind else 'good'}.txt"
            shutil.copy(file, raw / folder / f"{video}.txt")
        kept |= {f"{video}_{row}" for row in told["kept"]}
        place = f"{raw / kind / video}.txt"
        if told["aside"]:
            expected[video] = [f"{place}{':' if one[0].isdigit() else ': '}{one}" for one in told["aside"]]
    for kind, told_of in CASES["pku"].items():
        assert {path.stem for path in (HERE / "pku" / kind).iterdir()} == told_of.keys()
    done = prepare("pku1", raw, data=tmp_path / "data")
    found: dict[str, list[str]] = {}
    for name, told in faults(tmp_path / "data", "pku1").items():
        found.setdefault(name.partition("_")[0], []).extend(told)
    assert {name: sorted(told) for name, told in found.items()} == expected
    assert set(open_dataset(tmp_path / "data", "pku1").table["name"]) == kept
    assert done.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_of_a_folder_of_odd_places_the_good_clips_are_kept_and_each_bad_one_has_its_line(tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    write_ntu(raw, GOOD)

    def place(action: int) -> Path:
        return raw / f"S001C001P001R001A{action:03}.skeleton"

    place(2).mkdir()
    place(3).symlink_to(place(3))
    place(4).symlink_to(place(5))
    place(5).symlink_to(place(4))
    place(6).symlink_to(tmp_path / "gone")
    (raw / "loop").symlink_to(raw)
    with place(7).open("wb") as sparse:
        sparse.truncate(LARGEST + 1)
    write_zip(raw / "outside.zip", {"../../S001C001P001R001A020.skeleton": one_person()})
    with_promise(write_zip(raw / "bomb.zip", {"S001C001P001R001A008.skeleton": bytes(20 << 20)}), 1000)
    with_promise(write_zip(raw / "huge.zip", {"S001C001P001R001A009.skeleton": b"1\n"}), 0xFFFFFF00)
    write_ntu(raw, ["S001C001P001R001A121", "S001C001P001R001A000", "S033C001P001R001A001", "my favourite"])
    before = snapshot(raw)
    done = prepare("ntu120", raw, data=data)
    assert snapshot(raw) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "data"}
    told = {name: one for name, (one,) in faults(data, "ntu120").items()}
    expected = {
        2: "Is a directory",
        3: "Too many levels of symbolic links",
        4: "Too many levels of symbolic links",
        5: "Too many levels of symbolic links",
        6: "No such file or directory",
        7: "268,435,457 bytes, more than any raw file has",
        8: "its content is damaged",
        9: "4,294,967,040 bytes, more than any raw file has",
        121: "action 121 is not in 1..120",
        0: "action 0 is not in 1..120",
    }
    for action, words in expected.items():
        line = told.pop(f"S001C001P001R001A{action:03}")
        assert words in line
        assert line.startswith((str(place(action)), f"{raw / 'bomb.zip'}:S001", f"{raw / 'huge.zip'}:S001"))
    assert "setup 33 is not in 1..32" in told.pop("S033C001P001R001A001")
    assert "'MY FAVOURITE' is no NTU name (SsssCcccPpppRrrrAaaa)" in told.pop("my favourite")
    assert not told
    assert index(data, "ntu120")["quality"]["clips"] == len(GOOD) + 1
    assert done.returncode == 1


def test_two_archives_that_differ_in_a_clip_are_refused_until_told_which_counts(tmp_path: Path) -> None:
    one = write_zip(tmp_path / "one.zip", {f"{name}.skeleton": one_person(seed=1) for name in GOOD})
    two = write_zip(tmp_path / "two.zip", {f"folder/{name}.skeleton": one_person(seed=2) for name in GOOD[1:]})
    done = prepare("ntu60", one, two, data=tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: {GOOD[1]} was found twice with different content: {one}:{GOOD[1]}.skeleton and "
        f"{two}:folder/{GOOD[1]}.skeleton; remove one, or take the first with --on-duplicate first"
    )
    assert not (tmp_path / "data" / "ntu60" / "mamp" / "index.json").exists()
    done = prepare("ntu60", one, two, data=tmp_path / "data", options=("--on-duplicate", "first"))
    assert (done.returncode, index(tmp_path / "data", "ntu60")["quality"]["clips"]) == (0, len(GOOD))


def test_an_archive_without_its_directory_stops_all_because_nobody_knows_what_it_held(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", GOOD)
    whole = write_zip(tmp_path / "raw" / "half.zip", {"S001C001P001R001A020.skeleton": one_person()})
    whole.write_bytes(whole.read_bytes()[:-40])
    done = prepare("ntu60", tmp_path / "raw", data=tmp_path / "data")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {whole}: cannot be read as a zip archive")
    assert line.endswith("fetch it again")
