"""A raw file as takes: as recorded, and as a profile's cleaning leaves it. NTU RGB+D clips and PKU-MMD videos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stars_bench.api import Source
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.ntu import NTU120, cleaned
from stars_bench.datasets.parsing import ntu
from stars_bench.datasets.parsing.ntu_frames import frames_of
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.parsing.pku import parse_video
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.inspection.raw_file import NTU_CLIP, VIDEO, kind_of
from stars_bench.viewer.scene import Bodies, Scene, Take, seen

RECORDED = "as recorded"
SAME = 1e-4  # metres


def raw_scene(source: Source, profile: str | None = None) -> Scene:
    """Return a raw file as recorded, beside the result of a profile (default: mamp).

    Raises:
        UsageError: There is no such profile, or the file has no skeletons.
        StarsBenchError: The file does not have its format.
    """
    data = sources.read(source)
    kind = kind_of(source, data)
    try:
        if kind == NTU_CLIP:
            return _clip(source, data, profile or NTU120.default_profile)
        if kind == VIDEO:
            if profile is not None:
                raise UsageError(f"{source}: a video is cut into clips before it is cleaned; leave out --profile")
            return _video(source, data)
    except ParseError as error:
        raise StarsBenchError(f"{source}:{error.line}: {error.reason}") from error
    raise UsageError(f"{source} is a {kind}: it holds no skeletons; name a video")


def recorded(data: bytes) -> Take:
    """Return the bodies of an NTU file under their ids, in the frames that hold a body.

    Raises:
        ParseError: The file is not an NTU file.
    """
    raw, frames = ntu.parse(data), frames_of(data)
    kept = [number for number, bodies in enumerate(frames) if bodies]
    bodies = np.full((len(raw.bodies), len(kept), ntu.JOINTS, 3), np.nan, np.float32)
    for row, body in zip(bodies, raw.bodies, strict=True):
        places = [place for place, number in enumerate(kept) if any(one.id == body.id for one in frames[number])]
        row[places] = body.joints
    return Take(RECORDED, bodies, tuple(number + 1 for number in kept))


def _clip(source: Source, data: bytes, profile: str) -> Scene:
    if profile not in NTU120.profiles:
        raise UsageError(f"there is no profile {profile!r} for {source}: {', '.join(NTU120.profiles)}")
    take = recorded(data)
    if not len(take.bodies):
        raise StarsBenchError(f"{source}: no frame holds a body")
    facts = [str(source)]
    try:
        facts.insert(0, f"{ntu.parse_name(source.stem)[-1]} {NTU120.classes[int(source.stem[-3:]) - 1]}")
    except ValueError:
        facts.insert(0, "no NTU name")
    try:
        joints, _ = cleaned(data, NTU120.profiles[profile])
    except NothingLeft as error:
        facts.append(f"profile {profile} leaves nothing: {error}")
        return Scene(source.stem, tuple(facts), KINECT_V2, (take,))
    after = Take(f"profile {profile}", seen(joints))
    return Scene(source.stem, tuple(facts), KINECT_V2, (in_order_of(take, after), after))


def in_order_of(take: Take, after: Take) -> Take:
    """Return a recorded take with its bodies in the order of the cleaned one, so that a person keeps their colour."""
    frames = min(take.bodies.shape[1], after.bodies.shape[1])
    shapes, shapes_after = (_shape(one.bodies[:, :frames]) for one in (take, after))
    same = [[np.nansum(np.abs(own - other).max(axis=(1, 2)) < SAME) for other in shapes_after] for own in shapes]
    order = sorted(range(len(same)), key=lambda body: np.argmax(same[body]) if max(same[body]) else len(same))
    return replace(take, bodies=take.bodies[order])


def _shape(bodies: Bodies) -> Bodies:
    """Return bodies relative to their own centre, which cleaning does not change."""
    return bodies - bodies[:, :, KINECT_V2.centre, None]


def _video(source: Source, data: bytes) -> Scene:
    frames = parse_video(data)
    bodies = seen(np.moveaxis(frames.reshape(len(frames), 2, ntu.JOINTS, 3), 1, 0))
    bodies[~np.isfinite(bodies).all(axis=(2, 3))] = np.nan
    there = np.flatnonzero(np.isfinite(bodies).any(axis=(0, 2, 3)))
    if not there.size:
        raise StarsBenchError(f"{source}: no body is seen")
    take = Take(RECORDED, bodies[:, there], tuple((there + 1).tolist()))
    return Scene(source.stem, ("PKU-MMD video", str(source)), KINECT_V2, (take,))
