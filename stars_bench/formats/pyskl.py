"""The pickle of pyskl and MMAction2: every clip once, ragged, in half precision, and lists of training and test clips.

{"split": {"xsub_train": [names], "xsub_val": [...], ...}, "annotations": [{"frame_dir": name, "label": from 0,
"total_frames": T, "keypoint": (M, T, 25, 3) float16}]}. The program's own files (ntu60_3danno.pkl, ntu120_3danno.pkl)
are not centred and have filters of their own: profile `pyskl`. Files written here state their profile under the further
key "source". Export streams. Import holds the whole pickle in memory, some 15 KB a clip.

Poses in pictures (ntu60_hrnet.pkl, gym_hrnet.pkl ...) have "keypoint": (M, T, V, 2) in pixels, "keypoint_score": (M, T,
V), and "img_shape": (height, width). They are kept as they are, the score as third channel, and the size of the picture
beside; what reads clips for methods normalises them (`data/channels.py`). Of more than two people the two with the
highest scores stay. Older pickles are the list of annotations alone, a part a file (`X_train.pkl`, `X_val.pkl`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError, printable
from stars_bench.formats import keypoint_files
from stars_bench.formats.base import Incoming, NamedClip, Parts, Tick
from stars_bench.io import files
from stars_bench.io.untrusted import pickle_stream, unpickle
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset

LISTS = {"train": "train", "test": "val"}
BODIES = 2
OFFICIAL, SEVERAL = "official", "split"
"""Protocols of parts called `train`, and of parts called `train1`, `train2`."""
PART = re.compile(r"(?:(?P<protocol>.+)_)?(?P<part>train|val|test)(?P<number>[1-5]?)")
SUMMARY = "of a pyskl or MMAction2 pickle, as it stands: their filters of bodies and not centred, if it is theirs"
IN_PICTURES = (
    "poses in pictures, as they stand: x and y in pixels, and the score; methods get (x - w/2) / (w/2), and y alike"
)
FOR_PICTURES = "give a dataset of such: ntu60-2d, ntu120-2d, gym99, or a description without z"
ROUNDED = "coordinates are float16, as pyskl's: rounded by up to 0.05 % (1 mm at 2 m)"


# ------------------------------------------------------------------------------------------------------ out


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write all clips of the dataset, by name, and the lists of these protocols."""
    names = dataset.table["name"].to_numpy()
    lists = {
        _key(protocol, LISTS[part]): names[np.sort(clips)].tolist()
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
    return [] if dataset.spec.skeleton.planar else [ROUNDED]


def _key(protocol: str, part: str) -> str:
    """Return how a pickle calls a part: `xsub_train`; `train` of a dataset's one split, `train2` of one of several."""
    if protocol == OFFICIAL:
        return part
    return f"{part.replace('val', 'test')}{protocol[-1]}" if protocol.startswith(SEVERAL) else f"{protocol}_{part}"


def _annotations(dataset: PreparedDataset, tick: Tick) -> Iterator[dict[str, Any]]:
    table = dataset.table
    sizes = zip(table["height"], table["width"], strict=True) if "height" in table else repeat((0, 0))
    clips = bodies_of(dataset, np.arange(len(table)))
    for name, label, (height, width), bodies in zip(table["name"], table["label"], sizes, clips):  # noqa: B905 - repeat
        annotation: dict[str, Any] = {"frame_dir": name, "label": int(label), "total_frames": bodies.shape[1]}
        if dataset.spec.skeleton.planar:
            exact = _exact_half(bodies)
            annotation |= {"keypoint": exact[..., :2], "keypoint_score": exact[..., 2]}
        else:
            annotation["keypoint"] = _half(name, bodies)
        if height:
            annotation |= dict.fromkeys(("img_shape", "original_shape"), (int(height), int(width)))
        yield annotation
        tick(1)


def _exact_half(bodies: NDArray[np.float32]) -> NDArray[np.float16 | np.float32]:
    """Return poses in half precision where that changes no number, else as they are."""
    with np.errstate(over="ignore"):
        half = bodies.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), bodies) else bodies


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
    notes = []
    if isinstance(content, list):
        content, told = _of_lists(path, content)
        notes.append(told)
    annotations = content.get("annotations") if isinstance(content, dict) else None
    split = content.get("split", {}) if isinstance(content, dict) else None
    if not isinstance(annotations, list) or not isinstance(split, dict):
        found = (
            f"a dictionary of {printable(', '.join(map(str, list(content)[:8])))}"
            if isinstance(content, dict)
            else type(content).__name__
        )
        raise StarsBenchError(f'{path}: expected a dictionary with "split" and "annotations", found {found}')
    stated = _stated(path, split, protocol)
    if spec.skeleton.planar:
        notes += [IN_PICTURES, *_left_out(annotations)]
    else:
        notes += [_origin(content.get("source")), ROUNDED]
    return Incoming(
        clips=_clips(path, annotations, spec),
        total=len(annotations),
        stated=stated,
        absent_body="zero",
        summary=IN_PICTURES if spec.skeleton.planar else SUMMARY,
        digest=files.digest_json([state.st_size, state.st_mtime_ns, {key: len(split[key]) for key in split}]),
        notes=notes,
    )


def _of_lists(path: Path, annotations: list[Any]) -> tuple[dict[str, Any], str]:
    """Return an older pickle, a list of annotations, as a newer one; its other part lies beside, or nowhere."""
    match = re.fullmatch(r"(.*?)(train|val|test)", path.stem)
    parts = {match[2] if match else "train": annotations}
    for part in ("train", "val", "test") if match else ():
        beside = path.with_name(f"{match[1] if match else ''}{part}{path.suffix}")
        if part not in parts and beside.exists():
            other = unpickle.load(beside)
            if not isinstance(other, list):
                raise StarsBenchError(f"{beside}: expected a list of annotations, as in {path.name}")
            parts[part] = other
    names = {
        part: [one["frame_dir"] for one in own if isinstance(one, dict) and isinstance(one.get("frame_dir"), str)]
        for part, own in parts.items()
    }
    told = f"an older pickle, a list of clips; parts by file name: {', '.join(parts)}"
    return {"split": names, "annotations": [one for own in parts.values() for one in own]}, told


def _left_out(annotations: list[Any]) -> list[str]:
    crowded = [
        one
        for one in annotations
        if isinstance(one, dict) and isinstance(one.get("keypoint"), np.ndarray) and len(one["keypoint"]) > BODIES
    ]
    return [f"clips of more than two people: {len(crowded):,}; the two with the highest scores stay"] if crowded else []


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
        if (match := PART.fullmatch(key)) is None:
            continue
        name = match["protocol"] or (f"{SEVERAL}{match['number']}" if match["number"] else OFFICIAL)
        if protocol is None or protocol.name == name:
            stated.setdefault(name, {})[match["part"]] = names
    for parts in stated.values():
        validation = parts.pop("val", None)
        if validation is not None:
            parts.setdefault("test", validation)  # what these programs test on, unless there is a test part
    return stated


def _clips(path: Path, annotations: list[Any], spec: DatasetSpec) -> Iterator[NamedClip | SetAside]:
    if keypoint_files.is_apart(annotations):
        for number, one in enumerate(keypoint_files.with_poses(path, annotations)):
            yield from _clips(Path(f"{path}, clip {number} of its files of poses"), [one], spec)
        return
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
        skeleton = spec.skeleton
        if skeleton.planar:
            yield _pose(name, int(label), annotation, where, len(skeleton.joints))
        else:
            yield _clip(name, int(label), np.asarray(keypoint), where, len(skeleton.joints))


def _clip(name: str, label: int, keypoint: NDArray[Any], where: str, joints: int) -> NamedClip | SetAside:
    if keypoint.ndim == 4 and keypoint.shape[3] == 2:
        raise StarsBenchError(f"{where}: keypoint has x and y alone: poses in pictures; {FOR_PICTURES}")
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


def _pose(name: str, label: int, annotation: Any, where: str, joints: int) -> NamedClip | SetAside:
    """Return a clip of poses in a picture: x and y in pixels, and the score."""
    keypoint = np.asarray(annotation["keypoint"])
    if keypoint.ndim == 3 and keypoint.shape[2] == 2:  # one body, in files of one's own
        keypoint = keypoint[None]
    if keypoint.dtype.kind not in "fiu" or keypoint.ndim != 4 or keypoint.shape[2:] != (joints, 2):
        shape = f"(bodies, frames, {joints}, 2)"
        raise StarsBenchError(f"{where}: keypoint is {keypoint.dtype} of shape {keypoint.shape}, not {shape}")
    score = annotation.get("keypoint_score")
    if score is None:
        score = keypoint.any(-1)  # what is at 0, 0 was not found
    if not isinstance(score, np.ndarray) or score.reshape(-1).shape != (keypoint[..., 0].size,):
        raise StarsBenchError(f"{where}: keypoint_score is no array of {keypoint.shape[:3]}")
    if not all(keypoint.shape[:2]):
        return SetAside(name, where, "no body, or no frame", "empty")
    with np.errstate(all="ignore"):
        bodies = np.concatenate([keypoint, score.reshape(*keypoint.shape[:3], 1)], -1, dtype=np.float32)
    if not np.isfinite(bodies).all():  # beyond float32 is infinite too
        return SetAside(name, where, "a coordinate is NaN or infinite")
    if not bodies.any():
        return SetAside(name, where, "all coordinates are zero", "empty")
    surest = np.argsort(-bodies[..., 2].sum((1, 2)), kind="stable")[:BODIES]
    size = annotation.get("img_shape")
    if size is not None and not (
        isinstance(size, list | tuple) and len(size) >= 2 and all(isinstance(one, int) and one > 0 for one in size[:2])
    ):
        raise StarsBenchError(f"{where}: img_shape is not (height, width)")
    picture = None if size is None else (int(size[0]), int(size[1]))
    return NamedClip(name, label, np.ascontiguousarray(bodies[np.sort(surest)]), picture)
