"""What looks wrong in clips: their coordinates in, a few measures a clip, and what lies outside of the bounds out.

`measure` is layout-driven and runs where a shard is converted: it looks at a few frames of each body, and at all places
of one joint. Of two bodies the more ordinary one counts: what is wrong with a file is wrong with both, what is wrong
with one is mostly tracking. Joints in a picture have no metres: of them only still joints and the length are looked at.
docs/data.md has each bound beside what real recordings measure.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Skeleton
from stars_bench.io import files
from stars_bench.storage.quality import DOUBTS, Doubt, QualityReport

WORST = 3  # names of clips that a report keeps for each rule
SAMPLES = 8  # frames of a body whose bones are measured
LONG = 0.1  # of the body's size: shorter bones (hands, feet, eyes) are noise in real recordings
# Batcher's network: pairs that, in this order, sort eight values.
NETWORK = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6)]
NETWORK += [(0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6)]
NEAR_RANGE, NEAR_END = 1e-4, 1e-6  # how near to 1 or 2 the range of a scaled axis is, and to 1 the farthest point
PROBED = 64  # of so many clips one is asked whether coordinates were scaled
MANY = 20  # clips of which half say that something is wrong with the dataset


class Rule(NamedTuple):
    """A measure, what it may be, and what to do where it is not.

    Args:
        name: Name of the measure.
        title: What is wrong where it is out of bounds.
        unit: Format of a value.
        lowest: A clip in which it is less is implausible.
        highest: A clip in which it is more is implausible.
        remedy: What to do.
        usual: What it is where nothing is wrong: of two bodies the nearer one counts. Default: 0.
        typical: The same as `highest`, in a dataset of many clips of which half measure more. Default: `highest`.
        plane: Whether it applies to joints in a picture. Default: no.
    """

    name: str
    title: str
    unit: str
    lowest: float
    highest: float
    remedy: str
    usual: float = 0
    typical: float | None = None
    plane: bool = False


RULES = (
    Rule(
        "size",
        "units: no body has this size in metres",
        "{:,.3g} m",
        0.5,
        3.0,
        "say the unit of the files: coordinates.unit of a TOML file",
        usual=1.7,
    ),
    Rule(
        "scaled",
        "units: coordinates were scaled to [0, 1] or [-1, 1]",
        "{:.0f} round ranges or ends",
        0,
        1,
        "prepare the coordinates as recorded, in metres",
    ),
    Rule(
        "still",
        "joints that never move",
        "{:.0f} joints",
        0,
        0,
        "leave them out of the layout: skeleton.joints of a TOML file",
        plane=True,
    ),
    Rule(
        "bone",
        "joint order: a bone is too long for the body",
        "{:.2f} of the body's size",
        0,
        0.6,
        "say the order of the files' joints: coordinates.joints of a TOML file",
        typical=0.4,
    ),
    Rule(
        "variation",
        "bones change their length",
        "{:.2f} of its length",
        0,
        1.2,
        "look at the clip (view): are axes, joints and frames in order?",
        typical=0.6,
    ),
    Rule(
        "sides",
        "left and right differ",
        "{:.2f} times as long",
        1,
        1.8,
        "look at the clip (view): are left and right joints in order?",
        usual=1,
        typical=1.4,
    ),
    Rule(
        "jump",
        "bodies jump",
        "{:.2f} of its size in a frame",
        0,
        0.4,
        "look at the clip (view): are frames lost, or people mixed up?",
        typical=0.2,
    ),
    Rule(
        "length",
        "far more or fewer frames than the median",
        "{:.3g} times the median",
        0.1,
        10,
        "look for files that were cut off, or that hold several takes",
        usual=1,
        plane=True,
    ),
    Rule(
        "frames",
        "a single frame is no movement",
        "{:.0f} frame",
        2,
        math.inf,
        "where each file is a frame, say so: (?P<frame>...) in files.pattern of a TOML file",
        usual=2,
        plane=True,
    ),
)
"""The bounds: well beyond what recordings of NTU RGB+D and PKU-MMD reach (docs/data.md)."""
COLUMNS = tuple(rule.name for rule in RULES)
SCALED, LENGTH, NUMBER = (COLUMNS.index(name) for name in ("scaled", "length", "frames"))
USUAL = np.array([rule.usual for rule in RULES])


@dataclass(frozen=True)
class Measures:
    """What was measured of some clips.

    Args:
        names: Names of the N clips.
        values: (N, rules) measures, in the order of `RULES`; NaN where one does not apply. Until `judge` divides it by
            the median, `length` is the number of frames.
        joints: (N, rules) the 0-based joint that a value is of; -1 where it is of none.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    joints: NDArray[np.int64]

    @classmethod
    def together(cls, parts: Sequence[Measures]) -> Measures:
        """Put the measures of several shards together."""
        names = tuple(name for part in parts for name in part.names)
        return cls(names, np.concatenate([p.values for p in parts]), np.concatenate([p.joints for p in parts]))


@dataclass(frozen=True)
class Finding:
    """A clip whose measure is out of bounds.

    Args:
        clip: Its name.
        rule: The rule.
        highest: Its upper bound.
        value: What was measured.
        joint: Name of the joint; empty where it is of none.
    """

    clip: str
    rule: Rule
    highest: float
    value: float
    joint: str

    @property
    def excess(self) -> float:
        """How far out of bounds: the times by which the value is above the highest or below the lowest."""
        if self.value > self.highest:
            return self.value / (self.highest or 1)
        return self.rule.lowest / max(self.value, 1e-9)

    def __str__(self) -> str:
        return self.rule.unit.format(self.value) + (f" ({self.joint})" if self.joint else "")


def measure(skeleton: Skeleton, names: Sequence[str], clips: Sequence[NDArray[np.float32]]) -> Measures:
    """Measure clips.

    Args:
        skeleton: Their joint layout.
        names: Names of the clips.
        clips: Bodies (M, F, V, 3) float32 of each: metres; or, in a picture, x, y and score.
    """
    values, joints = np.full((len(RULES), len(clips)), np.nan), np.full((len(RULES), len(clips)), -1)
    if clips:
        with np.errstate(all="ignore"):
            bodies = _Bodies(skeleton, clips)
            if len(bodies.clip):
                of_bodies = _of_bodies(skeleton, bodies)
                clip, better = _more_ordinary(bodies.clip, of_bodies.values)
                columns = np.arange(len(RULES))[:, None]
                values[:, clip], joints[:, clip] = of_bodies.values[columns, better], of_bodies.joints[columns, better]
        values[LENGTH] = values[NUMBER] = [clip.shape[1] for clip in clips]
        if not skeleton.planar:
            values[SCALED] = _scaled(clips)
    return Measures(tuple(names), values.T, joints.T)


def _more_ordinary(
    clip_of: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the clips (N,) of the bodies, and for each rule (rules, N) that body of a clip which is more ordinary."""
    first = np.flatnonzero(np.diff(clip_of, prepend=-1))
    last = np.append(first[1:], len(clip_of)) - 1
    away = np.abs(values - USUAL[:, None])
    return clip_of[first], np.where(away[:, last] < away[:, first], last, first)


class _Bodies:
    """The bodies of some clips: steps from frame to frame, and a few frames of each.

    Args:
        skeleton: Their joint layout.
        clips: Bodies (M, F, V, 3) of each clip.

    Attributes:
        clip: (B,) number of the clip of each body that is seen at all.
        seen: (B,) number of frames in which it is seen.
        step: (B,) the longest way of its centre joint from a frame to the next.
        points: (S, V, 3, B) its joints in some of these frames.
    """

    def __init__(self, skeleton: Skeleton, clips: Sequence[NDArray[np.float32]]) -> None:
        joints = len(skeleton.joints)
        rows = [clip.reshape(-1, 3 * joints) for clip in clips]
        number = np.array([len(clip) for clip in clips])
        frames = np.repeat([clip.shape[1] for clip in clips], number)
        clip_of, first = np.repeat(np.arange(len(clips)), number), np.cumsum(frames) - frames
        centre, other = _places(rows, skeleton.centre, _another(skeleton, rows[0][0]))
        absent = np.logical_and.reduce(centre == other)  # all joints are at one place where nobody is seen
        step = np.zeros(len(absent), np.float32)
        step[:-1] = np.square(centre[:, 1:] - centre[:, :-1]).sum(0)
        step[first + frames - 1] = 0
        if absent.any():
            step[absent] = 0
            step[:-1][absent[1:]] = 0
            seen = np.add.reduceat(~absent, first, dtype=np.int64)
            here = np.flatnonzero(~absent)
        else:
            seen, here = frames, np.arange(len(step))
        kept = seen > 0
        self.clip, self.seen = clip_of[kept], seen[kept]
        self.step = np.sqrt(np.maximum.reduceat(step, first)[kept])
        picked = (self.seen[:, None] - 1) * np.arange(SAMPLES) // (SAMPLES - 1)
        frame = here[(np.cumsum(self.seen) - self.seen)[:, None] + picked]
        frame -= np.append(0, np.cumsum(frames))[np.cumsum(number) - number][self.clip][:, None]  # in its own clip
        points = np.empty((len(frame), SAMPLES, 3 * joints), np.float32)
        for clip, of_body, place in zip(self.clip.tolist(), frame, points, strict=True):
            rows[clip].take(of_body, 0, place, "clip")  # "clip" writes to its place, without a copy
        self.points = np.ascontiguousarray(points.reshape(-1, SAMPLES, joints, 3).transpose(1, 2, 3, 0))


def _places(rows: Sequence[NDArray[np.float32]], *joints: int) -> list[NDArray[np.float32]]:
    """Return (3, R) the places of each joint, in all rows of all clips: in one pass, as it waits for memory."""
    first, last = min(joints), max(joints)
    between = np.concatenate([of_clip[:, 3 * first : 3 * last + 3] for of_clip in rows]).T.copy()
    return [between[3 * (joint - first) :][:3] for joint in joints]


def _another(skeleton: Skeleton, row: NDArray[np.float32]) -> int:
    """Return a joint that is not where the centre is: a layout may have joints that stand at another's place."""
    joints = row.reshape(-1, 3)
    differ = np.flatnonzero((joints != joints[skeleton.centre]).any(1))
    return int(differ[0]) if len(differ) else len(joints) - 1


def _of_bodies(skeleton: Skeleton, bodies: _Bodies) -> Measures:
    """Measure each body: (rules, B) values, and joints; joints that never move have no bones."""
    shape = (len(RULES), len(bodies.clip))
    measured = Measures((), np.full(shape, np.nan), np.full(shape, -1))

    def enter(rule: str, values: NDArray[Any], joints: NDArray[np.int64] | None = None) -> None:
        measured.values[COLUMNS.index(rule)] = values
        if joints is not None:
            measured.joints[COLUMNS.index(rule)] = joints

    points, parents = bodies.points, np.array(skeleton.parents)
    still = _still(skeleton, points) & (bodies.seen > 1)
    number = still.sum(0)
    enter("still", number, np.where(number > 0, still.argmax(0), -1))
    if skeleton.planar:
        return measured
    if number.any():
        moving = np.where(still & (number < len(still)), still.argmin(0), np.arange(len(still))[:, None])
        points = np.take_along_axis(points, moving[None, :, None], 1)  # a moving joint in the place of those
    box = points.max(1) - points.min(1)
    size = np.sqrt(np.sort(np.einsum("scb,scb->sb", box, box), axis=0)[SAMPLES // 2])
    enter("size", size)
    size = np.maximum(size, np.finfo(np.float32).tiny)
    enter("jump", bodies.step / size)
    vectors = bodies.points - bodies.points[:, parents]
    bones = np.einsum("svcb,svcb->svb", vectors, vectors)
    _sort(bones)
    low, median, high = np.sqrt(bones[[1, SAMPLES // 2, -2]])
    if number.any():
        median[still | still[parents]] = 0
    enter("bone", median.max(0) / size, median.argmax(0))
    varying = np.where(median > LONG * size, (high - low) / median, 0)
    enter("variation", varying.max(0), varying.argmax(0))
    left, right = pairs(skeleton)
    if left:
        one, other = median[left], median[right]
        shorter = np.minimum(one, other)
        ratio = np.where((one + other > 2 * LONG * size) & (shorter > 0), np.maximum(one, other) / shorter, 1)
        enter("sides", ratio.max(0), np.array(left)[ratio.argmax(0)])
    return measured


def _sort(samples: NDArray[np.float32]) -> None:
    """Sort the eight samples of (8, ...) in place: by whole arrays, some ten times as fast as `np.sort`."""
    for one, other in NETWORK:
        low = np.minimum(samples[one], samples[other])
        np.maximum(samples[one], samples[other], out=samples[other])
        samples[one] = low


def _still(skeleton: Skeleton, points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (V, B) which joints never move; one joint may be the origin that all others are relative to."""
    axes = 2 if skeleton.planar else 3
    low, high = points.min(0)[:, :axes], points.max(0)[:, :axes]
    still = np.asarray((low == high).all(1))
    if still.any():
        if skeleton.planar:
            still &= points[:, :, 2].max(0) > 0  # one that is not seen is at no place
        origin = still & ~low.any(1) & (low.min(0) < 0).all(0) & (high.max(0) > 0).all(0)
        still &= ~(origin & (still.sum(0) == 1))
    return still


def _scaled(clips: Sequence[NDArray[np.float32]]) -> list[float]:
    """Return how many axes of a clip have a range of 1 or 2, and two more where the farthest point is at 1.

    Who scales coordinates scales all: of a shard some clips are looked at, and the others only if it is one of these.
    """
    probed = [_round(clip) for clip in clips[::PROBED]]
    if max(probed) > RULES[SCALED].highest:
        return [_round(clip) for clip in clips]
    return [np.nan if number % PROBED else probed[number // PROBED] for number in range(len(clips))]


def _round(clip: NDArray[np.float32]) -> float:
    rows = clip.reshape(len(clip) * clip.shape[1], -1)
    low, high = rows.min(0).reshape(-1, 3).min(0), rows.max(0).reshape(-1, 3).max(0)
    axes = (np.abs(high - low - 1) < NEAR_RANGE) | (np.abs(high - low - 2) < NEAR_RANGE)
    return float(axes.sum() + 2 * (abs(max(high.max(), -low.min()) - 1) < NEAR_END))


@cache
def pairs(skeleton: Skeleton) -> tuple[list[int], list[int]]:
    """Return the left joints of a layout and the right ones: those whose names differ in that word, and with bones."""
    names = skeleton.joints
    found = [
        (left, names.index(name.replace("left", "right", 1)))
        for left, name in enumerate(names)
        if "left" in name and name.replace("left", "right", 1) in names and skeleton.parents[left] != left
    ]
    return [left for left, _ in found], [right for _, right in found]


def judge(skeleton: Skeleton, measures: Measures) -> list[Finding]:
    """Return what is out of bounds, by rule, the worst first."""
    values = measures.values.copy()
    values[:, LENGTH] /= np.median(values[:, LENGTH])
    findings = []
    for column, rule in enumerate(RULES):
        if skeleton.planar and not rule.plane:
            continue
        own = values[:, column]
        many = rule.typical is not None and len(own) >= MANY and np.nanmedian(own) > rule.typical
        highest = rule.typical if rule.typical is not None and many else rule.highest
        out = np.flatnonzero((own < rule.lowest) | (own > highest))
        joints = (measures.joints[row, column] for row in out)
        of_rule = [
            Finding(measures.names[row], rule, highest, float(own[row]), "" if joint < 0 else skeleton.joints[joint])
            for row, joint in zip(out, joints, strict=True)
        ]
        findings += sorted(of_rule, key=lambda finding: (-finding.excess, finding.clip))
    return findings


def reported(quality: QualityReport, findings: Sequence[Finding]) -> QualityReport:
    """Add to a report what looks wrong: of each rule how many clips, the worst ones, what to do."""
    doubts = []
    for rule in RULES:
        own = [finding for finding in findings if finding.rule is rule]
        if own:
            worst = tuple(finding.clip for finding in own[:WORST])
            doubts.append(Doubt(rule.title, len(own), worst, str(own[0]), rule.remedy))
    return replace(quality, implausible=len({finding.clip for finding in findings}), doubts=tuple(doubts))


def write(folder: Path, skeleton: Skeleton, measures: Sequence[Measures], quality: QualityReport) -> QualityReport:
    """Judge all clips of a dataset, list what looks wrong beside its shards, and add it to the report."""
    findings = judge(skeleton, Measures.together(measures))
    (folder / DOUBTS).unlink(missing_ok=True)
    if findings:
        files.write_text(folder / DOUBTS, as_csv(findings))
    return reported(quality, findings)


def as_csv(findings: Sequence[Finding]) -> str:
    """Return all findings as a table."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("clip", "rule", "value", "lowest", "highest", "joint", "what"))
    for one in findings:
        rule = one.rule
        table.writerow((one.clip, rule.name, f"{one.value:.6g}", rule.lowest, one.highest, one.joint, rule.title))
    return text.getvalue()
