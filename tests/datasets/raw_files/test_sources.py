"""Raw folders: files found wherever they lie, each once, never the wrong one of two."""

from __future__ import annotations

import gc
import os
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from stars_bench.api import Source
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import (
    UnreadableSource,
    collector_paused,
    head,
    is_other_archive,
    place_of,
    raw_folders,
    read,
    same_content,
    unique,
    walk,
)
from stars_bench.errors import StarsBenchError, UsageError


def names(*paths: Path) -> list[str]:
    return [name for name, _ in walk(paths)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "sub" / "some archive é.ZIP"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("folder/packed.txt", b"packed " * 999, compress_type=zipfile.ZIP_DEFLATED)
        file.writestr("stored.txt", b"stored", compress_type=zipfile.ZIP_STORED)
    return path


def test_files_of_folders_and_members_of_archives_are_found_in_order(archive: Path) -> None:
    top = archive.parent.parent
    for name in ("b.txt", "a.txt", ".hidden", "sub/z.txt", "another/c.txt"):
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_bytes(b"x")
    assert names(top) == ["a.txt", "b.txt", "c.txt", "packed.txt", "stored.txt", "z.txt"]


def test_what_is_hidden_or_of_macos_is_left_out(tmp_path: Path) -> None:
    for name in (".git/a.txt", "__MACOSX/b.txt", ".c.txt", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path) == ["d.txt"]


def test_names_with_blanks_and_of_any_script_are_read(tmp_path: Path) -> None:
    file = tmp_path / "my données" / "骨架 数据" / "кадр 1.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"frames")
    [(name, source)] = walk([tmp_path])
    assert (name, str(source), source.path, source.stem) == ("кадр 1.txt", str(file), file, "кадр 1")
    assert read(source) == b"frames"


def test_a_source_survives_the_way_to_another_process(archive: Path) -> None:
    for _, source in walk([archive.parent, archive.parent.parent]):
        copy = pickle.loads(pickle.dumps(source))
        assert copy == source
        assert (str(copy), read(copy), place_of(copy)) == (str(source), read(source), place_of(source))


def test_a_file_reached_twice_is_found_once(archive: Path) -> None:
    folder = archive.parent.parent
    single = folder / "a.txt"
    single.write_bytes(b"a")
    for paths in ([folder, archive, archive.parent, folder, single], [single, archive, single, folder]):
        assert sorted(names(*paths)) == ["a.txt", "packed.txt", "stored.txt"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "again").symlink_to(tmp_path)
    assert names(tmp_path) == ["a.txt"]


def test_a_linked_folder_is_entered_and_a_link_that_leads_nowhere_is_told_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_bytes(b"a")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "linked").symlink_to(tmp_path / "data")
    (tmp_path / "raw" / "lost.txt").symlink_to(tmp_path / "gone")
    found = dict(walk([tmp_path / "raw"]))
    assert read(found["a.txt"]) == b"a"
    with pytest.raises(UnreadableSource, match=r"lost\.txt: cannot be found"):
        read(found["lost.txt"])
    assert head(found["lost.txt"]) == b""


def test_two_links_to_one_file_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert names(tmp_path) == ["a.txt", "b.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")  # reading it would wait for ever
    assert names(tmp_path) == []


def test_no_file_is_asked_for_its_size_before_it_is_needed_and_then_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_bytes(b"x")
    asked: Counter[str] = Counter()
    stat = os.stat

    def counting(path: str, **options: bool) -> os.stat_result:
        asked[str(path)] += 1
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", counting)
    found = [source for _, source in walk([tmp_path])]
    assert not [path for path in asked if path.endswith(".txt")]
    places = [place_of(source) for source in found]
    assert all(asked[str(source)] == 1 for source in found)
    assert [read(*pair) for pair in zip(found, places, strict=True)] == [b"x"] * 20
    assert all(asked[str(source)] == 1 for source in found)


def test_the_collector_is_paused_for_a_while_only() -> None:
    @collector_paused()
    def fail() -> None:
        assert not gc.isenabled()
        raise StarsBenchError("something went wrong")

    with pytest.raises(StarsBenchError):
        fail()
    assert gc.isenabled()


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StarsBenchError, match=r"raw: cannot be read \(Permission denied\)"):
        names(tmp_path / "raw")


def test_a_file_that_comes_in_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a network's file system."""
    (tmp_path / "a.txt").write_bytes(b"0123456789" * 9)
    [(_, source)] = walk([tmp_path])
    whole = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: whole(descriptor, min(size, 40)))
    assert read(source) == b"0123456789" * 9


def test_a_file_that_changed_since_it_was_found_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"before")
    [(_, source)] = walk([tmp_path])
    place = place_of(source)
    file.write_bytes(b"and after")
    with pytest.raises(UnreadableSource, match="has changed: 6 bytes when it was found, 9 now"):
        read(source, place)
    file.unlink()
    with pytest.raises(UnreadableSource, match="cannot be read"):
        read(source, place)


def test_a_file_larger_than_any_raw_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "a.skeleton"
    with file.open("wb") as sparse:
        sparse.truncate(sources.LARGEST + 1)
    with pytest.raises(UnreadableSource, match="more than any raw file has"):
        read(Source(file))


def test_the_same_content_twice_is_fine_and_the_first_is_taken(archive: Path, tmp_path: Path) -> None:
    copy, again = tmp_path / "packed.txt", tmp_path / "again.txt"
    for file in (copy, again):
        file.write_bytes(b"packed " * 999)
    member = Source(archive, "folder/packed.txt")
    passed_over: Counter[str] = Counter()
    both = [("packed", Source(copy)), ("packed", member), ("packed", Source(again)), ("other", member)]
    assert unique(both, passed_over=passed_over) == {"packed": Source(copy), "other": member}
    assert passed_over == {"files of a name found before (the same content)": 2}


def test_content_that_differs_is_seen_between_files_members_and_both(archive: Path, tmp_path: Path) -> None:
    near, far = tmp_path / "near.txt", tmp_path / "far.txt"
    near.write_bytes(b"packed " * 998 + b"packet ")
    far.write_bytes(b"p")
    member, stored = Source(archive, "folder/packed.txt"), Source(archive, "stored.txt")
    for one, other in ((Source(near), Source(far)), (Source(near), member), (member, Source(near)), (member, stored)):
        assert not same_content(one, other)
        assert same_content(one, one)


def test_different_content_under_one_name_is_an_error_that_names_both(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "packed.txt"
    other.write_bytes(b"packet " * 999)
    both = [("packed", Source(other)), ("packed", Source(archive, "folder/packed.txt"))]
    with pytest.raises(StarsBenchError, match=r"packed\.txt and .*ZIP:folder/packed\.txt.*--on-duplicate first"):
        unique(both)


def test_the_first_is_taken_unread_when_asked_for(archive: Path, tmp_path: Path) -> None:
    passed_over: Counter[str] = Counter()
    both = [("packed", Source(archive, "folder/packed.txt")), ("packed", Source(tmp_path / "not even there"))]
    assert unique(both, "first", passed_over) == dict(both[:1])
    assert passed_over == {"files of a name found before (not compared: --on-duplicate first)": 1}


def test_comparing_is_reported(archive: Path) -> None:
    said: list[tuple[str, int, int]] = []
    source = Source(archive, "stored.txt")
    unique([("a", source), ("a", Source(archive, "stored.txt"))], progress=lambda *what: said.append(what))
    assert said == [("compare files of one name", 0, 1), ("compare files of one name", 1, 1)]


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


@pytest.mark.parametrize("name", ["all.rar", "all.7z.001", "S001.skeleton.gz", "ALL.RAR"])
def test_an_archive_of_another_kind_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="which is not read: `"):
        raw_folders([tmp_path / name], tmp_path, "ntu60", "")


@pytest.mark.parametrize("name", ["all.zip", "ALL.7Z", "all.tar", "all.tar.gz", "all.TGZ", "all.tar.xz", "a.skeleton"])
def test_an_archive_that_is_opened_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert raw_folders([tmp_path / name], tmp_path, "ntu60", "") == [tmp_path / name]
    assert not is_other_archive(name)
