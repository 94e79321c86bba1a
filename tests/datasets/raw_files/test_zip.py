"""Zip archives as they come, read in place: attacks and damage are told in one line."""

from __future__ import annotations

import io
import multiprocessing
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from stars_bench.api import Source
from stars_bench.datasets.raw_files import zip
from stars_bench.datasets.raw_files.sources import UnreadableSource, head, place_of, read, walk
from stars_bench.errors import StarsBenchError
from tests.datasets.archive_writers import CONTENT, everything, expected, result, snapshot, with_promise, write_zip


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
        zip.close_all()
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
        "from stars_bench.datasets.raw_files import zip as zip_archives\n"
        "from stars_bench.datasets.raw_files.sources import read, walk\n"
        "assert zip_archives.inflater is zlib\n"
        "print(sum(zlib.crc32(read(source)) for _, source in walk([Path(sys.argv[1])])))"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    assert int(result.stdout) == sum(map(zlib.crc32, CONTENT.values()))
