"""PKU-MMD: files are told apart by what is in them, clips are cut as the labels say, errata are named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from stars_bench.api import Clip, SetAside
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.parsing.pku import parse_labels, parse_split, parse_video
from stars_bench.datasets.pku_mmd import PKU1, PKU2
from stars_bench.errors import StarsBenchError
from tests.datasets.raw_writers import video, write_pku

LABELS = {"0002-L": "3,10,40,1\n51,41,55,2\n", "0002-M": "1,0,20,1\n", "0003-R": "2,5,9,1\n"}


def convert(labels: str, skeleton: bytes | None = None, profile: str = "mamp") -> list[Clip | SetAside]:
    folder = Path("somewhere")
    from stars_bench.api import RawItem, Source

    item = RawItem("0002-L", {"skeleton": Source(folder / "s.txt"), "label": Source(folder / "l.txt")})
    data = {"skeleton": video(60) if skeleton is None else skeleton, "label": labels.encode()}
    return list(PKU1.convert(item, data, PKU1.profiles[profile]))


@pytest.mark.parametrize(
    ("skeletons", "labels"),
    [("skeleton", "label"), ("PKU_Skeleton_Renew", "Train_Label_PKU_final"), ("Skeleton", "Label"), ("a", "b")],
)
def test_videos_labels_and_splits_are_found_whatever_their_folders_are_called(
    tmp_path: Path, skeletons: str, labels: str
) -> None:
    write_pku(tmp_path / "deep", LABELS, skeletons, labels)
    found = PKU1.find([tmp_path])
    assert [item.name for item in found.items] == sorted(LABELS)
    assert all(item.sources["skeleton"].path.parent.name == skeletons for item in found.items)
    assert found.official_splits["xsub"] == {"train": ["0002-L"], "test": ["0002-M", "0003-R"]}
    assert found.official_splits["xview"] == {"train": ["0002-L", "0003-R"], "test": ["0002-M"]}


def test_an_archive_gives_what_its_folder_gives(tmp_path: Path) -> None:
    write_pku(tmp_path / "folder", LABELS)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "folder").rglob("*.txt"):
            archive.write(file, file.relative_to(tmp_path / "folder"))
    folder, packed = PKU1.find([tmp_path / "folder"]), PKU1.find([tmp_path / "all.zip"])
    assert [item.name for item in packed.items] == [item.name for item in folder.items]
    assert packed.official_splits == folder.official_splits


def test_the_two_phases_are_told_apart_by_the_names_of_their_videos(tmp_path: Path) -> None:
    write_pku(tmp_path / "one", LABELS)
    write_pku(tmp_path / "two", {"A01N02-L": "1,0,9,1\n", "A03N01-M": "2,0,9,1\n"})
    assert [item.name for item in PKU1.find([tmp_path]).items] == sorted(LABELS)
    second = PKU2.find([tmp_path])
    assert [item.name for item in second.items] == ["A01N02-L", "A03N01-M"]
    assert second.official_splits["xsub"]["train"] == ["A01N02-L"]


def test_a_video_without_labels_is_set_aside_and_labels_without_a_video_are_counted(tmp_path: Path) -> None:
    write_pku(tmp_path, LABELS)
    (tmp_path / "label" / "0002-L.txt").unlink()
    (tmp_path / "skeleton" / "0003-R.txt").unlink()
    found = PKU1.find([tmp_path])
    assert [item.name for item in found.items] == ["0002-M"]
    assert [(item.name, item.kind) for item in found.set_aside] == [("0002-L", "fault")]
    assert found.ignored["label files of videos that are not here"] == 1


def test_two_split_files_that_differ_are_an_error(tmp_path: Path) -> None:
    write_pku(tmp_path, LABELS)
    (tmp_path / "cross_subject.txt").write_text("Training videos:\n0003-R\nValidataion videos:\n0002-L\n")
    with pytest.raises(StarsBenchError, match="two different xsub splits"):
        PKU1.find([tmp_path])


def test_a_clip_is_the_rows_from_start_to_before_end() -> None:
    frames = parse_video(video(60))
    (clip,) = convert("3,10,40,1\n")
    assert isinstance(clip, Clip)
    assert (clip.name, clip.label, clip.subject, clip.camera) == ("0002-L_0", 2, 2, 1)
    np.testing.assert_array_equal(np.hstack(clip.bodies.reshape(2, 30, 75)), frames[10:40])


def test_a_second_body_that_is_zero_throughout_is_not_stored() -> None:
    (clip,) = convert("3,10,40,1\n", video(60, bodies=1))
    assert isinstance(clip, Clip)
    assert clip.bodies.shape == (1, 30, 25, 3)


def test_a_clip_is_cut_at_300_frames_and_at_the_end_of_the_video() -> None:
    long, past = convert("3,10,400,1\n4,410,500,1\n", video(420))
    assert isinstance(long, Clip)
    assert isinstance(past, Clip)
    assert (long.bodies.shape[1], long.log["frames_past_the_limit"]) == (300, 90)
    assert (past.bodies.shape[1], past.log["label_frames_behind_the_end"]) == (10, 80)


def test_a_clip_of_zeros_is_dropped_as_empty() -> None:
    (result,) = convert("3,10,40,1\n", b"0 " * 149 + b"0\n" + (b"0 " * 149 + b"0\n") * 59)
    assert isinstance(result, SetAside)
    assert result.kind == "empty"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,50,40,2", "ends .* before it starts"),
        ("1,60,70,2", "behind the video's end"),
        ("52,1,9,2", "class 52"),
        ("0,1,9,2", "class 0"),
        ("1,-3,9,2", "starts at frame -3"),
        ("1,x,9,2", "is no label"),
        ("1,2", "is no label"),
    ],
)
def test_an_erroneous_row_is_set_aside_with_file_and_line_and_the_others_go_on(row: str, reason: str) -> None:
    results = convert(f"3,10,40,1\n{row}\n5,20,30,2,\n\n")
    aside = [result for result in results if isinstance(result, SetAside)]
    clips = [result for result in results if isinstance(result, Clip)]
    assert [clip.name for clip in clips] == ["0002-L_0", "0002-L_2"]
    assert len(aside) == 1
    assert aside[0].where == str(Path("somewhere", "l.txt:2"))
    assert aside[0].kind == ("unknown" if "class" in reason else "fault")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(aside[0].reason)


def test_a_coordinate_that_is_not_finite_costs_the_clip_that_holds_it() -> None:
    rows = video(60).split(b"\n")
    rows[15] = b"nan " + rows[15].split(b" ", 1)[1]
    bad, good = convert("3,10,40,1\n4,40,50,1\n", b"\n".join(rows))
    assert isinstance(bad, SetAside)
    assert "frame 15" in bad.reason
    assert isinstance(good, Clip)


@pytest.mark.parametrize("data", [b"", b"1 2 3\n", b"0 " * 151 + b"\n", b"x " * 150 + b"\n", b"\x00" * 900])
def test_a_video_that_cannot_be_read_is_set_aside_whole(data: bytes) -> None:
    (result,) = convert("3,10,40,1\n4,40,50,1\n", data)
    assert isinstance(result, SetAside)
    assert result.name == "0002-L"
    assert result.where.endswith("s.txt:1")


def test_the_profile_centered_puts_the_first_spine_at_the_origin_and_leaves_zero_frames_zero() -> None:
    rows = video(60, bodies=1).split(b"\n")
    rows[20] = b"0 " * 149 + b"0"
    (clip,) = convert("3,10,40,1\n", b"\n".join(rows), "centered")
    assert isinstance(clip, Clip)
    assert clip.bodies.shape == (1, 30, 25, 3)
    np.testing.assert_array_equal(clip.bodies[0, 0, 1], 0)
    assert not clip.bodies[0, 10].any()


def test_the_published_error_of_phase_one_is_known_as_such() -> None:
    from stars_bench.api import RawItem, Source

    item = RawItem("0043-L", {"skeleton": Source(Path("s.txt")), "label": Source(Path("l.txt"))})
    data = {"skeleton": video(60), "label": b"1,4925,4036,2\n1,2,9,2\n"}
    erratum, clip = PKU1.convert(item, data, PKU1.profiles["mamp"])
    assert isinstance(erratum, SetAside)
    assert erratum.kind == "errata"
    assert isinstance(clip, Clip)


def test_split_files_may_lack_commas_blanks_and_the_right_spelling() -> None:
    for text in (
        "Training videos: \n0002-L, 0002-M, \nValidataion videos:\n0003-L, \n",
        "training videos:0002-L,0002-M\r\nvalidation videos:0003-L",
        "\ufeffTrain:\n0002-L.txt 0002-M.txt\nTest:\n0003-L.txt\n",
    ):
        assert parse_split(text.encode()) == (["0002-L", "0002-M"], ["0003-L"])
    with pytest.raises(ParseError, match="line 1"):
        parse_split(b"0002-L, 0002-M\n")


def test_label_rows_count_on_over_rows_that_are_none() -> None:
    rows, faults = parse_labels(b"1,2,3,1\nfoo\n\n4,5,6,1,\n")
    assert [(row.index, row.line) for row in rows] == [(0, 1), (2, 4)]
    assert [fault.line for fault in faults] == [2]
