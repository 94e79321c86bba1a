"""A pack may come from anybody: what no pack holds is refused in one line, and nothing is written or overwritten."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.sharing import unpack as unpacking
from stars_bench.experiments.sharing.unpack import unpack

pytest.importorskip("safetensors")

Files = dict[str, bytes]
SEED = "runs/synthetic/xsub/mamp/KEY/seed0"


def content(packed: Path) -> Files:
    with zipfile.ZipFile(packed) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(files: Files, out: Path, changed: Callable[[zipfile.ZipInfo], None] = lambda _: None) -> Path:
    """An archive of files whose manifest fits them."""
    manifest = json.loads(files["pack.json"])
    manifest["files"] = {
        name: {"size": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in files.items()
        if name != "pack.json"
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**files, "pack.json": json.dumps(manifest).encode()}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            changed(entry)
            archive.writestr(entry, data)
    return out


@pytest.fixture
def files(packed: Path) -> Files:
    return content(packed)


@pytest.fixture
def seed(files: Files) -> str:
    return next(name for name in files if name.endswith("/packed.json")).removesuffix("/packed.json")


def refused(file: Path, tmp_path: Path, match: str) -> None:
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(StarsBenchError, match=match) as error:
        unpack(file, tmp_path / "runs")
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in there] in ([], [tmp_path / "runs"])


def test_what_is_written_by_hand_with_a_right_manifest_is_unpacked(files: Files, tmp_path: Path) -> None:
    assert len(unpack(written(files, tmp_path / "x.zip"), tmp_path / "runs").folders) == 3


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "/etc/evil.json",
        "runs/../../evil/records/x.json",
        "runs\\synthetic\\evil.json",
        "C:/evil.json",
        f"{SEED}/records/../../../evil.json",
        f"{SEED}/records/.hidden.json",
        f"{SEED}/records/x.py",
        f"{SEED}/encoder.pt",
        f"{SEED}/stages/s.pt",
        f"{SEED}/records/sub/x.json",
        "runs/a/b/c/seed0/config.toml",
        "runs/a/b/c/d/seedx/config.toml",
        f"{SEED}/records/x.json\n",
        f"{SEED}/records/",
        "notes.txt",
    ],
)
def test_names_that_no_pack_has_are_refused(files: Files, name: str, tmp_path: Path) -> None:
    refused(written({**files, name: b"{}"}, tmp_path / "x.zip"), tmp_path, r"refused, nothing was unpacked: '.*' is no")
    assert not list(tmp_path.parent.glob("evil*"))


def test_links_and_devices_are_refused(files: Files, seed: str, tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFDIR):

        def changed(entry: zipfile.ZipInfo, kind: int = kind) -> None:
            if entry.filename == f"{seed}/config.toml":
                entry.external_attr = (kind | 0o777) << 16

        file = written({**files, f"{seed}/config.toml": b"/etc/passwd"}, tmp_path / "x.zip", changed)
        refused(file, tmp_path, "is a link or no regular file")


def test_a_name_twice_is_refused_also_in_other_letters(files: Files, seed: str, tmp_path: Path) -> None:
    file = written(files, tmp_path / "x.zip")
    name = next(name for name in files if name.startswith(f"{seed}/records/"))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, b"{}")
    refused(file, tmp_path, "is in it twice")
    other = name.replace("knn", "KNN").replace("linear", "LINEAR")
    refused(written({**files, other: b"{}"}, tmp_path / "y.zip"), tmp_path, "is in it twice")


def test_bombs_are_refused_unread(files: Files, seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deflated(entry: zipfile.ZipInfo) -> None:
        entry.compress_type = zipfile.ZIP_DEFLATED if entry.filename.endswith((".npz", "log.jsonl")) else 0

    refused(written(files, tmp_path / "a.zip", deflated), tmp_path, r"npz' is compressed as no pack is")
    monkeypatch.setattr(unpacking, "LARGEST_TEXT", 1 << 20)
    bomb = {**files, f"{seed}/log.jsonl": bytes(2 << 20)}

    def only_text(entry: zipfile.ZipInfo) -> None:
        entry.compress_type = zipfile.ZIP_DEFLATED if entry.filename.endswith("log.jsonl") else 0

    refused(written(bomb, tmp_path / "b.zip", only_text), tmp_path, "unpacks to 2,097,152 bytes, more than any")
    monkeypatch.setattr(unpacking, "LARGEST_TEXT", 4 << 20)
    monkeypatch.setattr(unpacking, "ALL_TEXTS", 1 << 20)
    refused(written(bomb, tmp_path / "c.zip", only_text), tmp_path, "its texts unpack to more")
    monkeypatch.setattr(unpacking, "MOST_FILES", 3)
    refused(written(files, tmp_path / "d.zip"), tmp_path, r"it holds \d+ files")


def test_entries_that_share_their_bytes_are_refused(files: Files, seed: str, tmp_path: Path) -> None:
    """What a quine bomb does: many entries of the directory point at the same place."""
    big = {**files, f"{seed}/predictions/big.npz": os.urandom(400_000)}
    file = written(big, tmp_path / "x.zip")
    with zipfile.ZipFile(file, "a") as archive:
        first = archive.getinfo(f"{seed}/predictions/big.npz")
        for number in range(8):
            entry = zipfile.ZipInfo(f"{seed}/predictions/big{number}.npz")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "external_attr"):
                setattr(entry, name, getattr(first, name))
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
        archive._didModify = True  # type: ignore[attr-defined]
    refused(file, tmp_path, "its files overlap")


def test_what_is_damaged_or_no_pack_is_one_line(packed: Path, files: Files, seed: str, tmp_path: Path) -> None:
    data = packed.read_bytes()
    for number, other in enumerate((b"", b"PK", data[: len(data) // 2], data[:-30])):
        file = tmp_path / f"{number}.zip"
        file.write_bytes(other)
        refused(file, tmp_path, "no pack that can be read|refused, nothing was unpacked")
    weights = data.index(files[f"{seed}/encoder/model.safetensors"][-64:])
    (tmp_path / "flipped.zip").write_bytes(data[:weights] + bytes([data[weights] ^ 1]) + data[weights + 1 :])
    refused(tmp_path / "flipped.zip", tmp_path, "no pack that can be read")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("README.md", "hello")
    refused(tmp_path / "other.zip", tmp_path, r"it has no pack\.json")
    os.mkfifo(tmp_path / "fifo.zip")
    refused(tmp_path / "fifo.zip", tmp_path, "is no regular file")
    with pytest.raises(UsageError, match="there is no such file"):
        unpack(tmp_path / "nothing.zip", tmp_path / "runs")


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (b"[]", r"pack\.json"),
        (b"\xff", r"pack\.json"),
        (b'{"generator": "x", "version": "1", "files": {}}', r"its files are not those"),
        (b'{"generator": "x", "version": "1", "files": {}, "schema_version": 9}', "schema_version"),
        (b'{"generator": "x", "version": "1", "files": {"a": {"size": -1, "sha256": ""}}}', "size"),
    ],
)
def test_a_manifest_of_another_form_is_refused(files: Files, manifest: bytes, match: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in {**files, "pack.json": manifest}.items():
            archive.writestr(name, data)
    refused(tmp_path / "x.zip", tmp_path, match)


def test_a_file_that_differs_from_the_manifest_is_refused(files: Files, seed: str, tmp_path: Path) -> None:
    config = files[f"{seed}/config.toml"]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in {**files, f"{seed}/config.toml": config.replace(b"xsub", b"xset")}.items():
            archive.writestr(name, data)
    refused(tmp_path / "x.zip", tmp_path, r"config\.toml is damaged \(its checksum differs\)")


def test_records_in_another_runs_place_are_refused(files: Files, seed: str, tmp_path: Path) -> None:
    moved = {name.replace(seed, seed.replace("mamp", "stars")): data for name, data in files.items()}
    refused(written(moved, tmp_path / "x.zip"), tmp_path, "is a record of another run")
    none = {name: data for name, data in files.items() if not name.startswith(f"{seed}/records/")}
    refused(written(none, tmp_path / "y.zip"), tmp_path, "has no records")
    broken = next(name for name in files if name.startswith(f"{seed}/records/"))
    refused(written({**files, broken: b"{}"}, tmp_path / "z.zip"), tmp_path, "not a record of stars-bench")


def test_nothing_is_overwritten_and_the_same_again_is_no_error(packed: Path, tmp_path: Path) -> None:
    first = unpack(packed, tmp_path)
    again = unpack(packed, tmp_path)
    assert (again.folders, again.there) == ((), first.folders)
    gone = first.folders[2]
    for file in sorted(gone.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    gone.rmdir()
    edited = first.folders[0] / "config.toml"
    edited.write_text("mine")
    with pytest.raises(UsageError, match="is there already and is not what"):
        unpack(packed, tmp_path)
    assert edited.read_text() == "mine"
    assert not gone.exists(), "all or nothing"
    assert not list(tmp_path.glob(".*")), "nothing half written stays"
