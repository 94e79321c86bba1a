"""Raw folders and archives: found wherever they lie, read in place, never the wrong one of two."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from stars_bench.api import Source, StarsBenchError, UsageError
from stars_bench.datasets import sources
from stars_bench.datasets.sources import UnreadableSource, raw_folders, read, unique, walk


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "sub" / "some archive é.ZIP"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("folder/packed.txt", b"packed " * 999, compress_type=zipfile.ZIP_DEFLATED)
        file.writestr("stored.txt", b"stored", compress_type=zipfile.ZIP_STORED)
        file.writestr("rare.txt", b"rare " * 99, compress_type=zipfile.ZIP_BZIP2)
        file.writestr("__MACOSX/folder/._packed.txt", b"not this")
    return path


def test_files_in_folders_and_members_of_archives_within_them_are_found_in_order(archive: Path) -> None:
    (archive.parent.parent / "a.txt").write_bytes(b"a")
    (archive.parent.parent / ".hidden").write_bytes(b"h")
    found = [source.stem for source in walk([archive.parent.parent])]
    assert found == ["a", "packed", "stored", "rare"]


def test_members_are_read_without_unpacking(archive: Path) -> None:
    content = {source.stem: read(source) for source in walk([archive])}
    assert content == {"packed": b"packed " * 999, "stored": b"stored", "rare": b"rare " * 99}
    assert sources.head(Source(archive, "folder/packed.txt"), 10) == b"packed pac"


def test_a_file_reached_twice_is_found_once(archive: Path) -> None:
    folder = archive.parent.parent
    assert len(list(walk([folder, archive, archive.parent, folder]))) == 3


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "again").symlink_to(tmp_path)
    assert [source.path.name for source in walk([tmp_path])] == ["a.txt"]


def test_two_links_to_one_file_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert [source.stem for source in walk([tmp_path])] == ["a", "b"]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(StarsBenchError, match=r"broken\.zip"):
        list(walk([tmp_path]))


def test_a_damaged_member_is_refused(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[data.find(b"stored", data.find(b"stored.txt") + 10)] ^= 1
    archive.write_bytes(data)
    with pytest.raises(UnreadableSource, match="damaged"):
        read(Source(archive, "stored.txt"))


def test_the_same_content_twice_is_fine_and_the_first_is_taken(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "packed.txt"
    copy.write_bytes(b"packed " * 999)
    both = [("packed", Source(copy)), ("packed", Source(archive, "folder/packed.txt"))]
    assert unique(both) == {"packed": Source(copy)}


def test_different_content_under_one_name_is_an_error_that_names_both(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "packed.txt"
    other.write_bytes(b"packet " * 999)
    with pytest.raises(StarsBenchError, match=r"packed\.txt and .*ZIP:folder/packed\.txt"):
        unique([("packed", Source(other)), ("packed", Source(archive, "folder/packed.txt"))])


def test_without_raw_the_default_places_are_searched_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STARS_BENCH_RAW", raising=False)
    with pytest.raises(UsageError, match=r"no raw files of ntu60 in .*raw and no --raw given\. Ask for them"):
        raw_folders([], tmp_path, "ntu60", "Ask for them")
    (tmp_path / "raw").mkdir()
    assert raw_folders([], tmp_path, "ntu60", "") == [tmp_path / "raw"]
    (tmp_path / "raw" / "ntu60").mkdir()
    assert raw_folders([], tmp_path, "ntu60", "") == [tmp_path / "raw" / "ntu60"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("STARS_BENCH_RAW", str(tmp_path / "elsewhere"))
    assert raw_folders([], tmp_path, "ntu60", "") == [tmp_path / "elsewhere"]
    assert raw_folders([tmp_path], tmp_path, "ntu60", "") == [tmp_path]


def test_a_raw_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        raw_folders([tmp_path / "nowhere"], tmp_path, "ntu60", "")
