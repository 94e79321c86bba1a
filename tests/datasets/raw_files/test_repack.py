"""Archives that are repacked once (.7z, .tar): attacks and damage are told in one line."""

from __future__ import annotations

import io
import lzma
import re
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from stars_bench.datasets.raw_files import repack, sources, zip
from stars_bench.datasets.raw_files.sources import Member, UnreadableSource, head, place_of, remove_unpacked, walk
from stars_bench.errors import StarsBenchError
from tests.datasets.archive_writers import (
    CONTENT,
    TEXTS,
    everything,
    expected,
    result,
    snapshot,
    write_7z,
    write_tar,
    write_zip,
)
from tests.killed import left_by_a_killed_process

PACKERS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "a.7z": write_7z,
    "A.7Z": write_7z,
    "a.tar": write_tar,
    "a.tar.gz": lambda path, content: write_tar(path, content, "gz"),
    "a.tgz": lambda path, content: write_tar(path, content, "gz"),
    "a.tar.bz2": lambda path, content: write_tar(path, content, "bz2"),
    "a.tar.xz": lambda path, content: write_tar(path, content, "xz"),
}


@pytest.mark.parametrize("name", PACKERS)
def test_members_of_any_archive_are_read_under_the_archives_own_name(tmp_path: Path, name: str) -> None:
    path = PACKERS[name](tmp_path / name, CONTENT | {"empty.txt": b"", "数据/3.txt": b"3"})
    assert everything(path, tmp_path / "scratch") == expected() | {"empty.txt": b"", "3.txt": b"3"}
    source = dict(walk([path], TEXTS, tmp_path / "scratch"))["0.txt"]
    assert str(source) == f"{path}:some/folder/0.txt"
    assert head(source, 5) == CONTENT["some/folder/0.txt"][:5]


@pytest.mark.parametrize("name", ["a.7z", "a.tar.gz"])
def test_places_rest_on_size_and_checksum_so_that_repacking_anew_changes_no_plan(tmp_path: Path, name: str) -> None:
    path = PACKERS[name](tmp_path / name, CONTENT)
    scratch = tmp_path / "scratch"
    first = {file: place_of(source)[:2] for file, source in walk([path], TEXTS, scratch)}
    remove_unpacked(scratch)
    again = {file: place_of(source)[:2] for file, source in walk([path], TEXTS, scratch)}
    assert first == again == {file: (len(data), zlib.crc32(data)) for file, data in expected().items()}


@pytest.mark.parametrize("name", ["a.7z", "a.tar"])
def test_an_archive_is_repacked_once_and_anew_when_it_changes(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scratch = PACKERS[name](tmp_path / name, CONTENT), tmp_path / "scratch"
    assert everything(path, scratch) == expected()
    with monkeypatch.context() as patch:
        patch.setattr(repack, "_from_7z", None)
        patch.setattr(repack, "_from_tar", None)
        assert everything(path, scratch) == expected()
    PACKERS[name](path, {"b.txt": b"b"})
    assert everything(path, scratch) == {"b.txt": b"b"}


@pytest.mark.parametrize("name", ["a.7z", "a.tar"])
def test_only_wanted_names_are_unpacked_and_nothing_where_there_are_none(tmp_path: Path, name: str) -> None:
    path = PACKERS[name](
        tmp_path / name, {"a.txt": b"a", "b.avi": b"b" * 9999, "__MACOSX/._a.txt": b"m", ".h.txt": b"h"}
    )
    scratch = tmp_path / "scratch"
    assert list(dict(walk([path], TEXTS, scratch))) == ["a.txt"]
    assert sum(file.stat().st_size for file in scratch.iterdir()) < 500
    shutil.rmtree(scratch)
    assert not dict(walk([path], re.compile(r".*\.skeleton"), scratch))
    assert name == "a.tar" or not scratch.exists()


def test_what_a_killed_run_left_is_cleared_and_the_rest_removed_at_the_end(tmp_path: Path) -> None:
    path, scratch = write_7z(tmp_path / "a.7z"), tmp_path / "scratch"
    [(_, source), *_] = walk([path], TEXTS, scratch)
    left_by_a_killed_process(source.path)
    source.path.unlink()
    assert everything(path, scratch) == expected()
    assert [file.suffix for file in scratch.iterdir()] == [".zip"]
    remove_unpacked(scratch)
    remove_unpacked(scratch)  # once more does no harm
    assert not scratch.exists()
    assert path.exists()


def test_unpacking_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repack, "MEGABYTE", 1000)
    said: list[tuple[str, int, int]] = []
    total = sum(map(len, CONTENT.values())) // 1000
    list(walk([write_7z(tmp_path / "a.7z")], TEXTS, tmp_path / "scratch", lambda *what: said.append(what)))
    assert said[-1] == ("unpack a.7z (MB)", total, total)
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)
    assert len(said) == len(CONTENT)


def test_an_archive_that_must_be_unpacked_is_refused_where_there_is_no_place_to(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z")
    with pytest.raises(StarsBenchError, match=r"a\.7z: must be unpacked first"):
        everything(path)


def test_nothing_is_written_beside_the_raw_files(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a.7z", "a.tar.gz"):
        PACKERS[name](raw / name, CONTENT)
    write_zip(raw / "a.zip")
    (raw / "single.txt").write_bytes(b"single")
    raw.chmod(0o555)
    before = snapshot(raw)
    try:
        assert everything(raw, tmp_path / "scratch") == expected() | {"single.txt": b"single"}
    finally:
        raw.chmod(0o755)
    assert snapshot(raw)[1:] == before[1:]


def renamed_in_7z(path: Path, name: str, other: str) -> Path:
    """Gives a member of a .7z another name of the same length; py7zr itself would not write such a name."""
    assert len(name) == len(other)
    data = bytearray(path.read_bytes().replace(name.encode("utf-16-le"), other.encode("utf-16-le")))
    offset, size = struct.unpack_from("<QQ", data, 12)
    struct.pack_into("<I", data, 28, zlib.crc32(data[32 + offset : 32 + offset + size]))
    struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("evil", ["../../../ev.txt", "/abs/evil/e.txt", "C:/dir/evil.txt"])
def test_a_7z_whose_names_lead_elsewhere_writes_nothing_there(tmp_path: Path, evil: str) -> None:
    path = tmp_path / "deep" / "er" / "evil.7z"
    path.parent.mkdir(parents=True)
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(b"evil", "dir/inner/e.txt")
        archive.writestr(b"good", "good.txt")
    renamed_in_7z(path, "dir/inner/e.txt", evil)
    with py7zr.SevenZipFile(path) as archive:
        assert archive.getnames() == [evil, "good.txt"]
    before = snapshot(tmp_path)
    found = result(path, tmp_path / "scratch" / "folder")
    if evil.startswith("/"):
        assert found == {"e.txt": b"evil", "good.txt": b"good"}  # taken as a name, not as a path
    else:
        assert (
            found
            == f"{path}: cannot be read as a 7z archive (Bad7zFile: Specified path is bad: {evil}); fetch it again"
        )
    remove_unpacked(tmp_path / "scratch")
    assert snapshot(tmp_path)[1:] == before[1:]
    assert not Path(evil).exists()


def test_names_that_lead_out_of_a_tar_and_links_in_it_write_nothing_there(tmp_path: Path) -> None:
    path, secret = tmp_path / "evil.tar", tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    with tarfile.open(path, "w") as archive:
        for name, kind, data in (
            ("../../out.txt", tarfile.REGTYPE, b"out"),
            ("/abs.txt", tarfile.REGTYPE, b"abs"),
            ("link.txt", tarfile.SYMTYPE, b""),
            ("hard.txt", tarfile.LNKTYPE, b""),
            ("pipe.txt", tarfile.FIFOTYPE, b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, str(secret), len(data)
            archive.addfile(entry, io.BytesIO(data))
    before = snapshot(tmp_path)
    assert everything(path, tmp_path / "scratch") == {"out.txt": b"out", "abs.txt": b"abs"}
    remove_unpacked(tmp_path / "scratch")
    assert snapshot(tmp_path)[1:] == before[1:]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_a_link_in_a_7z_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "link.txt", "link.txt")
        archive.writestr(b"good", "good.txt")
    assert everything(tmp_path / "a.7z", tmp_path / "scratch") == {"good.txt": b"good"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights")
def test_links_where_the_command_runs_do_not_mislead_a_7z(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "some").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    assert everything(write_7z(tmp_path / "a.7z"), Path("scratch")) == expected()


@pytest.mark.parametrize("hidden", [False, True])
def test_an_encrypted_7z_is_told_as_such(tmp_path: Path, hidden: bool) -> None:
    path = write_7z(tmp_path / "a.7z", {"a.txt": b"a"}, password="secret", hidden=hidden)
    with pytest.raises(StarsBenchError, match=r"a\.7z: is encrypted; unpack it and give the folder"):
        everything(path, tmp_path / "scratch")


def test_an_encrypted_7z_that_holds_nothing_wanted_is_in_nobodys_way(tmp_path: Path) -> None:
    path = write_7z(tmp_path / "a.7z", {"a.txt": b"a"}, password="secret")
    assert not dict(walk([path], re.compile(r".*\.skeleton"), tmp_path / "scratch"))


def test_a_damaged_7z_gives_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    path, scratch = write_7z(tmp_path / "a.7z", dict(list(CONTENT.items())[:3])), tmp_path / "scratch"
    whole, refused = path.read_bytes(), 0
    for position in range(0, len(whole), 29):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        found = result(path, scratch)
        if isinstance(found, str):
            assert re.fullmatch(rf"{re.escape(str(path))}: .*", found)  # one line
            assert not scratch.exists() or not list(scratch.iterdir())
            refused += 1
        else:
            assert set(found.values()) <= set(CONTENT.values())
        remove_unpacked(scratch)
    assert refused > len(whole) // 29 * 0.9


def test_a_member_of_a_7z_whose_bytes_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.7z"
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
        archive.writestr(b"stored", "a.txt")
    path.write_bytes(path.read_bytes().replace(b"stored", b"ztored"))
    with pytest.raises(StarsBenchError, match=r"a\.7z: cannot be read as a 7z archive \(a\.txt is damaged: CRC-32\)"):
        everything(path, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["a.7z", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("part", [0.0, 0.4, 0.999])
def test_an_archive_that_was_cut_off_is_told_as_such(tmp_path: Path, name: str, part: float) -> None:
    path = PACKERS[name](tmp_path / name, CONTENT)
    whole = path.read_bytes().rstrip(b"\0") if name == "a.tar" else path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(StarsBenchError, match=rf"{re.escape(name)}: cannot be .*\)"):
        everything(path, tmp_path / "scratch")
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".zip", ".partial")]


@pytest.mark.parametrize("name", ["a.7z", "a.tar"])
def test_a_name_twice_in_one_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = PACKERS[name](tmp_path / name, {"a/a.txt": b"1", "b/b.txt": b"2"})
    if name == "a.tar":
        with tarfile.open(path, "a") as archive:
            archive.addfile(tarfile.TarInfo("a/a.txt"))
    else:
        with py7zr.SevenZipFile(path, "w") as archive:
            archive.set_encoded_header_mode(False)
            archive.writestr(b"1", "a/a.txt")
            archive.writestr(b"2", "b/b.txt")
        renamed_in_7z(path, "b/b.txt", "a/a.txt")
    with pytest.raises(StarsBenchError, match=r"it holds a/a\.txt twice"):
        everything(path, tmp_path / "scratch")


def test_a_7z_that_promises_more_than_there_is_room_for_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_7z(tmp_path / "a.7z", {"a.txt": bytes(50_000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(StarsBenchError, match=r"unpacked it has 50,000 bytes, but .*scratch has room for 9 only"):
        everything(path, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["a.7z", "a.tar.gz"])
def test_a_bomb_in_an_archive_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repack, "LARGEST", 1 << 20)
    path = PACKERS[name](tmp_path / name, {"bomb.txt": bytes((1 << 20) + 1)})
    with pytest.raises(StarsBenchError, match=r"bomb\.txt has 1,048,577 bytes, more than any raw file"):
        everything(path, tmp_path / "scratch")


def test_without_py7zr_a_7z_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_7z(tmp_path / "a.7z")
    monkeypatch.delitem(sys.modules, "stars_bench.datasets.raw_files.seven_zip", raising=False)
    monkeypatch.delattr("stars_bench.datasets.raw_files.seven_zip", raising=False)
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(StarsBenchError, match=r"a\.7z: needs py7zr .*pip install py7zr"):
        everything(path, tmp_path / "scratch")


def test_a_bad_lzma_member_asks_for_no_boundless_memory(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"a" * 999}, zipfile.ZIP_LZMA)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"a.txt") + 5 + 5, 0xFFFFFFFF)  # the size of its dictionary
    path.write_bytes(data)
    with pytest.raises(UnreadableSource, match="damaged"):
        everything(path)
    assert issubclass(lzma.LZMAError, zip.DAMAGE)


def test_members_of_different_archives_are_members(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"a.txt": b"1"})
    write_7z(tmp_path / "b.7z", {"b.txt": b"2"})
    found = [source for _, source in walk([tmp_path], TEXTS, tmp_path / "scratch")]
    assert all(isinstance(source, Member) for source in found)
    assert [sources.same_content(found[0], source) for source in found] == [True, False]
