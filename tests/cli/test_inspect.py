"""list, inspect and verify on the command line: 80 columns, one line an error, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stars_bench import cli
from stars_bench.cli.options import console
from stars_bench.datasets.ntu import NTU60, expected_names
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import export
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import open_dataset
from tests.datasets.raw_writers import one_person, write_ntu, write_pku

NAMES = ["S001C001P001R001A001", "S001C002P001R001A001", "S002C003P008R002A060"]
Command = Callable[..., str]


@pytest.fixture
def stars_bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process; what it printed, which fits 80 columns."""
    monkeypatch.setattr(console, "_width", 80)

    def run(*words: object) -> str:
        capsys.readouterr()
        cli.app([str(word) for word in words], standalone_mode=False)
        text = capsys.readouterr().out
        # A path may be longer than a line: it is printed whole, to be copied.
        assert all(len(line) <= 80 or "/" in line for line in text.splitlines())
        return text

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three NTU clips and one PKU-MMD video, prepared."""
    folder = tmp_path_factory.mktemp("look")
    write_ntu(folder / "raw", NAMES, frames=20)
    prepare(NTU60, [folder / "raw"], folder / "data", jobs=1)
    write_pku(folder / "pku", {"0002-L": "3,10,40,1\n", "0002-M": "1,0,20,1\n", "0003-R": "2,5,9,1\n"})
    prepare(PKU1, [folder / "pku"], folder / "data", jobs=1)
    return folder / "data"


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", ["list", "inspect", "verify", "view"])
def test_help_fits_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    with pytest.raises(SystemExit, match="0"):
        cli.app([command, "--help"])
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


# ------------------------------------------------------------------------------------------------------ list


def test_list_profiles_tells_what_each_profile_of_each_dataset_does(stars_bench: Command, data: Path) -> None:
    text = words(stars_bench("list", "profiles", "--data-dir", data))
    for name in ("ntu60 mamp default:", "ntu120 pyskl", "synthetic raw", "pku1 centered", "pku2 mamp"):
        assert f"profile {name}" in text
    assert text.count("(prepared)") == 2
    assert "max_frames" not in text


@pytest.mark.parametrize("kind", ["profiles", "datasets"])
def test_with_v_every_parameter_of_every_profile_is_shown(stars_bench: Command, data: Path, kind: str) -> None:
    text = words(stars_bench("list", kind, "-v", "--data-dir", data))
    for spec in (NTU60, PKU1):
        for profile in spec.profiles.values():
            parameters = {**profile.parameters, "absent_body": profile.absent_body}
            assert ", ".join(f"{key}={value}" for key, value in parameters.items()) in text


def test_an_unknown_list_is_answered_with_those_there_are(stars_bench: Command) -> None:
    with pytest.raises(UsageError, match=r"no list of 'colours': datasets, .*profiles"):
        stars_bench("list", "colours")


# --------------------------------------------------------------------------------------------------- inspect


def test_inspect_of_a_dataset_counts_classes_performers_cameras_and_lengths(stars_bench: Command, data: Path) -> None:
    text = words(stars_bench("inspect", "ntu60", "--data-dir", data))
    assert "clips 3 (partial)" in text
    assert "frames 20 to 20, median 20" in text
    assert "bodies one in 3 clips, two in 0" in text
    assert "class 2 2 1 (walking apart from each 2 (drink water) other)" in text  # on two lines of the table
    assert "camera 3 1 1 (1) 1 (1)" in text
    assert "drop_bodies_up_to_frames=11" in text
    assert "cleaning: bodies seen 3" in text


def test_inspect_of_a_dataset_without_setups_leaves_them_out(stars_bench: Command, data: Path) -> None:
    text = stars_bench("inspect", "pku1", "--data-dir", data)
    assert re.search(r"^camera +3 ", text, re.MULTILINE)
    assert not re.search("^setup", text, re.MULTILINE)


def test_inspect_of_a_raw_file_and_of_a_shard(stars_bench: Command, data: Path) -> None:
    raw = data.parent / "raw" / f"{NAMES[0]}.skeleton"
    text = stars_bench("inspect", raw)
    assert "A001 drink water" in text
    assert "profile mamp: one body, 20 frames" in text
    assert "3 " in words(stars_bench("inspect", data / "ntu60" / "mamp" / "shard-00000.h5"))
    with pytest.raises(UsageError, match="cannot be read as a shard"):
        stars_bench("inspect", data / "no-shard.h5")


def test_inspect_shows_every_class_on_request_and_lengths_as_bars(stars_bench: Command, data: Path) -> None:
    text = words(stars_bench("inspect", "ntu60", "--data-dir", data, "--all"))
    assert (
        "Clips of each class 1 drink water 2 ████████████████████████ 60 walking apart from each other 1 ████" in text
    )
    assert "Clips by length 20 frames 3 ████" in text
    shard = words(stars_bench("inspect", data / "ntu60" / "mamp" / "shard-00000.h5"))
    assert "Clips of each camera camera 1 1" in shard
    assert "bodies one in 3 clips, two in 0" in shard
    assert "Cleaning bodies seen 3" in shard


@pytest.mark.parametrize("what", ["ntu60", "raw", "shard"])
def test_inspect_of_everything_is_a_page_too(stars_bench: Command, data: Path, tmp_path: Path, what: str) -> None:
    raw = data.parent / "raw" / f"{NAMES[0]}.skeleton"
    named = {"raw": raw, "shard": data / "ntu60" / "mamp" / "shard-00000.h5"}
    stars_bench("inspect", named.get(what, what), "--data-dir", data, "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "drink water" in page
    assert "default-src 'none'" in page


def test_inspect_of_what_is_not_there_says_so(stars_bench: Command, data: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        stars_bench("inspect", "x.skeleton")
    with pytest.raises(UsageError, match="did you mean 'ntu60'"):
        stars_bench("inspect", "ntu6", "--data-dir", data)
    with pytest.raises(UsageError, match="ntu120 is not prepared"):
        stars_bench("inspect", "ntu120", "--data-dir", data)


def test_a_dataset_is_named_by_its_folder_too(stars_bench: Command, data: Path) -> None:
    folder = data / "ntu60" / "mamp"
    assert stars_bench("inspect", folder) == stars_bench("inspect", "ntu60", "--data-dir", data)
    assert stars_bench("verify", folder) == stars_bench("verify", "ntu60", "--data-dir", data)
    for command in ("inspect", "verify"):
        with pytest.raises(UsageError, match="of one profile already"):
            stars_bench(command, folder, "--profile", "raw")


def test_inspect_of_what_is_no_dataset_says_what_it_looks_like(
    stars_bench: Command, data: Path, tmp_path: Path
) -> None:
    for format, name in (("pyskl", "clips.pkl"), ("mamp", "clips.npz"), ("crossclr", "clips")):
        out = tmp_path / name
        export(open_dataset(data, "ntu60"), format, out, protocol="xsub")
        with pytest.raises(
            UsageError, match=rf"another program \({format}\); `stars-bench import .*{name} --dataset NAME`"
        ):
            stars_bench("inspect", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"neither a run .* nor a prepared dataset"):
        stars_bench("inspect", tmp_path / "empty")


def test_a_broken_raw_file_is_one_line_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "x.skeleton").write_bytes(one_person()[:2000])
    command = [sys.executable, "-m", "stars_bench", "inspect", "x.skeleton"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: x.skeleton:22: the file ends where joint 18 of a body of frame 1 should follow\n"


# ---------------------------------------------------------------------------------------------------- verify


def test_verify_of_a_whole_dataset_ends_well_and_says_what_is_missing(stars_bench: Command, data: Path) -> None:
    text = stars_bench("verify", "ntu60", "--data-dir", data, "--raw", data.parent / "raw")
    assert "as when it was prepared" in text
    assert "Partial: 56,575 clips are missing" in text
    assert re.search(r"^ +1 +\d+ of 960 +\d+ of \d+ +all \d+$", text, re.MULTILINE)


def test_verify_writes_the_names_of_what_is_missing(stars_bench: Command, data: Path, tmp_path: Path) -> None:
    stars_bench("verify", "ntu60", "--data-dir", data, "--names", tmp_path / "names.txt")
    assert (tmp_path / "names.txt").read_text().split() == [n for n in expected_names("ntu60") if n not in NAMES]


def test_verify_of_a_damaged_dataset_names_the_shard_and_the_cure(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", NAMES)
    (shard,) = prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1).folder.glob("*.h5")
    shard.write_bytes(shard.read_bytes()[:-1])
    command = [sys.executable, "-m", "stars_bench", "verify", "ntu60"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "fault: data/ntu60/mamp/shard-00000.h5: its bytes have changed" in words(done.stdout)
    assert done.stderr.count("\n") == 1
    assert "`stars-bench prepare ntu60 --profile mamp --force` makes it anew" in done.stderr


def test_verify_of_what_is_not_prepared_is_an_error_of_use(stars_bench: Command, data: Path) -> None:
    with pytest.raises(UsageError, match="ntu120 is not prepared"):
        stars_bench("verify", "ntu120", "--data-dir", data)


def test_faults_are_counted_in_the_last_line(stars_bench: Command, tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", NAMES)
    folder = prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1).folder
    (folder / "shard-00000.h5").unlink()
    with pytest.raises(StarsBenchError, match=r"^1 fault "):
        stars_bench("verify", "ntu60", "--data-dir", tmp_path / "data")
