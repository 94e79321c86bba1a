"""Where nothing was found it is said what lies there, what that looks like, and the command that makes use of it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench.cli import app
from stars_bench.datasets.ntu import NTU60
from stars_bench.datasets.pku_mmd import PKU2
from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.preparation.prepare import prepare
from tests.datasets.archive_writers import write_7z, write_tar
from tests.datasets.raw_writers import write_ntu, write_pku

NAME = "S001C001P001R001A001"
LOGIN = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


def packed(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


FILES = {
    f"{NAME}.skeleton.gz": (b"", "1 file packed one by one (.gz) ({path}): `gunzip -r {folder}` unpacks them"),
    "outer.zip": (packed("in/a.zip", b""), "1 archive inside of an archive ({path}:in/a.zip): unpack the outer one"),
    "a.zip.crdownload": (b"", "1 unfinished download ({path}): wait for its end, or download again"),
    "a.zip.001": (b"", "1 part of a split archive ({path}): `cat {folder}/a.zip.* > {folder}/a.zip` joins them"),
    "a.zip.partaa": (b"", "1 part of a split archive ({path}): `cat {folder}/a.zip.* > {folder}/a.zip` joins them"),
    "a.7z.001": (b"", "1 part of a split archive ({path}): `7z x {path}` joins and unpacks them"),
    "a.z01": (b"", "1 part of a split zip archive ({path}): `zip -s 0 {folder}/a.zip --out whole.zip` joins them"),
    "a.rar": (b"", "1 RAR archive ({path}): `unrar x {path}` unpacks them; give the folder"),
    f"{NAME}_rgb.avi": (b"RIFF", "1 RGB video ({path}): skeletons are a download of their own"),
    f"{NAME}_ir.avi": (b"RIFF", "1 infrared video ({path}): skeletons are a download of their own"),
    "MDepth-00000001.png": (b"", "1 depth map ({path}): skeletons are a download of their own"),
    f"{NAME}.skeleton.npy": (b"", "1 array of txt2npy (github shahroudy/NTURGB-D) ({path}): give the .skeleton files"),
    "NTU60.npz": (b"", "1 array or pickle ({path}): `stars-bench import` takes those of other programs"),
    "page.txt": (LOGIN, "1 web page in place of a file (a login page?) ({path}): sign in with a browser"),
    "pointer.txt": (LFS, "1 Git LFS pointer ({path}): `git lfs pull` in that repository"),
    "0002-L.txt": (b"", "1 file of PKU-MMD I ({path}): `stars-bench prepare pku1` takes"),
    "NTU_RGBD_samples_with_missing_skeletons.txt": (
        b"",
        "1 list of samples without skeletons ({path}): it is built in",
    ),
    "notes.docx": (b"", "1 file .docx ({path})"),
}


@pytest.mark.parametrize("name", FILES)
def test_one_file_that_is_of_no_use_is_told_for_what_it_is(name: str, tmp_path: Path) -> None:
    content, told = FILES[name]
    (tmp_path / name).write_bytes(content)
    line = f"it holds {told.format(path=tmp_path / name, folder=tmp_path)}"
    for spec in (NTU60, PKU2):
        with pytest.raises(StarsBenchError) as raised:
            prepare(spec, [tmp_path], tmp_path / "data", jobs=1)
        assert str(raised.value).startswith(f"no raw files of {spec.name} in {tmp_path}: {line}")
        assert str(raised.value).endswith(spec.where)


def test_kinds_are_counted_the_most_frequent_first(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}_rgb.avi").touch()
    for name in ("a.rar", "b.rar", "c.docx", "d.xls", "e.html"):
        (tmp_path / name).touch()
    told = what_lies_there([tmp_path])
    assert told.startswith(
        f"it holds 12 RGB videos ({tmp_path}/0_rgb.avi, ...): skeletons are a download of their own; 2"
    )
    assert told.endswith(f"1 file .docx ({tmp_path}/c.docx); 1 file .xls ({tmp_path}/d.xls); files of 1 more kind")
    (tmp_path / "empty").mkdir()
    assert what_lies_there([tmp_path / "empty"]) == "there is no file in it"


def test_files_of_the_other_dataset_name_its_command(tmp_path: Path) -> None:
    write_ntu(tmp_path / "ntu", [NAME])
    write_pku(tmp_path / "pku", {"0002-L": "1,0,20,1\n"})
    with pytest.raises(StarsBenchError, match=r"1 skeleton file of NTU RGB\+D .* `stars-bench prepare ntu60` or"):
        prepare(PKU2, [tmp_path / "ntu"], tmp_path / "data", jobs=1)
    with pytest.raises(StarsBenchError, match=r"files of PKU-MMD I .* `stars-bench prepare pku1` takes"):
        prepare(PKU2, [tmp_path / "pku"], tmp_path / "data", jobs=1)


@pytest.mark.parametrize(("content", "told"), [(LOGIN, "web page in place of a file"), (LFS, "Git LFS pointer")])
def test_what_has_the_name_of_a_recording_and_is_none(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.skeleton").write_bytes(content)
    with pytest.raises(StarsBenchError, match=f"the first: .*{NAME}.skeleton: is a {told}"):
        prepare(NTU60, [tmp_path], tmp_path / "data", jobs=1)
    archive = tmp_path / "nturgbd_skeletons_s001_to_s017.zip"
    archive.write_bytes(content)
    with pytest.raises(StarsBenchError, match=rf"s017\.zip: cannot be read as a zip archive .*it is a {told}"):
        prepare(NTU60, [archive], tmp_path / "data", jobs=1)


def test_the_last_part_of_a_split_zip_names_the_command_that_joins_them(tmp_path: Path) -> None:
    (tmp_path / "a.z01").touch()
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(StarsBenchError, match=f"`zip -s 0 {tmp_path}/a.zip --out whole.zip` joins them"):
        prepare(NTU60, [tmp_path], tmp_path / "data", jobs=1)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("inspect", "{}"), "neither a run .* nor a prepared dataset .*: it holds 1 RGB video"),
        (("view", "{}"), "is a folder; name one file: it holds 1 RGB video"),
        (("import", "{}", "--dataset", "ntu60"), "is no npz, .pkl, .mat and no folder .* It holds 1 RGB video"),
        (("inspect", "{}/x.skeleton.gz"), "only files and members of .zip archives are inspected: `gunzip -r"),
        (
            ("prepare", "ntu60", "--raw", "{}/x.skeleton.gz"),
            r"file packed one by one \(.gz\), which is not read: `gunzip",
        ),
    ],
)
def test_every_command_that_looks_for_files_says_so(command: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}_rgb.avi").touch()
    if "gz" in command[-1]:
        (tmp_path / "x.skeleton.gz").touch()
    done = CliRunner().invoke(app, [word.format(tmp_path) for word in command])
    assert isinstance(done.exception, UsageError)
    with pytest.raises(UsageError, match=told):
        raise done.exception


@pytest.mark.parametrize("name", ["videos.tar", "videos.tar.gz", "videos.tgz", "videos.7z"])
def test_what_lies_in_an_archive_that_is_read_from_its_start_is_told(name: str, tmp_path: Path) -> None:
    content = {f"rgb/{number}_rgb.avi": b"RIFF" for number in range(3)} | {"notes.docx": b"x"}
    if name.endswith(".7z"):
        write_7z(tmp_path / name, content)
    else:
        write_tar(tmp_path / name, content, "" if name.endswith(".tar") else "gz")
    told = f"it holds 3 RGB videos ({tmp_path / name}:rgb/0_rgb.avi, ...): skeletons are a download of their own; 1"
    assert what_lies_there([tmp_path]).startswith(told)
    with pytest.raises(StarsBenchError, match=r"no raw files of ntu60 in .*: it holds 3 RGB videos"):
        prepare(NTU60, [tmp_path / name], tmp_path / "data", jobs=1)
    (tmp_path / name).write_bytes(b"no archive")
    assert "1 archive with no file of such a name" in what_lies_there([tmp_path / name])


def test_verify_and_view_say_what_lies_in_the_folder_of_raw_files(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", [NAME])
    prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / f"{NAME}_rgb.avi").touch()
    data, out = ["--data-dir", str(tmp_path / "data")], ["--out", str(tmp_path / "clip.html")]
    for command in (["verify", "ntu60", *data], ["view", "ntu60", NAME, *data, *out]):
        found = CliRunner().invoke(app, [*command, "--raw", str(tmp_path / "wrong")])
        assert str(found.exception).startswith(f"no raw files of ntu60 in {tmp_path / 'wrong'}: it holds 1 RGB video")
        found = CliRunner().invoke(app, [*command, "--raw", str(tmp_path / "gone")])
        assert str(found.exception) == f"--raw {tmp_path / 'gone'}: there is no such folder or archive"
        assert CliRunner().invoke(app, [*command, "--raw", str(tmp_path / "raw")]).exit_code == 0
