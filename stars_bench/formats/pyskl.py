"""The pickle of pyskl and MMAction2: every clip once, ragged, in half precision, and lists of training and test clips.

{"split": {"xsub_train": [names], "xsub_val": [...], ...}, "annotations": [{"frame_dir": name, "label": from 0,
"total_frames": T, "keypoint": (M, T, 25, 3) float16}]}. The program's own files (ntu60_3danno.pkl, ntu120_3danno.pkl)
are not centred and have filters of their own: profile `pyskl`. Files written here state their profile under the further
key "source". Export streams. Import holds the whole pickle in memory, some 15 KB a clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError, printable
from stars_bench.formats.base import Incoming, NamedClip, Parts, Tick
from stars_bench.io import files
from stars_bench.io.untrusted import pickle_stream, unpickle
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset

LISTS = {"train": "train", "test": "val"}
TICK = 32
SUMMARY = "of a pyskl or MMAction2 pickle, as it stands: their filters of bodies and not centred, if it is theirs"
ROUNDED = "coordinates are float16, as pyskl's: rounded by up to 0.05 % (1 mm at 2 m)"


# ------------------------------------------------------------------------------------------------------ out


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write all clips of the dataset, by name, and the lists of these protocols."""
    names = dataset.table["name"].to_numpy()
    lists = {
        f"{protocol}_{LISTS[part]}": names[np.sort(clips)].tolist()
        for protocol, parts in splits.items()
        for part, clips in parts.items()
    }
    source = {
        "program": "stars-bench",
        "dataset": dataset.name,
        "profile": dataset.profile.name,
        "clips": dataset.profile.summary,
        "digest": dataset.digest,
    }
    with files.atomic_path(out) as temporary, temporary.open("wb") as stream:
        head = {"split": lists, "source": source}
        pickle_stream.write(stream, head, "annotations", _annotations(dataset, tick))
    return [ROUNDED]


def _annotations(dataset: PreparedDataset, tick: Tick) -> Iterator[dict[str, Any]]:
    names, labels = dataset.table["name"].tolist(), dataset.table["label"].tolist()
    clips = bodies_of(dataset, np.arange(len(names)))
    for name, label, bodies in zip(names, labels, clips, strict=True):
        yield {"frame_dir": name, "label": label, "keypoint": _half(name, bodies), "total_frames": bodies.shape[1]}
        tick(1)


def _half(name: str, bodies: NDArray[np.float32]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        half = bodies.astype(np.float16)
    if not np.isfinite(half).all():
        raise StarsBenchError(f"{name}: a coordinate is beyond 65 km, which float16 cannot hold")
    return half


# ------------------------------------------------------------------------------------------------------- in


def recognises(path: Path) -> bool:
    """Return whether a path may be such a file: a pickle, by its name."""
    return path.is_file() and path.suffix.lower() in (".pkl", ".pickle")


def read(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Incoming:
    """Unpickle a file without running any code of it, and return its clips, one by one.

    Raises:
        StarsBenchError: The file is refused, damaged, or of another form.
    """
    state = path.stat()
    content = unpickle.load(path)
    annotations = content.get("annotations") if isinstance(content, dict) else None
    split = content.get("split", {}) if isinstance(content, dict) else None
    if not isinstance(annotations, list) or not isinstance(split, dict):
        found = (
            f"a dictionary of {printable(', '.join(map(str, list(content)[:8])))}"
            if isinstance(content, dict)
            else type(content).__name__
        )
        raise StarsBenchError(f'{path}: expected a dictionary with "split" and "annotations", found {found}')
    source = content.get("source")
    return Incoming(
        clips=_clips(path, annotations, len(spec.skeleton.joints)),
        total=len(annotations),
        stated=_stated(path, split, protocol),
        absent_body="zero",
        summary=SUMMARY,
        digest=files.digest_json([state.st_size, state.st_mtime_ns, {key: len(split[key]) for key in split}]),
        notes=[_origin(source), ROUNDED],
    )


def _origin(source: Any) -> str:
    if isinstance(source, dict) and source.get("program") == "stars-bench":
        profile, clips = source.get("profile"), source.get("clips")
        if isinstance(profile, str) and isinstance(clips, str) and (profile + clips).isprintable():
            return f"written by stars-bench: the clips of profile {profile[:40]} ({clips[:200]})"
    return "pyskl's own clips are not centred and have its filters of bodies: numbers compare with profile pyskl only"


def _stated(path: Path, split: Mapping[Any, Any], protocol: ProtocolSpec | None) -> dict[str, dict[str, list[str]]]:
    stated: dict[str, dict[str, list[str]]] = {}
    for key, names in split.items():
        if not isinstance(key, str) or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise StarsBenchError(f'{path}: "split" must hold lists of names; {str(key)[:40]!r} does not')
        name, _, ending = key.rpartition("_")
        for part, own in LISTS.items():
            if ending == own and (protocol is None or protocol.name == name):
                stated.setdefault(name, {})[part] = names
    return stated


def _clips(path: Path, annotations: list[Any], joints: int) -> Iterator[NamedClip | SetAside]:
    for number in range(len(annotations)):
        annotation, annotations[number] = annotations[number], None  # gives its memory back as it goes
        where = f"{path}, annotations[{number}]"
        if annotation is None:
            yield SetAside(f"annotations[{number}]", where, "holds nothing", "empty")
            continue
        try:
            name, label, keypoint = (annotation[key] for key in ("frame_dir", "label", "keypoint"))
        except (TypeError, KeyError, IndexError) as error:
            raise StarsBenchError(f"{where}: expected frame_dir, label and keypoint") from error
        if not isinstance(name, str) or not name.isprintable() or not isinstance(label, int | np.integer):
            raise StarsBenchError(f"{where}: frame_dir must be a name and label a whole number")
        if not isinstance(keypoint, np.ndarray):  # lists that share lists may stand for more numbers than any memory
            raise StarsBenchError(f"{where}: keypoint is a {type(keypoint).__name__}, not an array")
        yield _clip(name, int(label), np.asarray(keypoint), where, joints)


def _clip(name: str, label: int, keypoint: NDArray[Any], where: str, joints: int) -> NamedClip | SetAside:
    if keypoint.dtype.kind != "f" or keypoint.ndim != 4 or keypoint.shape[2:] != (joints, 3):
        shape = f"(bodies, frames, {joints}, 3)"
        raise StarsBenchError(f"{where}: keypoint is {keypoint.dtype} of shape {keypoint.shape}, not float {shape}")
    if keypoint.shape[0] not in (1, 2) or not keypoint.shape[1]:
        return SetAside(name, where, f"{keypoint.shape[0]} bodies in {keypoint.shape[1]} frames, not one or two bodies")
    with np.errstate(all="ignore"):
        single = np.ascontiguousarray(keypoint, np.float32)
    if not np.isfinite(single).all():  # beyond float32 is infinite too
        return SetAside(name, where, "a coordinate is NaN or infinite")
    if not single.any():
        return SetAside(name, where, "all coordinates are zero", "empty")
    return NamedClip(name, label, single)
