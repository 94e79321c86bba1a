"""What reads files that others made, each as a target: bytes in; nothing, or a fault told as users are told.

Hypothesis (`test_targets.py`) and the fuzzer (`python -m tests.fuzz`) drive the same targets from the same seeds.
"""

from __future__ import annotations

import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stars_bench import registry
from stars_bench.api import DatasetSpec, RawItem, SetAside, Source
from stars_bench.datasets.custom import load
from stars_bench.datasets.ntu import NTU120
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.datasets.raw_files import sources, zip
from stars_bench.datasets.skeletons.layouts import LAYOUTS
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.errors import StarsBenchError
from stars_bench.experiments import plan
from stars_bench.experiments.official import checkpoints as official_checkpoints
from stars_bench.formats import crossclr, mamp, pyskl
from stars_bench.formats.match_clips import Intake
from stars_bench.io.untrusted import unpickle
from stars_bench.models.mamp import MampConfig
from stars_bench.protocols.standard import XSUB
from stars_bench.records import store
from stars_bench.storage.shards import check_clip
from stars_bench.training import checkpoint
from tests.datasets.custom import custom_files
from tests.datasets.raw_writers import video
from tests.paths import TESTS

HERE = TESTS
OWNER = "it"  # whose setting is read
LONGEST = 1_000  # characters of a message, paths left out


FACTS = tuple({"label": 0, "subject": 1, "camera": 1, "setup": 0, "replication": 0}.items())
"""What the finding of a described file gives along; the other datasets pass over it."""


@dataclass(frozen=True)
class Target:
    """A parser.

    Args:
        read: reads the bytes, which it may write below the folder. seeds: sound and damaged files to begin from.
    """

    read: Callable[[bytes, Path], None]
    seeds: Callable[[], Sequence[bytes]]


def survive(target: Target, data: bytes, folder: Path) -> str | None:
    """Has a target read the bytes; the message where they are refused.

    Raises:
        AssertionError: the message is no message. Whatever else the target raises is what the fuzzer looks for.
    """
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a user would see it between the lines
        try:
            target.read(data, folder)
        except StarsBenchError as error:
            return told(str(error), folder)
    return None


def told(message: str, folder: Path) -> str:
    """Holds a message to what a user may expect: it names the file or the setting, on one short, printable line."""
    assert str(folder) in message or message.startswith(("--set ", f"{OWNER}: ")), message
    plain = message.replace(str(folder), "")
    assert plain.isprintable(), repr(message)
    assert len(plain) < LONGEST, len(plain)
    return message


# ------------------------------------------------------------------------------------------------- raw files


def _converted(spec: DatasetSpec, profile: str, data: dict[str, bytes], name: str) -> None:
    """Converts one item. Every clip must be sound; every fault must name one of its files, and a line of that."""
    item = RawItem(name, {role: Source(Path(f"{role}.txt")) for role in data}, FACTS)
    lines = {f"{role}.txt": content.count(b"\n") + 1 for role, content in data.items()}
    results = spec.convert(item, data, spec.profiles[profile])
    assert results, "neither a clip nor a reason"
    for result in results:
        if isinstance(result, SetAside):
            file, _, line = result.where.partition(":")
            assert not line or 1 <= int(line) <= lines[file], result
            assert result.reason.isprintable(), result
            assert len(result.reason) < LONGEST
        else:
            check_clip(spec, result)
            assert np.isfinite(result.bodies).all()


def _skeleton(data: bytes, _: Path) -> None:
    for profile in NTU120.profiles:
        _converted(NTU120, profile, {"skeleton": data}, "S001C001P001R001A001")


@cache
def _video() -> bytes:
    return video(60)


def _pku(role: str, data: bytes, _: Path) -> None:
    usual = {"skeleton": _video(), "label": b"1,0,4,2\n2,4,6,2\n"}
    for profile in PKU1.profiles:
        _converted(PKU1, profile, usual | {role: data}, "0002-L")


def _split(data: bytes, folder: Path) -> None:
    for name, content in (("skeleton", _video()), ("label", b"1,0,4,2\n")):
        (folder / name).mkdir()
        (folder / name / "0002-L.txt").write_bytes(content)
    (folder / "cross_subject.txt").write_bytes(data)
    found = PKU1.find([folder])
    assert len(found.items) == 1
    assert all(isinstance(name, str) for part in found.official_splits["xsub"].values() for name in part)


def _zip(data: bytes, folder: Path) -> None:
    zip.close_all()
    (folder / "a.zip").write_bytes(data)
    for item in SYNTHETIC.find([folder]).items:
        try:
            sources.read(item.sources["skeleton"])
        except sources.UnreadableSource as error:
            told(str(error), folder)


# ------------------------------------------------------------------------------------------- described datasets


def _description(data: bytes, folder: Path) -> None:
    (folder / "gym.toml").write_bytes(data)
    load.describe(folder / "gym.toml")


@cache
def _gym(kind: str) -> tuple[DatasetSpec, tuple[bytes, ...]]:
    """A described dataset of a kind of file, and two of its files."""
    with TemporaryDirectory() as folder:
        joints = [f"joint{number}" for number in range(custom_files.JOINTS[kind])]
        if kind == "csv":
            joints = list(LAYOUTS["kinect-v1"].joints)
        spec = load.describe(custom_files.write(Path(folder), kind, joints, subjects=1, cameras=1))
        return spec, tuple(path.read_bytes() for path in sorted(Path(folder, "raw").rglob(f"*.{kind}")))


def _described(kind: str, data: bytes, _: Path) -> None:
    spec, _files = _gym(kind)
    for profile in spec.profiles:
        _converted(spec, profile, {"clip": data}, "A01P01C1")


# ------------------------------------------------------------------------------------ files of other programs


def _taken(incoming: Any, spec: DatasetSpec, path: Path) -> None:
    """Takes everything that an import would write into shards."""
    intake = Intake(spec, path, incoming)
    for content in intake.contents(None):
        for _, clip in content.clips:
            check_clip(spec, clip)
            assert np.isfinite(clip.bodies).all()
    intake.splits()
    intake.quality("imported")


def _npz(data: bytes, folder: Path) -> None:
    path = folder / "a.npz"
    path.write_bytes(data)
    _taken(mamp.read(path, SYNTHETIC, XSUB), SYNTHETIC, path)


NAMES = [f"S001C001P001R001A00{action}.skeleton" for action in (1, 2)]


def _npy(data: bytes, folder: Path) -> None:
    (folder / "train_data.npy").write_bytes(data)
    (folder / "train_label.pkl").write_bytes(pickle.dumps((NAMES, [0, 1])))
    _taken(crossclr.read(folder, SYNTHETIC, XSUB), SYNTHETIC, folder)


def _label_pickle(data: bytes, folder: Path) -> None:
    np.save(folder / "train_data.npy", np.ones((2, 3, 2, 25, 2), np.float32))
    (folder / "train_label.pkl").write_bytes(data)
    _taken(crossclr.read(folder, SYNTHETIC, XSUB), SYNTHETIC, folder)


def _pickle(data: bytes, folder: Path) -> None:
    path = folder / "a.pkl"
    path.write_bytes(data)
    unpickle.load(path)
    _taken(pyskl.read(path, SYNTHETIC, None), SYNTHETIC, path)


# ---------------------------------------------------------------------------------------------- runs and records


def _checkpoint(data: bytes, folder: Path) -> None:
    path = folder / "a.pt"
    path.write_bytes(data)
    official_checkpoints.encoder_of(official_checkpoints.load(path), path)


def _own_checkpoint(data: bytes, folder: Path) -> None:
    path = folder / "a.pt"
    path.write_bytes(data)
    checkpoint.load(path)


def _record(data: bytes, folder: Path) -> None:
    path = folder / "dataset" / "protocol" / "method" / "key" / "seed0" / "records" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    found = store.read_records(folder)
    assert len(found.records) + len(found.warnings) == 1
    store.to_frame(found.records)
    for record in found.records:
        assert record.file_name.isprintable()
        assert isinstance(record.marks, list)
    for warning in found.warnings:
        told(warning, folder)


def _setting(data: bytes, _: Path) -> None:
    """`--set key=value`: of the configuration of methods and evaluations."""
    text = data.decode("utf-8", "surrogateescape")
    for config in (MampConfig, registry.load("evaluations", "linear").Config):
        plan.build_config(config, "paper", "ntu60", [text], OWNER)


# ---------------------------------------------------------------------------------------------------------- seeds


def _files(*patterns: str, most: int = 20_000) -> list[bytes]:
    """Contents of the files below the tests that match; large ones are left out."""
    found = [path for pattern in patterns for path in sorted(HERE.glob(pattern)) if path.stat().st_size <= most]
    assert found, patterns
    return [path.read_bytes() for path in found]


def _zips() -> list[bytes]:
    seeds = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        stream = BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for action in (1, 2):
                archive.writestr(f"folder/S001C001P001R001A00{action}.skeleton", b"1\n0\n" * action)
        seeds.append(stream.getvalue())
    return seeds


def _npzs() -> list[bytes]:
    seeds = []
    for save, labels in ((np.savez, np.eye(120)[:2]), (np.savez_compressed, np.arange(2))):
        stream, clips = BytesIO(), np.full((2, 3, 150), 0.5, np.float32)
        save(stream, x_train=clips, y_train=labels, x_test=clips, y_test=labels)
        seeds.append(stream.getvalue())
    return seeds


def _npys() -> list[bytes]:
    seeds = []
    for dtype in ("<f4", ">f8", "<f2"):
        stream = BytesIO()
        np.save(stream, np.full((2, 3, 2, 25, 2), 0.5, dtype))
        seeds.append(stream.getvalue())
    return seeds


def _descriptions() -> list[bytes]:
    return [(custom_files.HEAD + body + custom_files.SPLIT).encode() for body in custom_files.BODIES.values()]


def _pickles(content: Any) -> list[bytes]:
    return [pickle.dumps(content, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


def _pyskl_pickles() -> list[bytes]:
    clip = {"frame_dir": NAMES[0][:20], "label": 0, "total_frames": 2, "keypoint": np.ones((1, 2, 25, 3), np.float16)}
    return _pickles({"split": {"xsub_train": [NAMES[0][:20]], "xsub_val": []}, "annotations": [clip]})


def _checkpoints() -> list[bytes]:
    import torch

    seeds = []
    encoder = MampConfig(frames=8, dim=8, depth=1, heads=1, mlp_ratio=1, decoder_depth=1).build(25).state_dict()
    contents: list[Any] = [{"model": encoder}, {f"encoder_student.{name}": value for name, value in encoder.items()}]
    contents.append({"schema_version": checkpoint.SCHEMA_VERSION, "module": {"a": torch.ones(2)}, "step": 3})
    for content in contents:
        for zipped in (True, False):
            stream = BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=zipped)
            seeds.append(stream.getvalue())
    return seeds


def _own_checkpoints() -> list[bytes]:
    """Files of other programs, one without a digest, and one as it is saved."""
    import torch

    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.pt"
        checkpoint.save(path, {"module": {"a": torch.ones(2)}, "step": 3})
        return [*_checkpoints(), path.read_bytes()]


SETTINGS = (
    b"dim=64",
    b"epochs=1",
    b"lr=1e-3",
    b"mask_ratio=[0.9]",
    b'heads="8"',
    b"dim=NaN",
    b"frames=-1",
    b"=",
    b"dim",
)

TARGETS: dict[str, Target] = {
    "skeleton": Target(_skeleton, partial(_files, "bad_input/ntu/*", "golden/raw/*")),
    "video": Target(partial(_pku, "skeleton"), partial(_files, "bad_input/pku/skeleton/*")),
    "label": Target(partial(_pku, "label"), partial(_files, "bad_input/pku/label/*", "golden/pku_v*/label/*")),
    "split": Target(_split, partial(_files, "golden/pku_v*/*.txt")),
    "zip": Target(_zip, _zips),
    "description": Target(_description, _descriptions),
    "csv": Target(partial(_described, "csv"), lambda: _gym("csv")[1]),
    "json": Target(partial(_described, "json"), lambda: _gym("json")[1]),
    "described-npz": Target(partial(_described, "npz"), lambda: _gym("npz")[1]),
    "npz": Target(_npz, _npzs),
    "npy": Target(_npy, _npys),
    "label-pickle": Target(_label_pickle, lambda: _pickles((NAMES, [0, 1]))),
    "pickle": Target(_pickle, _pyskl_pickles),
    "checkpoint": Target(_checkpoint, _checkpoints),
    "own-checkpoint": Target(_own_checkpoint, _own_checkpoints),
    "record": Target(_record, partial(_files, "historic/record-v*.json")),
    "setting": Target(_setting, lambda: SETTINGS),
}
