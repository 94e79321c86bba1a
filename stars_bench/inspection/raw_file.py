"""What is in one raw file, and what each profile's cleaning would make of it: a Source in, a report out.

Told apart by content: NTU RGB+D clips (`.skeleton`), and PKU-MMD videos, label files and split files. Frames and lines
are counted from 1; coordinates are in metres in the camera's frame.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Source
from stars_bench.datasets.cleaning.mamp import NothingLeft, motion_of, noisy_frames
from stars_bench.datasets.ntu import NTU120, cleaned, missing_names
from stars_bench.datasets.parsing import ntu
from stars_bench.datasets.parsing.ntu_frames import TRACKING_STATES, Seen, frames_of, joint_states
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.parsing.pku import LabelRow, fault_of, parse_labels, parse_split, parse_video
from stars_bench.datasets.pku_mmd import CLASSES, LABEL_HEAD, PKU1, SPLIT_HEAD
from stars_bench.datasets.raw_files import looks, sources
from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.datasets.skeletons.kinect import JOINTS as JOINT_NAMES
from stars_bench.display.blocks import Block, Facts, Inspection, Notes, Table
from stars_bench.errors import StarsBenchError, UsageError

MEMBER = re.compile(r"(.+?\.zip):(.+)", re.IGNORECASE)
NOT_FINITE = re.compile(rb"nan|inf|#ind|#qnan", re.IGNORECASE)
SUFFIXES = (".skeleton", ".txt", ".zip")
NTU_CLIP, VIDEO = "NTU RGB+D clip", "PKU-MMD video"
LABEL_FILE, SPLIT_FILE = "PKU-MMD label file", "PKU-MMD split file"
COORDINATE = re.compile(rb"[-+0-9.#A-Za-z]*\d[-+0-9.#A-Za-z]*")
NUMBER = re.compile(rb"[^\s,;{\[]{1,40}")
"""The only word of a first line: a number of frames, or what stands in its place."""
PKU_NUMBERS = 20  # more numbers than this in the first line: a frame of a video
WHY = {
    "bodies_too_short": "bodies of at most 11 frames",
    "bodies_too_wide": "bodies wider than a person in 70 % of their frames",
    "all_bodies_too_short": "all bodies are that short, and the one that moves most is kept",
    "all_bodies_too_wide": "all bodies are that wide, and the one that moves most is kept",
    "bodies_in_the_way": "bodies seen at the same time as both actors",
    "bodies_joined": "bodies joined to an actor whom they do not overlap",
    "body_frames_beyond_the_second": "frames of a third or further body",
    "body_frames_beyond_the_fourth": "frames of a fifth or further body",
    "body_slots_that_move_less": "bodies that move less than the two that are kept",
    "body_frames_filled": "frames behind a body's last, filled by repeating it",
    "empty_frames": "frames without a body",
    "zero_frames": "frames in which no actor is left",
    "frames_past_the_limit": "frames past the limit",
}
"""What the logs of the cleaning count, in words: what was dropped and why."""


@dataclass(frozen=True)
class BodyFacts:
    """One body of a raw file: the frames that show it, and numbers over all of them.

    Args:
        name: Name of the body.
        frames: Number of frames that show it.
        first: First frame of the file that shows it, from 1.
        last: Last frame of the file that shows it, from 1.
        low: Smallest x, y and z, in metres.
        high: Largest x, y and z, in metres.
        motion: Variance of x, y and z summed, in square metres.
        wide: Share of the frames in which it is wider than a person.
        repeated: Frames that repeat the one before exactly.
        not_finite: Frames with coordinates that are not finite. Default: 0.
        states: Frames by Kinect's tracking state (NTU). Default: none.
    """

    name: str
    frames: int
    first: int
    last: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    motion: float
    wide: float
    repeated: int
    not_finite: int = 0
    states: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The result of a profile's cleaning of a clip.

    Args:
        profile: Name of the profile.
        result: Frames and bodies that are left, or why nothing is left.
        dropped: What was dropped.
    """

    profile: str
    result: str
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class RawReport:
    """What is in one raw file.

    Args:
        source: Path of the file.
        kind: Kind of the file.
        totals: Facts of the whole file, by name.
        bodies: Its bodies. Default: none.
        warnings: What looks wrong, one line each. Default: none.
        outcomes: Results of each profile's cleaning. Default: none.
        rows: Rows of a label file. Default: none.
    """

    source: str
    kind: str
    totals: Mapping[str, str]
    bodies: tuple[BodyFacts, ...] = ()
    warnings: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    rows: tuple[LabelRow, ...] = ()


def is_raw(what: str) -> bool:
    """Return whether a word on the command line means a raw file, there or not, rather than a dataset."""
    return Path(what).exists() or MEMBER.fullmatch(what) is not None or Path(what).suffix.lower() in SUFFIXES


def raw_source(path: str) -> Source:
    """Return the raw file that a path names: a file, or `ARCHIVE.zip:MEMBER` (the member's bare name will do).

    Raises:
        UsageError: There is none, or more than one; says what is near.
    """
    match = MEMBER.fullmatch(path)
    if match is None or Path(path).exists():
        file = Path(path)
        if file.suffix.lower() == ".zip" and file.is_file():
            first = next(iter(_members(file)), "MEMBER")
            raise UsageError(f"{path} is an archive: name one file in it, as in {path}:{first}")
        if file.is_file() and file.name.lower().endswith(sources.UNOPENED):
            remedy = looks.kind_of(file.name).on(file) or "unpack it"
            raise UsageError(f"{path}: only files and members of .zip archives are inspected: {remedy}")
        if not file.is_file():
            if file.is_dir():
                raise UsageError(f"{path}: is a folder; name one file: {what_lies_there([file])}")
            raise UsageError(f"{path}: there is no such file")
        return Source(file)
    archive, member = Path(match[1]), match[2]
    if not archive.is_file():
        raise UsageError(f"{archive}: there is no such archive")
    members = _members(archive)
    if member in members:
        return members[member]
    found = [name for name in members if member in (PurePosixPath(name).name, PurePosixPath(name).stem)]
    if len(found) > 1:
        raise UsageError(f"{path}: several files are called so, {found[0]} and {found[1]} among them")
    if not found:
        near = get_close_matches(member, members, n=1)
        raise UsageError(f"{path}: the archive has no such file" + (f"; did you mean {near[0]!r}?" if near else ""))
    return members[found[0]]


def _members(archive: Path) -> dict[str, Source]:
    return {source.member: source for _, source in sources.walk([archive]) if source.member is not None}


def inspect_raw(source: Source) -> RawReport:
    """Read one raw file.

    Raises:
        StarsBenchError: It cannot be read, or is not what its format says: names the line.
    """
    data = sources.read(source)
    readers = {SPLIT_FILE: _split, LABEL_FILE: _labels, VIDEO: _video, NTU_CLIP: _clip}
    reader = readers[kind_of(source, data)]
    try:
        return reader(source, data)
    except ParseError as error:
        raise StarsBenchError(f"{source}:{error.line}: {error.reason}") from error


def kind_of(source: Source, data: bytes) -> str:
    """Return what a raw file is, by its content: NTU_CLIP, VIDEO, LABEL_FILE or SPLIT_FILE.

    Raises:
        StarsBenchError: None of these.
    """
    first = next((line for line in data[:65536].splitlines() if line.strip()), b"")
    if SPLIT_HEAD.match(first):
        return SPLIT_FILE
    if LABEL_HEAD.match(first):
        return LABEL_FILE
    words = first.split()
    if len(words) > PKU_NUMBERS and sum(map(bool, map(COORDINATE.fullmatch, words))) > len(words) // 2:
        return VIDEO
    if NUMBER.fullmatch(first.strip()) or str(source).lower().endswith((".skeleton", ".skeleton.txt")):
        return NTU_CLIP
    if kind := looks.content_of(data[: looks.HEAD]):
        raise StarsBenchError(f"{source}: is a {kind}")
    raise StarsBenchError(
        f"{source}:1: neither a .skeleton file nor a video, label or split file of PKU-MMD. `stars-bench view FILE "
        "--dataset NAME` draws a file of another dataset; NAME may be a TOML file that describes it"
    )


# -------------------------------------------------------------------------------------------------- NTU


def _clip(source: Source, data: bytes) -> RawReport:
    raw, frames = ntu.parse(data), frames_of(data)
    seen: dict[int, list[int]] = {body.id: [] for body in raw.bodies}
    states: dict[int, Counter[str]] = {body.id: Counter() for body in raw.bodies}
    for number, bodies in enumerate(frames):
        for body in bodies:
            seen[body.id].append(number)
            states[body.id][TRACKING_STATES[body.state] if body.state >= 0 else "another"] += 1
    facts = [_facts(str(body.id), seen[body.id], body.joints, states[body.id]) for body in raw.bodies]
    totals = {
        **_name_in_words(source.stem),
        "frames": f"{len(frames):,}",
        "without a body": f"{raw.empty_frames:,}",
        "bodies": f"{len(raw.bodies)}, at most {max(map(len, frames))} in one frame",
        **_joints_in_words(data),
    }
    warnings = [*_warnings_of_name(source.stem), *_warnings_of_clip(data, frames, facts), *_shared(raw, seen)]
    outcomes = [_outcome(name, data) for name in NTU120.profiles]
    return RawReport(str(source), NTU_CLIP, totals, tuple(facts), tuple(warnings), tuple(outcomes))


def _name_in_words(name: str) -> dict[str, str]:
    try:
        setup, camera, performer, replication, action = ntu.parse_name(name)
    except ValueError:
        return {}
    where = f"setup {setup}, camera {camera}, performer {performer}, replication {replication}"
    return {"class": f"A{action:03} {NTU120.classes[action - 1]}", "recorded": where}


def _joints_in_words(data: bytes) -> dict[str, str]:
    """Return how well the sensor saw the joints, and the one that it saw worst."""
    counts = joint_states(data)
    if not counts.sum():
        return {}
    shares = 100 * counts.sum(axis=0) / counts.sum()
    tracked = 100 * counts[:, -1] / np.maximum(counts.sum(axis=1), 1)
    told = ", ".join(f"{state} {share:.1f} %" for state, share in zip(TRACKING_STATES, shares, strict=True) if share)
    worst = int(tracked.argmin())
    least = f"; least the {JOINT_NAMES[worst]} ({tracked[worst]:.0f} % tracked)" if tracked[worst] < 100 else ""
    return {"joints": told + least}


def _warnings_of_name(name: str) -> Iterator[str]:
    try:
        ntu.parse_name(name)
    except ValueError as error:
        yield f"{error}: prepare sets it aside"
    if name in missing_names():
        yield "on the published list of missing or incomplete skeletons: prepare leaves it out"


def _warnings_of_clip(data: bytes, frames: Sequence[Sequence[Seen]], facts: Sequence[BodyFacts]) -> Iterator[str]:
    limits = NTU120.profiles["mamp"].parameters
    for body in facts:
        if body.frames <= limits["drop_bodies_up_to_frames"]:
            yield f"body {body.name} is short; its frames: {body.frames}"
        if body.wide >= limits["noisy_body_share"]:
            yield f"body {body.name} is wider than a person in {100 * body.wide:.0f} % of its frames"
        if gap := body.last - body.first + 1 - body.frames:
            yield f"body {body.name} leaves and comes back; frames without it: {gap} (mamp and pyskl close it up)"
    yield from _repeats(facts)
    if len(frames) > limits["max_frames"]:
        yield f"more than {limits['max_frames']} frames"
    if odd := len(NOT_FINITE.findall(data)):
        yield f"numbers that are not finite, none of them a coordinate: {odd}"


def _repeats(facts: Sequence[BodyFacts]) -> Iterator[str]:
    for body in facts:
        if body.repeated:
            yield f"body {body.name}: frames that repeat the one before exactly: {body.repeated}"


def _shared(raw: ntu.RawClip, seen: Mapping[int, list[int]]) -> Iterator[str]:
    """Yield pairs of bodies that are one: the same coordinates in the same frames."""
    for number, one in enumerate(raw.bodies):
        for other in raw.bodies[number + 1 :]:
            _, mine, theirs = np.intersect1d(seen[one.id], seen[other.id], return_indices=True)
            same = int((one.joints[mine] == other.joints[theirs]).all(axis=(1, 2)).sum())
            if same:
                yield f"bodies {one.id} and {other.id} have the same coordinates; in frames: {same}"


def _facts(name: str, seen: Sequence[int], joints: NDArray[np.float32], states: Mapping[str, int]) -> BodyFacts:
    """Measure a body; `seen` are its frames of the file, from 0, and `joints` (n, 25, 3) are of the same frames."""
    finite = np.isfinite(joints).all(axis=(1, 2))
    good = joints[finite]
    points = good.reshape(-1, 3) if len(good) else np.zeros((1, 3), np.float32)
    width = NTU120.profiles["mamp"].parameters["noisy_frame_x_over_y"]
    return BodyFacts(
        name=name,
        frames=len(joints),
        first=seen[0] + 1,
        last=seen[-1] + 1,
        low=tuple(points.min(axis=0).tolist()),
        high=tuple(points.max(axis=0).tolist()),
        motion=motion_of(points),
        wide=float(noisy_frames(good, width).mean()) if len(good) else 0.0,
        repeated=int((joints[1:] == joints[:-1]).all(axis=(1, 2)).sum()),
        not_finite=int((~finite).sum()),
        states=states,
    )


def _outcome(profile: str, data: bytes) -> Outcome:
    try:
        bodies, log = cleaned(data, NTU120.profiles[profile])
    except NothingLeft as error:
        return Outcome(profile, f"nothing: {error}", ())
    people = "one body" if len(bodies) == 1 else "two bodies, the second empty" if not bodies[1].any() else "two bodies"
    dropped = tuple(f"{WHY[rule]}: {count:,}" for rule, count in log.items() if count and rule in WHY)
    return Outcome(profile, f"{people}, {bodies.shape[1]} frames", dropped)


# -------------------------------------------------------------------------------------------------- PKU


def _video(source: Source, data: bytes) -> RawReport:
    frames = parse_video(data)
    facts = []
    for number, joints in enumerate((frames[:, :75], frames[:, 75:]), start=1):
        seen = np.flatnonzero((joints != 0).any(axis=1))
        if seen.size:
            facts.append(_facts(str(number), seen.tolist(), joints[seen].reshape(-1, 25, 3), {}))
    empty = int((frames == 0).all(axis=1).sum())
    totals = {"frames": f"{len(frames):,}", "without a body": f"{empty:,}", "bodies": str(len(facts))}
    warnings = [*_repeats(facts)]
    for body in facts:
        if body.not_finite:
            warnings.append(f"body {body.name}: frames with a coordinate that is not finite: {body.not_finite}")
    warnings += [] if facts else ["no body is seen"]
    outcomes = [Outcome(name, profile.summary, ()) for name, profile in PKU1.profiles.items()]
    return RawReport(str(source), VIDEO, totals, tuple(facts), tuple(warnings), tuple(outcomes))


def _labels(source: Source, data: bytes) -> RawReport:
    rows, faults = parse_labels(data)
    warnings = [f"line {fault.line}: {fault.reason}" for fault in faults]
    for row in rows:
        if reason := fault_of(row, sys.maxsize, len(CLASSES)):
            warnings.append(f"line {row.line}: {reason}")
    totals = {"clips": str(len(rows)), "classes": str(len({row.action for row in rows}))}
    return RawReport(str(source), LABEL_FILE, totals, warnings=tuple(warnings), rows=tuple(rows))


def _split(source: Source, data: bytes) -> RawReport:
    train, test = parse_split(data)
    both = sorted(set(train) & set(test))
    warnings = [f"in both parts: {', '.join(both)}"] if both else []
    totals = {"training videos": _by_camera(train), "validation videos": _by_camera(test)}
    return RawReport(str(source), SPLIT_FILE, totals, warnings=tuple(warnings))


def _by_camera(videos: Sequence[str]) -> str:
    cameras = Counter(name[-1:] for name in videos)
    return f"{len(videos):,} ({', '.join(f'{camera} {count}' for camera, count in sorted(cameras.items()))})"


# ---------------------------------------------------------------------------------------------- to be shown


def inspection(report: RawReport) -> Inspection:
    """Return the report for a terminal or a page."""
    blocks: list[Block] = [Facts(report.totals)]
    if report.bodies:
        blocks += [_bodies_table(report.bodies), _ranges_table(report.bodies)]
    if report.rows:
        blocks.append(_rows_table(report.rows))
    if report.warnings:
        blocks.append(Notes(report.warnings, "warning"))
    for outcome in report.outcomes:
        blocks.append(Notes((f"profile {outcome.profile}: {outcome.result}",)))
        if outcome.dropped:
            blocks.append(Notes(outcome.dropped, "list"))
    return Inspection(report.source, report.kind, tuple(blocks))


def _bodies_table(bodies: Sequence[BodyFacts]) -> Table:
    rows = []
    for body in bodies:
        states = ", ".join(f"{state} {count}" for state, count in body.states.items())
        numbers = (f"{body.frames:,}", f"{body.first:,}", f"{body.last:,}", f"{100 * body.wide:.0f} %")
        rows.append((body.name, *numbers, f"{body.motion:.3f}", states))
    header = ("body", "frames", "first", "last", "wide", "motion m²", "tracking")
    return Table("Bodies", header, tuple(rows), ("body", "tracking"))


def _ranges_table(bodies: Sequence[BodyFacts]) -> Table:
    rows = []
    for body in bodies:
        ranges = (f"{low:.2f} to {high:.2f}" for low, high in zip(body.low, body.high, strict=True))
        rows.append((body.name, *ranges))
    return Table("Ranges, metres", ("body", "x", "y", "z"), tuple(rows), ("body",))


def _rows_table(rows: Sequence[LabelRow]) -> Table:
    told = []
    for row in rows:
        name = CLASSES[row.action - 1] if 1 <= row.action <= len(CLASSES) else "?"
        numbers = map(str, (row.line, row.start, row.end, row.end - row.start))
        told.append((*numbers, f"{row.action} {name}"))
    return Table("Label rows", ("line", "start", "end", "frames", "class"), tuple(told), ("class",))
