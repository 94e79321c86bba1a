"""Runs into one file to hand on: records, predictions, settings, learning curves, and the encoders as safetensors.

Left out: data and everything from which a clip could be made again (shards, features, pictures, maps with skeletons),
checkpoints of stages, and places of this machine (absolute paths in commands, its name).
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stars_bench._version import __version__
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.sharing import model_card
from stars_bench.experiments.sharing.layout import MANIFEST, README, SCHEMA_VERSION, TEXTS, Manifest, PackedFile
from stars_bench.experiments.sharing.private_text import places, shortened, without_places
from stars_bench.io.disk import check_room, full_is_told
from stars_bench.io.files import atomic_path, digest_file, read_toml, write_json, write_text
from stars_bench.io.outputs import mark, output_file
from stars_bench.io.run_folder import RunFolder, run_folders
from stars_bench.io.sealed import read_json_lines
from stars_bench.records import store
from stars_bench.records.record import Record, content_digest
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.training import exported_encoder

COMMAND = "pack"
LEFT_OUT = ["stages", "features", "maps", "tensorboard", "wandb", "notes"]
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every file in a pack: the same runs give the same bytes."""


@dataclass(frozen=True)
class PackReport:
    """What was packed.

    Args:
        file: The pack.
        runs: Folders of the seeds in it, as they are called in it.
        records: Number of records.
        encoders: Number of encoders.
        size: Bytes.
        shortened: Number of records whose command or remarks named places of this machine.
    """

    file: Path
    runs: tuple[str, ...]
    records: int
    encoders: int
    size: int
    shortened: int


def pack(runs: Sequence[Path], out: Path, overwrite: bool = False) -> PackReport:
    """Pack runs.

    Args:
        runs: Folders of runs, or above several.
        out: The file to write.
        overwrite: Whether a file is replaced that no `pack` wrote. Default: False.

    Raises:
        UsageError: A folder has no records, a setting is an absolute path, or `out` is there and no pack.
        StarsBenchError: A record was edited, or a file that it names is not the one that it was made with.
    """
    folders = list(dict.fromkeys(folder for run in runs for folder in _with_records(run)))
    out = output_file(out, COMMAND, overwrite=overwrite)
    with TemporaryDirectory(prefix="stars-bench-pack-") as scratch:
        made = Path(scratch)
        packed = [_Seed(folder, made).write() for folder in folders]
        named = [one.name for one in packed]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise UsageError(f"{twice[0]}: two of the folders are this run; give one of them")
        stored = [one for path in (made / one.name for one in packed) for one in store.read_records(path).stored]
        write_text(made / README, _readme(stored, named))
        return PackReport(
            file=out,
            runs=tuple(named),
            records=len(stored),
            encoders=sum(one.has_encoder for one in packed),
            size=_zipped(made, out),
            shortened=sum(one.shortened for one in packed),
        )


def _with_records(run: Path) -> list[RunFolder]:
    found = [folder for folder in run_folders(run) if folder.record_files()]
    if not found:
        raise UsageError(f"{run}: no records below it; give runs/DATASET/PROTOCOL/METHOD/KEY or a folder above")
    return found


class _Seed:
    """One seed's folder, and its place in the pack.

    Args:
        folder: The folder.
        made: Where the content of the pack is laid out.
    """

    def __init__(self, folder: RunFolder, made: Path) -> None:
        self.folder, self.shortened, self.has_encoder = folder, 0, False
        self.records = [store.read_record(file) for file in folder.record_files()]
        first = self.records[0]
        place = RunFolder.of(
            Path("runs"),
            first.dataset.name,
            first.protocol.name,
            first.method.name,
            folder.run.resolve().name,
            first.seed,
        )
        self.name = place.path.as_posix()
        self.out = RunFolder(made / place.path)

    def write(self) -> _Seed:
        for file, record in zip(self.folder.record_files(), self.records, strict=True):
            self._record(file, record)
        if self.folder.config.exists():
            write_text(self.out.config, "".join(self._config()))
        if self.folder.log.exists():
            read_json_lines(self.folder.log)  # a damaged one is told now
            shutil.copyfile(self.folder.log, self.out.log)
        self._encoder()
        content = {"generator": mark(COMMAND), "schema_version": SCHEMA_VERSION, "left_out": LEFT_OUT}
        write_json(self.out.packed, content)
        return self

    def _record(self, file: Path, record: Record) -> None:
        if line := store.edited(file, record):
            raise StarsBenchError(f"{line}; stars-bench verify {self.folder.path} says what differs")
        content = json.loads(file.read_text(encoding="utf-8"))
        private = without_places(content)
        self._check_settings(private, file)
        if private != content:
            self.shortened += 1
            if "self_digest" in private:
                private["self_digest"] = content_digest(private)
            write_json(self.out.records / file.name, private)
        else:
            self.out.records.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.out.records / file.name)
        predictions = self.folder.predictions / Path(record.predictions.file).name
        if not predictions.exists() or digest_file(predictions) != record.predictions.digest:
            raise StarsBenchError(f"{predictions}: is gone, or not what {file.name} was measured on; verify says more")
        self.out.predictions.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(predictions, self.out.predictions / predictions.name)

    def _config(self) -> Iterator[str]:
        content = read_toml(self.folder.config)
        content.get("run", {}).pop("init", None)  # is shortened below, and decides nothing
        self._check_settings(content, self.folder.config)
        for line in self.folder.config.read_text(encoding="utf-8").splitlines(keepends=True):
            yield shortened(line) if line.startswith("init = ") else line

    def _encoder(self) -> None:
        file = pretrained.encoder_file(self.folder)
        if file is None:
            return
        content = pretrained.content_of(file)
        card = model_card.card(content, self.records[0].method.name, self.records, file)
        exported_encoder.write(self.out.packed_encoder.parent, content, card)
        self.has_encoder = True

    def _check_settings(self, content: dict[str, object], file: Path) -> None:
        for name, value in places(content):
            raise UsageError(
                f"{file}: {name} is a path of this machine ({value}), and the run's key depends on it: run with a "
                "relative path to share the run"
            )


def _readme(stored: Sequence[store.StoredRecord], names: Sequence[str]) -> str:
    listed = "\n".join(f"- `{name}`" for name in names)
    return f"""# Results packed by stars-bench {__version__}

`stars-bench unpack FILE --runs-dir DIR` unpacks them, `stars-bench verify DIR` checks them, and
`stars-bench report FILE` prints their table.

{Leaderboard.of(stored, published="none").to_markdown()}
## Runs

{listed}

Each has records, predictions, settings and learning curves, and the encoder as safetensors if it trained one.
There are no clips.
"""


def _zipped(made: Path, out: Path) -> int:
    """Write the archive: the manifest first, then all files by name; return its size in bytes."""
    files = {path.relative_to(made).as_posix(): path for path in sorted(made.rglob("*")) if path.is_file()}
    listed = {name: PackedFile(size=path.stat().st_size, sha256=digest_file(path)) for name, path in files.items()}
    manifest = Manifest(generator=mark(COMMAND), version=__version__, files=listed)
    check_room(out, sum(one.size for one in listed.values()))
    with full_is_told(out), atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_entry(MANIFEST, zipfile.ZIP_STORED), manifest.model_dump_json(indent=1))
        for name, path in files.items():
            form = zipfile.ZIP_DEFLATED if path.suffix in TEXTS else zipfile.ZIP_STORED
            with path.open("rb") as source, archive.open(_entry(name, form), "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return out.stat().st_size


def _entry(name: str, form: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.compress_type, entry.external_attr, entry.create_system = form, 0o644 << 16, 3
    return entry
