"""inspect of a raw file: what is in it, what looks wrong, what each profile would drop; one line where it is none."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from stars_bench.api import Source
from stars_bench.display.blocks_terminal import to_rich
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.inspection.raw_file import RawReport, inspect_raw, inspection, is_raw, raw_source
from tests.datasets.raw_writers import BODY_ID, Frame, ntu_bytes, one_person, standing, video, write_pku
from tests.paths import GOLDEN_RAW as GOLDEN

REAL = Path(os.environ.get("STARS_BENCH_REAL", "no such folder"))
NAME = "S012C003P025R002A049"
ONE, TWO, THREE = BODY_ID, BODY_ID + 1, BODY_ID + 2


def report_of(tmp_path: Path, data: bytes, name: str = f"{NAME}.skeleton") -> RawReport:
    (tmp_path / name).write_bytes(data)
    return inspect_raw(Source(tmp_path / name))


def shown(report: RawReport) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(to_rich(inspection(report)))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_joints_are_counted_by_how_the_sensor_saw_them(tmp_path: Path) -> None:
    lines = one_person(4).split(b"\n")
    heads = [number for number, line in enumerate(lines) if line == b"25"]
    for head in heads[:3]:  # the head, the fourth joint, is inferred in three frames of four
        lines[head + 4] = lines[head + 4].removesuffix(b"2") + b"1"
    report = report_of(tmp_path, b"\n".join(lines))
    assert report.totals["joints"] == "inferred 3.0 %, tracked 97.0 %; least the head (25 % tracked)"


def three_bodies() -> bytes:
    """20 frames: an empty one, one body throughout who leaves for two frames, a wide one, and a short one."""
    tall, wide, short = standing(20, 1), standing(20, 2)[:, :, [1, 0, 2]], standing(20, 3)
    frames: list[Frame] = [[]]
    for number in range(1, 20):
        frame = [(TWO, wide[number])]
        frame += [(ONE, tall[number])] * (number not in (7, 8))
        frame += [(THREE, short[number])] * (number < 5)
        frames.append(frame)
    return ntu_bytes(frames)


def test_a_clip_is_told_by_its_name_frames_and_bodies(tmp_path: Path) -> None:
    report = report_of(tmp_path, three_bodies())
    assert report.kind == "NTU RGB+D clip"
    assert report.totals["class"] == "A049 use a fan (with hand or paper)/feeling warm"
    assert report.totals["recorded"] == "setup 12, camera 3, performer 25, replication 2"
    assert (report.totals["frames"], report.totals["without a body"]) == ("20", "1")
    assert report.totals["bodies"] == "3, at most 3 in one frame"
    wide, tall, short = report.bodies  # in order of appearance
    assert [body.name for body in report.bodies] == [str(TWO), str(ONE), str(THREE)]
    assert (tall.frames, tall.first, tall.last) == (17, 2, 20)
    assert (short.frames, short.first, short.last) == (4, 2, 5)
    assert (tall.wide, wide.wide) == (0, 1)
    assert dict(tall.states) == {"tracked": 17}
    seen = np.delete(standing(20, 1)[1:], [6, 7], axis=0)
    np.testing.assert_allclose([tall.low, tall.high], [seen.min(axis=(0, 1)), seen.max(axis=(0, 1))], atol=1e-5)
    assert tall.motion == pytest.approx(float(seen.reshape(-1, 3).var(axis=0).sum()), abs=1e-5)


def test_what_looks_wrong_is_warned_of(tmp_path: Path) -> None:
    assert report_of(tmp_path, three_bodies()).warnings == (
        f"body {TWO} is wider than a person in 100 % of its frames",
        f"body {ONE} leaves and comes back; frames without it: 2 (mamp and pyskl close it up)",
        f"body {THREE} is short; its frames: 4",
    )
    assert report_of(tmp_path, one_person(20)).warnings == ()


def test_every_profile_says_what_it_would_drop_and_why(tmp_path: Path) -> None:
    report = report_of(tmp_path, three_bodies())
    assert [outcome.profile for outcome in report.outcomes] == ["mamp", "raw", "pyskl", "agcn", "agcn-x"]
    mamp, raw, pyskl, agcn, _ = report.outcomes
    assert mamp.result == "one body, 17 frames"
    assert mamp.dropped == (
        "frames without a body: 1",
        "bodies of at most 11 frames: 1",
        "bodies wider than a person in 70 % of their frames: 1",
        "frames in which no actor is left: 2",
    )
    assert raw.result == "two bodies, 20 frames"
    assert raw.dropped == ("frames of a third or further body: 4",)
    assert pyskl.result == "one body, 17 frames"
    assert agcn.result == "two bodies, 20 frames"
    assert agcn.dropped == (
        "bodies that move less than the two that are kept: 1",
        "frames behind a body's last, filled by repeating it: 19",
    )
    text = shown(report)
    assert "profile mamp: one body, 17 frames" in text
    assert f"{TWO}      19      2    20  100 %" in text


def test_a_clip_that_no_profile_can_use_says_why(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"3\n0\n0\n0\n")
    assert report.totals["without a body"] == "3"
    assert {outcome.result for outcome in report.outcomes} == {"nothing: no frame holds a body"}
    assert "nothing: no frame holds a body" in shown(report)


def test_repeated_frames_doubled_bodies_and_odd_numbers_are_warned_of(tmp_path: Path) -> None:
    joints = standing(320, 1)
    joints[4] = joints[3]
    data = ntu_bytes([[(ONE, pose), (TWO, pose)] for pose in joints])
    warnings = report_of(tmp_path, data.replace(b"277.419", b"-1.#IND", 3)).warnings
    assert f"body {ONE}: frames that repeat the one before exactly: 1" in warnings
    assert f"bodies {ONE} and {TWO} have the same coordinates; in frames: 320" in warnings
    assert "more than 300 frames" in warnings
    assert "numbers that are not finite, none of them a coordinate: 3" in warnings


def test_names_that_prepare_does_not_take_are_warned_of(tmp_path: Path) -> None:
    (warning,) = report_of(tmp_path, one_person(20), "holiday.skeleton").warnings
    assert "'holiday' is no NTU name" in warning
    (warning,) = report_of(tmp_path, one_person(20), "S001C002P005R002A008.skeleton").warnings
    assert "published list" in warning


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.skeleton")), ids=lambda file: file.stem)
def test_the_golden_files_are_shown_in_80_columns(file: Path) -> None:
    assert "profile pyskl" in shown(inspect_raw(Source(file)))


# --------------------------------------------------------------------------------------------------- PKU-MMD


def test_a_video_is_told_by_its_frames_and_its_two_bodies(tmp_path: Path) -> None:
    rows = video(60).split(b"\n")
    rows[5] = b"0 " * 149 + b"0"
    rows[9] = b"nan " + rows[9].split(b" ", 1)[1]
    report = report_of(tmp_path, b"\n".join(rows), "0002-L.txt")
    assert report.kind == "PKU-MMD video"
    assert report.totals == {"frames": "60", "without a body": "1", "bodies": "2"}
    assert [(body.frames, body.first, body.last, body.not_finite) for body in report.bodies] == [
        (59, 1, 60, 1),
        (59, 1, 60, 0),
    ]
    assert np.isfinite(report.bodies[0].low).all()
    assert report.warnings == ("body 1: frames with a coordinate that is not finite: 1",)
    assert "profile centered" in shown(report)


def test_a_video_without_anybody_is_told(tmp_path: Path) -> None:
    report = report_of(tmp_path, (b"0 " * 149 + b"0\n") * 3, "0002-L.txt")
    assert (report.bodies, report.warnings) == ((), ("no body is seen",))
    shown(report)


def test_label_rows_are_listed_with_their_classes_and_faults(tmp_path: Path) -> None:
    report = report_of(tmp_path, b"3,10,40,1\n1,4925,4036,2\nfoo\n77,1,2,1\n", "0002-L.txt")
    assert report.kind == "PKU-MMD label file"
    assert [row.line for row in report.rows] == [1, 2, 4]
    assert report.warnings == (
        "line 3: 'foo' is no label (class,start,end,confidence)",
        "line 2: the clip ends (frame 4036) before it starts (frame 4925)",
        "line 4: class 77 is not in 1..51",
    )
    assert "1     10    40      30  3 " in shown(report)


def test_a_split_file_is_counted_by_camera(tmp_path: Path) -> None:
    write_pku(tmp_path, {"0002-L": "3,10,40,1\n", "0002-M": "1,0,20,1\n", "0003-R": "2,5,9,1\n"})
    report = inspect_raw(Source(tmp_path / "cross-view.txt"))
    assert report.totals == {"training videos": "2 (L 1, R 1)", "validation videos": "1 (M 1)"}
    both = report_of(tmp_path, b"Training videos:\n0002-L\nValidataion videos:\n0002-L\n", "cross-subject.txt")
    assert both.warnings == ("in both parts: 0002-L",)


# ---------------------------------------------------------------------------------------- naming and errors


def test_a_member_of_an_archive_is_named_whole_or_by_its_name(tmp_path: Path) -> None:
    archive = tmp_path / "my clips.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"raw/{NAME}.skeleton", one_person(20))
        file.writestr("skeleton/0002-L.txt", video(5))
        file.writestr("label/0002-L.txt", "3,1,4,1\n")
    for member in (f"raw/{NAME}.skeleton", f"{NAME}.skeleton", NAME):
        report = inspect_raw(raw_source(f"{archive}:{member}"))
        assert report.source == f"{archive}:raw/{NAME}.skeleton"
        assert report.totals["frames"] == "20"
    assert inspect_raw(raw_source(f"{archive}:label/0002-L.txt")).kind == "PKU-MMD label file"
    with pytest.raises(UsageError, match=r"several files are called so, .*0002-L\.txt and .*0002-L\.txt"):
        raw_source(f"{archive}:0002-L")
    with pytest.raises(UsageError, match=f"did you mean 'raw/{NAME}.skeleton'"):
        raw_source(f"{archive}:raw/S012C003P025R002A048.skeleton")
    with pytest.raises(UsageError, match="is an archive: name one file in it"):
        raw_source(str(archive))


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.7z").write_bytes(b"7z")
    for path, message in (
        (tmp_path / "x.skeleton", "there is no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "x.zip:y", "there is no such archive"),
        (tmp_path / "x.7z", "unpack it"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            raw_source(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"", 1), (b"hello world\n", 1), (b"2\n0\n1\nx\n", 4), (b"1 " * 149 + b"1\n1 2\n", 2), (one_person()[:2000], 22)],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, data: bytes, line: int) -> None:
    path = tmp_path / "x.skeleton"
    path.write_bytes(data)
    with pytest.raises(StarsBenchError) as caught:
        inspect_raw(Source(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b'{"data": [' + b'{"frame_index": 0, "skeleton": []}, ' * 9 + b"]}", b"1,0.5,0.25,0.75\n2,0.5,0.25,0.75\n"]
)
def test_a_file_of_another_dataset_says_how_it_is_drawn(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(StarsBenchError, match=r"neither a \.skeleton file .* `stars-bench view FILE --dataset NAME`"):
        inspect_raw(Source(tmp_path / "a.json"))


def test_words_are_told_from_files() -> None:
    assert is_raw("x.skeleton")
    assert is_raw("a.zip:b")
    assert is_raw(str(GOLDEN))
    assert not is_raw("ntu60")
    assert not is_raw("package.module:SPEC")


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="STARS_BENCH_REAL names no folder")
def test_real_files_have_nothing_that_looks_wrong() -> None:
    for file in sorted((REAL / "ntu").glob("*.skeleton")):
        report = inspect_raw(raw_source(str(file)))
        assert report.warnings == ()
        assert all("tracked" in body.states for body in report.bodies)
    report = inspect_raw(raw_source(f"{REAL / 'pku1_subset.zip'}:pku1/skeleton/0299-R.txt"))
    assert len(report.bodies) == 2
    shown(report)
