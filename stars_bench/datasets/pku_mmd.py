"""PKU-MMD phases I and II: videos, label rows and split files in, one clip a label row out (arXiv:1703.07475).

Files are distinguished by their content, since users' folders have many names (`skeleton`, `PKU_Skeleton_Renew`,
`Label`, `Train_Label_PKU_final` ...). Performers are not published per video: phase I has scenes, phase II A-numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Citation, Clip, DatasetSpec, Found, NameFacts, Profile, RawItem, SetAside, Source
from stars_bench.datasets.cleaning.mamp import NothingLeft, as_bodies, centre
from stars_bench.datasets.ntu import class_names
from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.parsing.pku import LabelRow, fault_of, parse_labels, parse_split, parse_video
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import OnDuplicate, Progress
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import StarsBenchError, UsageError

CLASSES = class_names("pku_actions.txt")
CAMERAS = {"L": 1, "M": 2, "R": 3}
MOST_DIGITS = 9  # of the row of a label file, in a clip's name
VIDEO_1 = re.compile(r"(?P<subject>\d{4})-(?P<camera>[LMR])")
VIDEO_2 = re.compile(r"A(?P<subject>\d{2})N(?P<replication>\d{2})-(?P<camera>[LMR])")
LABEL_HEAD = re.compile(rb"(\xef\xbb\xbf)?\s*\d+\s*,\s*-?\d+\s*,\s*-?\d+\s*(,|\r|\n|$)")
SPLIT_NAME = re.compile(r".*(?:subject|view).*", re.IGNORECASE)
SPLIT_HEAD = re.compile(rb"(\xef\xbb\xbf)?\s*(train|val|test)", re.IGNORECASE)
SLICES = ("half-open", "aimclr")
"""Which rows a label `start,end` means: [start, end), or AimCLR's [start - 1, end) (github Levigty/AimCLR, tools).

Of a longer clip AimCLR keeps the middle 300 rows; under both slices the first 300 are kept here.
"""
BY_RULE = "the missing cross-view split file (camera M tests, by rule)"
KNOWN_ERRATA = {("0043-L", 1, 4925, 4036)}  # a row of phase I as published: it ends before it starts

CITATION = Citation(
    "liu2017pkummd",
    "PKU-MMD: A Large Scale Benchmark for Continuous Multi-Modal Human Action Understanding",
    authors="Liu, Chunhui and Hu, Yueyu and Li, Yanghao and Song, Sijie and Liu, Jiaying",
    venue="arXiv preprint",
    year=2017,
    kind="article",
    arxiv="1703.07475",
)
LICENCE = "academic research only (https://www.icst.pku.edu.cn/struct/Projects/PKUMMD.html); not redistributable"
WHERE = "Get skeletons, labels and split files of phase {phase} at https://www.icst.pku.edu.cn/struct/Projects/PKUMMD.html, then put them in DATA_DIR/raw/{name} or give --raw PATH"  # noqa: E501


def find(
    paths: Iterable[Path],
    on_duplicate: OnDuplicate = "refuse",
    scratch: Path | None = None,
    progress: Progress | None = None,
    *,
    video: re.Pattern[str],
) -> Found:
    """Return the videos of one phase with their labels, and the official splits.

    Args:
        paths: Folders and archives.
        on_duplicate: "refuse" a name with two contents, or take the "first". Default: "refuse".
        scratch: Folder for what must be unpacked (.7z, .tar). Default: None.
        progress: Called while archives are unpacked or files are compared. Default: None.
        video: Pattern of the names of the phase's videos.

    Returns:
        The items, the splits, and what is set aside or ignored.

    Raises:
        StarsBenchError: A video, label or split file is found twice with different content.
    """
    by_role: dict[str, list[tuple[str, Source]]] = {"skeleton": [], "label": [], "split": []}
    ignored: Counter[str] = Counter()
    wanted = re.compile(rf"(?:{video.pattern}|{SPLIT_NAME.pattern})\.txt", re.IGNORECASE)
    for file, source in sources.walk(paths, wanted, scratch, progress):
        role = role_of(source, file, video)
        if role is None:
            ignored[sources.why_passed_over(file, "files of no use here")] += 1
        else:
            by_role[role].append((PurePath(file).stem.upper(), source))
    named, labelled = (sources.unique(by_role[role], on_duplicate, ignored, progress) for role in ("skeleton", "label"))
    if spare := len(labelled.keys() - named.keys()):
        ignored["label files of videos that are not here"] += spare
    set_aside = [
        SetAside(name, str(named[name]), "there is no label file for this video")
        for name in sorted(named.keys() - labelled.keys())
    ]
    items = [
        RawItem(name, {"skeleton": named[name], "label": labelled[name]})
        for name in sorted(named.keys() & labelled.keys())
    ]
    splits = _official_splits(by_role["split"], video, on_duplicate)
    if items and not splits["xview"]["test"]:
        splits["xview"] = cross_view(item.name for item in items)
        ignored[BY_RULE] += 1
    return Found(items, set_aside, splits, dict(ignored))


def role_of(source: Source, file: str, video: re.Pattern[str]) -> str | None:
    """Return what a file is: "skeleton", "label", "split" or None.

    The content decides; if it is not clear, the folder does.

    Args:
        source: The file.
        file: Its name, without folders.
        video: Pattern of the names of the phase's videos.
    """
    stem, _, suffix = file.rpartition(".")
    if suffix.lower() != "txt":
        return None
    if SPLIT_NAME.fullmatch(stem):
        return "split" if SPLIT_HEAD.match(sources.head(source)) else None
    if not video.fullmatch(stem.upper()):
        return None
    start = sources.head(source)
    if LABEL_HEAD.match(start):
        return "label"
    if len(start.split(b"\n", 1)[0].split()) > 20:
        return "skeleton"
    for folder in reversed(re.split(r"[\\/:]", str(source))[:-1]):
        is_label, is_skeleton = "label" in folder.lower(), "skel" in folder.lower()
        if is_label != is_skeleton:
            return "label" if is_label else "skeleton"
    return None


def _official_splits(
    found: list[tuple[str, Source]], video: re.Pattern[str], on_duplicate: OnDuplicate
) -> dict[str, Mapping[str, list[str]]]:
    """Return {protocol: {"train": videos, "test": videos}} from the split files; both empty if a file is missing."""
    splits: dict[str, Mapping[str, list[str]]] = {name: {"train": [], "test": []} for name in ("xsub", "xview")}
    origin: dict[str, Source] = {}
    for name, source in found:
        try:
            train, test = ([one.upper() for one in part] for part in parse_split(sources.read(source)))
        except ParseError as error:
            raise StarsBenchError(f"{source}:{error.line}: {error.reason}") from error
        if not any(video.fullmatch(one) for one in train + test):
            continue  # of the other phase
        if both := set(train) & set(test):
            raise StarsBenchError(f"{source}: {min(both)} is a training and a validation video")
        protocol, split = "xsub" if "SUBJECT" in name else "xview", {"train": train, "test": test}
        if protocol not in origin:
            splits[protocol], origin[protocol] = split, source
        elif splits[protocol] != split and on_duplicate == "refuse":
            raise StarsBenchError(
                f"two different {protocol} splits: {origin[protocol]} and {source}; remove one, or take the first "
                "with --on-duplicate first"
            )
    return splits


def cross_view(videos: Iterable[str]) -> Mapping[str, list[str]]:
    """Return the official cross-view split by its rule: camera M validates, L and R train.

    Phase I has 717 and 359 videos.
    """
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for name in videos:
        parts["test" if name.endswith("M") else "train"].append(name)
    return parts


def convert(item: RawItem, data: Mapping[str, bytes], profile: Profile) -> list[Clip | SetAside]:
    """Cut one video into the clips of its label rows; rows that cannot be clips are set aside."""
    skeleton, label = item.sources["skeleton"], item.sources["label"]
    try:
        frames = parse_video(data["skeleton"])
    except ParseError as error:
        return [SetAside(item.name, f"{skeleton}:{error.line}", error.reason)]
    try:
        rows, faults = parse_labels(data["label"])
    except ParseError as error:
        return [SetAside(item.name, f"{label}:{error.line}", error.reason)]
    results: list[Clip | SetAside] = [SetAside(item.name, f"{label}:{fault.line}", fault.reason) for fault in faults]
    digest = source_digest(data["skeleton"], data["label"])
    for row in rows:
        results.append(_clip(item, row, frames, profile, digest))
    return results


def _clip(item: RawItem, row: LabelRow, frames: NDArray[np.float32], profile: Profile, digest: str) -> Clip | SetAside:
    name, where = f"{item.name}_{row.index}", f"{item.sources['label']}:{row.line}"
    known = (item.name, row.action, row.start, row.end) in KNOWN_ERRATA
    row = _sliced(row, profile)
    if reason := fault_of(row, len(frames), len(CLASSES)):
        kind: Literal["unknown", "fault"] = "fault" if 1 <= row.action <= len(CLASSES) else "unknown"
        return SetAside(name, where, reason, "errata" if known else kind)
    limit = profile.parameters["max_frames"]
    joints = frames[row.start : min(row.end, row.start + limit)]
    bad = np.flatnonzero(~np.isfinite(joints).all(axis=1))
    if bad.size:
        reason = f"a coordinate of frame {row.start + bad[0]} (counted from 0) is not finite"
        return SetAside(name, str(item.sources["skeleton"]), reason)
    if not joints.any():
        return SetAside(name, where, "all coordinates are zero", "empty")
    log = Counter(frames_past_the_limit=max(0, min(row.end, len(frames)) - row.start - limit))
    log["label_frames_behind_the_end"] = max(0, row.end - len(frames))
    log["zero_frames_kept"] = int((~joints.any(axis=1)).sum())
    try:
        bodies = _bodies(joints, profile.parameters["centre_joint"])
    except NothingLeft as error:
        return SetAside(name, where, str(error), "empty")
    log["bodies_seen"] = len(bodies)
    numbers = VIDEO_1.fullmatch(item.name) or VIDEO_2.fullmatch(item.name)
    parts: Mapping[str, Any] = numbers.groupdict() if numbers else {}
    return Clip(
        name=name,
        label=row.action - 1,
        subject=int(parts["subject"]),
        camera=CAMERAS[parts["camera"]],
        setup=0,
        replication=int(parts.get("replication", 0)),
        bodies=bodies,
        source_digest=digest,
        log=log,
    )


def _sliced(row: LabelRow, profile: Profile) -> LabelRow:
    """Return the label row as rows [start, end) of its video, under the profile's slice."""
    rule = profile.parameters["slice"]
    if rule not in SLICES:
        raise UsageError(f"profile {profile.name}: slice is {rule!r}; it must be {' or '.join(SLICES)}")
    return replace(row, start=row.start - 1) if rule == "aimclr" and row.start > 0 else row


def _bodies(joints: NDArray[np.float32], centre_joint: int | None) -> NDArray[np.float32]:
    """Reshape (F, 150) to (M, F, 25, 3): one body when the second is zero throughout.

    Two bodies are centred together, so that frames in which no body is seen stay zero in one-person clips too.
    """
    if centre_joint is not None:
        shift = 0 if joints[:, :75].any() else 75  # the first body may not be seen at all: then the second is first
        joints = np.roll(centre(np.roll(joints, shift, axis=1), centre_joint), shift, axis=1)
    bodies = as_bodies(joints)
    return bodies if bodies[1].any() else bodies[:1]


def _profiles() -> dict[str, Profile]:
    # The second body is zero in the files where it is absent, so "zero" gives them back as they were.
    plain = {"slice": "half-open", "max_frames": 300, "zero_clips": "dropped", "centre_joint": None}
    mamp = "as the published numbers: coordinates as recorded, nothing centred"
    centred = "centred on the spine of the first body in the first frame in which it is seen"
    return {
        "mamp": Profile("mamp", mamp, plain, "zero"),
        "centered": Profile("centered", centred, plain | {"centre_joint": KINECT_V2.centre}, "zero"),
    }


def read_name(name: str, *, video: re.Pattern[str]) -> NameFacts:
    """Read what a clip's name says: VIDEO_ROW, as `0002-L_7` (phase I) or `A01N01-L_7` (phase II).

    Raises:
        ValueError: No name of a clip of this phase.
    """
    item, _, row = name.rpartition("_")
    match = video.fullmatch(item)
    if match is None or not row.isdecimal() or len(row) > MOST_DIGITS:
        raise ValueError(f"{name!r} is no clip's name (VIDEO_ROW)")
    parts = match.groupdict()
    return NameFacts(item, int(parts["subject"]), CAMERAS[parts["camera"]], 0, int(parts.get("replication", 0)))


def performance(name: str) -> str:
    """Name the performance that a clip shows: `0002_7` of `0002-L_7`, `0002-M_7` and `0002-R_7`."""
    item, _, row = name.rpartition("_")
    return f"{item.rpartition('-')[0] or item}_{row}"


def _spec(name: str, title: str, phase: str, video: re.Pattern[str], expected_clips: int | None) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        classes=CLASSES,
        skeleton=KINECT_V2,
        profiles=_profiles(),
        default_profile="mamp",
        find=partial(find, video=video),
        convert=convert,
        expected_clips=expected_clips,
        where=WHERE.format(phase=phase, name=name),
        licence=LICENCE,
        citation=CITATION,
        read_name=partial(read_name, video=video),
        ships_splits=True,
        names_persons=video is not VIDEO_1,  # phase I numbers its scenes, and does not say who plays them
        performance=performance,
        warm_up=compiled_code.load_pku,
    )


PKU1 = _spec("pku1", "PKU-MMD I", "I", VIDEO_1, 21_545)
PKU2 = _spec("pku2", "PKU-MMD II", "II", VIDEO_2, None)
