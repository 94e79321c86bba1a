"""Synthetic clips without files: what a reader of their raw files would get, handed straight to the cleaning.

In: items, one for each performance with its cameras. Out: cleaned clips, equal to the last bit to those that the files
of `write_raw` give; only the text and the columns that no reader keeps are left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby

import numpy as np

from stars_bench.api import Clip, Profile, RawItem, SetAside
from stars_bench.datasets.cleaning.by_profile import clean_by
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.parsing.ntu import RawBody, RawClip
from stars_bench.datasets.parsing.ntu_frames import Seen
from stars_bench.datasets.synthetic.camera import Recording, record
from stars_bench.datasets.synthetic.printing import as_printed
from stars_bench.datasets.synthetic.stage import ClipName, choose_clips
from stars_bench.errors import UsageError

GENERATOR = 1  # raise it whenever the clip of a given seed and name changes

_ITEM = re.compile(r"S(\d{3})C([123]{1,3})P(\d{3})R(\d{3})A(\d{3}) seed (\d+) generator (\d+)")


def generated_items(limit: int | None = None, seed: int = 0, setups: Sequence[int] | None = None) -> list[RawItem]:
    """Return items without sources, sorted by name; the name determines all clips of an item.

    Args:
        limit: Number of clips, chosen as by `clip_names`. Default: None, all clips.
        seed: Seed of the whole dataset. Default: 0.
        setups: As for `clip_names`. Default: None; without a limit, all 113,945 clips of NTU RGB+D 120, missing list
            taken out.
    """
    names = []
    clips = sorted(choose_clips(setups, None, limit), key=lambda clip: clip.performance)
    for (setup, performer, replication, action), views in groupby(clips, key=lambda clip: clip.performance):
        cameras = "".join(str(clip.camera) for clip in views)
        part = f"S{setup:03}C{cameras}P{performer:03}R{replication:03}A{action:03}"
        names.append(f"{part} seed {seed} generator {GENERATOR}")
    return [RawItem(name, {}) for name in sorted(names)]


def clips_of(item: RawItem, profile: Profile) -> list[Clip | SetAside]:
    """Return the cleaned clips of one item: a pure function of its name and of the profile's parameters.

    Raises:
        UsageError: The item is not one of `generated_items`, or is of another version of the generator; or the
            profile's cleaning is unknown.
    """
    match = _ITEM.fullmatch(item.name)
    if match is None or int(match[7]) != GENERATOR:
        raise UsageError(f"{item.name!r} is no item of version {GENERATOR} of the generator of synthetic clips")
    setup, performer, replication, action, seed = (int(match[group]) for group in (1, 3, 4, 5, 6))
    clips = (ClipName(setup, int(camera), performer, replication, action) for camera in match[2])
    return [_generate(clip, seed, profile) for clip in clips]


def _generate(clip: ClipName, seed: int, profile: Profile) -> Clip | SetAside:
    name = str(clip)
    try:
        recording = record(clip, seed)
        bodies, log = clean_by(profile, as_read(recording), partial(frames_of, recording))
    except NothingLeft as error:
        return SetAside(name, f"{name} (synthetic, seed {seed})", str(error))
    digest = hashlib.sha256(f"generator {GENERATOR} seed {seed} {name}".encode()).hexdigest()
    numbers = (clip.action - 1, clip.performer, clip.camera, clip.setup, clip.replication)
    return Clip(name, *numbers, bodies, digest, log)


def as_read(recording: Recording) -> RawClip:
    """Return what `parsing.ntu.parse` reads from the file of a recording, including the rounding of printed numbers."""
    seen = recording.seen
    held = np.zeros(len(seen), bool)
    for track in recording.tracks:
        held[track.start : track.start + len(track.joints)] = True
    held &= seen
    whole = held.all()
    bodies = []
    for number, track in zip(recording.ids.tolist(), recording.tracks, strict=True):
        first, joints = track.start, track.joints
        if not whole:
            frames = seen[first : first + len(joints)]
            first, joints = int(held[: first + int(frames.argmax())].sum()), joints[frames]
        if len(joints):
            bodies.append(RawBody(number, first, as_printed(joints)))
    kept = int(held.sum())
    return RawClip(tuple(sorted(bodies, key=lambda body: body.first)), kept, len(seen) - kept)


def frames_of(recording: Recording) -> list[list[Seen]]:
    """Return what `ntu_frames.frames_of` reads from the file of a recording."""
    frames: list[list[Seen]] = [[] for _ in recording.seen]
    for number, track in zip(recording.ids.tolist(), recording.tracks, strict=True):
        for frame in track.frames[recording.seen[track.frames]].tolist():
            frames[frame].append(Seen(number, 2))
    return frames
