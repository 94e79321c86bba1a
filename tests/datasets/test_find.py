"""What a dataset finds in any raw folder a user has: any casing, any archive, duplicates, missing split files."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import py7zr
import pytest

from stars_bench.api import Found, Source
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.parsing.pku import parse_split
from stars_bench.datasets.pku_mmd import BY_RULE, PKU1, PKU2, cross_view
from stars_bench.datasets.raw_files.sources import place_of, read
from stars_bench.errors import StarsBenchError
from stars_bench.preparation.prepare import prepare
from tests.datasets.raw_writers import one_person, write_ntu, write_pku

FIRST, SECOND = "S001C001P001R001A001", "S018C002P045R001A061"
LABELS = {"0002-L": "3,10,40,1\n51,41,55,2\n", "0002-M": "1,0,20,1\n", "0003-R": "2,5,9,1\n"}


def zipped(path: Path, content: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def contents(found: Found) -> dict[str, list[bytes]]:
    return {item.name: [read(source) for source in item.sources.values()] for item in found.items}


# ---------------------------------------------------------------------------------------------------- NTU


def test_the_two_official_zips_give_both_datasets(tmp_path: Path) -> None:
    first, second = one_person(seed=1), one_person(seed=2)
    zipped(tmp_path / "nturgbd_skeletons_s001_to_s017.zip", {f"nturgb+d_skeletons/{FIRST}.skeleton": first})
    zipped(tmp_path / "nturgbd_skeletons_s018_to_s032.zip", {f"{SECOND}.skeleton": second})
    assert contents(NTU120.find([tmp_path])) == {FIRST: [first], SECOND: [second]}
    sixty = NTU60.find([tmp_path])
    assert contents(sixty) == {FIRST: [first]}
    assert sixty.ignored == {"clips of setups above 17, which are not of this dataset": 1}


@pytest.mark.parametrize(
    "file", [f"{FIRST}.SKELETON", f"{FIRST.lower()}.skeleton", f"{FIRST}.skeleton.txt", f"{FIRST.lower()}.Skeleton.TXT"]
)
def test_names_of_any_casing_are_clips_in_folders_and_archives(tmp_path: Path, file: str) -> None:
    (tmp_path / "My Data (1)").mkdir()
    (tmp_path / "My Data (1)" / file).write_bytes(one_person())
    zipped(tmp_path / "packed" / "骨架.ZIP", {f"数据\\{file}": one_person()})
    for folder in ("My Data (1)", "packed"):
        assert contents(NTU60.find([tmp_path / folder])) == {FIRST: [one_person()]}


def test_a_clip_in_a_folder_and_in_its_archive_is_taken_once_and_said_so(tmp_path: Path) -> None:
    write_ntu(tmp_path / "unpacked", [FIRST, SECOND])
    content = {
        f"{name}.skeleton": (tmp_path / "unpacked" / f"{name}.skeleton").read_bytes() for name in (FIRST, SECOND)
    }
    zipped(tmp_path / "all.zip", content)
    found = NTU120.find([tmp_path])
    assert [item.name for item in found.items] == [FIRST, SECOND]
    assert found.ignored == {"files of a name found before (the same content)": 2}


def test_one_clip_that_differs_between_two_archives_is_refused_or_the_first_taken(tmp_path: Path) -> None:
    names = [f"S001C001P001R001A{action:03}" for action in range(1, 6)]
    content = {f"{name}.skeleton": one_person(seed=seed) for seed, name in enumerate(names)}
    one = zipped(tmp_path / "1" / "a.zip", content)
    other = zipped(tmp_path / "2" / "a.zip", content | {f"{names[3]}.skeleton": one_person(seed=99)})
    with pytest.raises(
        StarsBenchError, match=rf"{names[3]} was found twice with different content: .*1.a\.zip.*2.a\.zip"
    ):
        NTU60.find([one, other])
    found = NTU60.find([other, one], on_duplicate="first")
    assert contents(found)[names[3]] == [one_person(seed=99)]
    assert found.ignored == {"files of a name found before (not compared: --on-duplicate first)": 5}


def test_archives_that_are_not_opened_are_counted(tmp_path: Path) -> None:
    write_ntu(tmp_path, [FIRST])
    (tmp_path / "skeletons.rar").write_bytes(b"Rar!")
    (tmp_path / "notes.pdf").write_bytes(b"notes")
    zipped(tmp_path / "outer.zip", {"inner.zip": b"zip"})
    ignored = NTU60.find([tmp_path]).ignored
    assert ignored == {"archives that are not opened (unpack them)": 2, "files that are no .skeleton files": 1}


def test_clips_in_a_7z_and_a_tar_are_found_with_the_place_that_their_zip_would_have(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", [FIRST, SECOND])
    zipped(
        tmp_path / "a.zip",
        {f"{name}.skeleton": (tmp_path / f"raw/{name}.skeleton").read_bytes() for name in (FIRST, SECOND)},
    )
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(tmp_path / "raw", "raw")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        tar.add(tmp_path / "raw", "raw")

    def places(name: str) -> list[tuple[str, int, int]]:
        found = NTU120.find([tmp_path / name], scratch=tmp_path / "scratch")
        return [(item.name, *place_of(item.sources["skeleton"])[:2]) for item in found.items]

    assert places("a.7z") == places("a.tgz") == places("a.zip")
    assert [name for name, _, _ in places("a.zip")] == [FIRST, SECOND]


# ------------------------------------------------------------------------------------------------ PKU-MMD


def seven_zipped(folder: Path, path: Path) -> None:
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.writeall(folder, folder.name)


def test_the_official_7z_archives_give_what_their_folders_give(tmp_path: Path) -> None:
    write_pku(tmp_path / "plain", LABELS, "PKU_Skeleton_Renew", "Train_Label_PKU_final")
    (tmp_path / "packed" / "Split").mkdir(parents=True)
    for name in ("PKU_Skeleton_Renew", "Train_Label_PKU_final"):
        seven_zipped(tmp_path / "plain" / name, tmp_path / "packed" / f"{name}.7z")
    for name in ("cross-subject.txt", "cross-view.txt"):
        (tmp_path / "packed" / "Split" / name).write_bytes((tmp_path / "plain" / name).read_bytes())
    said: list[str] = []
    plain = PKU1.find([tmp_path / "plain"])
    packed = PKU1.find([tmp_path / "packed"], scratch=tmp_path / "scratch", progress=lambda task, *_: said.append(task))
    assert contents(packed) == contents(plain)
    assert packed.official_splits == plain.official_splits
    assert set(said) == {"unpack PKU_Skeleton_Renew.7z (MB)", "unpack Train_Label_PKU_final.7z (MB)"}
    where = str(packed.items[0].sources["label"])
    assert where == f"{tmp_path / 'packed' / 'Train_Label_PKU_final.7z'}:Train_Label_PKU_final/0002-L.txt"


def test_a_7z_is_prepared_to_the_shards_of_its_folder_and_nothing_unpacked_stays(tmp_path: Path) -> None:
    write_pku(tmp_path / "plain", LABELS)
    seven_zipped(tmp_path / "plain", tmp_path / "pku.7z")
    shards = {}
    for name in ("plain", "pku.7z"):
        report = prepare(PKU1, [tmp_path / name], tmp_path / f"data of {name}", jobs=1)
        shards[name] = report.digest
        assert not list(report.folder.glob(".*"))
        assert prepare(PKU1, [tmp_path / name], tmp_path / f"data of {name}", jobs=1).unchanged
    assert shards["plain"] == shards["pku.7z"]


def test_an_archive_without_files_of_the_dataset_is_not_unpacked(tmp_path: Path) -> None:
    write_pku(tmp_path / "plain", LABELS)
    seven_zipped(tmp_path / "plain", tmp_path / "pku.7z")
    assert not NTU60.find([tmp_path / "pku.7z"], scratch=tmp_path / "scratch").items
    assert not (tmp_path / "scratch").exists()


def test_videos_labels_and_splits_of_any_casing_are_found(tmp_path: Path) -> None:
    write_pku(tmp_path / "plain", LABELS)
    (tmp_path / "ODD ones").mkdir()
    for file in (tmp_path / "plain").rglob("*.txt"):
        folder = tmp_path / "ODD ones" / file.parent.name.upper()
        folder.mkdir(exist_ok=True)
        odd = file.name.lower() if file.parent.name == "label" else file.name.upper()
        data = file.read_bytes().lower() if "cross" in file.name else file.read_bytes()
        (folder / odd).write_bytes(data)
    plain, odd_ones = PKU1.find([tmp_path / "plain"]), PKU1.find([tmp_path / "ODD ones"])
    assert contents(odd_ones) == contents(plain)
    assert odd_ones.official_splits == plain.official_splits


def test_what_a_file_is_follows_from_its_folder_where_its_content_does_not_say(tmp_path: Path) -> None:
    write_pku(tmp_path, LABELS)
    (tmp_path / "label" / "0002-L.txt").write_bytes(b"")
    (tmp_path / "skeleton" / "0003-R.txt").write_bytes(b"")
    found = PKU1.find([tmp_path])
    assert [item.name for item in found.items] == sorted(LABELS)
    assert not found.set_aside


@pytest.mark.parametrize(("spec", "scenes"), [(PKU1, ("0002", "0003")), (PKU2, ("A01N01", "A02N03"))])
def test_without_its_split_file_cross_view_is_split_by_camera_and_said_so(tmp_path: Path, spec, scenes) -> None:
    write_pku(tmp_path, {f"{scene}-{camera}": "1,0,9,1\n" for scene in scenes for camera in "LMR"})
    by_file = spec.find([tmp_path])
    (tmp_path / "cross-view.txt").unlink()
    by_rule = spec.find([tmp_path])
    assert BY_RULE not in by_file.ignored
    assert by_rule.ignored[BY_RULE] == 1
    assert by_rule.official_splits == by_file.official_splits
    assert by_rule.official_splits["xview"]["test"] == [f"{scene}-M" for scene in scenes]


def test_cross_subject_has_no_rule(tmp_path: Path) -> None:
    write_pku(tmp_path, LABELS)
    (tmp_path / "cross-subject.txt").unlink()
    assert PKU1.find([tmp_path]).official_splits["xsub"] == {"train": [], "test": []}


def test_videos_of_a_split_file_that_are_not_here_do_no_harm(tmp_path: Path) -> None:
    write_pku(tmp_path, LABELS)
    for part in ("skeleton", "label"):
        (tmp_path / part / "0002-M.txt").unlink()
    found = PKU1.find([tmp_path])
    assert [item.name for item in found.items] == ["0002-L", "0003-R"]
    assert found.official_splits["xview"]["test"] == ["0002-M"]


def test_duplicates_are_the_same_or_refused_or_the_first_is_taken(tmp_path: Path) -> None:
    write_pku(tmp_path / "1", LABELS)
    write_pku(tmp_path / "2", LABELS)
    found = PKU1.find([tmp_path])
    assert found.ignored == {"files of a name found before (the same content)": 6}
    (tmp_path / "2" / "label" / "0002-L.txt").write_bytes(b"3,10,41,1\n")
    (tmp_path / "2" / "cross-view.txt").write_bytes(b"Training videos:\n0002-M\nValidataion videos:\n0002-L\n")
    with pytest.raises(StarsBenchError, match="0002-L was found twice with different content"):
        PKU1.find([tmp_path])
    first = PKU1.find([tmp_path], on_duplicate="first")
    assert contents(first) == contents(found)
    assert first.official_splits == found.official_splits
    assert first.ignored == {"files of a name found before (not compared: --on-duplicate first)": 6}


@pytest.mark.real
def test_the_rule_is_the_official_cross_view_split(real_dir: Path) -> None:
    train, test = parse_split(read(Source(real_dir / "pku1_subset.zip", "pku1/cross-view.txt")))
    assert (len(train), len(test)) == (717, 359)
    rule = cross_view(train + test)
    assert (sorted(rule["train"]), sorted(rule["test"])) == (sorted(train), sorted(test))


@pytest.mark.real
def test_the_real_archive_is_found_whole(real_dir: Path) -> None:
    found = PKU1.find([real_dir / "pku1_subset.zip"])
    assert len(found.items) == 48
    assert not found.set_aside
    assert {name: (len(split["train"]), len(split["test"])) for name, split in found.official_splits.items()} == {
        "xsub": (944, 132),
        "xview": (717, 359),
    }
