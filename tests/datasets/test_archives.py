"""Archives as they come: zips read in place, .7z and .tar repacked once, attacks and damage told in one line."""

from __future__ import annotations

import io
import lzma
import multiprocessing
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from stars_bench.api import Source, StarsBenchError
from stars_bench.datasets import solid_archives, sources, zip_archives
from stars_bench.datasets.sources import Member, UnreadableSource, head, place_of, read, remove_unpacked, walk

TEXTS = re.compile(r".*\.txt")
CONTENT = {f"some/folder/{number}.txt": random.Random(number).randbytes(400).hex().encode() for number in range(30)}


def write_zip(path: Path, content: dict[str, bytes] = CONTENT, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_7z(
    path: Path, content: dict[str, bytes] = CONTENT, password: str | None = None, hidden: bool = False
) -> Path:
    with py7zr.SevenZipFile(path, "w", password=password, header_encryption=hidden) as archive:
        for name, data in content.items():
            archive.writestr(data, name)
    return path


def write_tar(path: Path, content: dict[str, bytes] = CONTENT, kind: str = "") -> Path:
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def everything(path: Path, scratch: Path | None = None) -> dict[str, bytes]:
    return {name: read(source) for name, source in walk([path], TEXTS, scratch)}


def result(path: Path, scratch: Path | None = None) -> dict[str, bytes] | str:
    """The contents, or the error's message."""
    try:
        return everything(path, scratch)
    except StarsBenchError as error:
        return str(error)


def expected(content: dict[str, bytes] = CONTENT) -> dict[str, bytes]:
    return {name.rpartition("/")[2]: data for name, data in content.items()}


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")])


# ------------------------------------------------------------------------------------------------------ zip


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_packed_in_any_usual_way_are_read(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "a.zip", method=method)
    assert everything(path) == expected()
    [(_, first), *_] = walk([path])
    assert head(first, 10) == CONTENT["some/folder/0.txt"][:10]


def test_a_member_of_no_bytes_is_read(tmp_path: Path) -> None:
    assert everything(write_zip(tmp_path / "a.zip", {"a.txt": b""})) == {"a.txt": b""}


def test_a_member_is_named_by_archive_and_member_and_may_be_asked_for_by_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    [(_, first), *_] = walk([path])
    assert str(first) == f"{path}:some/folder/0.txt"
    plain = Source(path, "some/folder/0.txt")
    assert (read(plain), place_of(plain)) == (read(first), place_of(first))
    with pytest.raises(UnreadableSource, match=r"a\.zip:none\.txt: cannot be found"):
        place_of(Source(path, "none.txt"))


def test_the_directory_is_read_once_and_the_archive_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "a.zip")
    opened, directories = [], []
    open_file, open_zip = os.open, zipfile.ZipFile

    def opening(name: str, *rest: int) -> int:
        opened.append(name)
        return open_file(name, *rest)

    def reading(*what: object) -> object:
        directories.append(what)
        return open_zip(*what)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(zipfile, "ZipFile", reading)
    found = [source for _, source in walk([path])]
    assert {source.stem: read(source, place_of(source)) for source in found for _ in range(2)}
    assert opened == [path]
    assert len(directories) == 1


def _read_all(found: list[tuple[str, Source]]) -> bool:
    return all(read(source) == expected()[name] for name, source in found for _ in range(20))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_forked_workers_share_an_open_archive_without_harm(tmp_path: Path) -> None:
    found = list(walk([write_zip(tmp_path / "a.zip")]))
    assert read(found[0][1])  # opened before the fork: both go on with the same open file
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.map(_read_all, [found] * 4, chunksize=1))


def test_archives_of_windows_and_of_old_tools_are_read_whatever_their_names_are_written_in(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"d-r/S_1.txt": b"1", "caf-/2.txt": b"2", "数据/3.txt": b"3"})
    data = path.read_bytes().replace(b"d-r/S_1.txt", b"dir\\S_1.txt").replace(b"caf-", b"caf\x82")  # é of code page 437
    path.write_bytes(data)
    assert everything(path) == {"S_1.txt": b"1", "2.txt": b"2", "3.txt": b"3"}
    assert str(dict(walk([path]))["2.txt"]) == f"{path}:café/2.txt"


class Unseekable(io.RawIOBase):
    """A stream that zipfile cannot go back in, so that sizes follow the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += data
        return len(data)


def test_sizes_that_follow_the_data_are_read(tmp_path: Path) -> None:
    stream, path = Unseekable(), tmp_path / "a.zip"
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    path.write_bytes(stream.data)
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 8
    assert everything(path) == expected()


def test_members_behind_four_gigabytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as sparse:
        sparse.truncate(5 << 30)  # takes no room
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in CONTENT.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    found = dict(walk([path]))
    assert place_of(found["0.txt"]).packed.offset >= 5 << 30  # type: ignore[union-attr]
    assert {name: read(source) for name, source in found.items()} == expected()


def test_a_long_extra_field_before_the_data_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    entry = zipfile.ZipInfo("a.txt")
    entry.extra = struct.pack("<HH", 0xCAFE, 2000) + b"x" * 2000
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, b"content")
    assert everything(path) == {"a.txt": b"content"}


def with_promise(path: Path, size: int) -> Path:
    """Has the directory of a zip of one member promise another size."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    path.write_bytes(data)
    return path


def test_no_more_is_inflated_than_the_directory_promised(tmp_path: Path) -> None:
    bomb = with_promise(write_zip(tmp_path / "bomb.zip", {"a.txt": bytes(200 << 20)}), 1000)
    [(_, source)] = walk([bomb])
    tracemalloc.start()
    with pytest.raises(UnreadableSource, match=r"bomb\.zip:a\.txt: cannot be read \(its content is damaged"):
        read(source)
    assert len(head(source, 100)) == 100
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_member_said_to_be_larger_than_any_raw_file_is_refused(tmp_path: Path) -> None:
    bomb = with_promise(write_zip(tmp_path / "bomb.zip", {"a.txt": b"a" * 99}), 0xFFFFFF00)
    [(_, source)] = walk([bomb])
    with pytest.raises(UnreadableSource, match="4,294,967,040 bytes, more than any raw file has"):
        read(source)


def test_a_member_whose_bytes_changed_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"stored"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"stored", b"ztored"))
    with pytest.raises(UnreadableSource, match="damaged"):
        everything(path)


def test_damage_anywhere_gives_one_line_or_the_right_content(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": CONTENT["some/folder/0.txt"], "b.txt": b"b" * 500})
    whole, right, refused = path.read_bytes(), everything(path), 0
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        zip_archives.close_all()
        found = result(path)
        if isinstance(found, str):
            assert "\n" not in found
            refused += 1
        else:
            assert set(found.values()) <= set(right.values())
    assert refused > len(whole) // 6


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"no archive at all" * 99])
def test_what_is_no_zip_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.zip").write_bytes(content)
    with pytest.raises(StarsBenchError, match=r"broken\.zip: cannot be read as a zip archive .*fetch it again"):
        everything(tmp_path)


def test_an_encrypted_member_is_told_as_such(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"a"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableSource, match=r"a\.txt: cannot be read \(encrypted\)"):
        everything(path)


def test_a_name_twice_in_one_zip_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.txt": b"1", "b.txt": b"2"})
    path.write_bytes(path.read_bytes().replace(b"b.txt", b"a.txt"))
    with pytest.raises(StarsBenchError, match=r"it holds a\.txt twice"):
        everything(tmp_path)


def test_an_archive_that_was_replaced_after_its_directory_was_read_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    found = list(walk([path]))
    write_zip(path, {"other.txt": b"other"})
    os.utime(path, ns=(1, 1))
    with pytest.raises(UnreadableSource, match="has changed since its directory was read"):
        read(found[0][1])
    assert everything(path) == {"other.txt": b"other"}


def test_names_that_lead_out_of_a_zip_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_zip(tmp_path / "raw" / "evil.zip", {"../../evil.txt": b"evil", "/etc/evil2.txt": b"evil"})
    before = snapshot(tmp_path)
    assert everything(tmp_path / "raw") == {"evil.txt": b"evil", "evil2.txt": b"evil"}
    assert snapshot(tmp_path) == before


def test_without_isal_zlib_reads_the_same(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    code = (
        "import sys, zlib; sys.modules['isal'] = None; from pathlib import Path\n"
        "from stars_bench.datasets import zip_archives; from stars_bench.datasets.sources import read, walk\n"
        "assert zip_archives.inflater is zlib\n"
        "print(sum(zlib.crc32(read(source)) for _, source in walk([Path(sys.argv[1])])))"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert int(result.stdout) == sum(map(zlib.crc32, CONTENT.values()))


# -------------------------------------------------------------------------------------------- .7z and .tar

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
        patch.setattr(solid_archives, "_from_7z", None)
        patch.setattr(solid_archives, "_from_tar", None)
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
    left = source.path.with_name(f".{source.path.name}.abc.partial")
    left.write_bytes(b"half of it")
    source.path.unlink()
    assert everything(path, scratch) == expected()
    assert [file.suffix for file in scratch.iterdir()] == [".zip"]
    remove_unpacked(scratch)
    remove_unpacked(scratch)  # once more does no harm
    assert not scratch.exists()
    assert path.exists()


def test_unpacking_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solid_archives, "MEGABYTE", 1000)
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
        assert found == f"{path}: cannot be read as a 7z archive (Specified path is bad: {evil}); fetch it again"
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
    monkeypatch.setattr(solid_archives, "LARGEST", 1 << 20)
    path = PACKERS[name](tmp_path / name, {"bomb.txt": bytes((1 << 20) + 1)})
    with pytest.raises(StarsBenchError, match=r"bomb\.txt has 1,048,577 bytes, more than any raw file"):
        everything(path, tmp_path / "scratch")


def test_without_py7zr_a_7z_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_7z(tmp_path / "a.7z")
    monkeypatch.delitem(sys.modules, "stars_bench.datasets.seven_zip", raising=False)
    monkeypatch.delattr("stars_bench.datasets.seven_zip", raising=False)
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
    assert issubclass(lzma.LZMAError, zip_archives.DAMAGE)


def test_members_of_different_archives_are_members(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"a.txt": b"1"})
    write_7z(tmp_path / "b.7z", {"b.txt": b"2"})
    found = [source for _, source in walk([tmp_path], TEXTS, tmp_path / "scratch")]
    assert all(isinstance(source, Member) for source in found)
    assert [sources.same_content(found[0], source) for source in found] == [True, False]
