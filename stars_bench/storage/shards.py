"""Prepared datasets on disk: clips in, HDF5 shards and an index out; and back, without the caller knowing of HDF5.

DATA_DIR/DATASET/PROFILE/ holds shard-00000.h5 ... and index.json, which is written last: without it a folder is
unfinished. A shard has one float32 array `joints` (rows, V, 3), metres: per clip all frames of the first body, then all
of the second; and one column a field. A shard's bytes depend on its clips and plan alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from stars_bench import registry
from stars_bench.api import AbsentBody, Clip, DatasetSpec, Profile, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError, UsageError, disk_failed, one_line, reading
from stars_bench.io import files
from stars_bench.io.sealed import Damaged, refuse_odd
from stars_bench.storage import clip_facts, index_shape, shard_file
from stars_bench.storage import compression as packing
from stars_bench.storage.quality import DOUBTS, QualityReport
from stars_bench.storage.shard_file import NAME, PICTURE, TEXTS, Columns, as_texts, columns_of

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION, OLDEST = 4, 3
"""Of what is written; the oldest that is read. Schema 4 has the columns of `clip_facts`, which 3 has not."""
CLIPS_VERSION = 3  # raise it whenever the same raw files give other clips
INDEX = "index.json"
LARGEST_INDEX = 1 << 30
OF_CLIP = ("label", "subject", "camera", "setup", "replication")
OWN = re.compile(rf"index\.json|{re.escape(DOUBTS)}|({NAME.pattern})(\.damaged)?")
"""Names of the files of a prepared dataset."""
FOLDERS = "[!.]*"
"""Of datasets and profiles; hidden ones are not whole, or were replaced."""
AGAIN = "run `stars-bench prepare --force` again"


@dataclass(frozen=True)
class ShardFacts:
    """What is known of a finished shard.

    Args:
        file: Its file name.
        plan: Digest of its plan.
        rows: Rows of its coordinates.
        sha256: SHA-256 of the file.
        columns: Digest of everything in it but the coordinates.
        contents: Digests of its clips, by name.
        set_aside: Clips that were not converted.
        cleaning: What cleaning did, counted by rule.
        labels: Labels (from 0) that its clips have.
    """

    file: str
    plan: str
    rows: int
    sha256: str
    columns: str
    contents: Mapping[str, str]
    set_aside: tuple[SetAside, ...]
    cleaning: Mapping[str, int]
    labels: frozenset[int]


@dataclass
class ShardContent:
    """A shard while it is filled.

    Args:
        clips: Clips with the items that they come from.
        set_aside: Clips that were not converted.
        cleaning: What cleaning did, counted by rule.
    """

    clips: list[tuple[str, Clip]] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    cleaning: dict[str, int] = field(default_factory=dict)

    def add(self, item: str, result: Clip | SetAside) -> None:
        """Take one result of a conversion."""
        if isinstance(result, SetAside):
            self.set_aside.append(result)
            return
        self.clips.append((item, result))
        for rule, count in result.log.items():
            self.cleaning[rule] = self.cleaning.get(rule, 0) + count


def check_clip(spec: DatasetSpec, clip: Clip) -> None:
    """Check that a shard can hold a clip, which may come from a plug-in.

    Raises:
        StarsBenchError: The clip's coordinates or its label are not valid.
    """
    shape = clip.bodies.shape
    if len(shape) != 4 or shape[0] not in (1, 2) or not shape[1] or shape[2:] != (len(spec.skeleton.joints), 3):
        raise StarsBenchError(f"{spec.name}: {clip.name}: bodies have shape {shape}, not (1 or 2, frames, joints, 3)")
    if clip.bodies.dtype != np.float32:
        raise StarsBenchError(f"{spec.name}: {clip.name}: bodies are {clip.bodies.dtype}, not float32")
    if not 0 <= clip.label < len(spec.classes):
        raise StarsBenchError(f"{spec.name}: {clip.name}: label {clip.label} is not in 0..{len(spec.classes) - 1}")


def content_digest(clip: Clip) -> str:
    """Return XXH3-128 (hex) of everything that a clip is: metadata and coordinates, not where it came from."""
    numbers = (clip.label, clip.subject, clip.camera, clip.setup, clip.replication, *(clip.picture or ()))
    return _digest(clip.name, numbers, clip.bodies)


def _digest(name: str, numbers: Sequence[int], bodies: NDArray[np.float32]) -> str:
    if not any(numbers[len(OF_CLIP) :]):  # of a clip that is in no picture, in a dataset with others that are
        numbers = numbers[: len(OF_CLIP)]
    told = " ".join([str(int(number)) for number in (*numbers, *bodies.shape)])
    hasher = xxhash.xxh3_128(f"{name} {told}\n".encode())
    hasher.update(np.ascontiguousarray(bodies, dtype="<f4").data)
    return hasher.hexdigest()


def write_shard(
    path: Path,
    spec: DatasetSpec,
    profile: Profile,
    plan: str,
    content: ShardContent,
    compression: str = packing.DEFAULT,
) -> ShardFacts:
    """Write one shard, completely or not at all; `compression` is one of `compression.COMPRESSIONS`."""
    joints = len(spec.skeleton.joints)
    blocks = [clip.bodies.reshape(-1, joints, 3) for _, clip in content.clips]
    columns = _columns(content.clips)
    attributes = _attributes(spec, profile, plan)
    if PICTURE[0] in columns:
        attributes["units"] = "pixels"
    log = {"set_aside": [asdict(item) for item in content.set_aside], "cleaning": content.cleaning}
    with files.atomic_path(path) as temporary:
        with shard_file.created(temporary) as file:
            packing.write_rows(file, "joints", blocks, joints, compression)
            for name, values in columns.items():
                file.create_dataset(name, data=values, track_times=False)
            file.create_dataset("log", data=_as_bytes([json.dumps(log, sort_keys=True)]), track_times=False)
            file.attrs.update(attributes)
        digest = files.digest_file(temporary)
    return ShardFacts(
        file=path.name,
        plan=plan,
        rows=sum(map(len, blocks)),
        sha256=digest,
        columns=shard_file.digest_of_columns(columns, attributes),
        contents=dict(zip(as_texts(columns["name"]), as_texts(columns["content"]), strict=True)),
        set_aside=tuple(content.set_aside),
        cleaning=dict(content.cleaning),
        labels=frozenset(columns["label"].tolist()),
    )


def _columns(clips: Sequence[tuple[str, Clip]]) -> dict[str, NDArray[Any]]:
    counts = [clip.bodies.shape[0] * clip.bodies.shape[1] for _, clip in clips]
    numbers = {
        name: np.array([getattr(clip, name) for _, clip in clips], "<i8")
        for name in ("label", "subject", "camera", "setup", "replication")
    }
    if any(clip.picture for _, clip in clips):
        sizes = [clip.picture or (0, 0) for _, clip in clips]
        numbers |= dict(zip(PICTURE, np.array(sizes, "<i8").T, strict=True))
    return (
        numbers
        | clip_facts.facts_of(clip.bodies for _, clip in clips)
        | {
            "num_frames": np.array([clip.bodies.shape[1] for _, clip in clips], "<i8"),
            "num_bodies": np.array([clip.bodies.shape[0] for _, clip in clips], "<i8"),
            "offset": np.cumsum([0, *counts], dtype="<i8")[: len(clips)],
            "name": _as_bytes([clip.name for _, clip in clips]),
            "item": _as_bytes([item for item, _ in clips]),
            "digest": _as_bytes([clip.source_digest for _, clip in clips]),
            "content": _as_bytes([content_digest(clip) for _, clip in clips]),
        }
    )


def _attributes(spec: DatasetSpec, profile: Profile, plan: str) -> dict[str, Any]:
    return {
        "dataset": spec.name,
        "profile": profile.name,
        "schema_version": SCHEMA_VERSION,
        "units": "metres",
        "joint_names": json.dumps(spec.skeleton.joints),
        "parameters": json.dumps(dict(profile.parameters), sort_keys=True),
        "absent_body": profile.absent_body,
        "plan": plan,
    }


def read_facts(path: Path) -> ShardFacts | None:
    """Return what a shard of today's schema holds, or None for any other file (cut off, or something else).

    Raises:
        OSError: The disk fails.
    """
    try:
        with shard_file.opened(path) as file:
            columns, attributes = shard_file.read_columns(file), dict(file.attrs)
            if attributes["schema_version"] != SCHEMA_VERSION:
                return None
            log = json.loads(as_texts(file["log"][()])[0])
            return ShardFacts(
                file=path.name,
                plan=str(attributes["plan"]),
                rows=int(file["joints"].shape[0]),
                sha256=files.digest_file(path),
                columns=shard_file.digest_of_columns(columns, attributes),
                contents=dict(zip(as_texts(columns["name"]), as_texts(columns["content"]), strict=True)),
                set_aside=tuple(SetAside(**item) for item in log["set_aside"]),
                cleaning=log["cleaning"],
                labels=frozenset(columns["label"].tolist()),
            )
    except (StarsBenchError, FileNotFoundError):
        return None


def dataset_digest(shards: Sequence[ShardFacts]) -> str:
    """Return SHA-256 (hex) over the content of all clips by name: the same however the clips are spread over shards."""
    contents = {name: digest for shard in shards for name, digest in shard.contents.items()}
    return files.digest_lines(f"{name} {contents[name]}" for name in sorted(contents))


def write_index(
    folder: Path,
    spec: DatasetSpec,
    profile: Profile,
    plan: str,
    shards: Sequence[ShardFacts],
    quality: QualityReport,
    official_splits: Mapping[str, Mapping[str, Sequence[str]]],
) -> None:
    """Write the index: the last step, which makes a folder a prepared dataset."""
    index = {
        "schema_version": SCHEMA_VERSION,
        "dataset": spec.name,
        "profile": asdict(profile),
        "joint_names": spec.skeleton.joints,
        "digest": dataset_digest(shards),
        "plan": plan,
        "num_clips": quality.clips,
        "expected_clips": spec.expected_clips,
        "complete": quality.complete,
        "shards": [
            {
                "file": shard.file,
                "clips": len(shard.contents),
                "rows": shard.rows,
                "sha256": shard.sha256,
                "columns": shard.columns,
            }
            for shard in shards
        ],
        "official_splits": official_splits,
        "quality": quality.to_json(),
        "code": files.code_state(),
        "written": files.utc_now(),
    }
    index = json.loads(json.dumps(index, default=str))  # as it will be read
    files.write_json(folder / INDEX, index | {"checksum": files.digest_json(index)})


def keep_description(spec: DatasetSpec, folder: Path) -> None:
    """Put the description of a described dataset beside its profiles, so that its name is known there."""
    if spec.description is not None:
        files.write_text(folder.parent / registry.DESCRIPTION, spec.description)
        registry.add_data_dir(folder.parent.parent)


def read_index(folder: Path) -> dict[str, Any] | None:
    """Return the index of a prepared dataset; None where there is none.

    Raises:
        UsageError: It is damaged, of another schema version, or not what an index is.
        StarsBenchError: It is no regular file.
        OSError: The disk fails.
    """
    try:
        refuse_odd(folder / INDEX, LARGEST_INDEX)
        with reading(folder / INDEX):
            text = (folder / INDEX).read_text(encoding="utf-8")
        index: dict[str, Any] = json.loads(text)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{folder / INDEX}: cannot be read ({one_line(error)}); {AGAIN}") from error
    _check_schema(folder, index)
    if fault := index_shape.fault_of(text, str(folder / INDEX)):
        raise UsageError(f"{fault}; {_anew(folder)}")
    return index


def _anew(folder: Path) -> str:
    command = f"`stars-bench prepare {folder.parent.name} --profile {folder.name} --force`"
    return f"{command} makes it anew (imported: `import` does)"


def _check_schema(folder: Path, index: Any) -> None:
    version = index.get("schema_version") if isinstance(index, dict) else None
    if not isinstance(version, int):
        raise UsageError(f"{folder / INDEX}: not an index of stars-bench; {AGAIN}")
    if version > SCHEMA_VERSION:
        raise UsageError(f"{folder}: shard schema {version} is newer than this stars-bench reads: update stars-bench")
    if version < OLDEST:
        known = f"{OLDEST} and {SCHEMA_VERSION}"
        raise UsageError(f"{folder}: of shard schema {version}, this stars-bench reads {known}: {_anew(folder)}")


def _check_index(folder: Path, index: Mapping[str, Any]) -> None:
    """Refuse an index that was changed after it was written.

    Raises:
        UsageError: It was.
    """
    content = {key: value for key, value in index.items() if key != "checksum"}
    if index.get("checksum") != files.digest_json(content):
        raise UsageError(f"{folder / INDEX}: was changed after it was written (its checksum differs); {AGAIN}")


def _changed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1:,} more clips" if len(names) > 1 else ""
    return f"{names[0]}{more}: coordinates or metadata have changed (content digest differs)"


class PreparedDataset:
    """One prepared dataset: what it is, its clips as a table, its coordinates as one array."""

    def __init__(self, folder: Path, index: Mapping[str, Any], spec: DatasetSpec | None = None) -> None:
        self.folder = folder
        self.name: str = index["dataset"]
        self.profile = Profile(**index["profile"])
        self.digest: str = index["digest"]
        self.absent_body: AbsentBody = self.profile.absent_body
        self.complete: bool = index["complete"]
        self.num_clips: int = index["num_clips"]
        self.expected_clips: int | None = index["expected_clips"]
        self._index = index
        self._spec: DatasetSpec | None = spec

    def __repr__(self) -> str:
        return f"PreparedDataset({self.name}/{self.profile.name}, {self.num_clips:,} clips, {self.folder})"

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's spec.

        Raises:
            UsageError: No dataset of this name is registered.
        """
        described = self.folder.parent / registry.DESCRIPTION
        if self._spec is None:
            registry.check_from_file("datasets", self.name, self.folder / INDEX)
            self._spec = _load_spec(str(described) if described.exists() else self.name)
        return self._spec

    def has_protocol(self, protocol: ProtocolSpec) -> bool:
        """Return whether a protocol is for it: as the protocol says, or because the dataset brings a split for it."""
        own = protocol.name in self.brings or (protocol.any_split and bool(self.brings))
        return own or self.name in protocol.datasets

    @property
    def brings(self) -> tuple[str, ...]:
        """Names of the protocols for which the dataset itself lists the training clips."""
        return tuple(self._index["official_splits"])

    @property
    def quality(self) -> QualityReport:
        """The report of the conversion."""
        return QualityReport.from_json(self._index["quality"])

    @property
    def shards(self) -> list[Path]:
        """The shard files, in the order of `load`."""
        return [self.folder / shard["file"] for shard in self._index["shards"]]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a clip, by name; the row number is the clip's number.

        Columns: name, label (0-based), subject, camera, setup, replication, num_frames, num_bodies, offset (its first
        row in `load`), valid_frames, first_body_frames and second_body (see `clip_facts`; data of shard schema 3 has
        none of these), height and width (of the picture, of clips in pixels), item (raw file or video), digest (of the
        raw file), content (digest of the clip), and official_PROTOCOL ("train", "test" or "") where the dataset has
        official split files.

        Raises:
            UsageError: The index or a shard is missing, damaged, or not as it was prepared.
        """
        import pandas as pd

        parts, first_row = [], 0
        for shard, stored in zip(self._index["shards"], self._columns, strict=True):
            columns: dict[str, Any] = stored | {name: as_texts(stored[name]) for name in TEXTS}
            columns["offset"] = stored["offset"] + first_row
            first_row += shard["rows"]
            order = ["name", *(name for name in columns_of(stored) if name != "name")]
            parts.append(pd.DataFrame(columns, columns=order))
        table = pd.concat([part for part in parts if len(part)], ignore_index=True)
        table = table.sort_values("name", kind="stable", ignore_index=True)
        for protocol, split in self._index["official_splits"].items():
            part_of = {video: part for part in ("train", "test") for video in split.get(part, ())}
            table[f"official_{protocol}"] = [part_of.get(item, "") for item in table["item"]]
        return table

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of `load`: (rows, V, 3)."""
        return sum(shard["rows"] for shard in self._index["shards"]), len(self._index["joint_names"]), 3

    def load(self, into: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the coordinates of all clips: (rows, V, 3) float32, metres, read straight into one array.

        Args:
            into: (rows, V, 3) float32, the array to fill. Default: None, a new one.

        Raises:
            UsageError: The index or a shard is missing, damaged, or not as it was prepared.
        """
        all_columns, shards = self._columns, self._index["shards"]
        joints = np.empty(self.shape, np.float32) if into is None else into
        first_row = 0
        for shard, columns in zip(shards, all_columns, strict=True):
            own = joints[first_row : first_row + shard["rows"]]
            with self.opened(shard["file"]) as file:
                packing.read_rows(file["joints"], own)
            self._check_clips(shard["file"], columns, own)
            first_row += shard["rows"]
        return joints

    def clip(self, name_or_row: str | int) -> NDArray[np.float32]:
        """Return the coordinates of one clip, by name or by row of `table`: (M, F, V, 3) float32, metres, M in {1, 2}.

        Only this clip is read.

        Raises:
            UsageError: There is no such clip, or its shard is missing or damaged.
        """
        row = self.row_of(name_or_row) if isinstance(name_or_row, str) else name_or_row
        if not 0 <= row < self.num_clips:
            raise UsageError(f"{self.name} has no clip {row}: there are {self.num_clips:,}, counted from 0")
        facts = self.table.iloc[row]
        bodies, frames, first = int(facts["num_bodies"]), int(facts["num_frames"]), int(facts["offset"])
        for shard in self._index["shards"]:
            if first < shard["rows"]:
                break
            first -= shard["rows"]
        clip = np.empty((bodies, frames, len(self._index["joint_names"]), 3), np.float32)
        with self.opened(shard["file"]) as file:
            packing.read_rows(file["joints"], clip.reshape(-1, *clip.shape[2:]), first)
        self.check_clip(row, clip)
        return clip

    def check_clip(self, row: int, bodies: NDArray[np.float32]) -> None:
        """Compare a clip as it was read with what it was when it was prepared.

        Args:
            row: Row of `table`.
            bodies: (M, F, V, 3) float32, metres.

        Raises:
            UsageError: Its coordinates, or what the table says of it, are not as they were prepared.
        """
        name, content, *numbers = self._of_clips[row]
        if _digest(name, numbers, bodies) != content:
            raise UsageError(f"{self.folder}: {_changed([name])}; {AGAIN}")

    @cached_property
    def _of_clips(self) -> list[tuple[Any, ...]]:
        """Name, digest and numbers of every clip, by row: thirty times faster to look up than in the table."""
        columns = ("name", "content", *OF_CLIP, *(name for name in PICTURE if name in self.table))
        return list(zip(*(self.table[name].tolist() for name in columns), strict=True))

    def picture(self, row: int) -> tuple[int, int] | None:
        """Return height and width of the picture of a clip in pixels; None for others."""
        if "height" not in self.table:
            return None
        height, width = (int(self.table[side].to_numpy()[row]) for side in ("height", "width"))
        return (height, width) if height else None

    def row_of(self, name: str) -> int:
        """Return the row of a clip in `table`.

        Raises:
            UsageError: There is no such clip; names the nearest.
        """
        row = int(self.table["name"].searchsorted(name))
        if row == self.num_clips or self.table["name"].iat[row] != name:
            near = self.table["name"].iat[min(row, self.num_clips - 1)]
            raise UsageError(f"{self.name} ({self.folder}) has no clip {name!r}; the nearest is {near}")
        return row

    @contextmanager
    def opened(self, file: str, columns: bool = False) -> Iterator[h5py.File]:
        """Open one of the shards to read.

        Args:
            file: Its name in the index.
            columns: Whether more than the coordinates is to be read; default no.

        Raises:
            UsageError: It is missing or damaged, or holds what no shard has.
            StarsBenchError: It is no regular file.
            OSError: The disk fails.
        """
        path = self.folder / file
        try:
            with shard_file.opened(path, columns) as opened:
                yield opened
        except Damaged as error:
            raise UsageError(f"{error}; {AGAIN}") from error
        except FileNotFoundError as error:
            raise UsageError(f"{path}: missing or damaged ({one_line(error)}); {AGAIN}") from error

    @cached_property
    def _columns(self) -> list[Columns]:
        """The columns of every shard, compared with the index, and the index with its checksum."""
        _check_index(self.folder, self._index)
        return [self._columns_of(entry) for entry in self._index["shards"]]

    def _columns_of(self, entry: Mapping[str, Any]) -> Columns:
        path = self.folder / entry["file"]
        with self.opened(entry["file"], columns=True) as file:
            columns, shape = shard_file.read_columns(file), file["joints"].shape
            if "columns" in entry:
                same = shard_file.digest_of_columns(columns, dict(file.attrs)) == entry["columns"]
            else:  # an index of an older version knows the digest of the whole file alone, which takes longer
                same = files.digest_file(path) == entry["sha256"]
        faults = list(shard_file.faults_of_columns(columns, shape, entry, len(self._index["joint_names"])))
        if not same:
            faults.append("labels, subjects, frame counts, names or attributes have changed (digest differs)")
        if faults:
            raise UsageError(f"{path}: is not the shard that was prepared: {faults[-1]}; {AGAIN}")
        return columns

    def _check_clips(self, file: str, columns: Columns, joints: NDArray[np.float32]) -> None:
        of_clip = (*OF_CLIP, *(name for name in PICTURE if name in columns))
        numbers = zip(*(columns[name].tolist() for name in (*of_clip, "num_bodies", "num_frames")), strict=True)
        changed, first = [], 0
        for name, stored, (*told, bodies, frames) in zip(
            as_texts(columns["name"]), as_texts(columns["content"]), numbers, strict=True
        ):
            own = joints[first : first + bodies * frames].reshape(bodies, frames, *joints.shape[1:])
            first += bodies * frames
            if _digest(name, told, own) != stored:
                changed.append(name)
        if changed:
            raise UsageError(f"{self.folder / file}: {_changed(changed)}; {AGAIN}")


def open_dataset(data_dir: Path, name: str, profile: str | None = None) -> PreparedDataset:
    """Open a prepared dataset. Without a profile: the default one, or the only one that is prepared.

    Raises:
        UsageError: Absent, unfinished, or an unknown name; says what to run.
    """
    registry.add_data_dir(data_dir)
    spec = _load_spec(name)
    profile = _choose_profile(data_dir, spec, profile)
    folder = data_dir / spec.name / profile
    index = read_index(folder)
    if index is None:
        command = f"stars-bench prepare {name} --profile {profile} --data-dir {data_dir}"
        if any(folder.glob("shard-*.h5")):
            raise UsageError(f"{folder} is unfinished: run `{command}` again, it continues")
        raise UsageError(f"{name} is not prepared in {data_dir}: run `{command}`. {spec.where}")
    return PreparedDataset(folder, index, spec)


def _choose_profile(data_dir: Path, spec: DatasetSpec, profile: str | None) -> str:
    """Return a profile of the spec, or one that is prepared: imported ones are not in the spec."""
    if profile is not None and profile in spec.profiles:
        return profile
    prepared = [other.profile.name for other in prepared_datasets(data_dir) if other.name == spec.name]
    if profile is not None and profile not in prepared:
        known = ", ".join(dict.fromkeys([*spec.profiles, *prepared]))
        raise UsageError(f"{spec.name} has no profile {profile!r}: there are {known}")
    if profile is None and len(prepared) > 1 and spec.default_profile not in prepared:
        raise UsageError(f"{spec.name} is prepared as {', '.join(prepared)}: choose with --profile")
    if profile is None:
        return prepared[0] if len(prepared) == 1 else spec.default_profile
    return profile


def prepared_datasets(data_dir: Path) -> list[PreparedDataset]:
    """Return all finished datasets below a data folder, by name and profile.

    Folders that cannot be read are left out.
    """
    registry.add_data_dir(data_dir)
    return [PreparedDataset(path.parent, index) for path, index in _indexes(data_dir) if isinstance(index, dict)]


def left_out(data_dir: Path) -> dict[Path, str]:
    """Return why folders below a data folder are not among `prepared_datasets`: {index: one line}."""
    return {path: why for path, why in _indexes(data_dir) if isinstance(why, str)}


def _indexes(data_dir: Path) -> Iterator[tuple[Path, dict[str, Any] | str | None]]:
    """Yield every index below a data folder, or why it is none; a disk that fails says nothing of it."""
    for path in sorted(data_dir.glob(f"{FOLDERS}/{FOLDERS}/{INDEX}")):
        try:
            yield path, read_index(path.parent)
        except StarsBenchError as error:
            if disk_failed(error.__cause__):
                raise
            yield path, str(error)


def _load_spec(name: str) -> DatasetSpec:
    spec: DatasetSpec = registry.load("datasets", name)
    return spec


def _as_bytes(texts: Sequence[str]) -> NDArray[Any]:
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=0) or 1}")
