"""Made-up recordings as CSV, npz and JSON files with their descriptions, for the tests of described datasets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HEAD = """
name = "gym"
title = "Gym exercises"
classes = ["wave", "sit down"]
licence = "made up"
citation = "nobody"
frame_rate = 25
"""
SPLIT = """
[splits.xsub]
train = [1, 2, 3]
"""
CSV = r"""
[files]
pattern = 'A(?P<action>\d+)P(?P<subject>\d+)C(?P<camera>\d+)\.csv'
[coordinates]
format = "csv"
columns = "{joint}/{axis}"
unit = 0.001
axes = ["x", "-y", "z"]
[skeleton]
layout = "kinect-v1"
"""
NPZ = r"""
[files]
pattern = 'A(?P<action>\d+)P(?P<subject>\d+)C(?P<camera>\d+)\.npz'
[coordinates]
format = "npz"
order = "CTVM"
[skeleton]
layout = "coco-17"
"""
JSON = r"""
[files]
pattern = '(?P<action>[a-z ]+)/P(?P<subject>\d+)C(?P<camera>\d+)\.json'
[coordinates]
format = "json"
key = "frames[].people[].keypoints"
order = "TMVC"
axes = ["x", "y", "score"]
[skeleton]
layout = "coco-17"
"""
BODIES = {"csv": CSV, "npz": NPZ, "json": JSON}
JOINTS = {"csv": 20, "npz": 17, "json": 17}


def moving(rng: np.random.Generator, action: int, joints: int, frames: int = 24) -> np.ndarray:
    """(T, V, 3) metres: joints that hold a place of their own, and swing faster in the second action."""
    places = np.random.default_rng(joints).normal(size=(joints, 3))
    swing = np.sin(np.arange(frames) * (0.2 + 0.3 * action) + rng.uniform(0, 6))[:, None, None]
    moved = places + 0.2 * swing * np.linspace(0, 1, joints)[:, None] + rng.normal(0, 0.01, (frames, joints, 3))
    return moved.astype(np.float32).astype(np.float64)


def write(folder: Path, kind: str, joints: Sequence[str], subjects: int = 4, cameras: int = 2) -> Path:
    """Writes recordings of one kind below the folder, and gym.toml beside them; some joints are missing."""
    rng = np.random.default_rng(0)
    (folder / "gym.toml").write_text(HEAD + BODIES[kind] + SPLIT)
    for action, name in enumerate(("wave", "sit down")):
        for subject in range(1, subjects + 1):
            for camera in range(1, cameras + 1):
                clip = moving(rng, action, len(joints))
                clip[5:8, 3] = np.nan
                path = folder / "raw" / f"A{action + 1:02}P{subject:02}C{camera}.{kind}"
                if kind == "json":
                    path = folder / "raw" / name / f"P{subject:02}C{camera}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                WRITERS[kind](path, clip, joints)
    return folder / "gym.toml"


def _csv(path: Path, clip: np.ndarray, joints: Sequence[str]) -> None:
    header = ",".join(f"{joint}/{axis}" for joint in joints for axis in "xyz")
    rows = (clip * [1000, -1000, 1000]).reshape(len(clip), -1)
    lines = [",".join("" if np.isnan(value) else repr(float(value)) for value in row) for row in rows]
    path.write_text("\n".join([header, *lines, ""]))


def _npz(path: Path, clip: np.ndarray, joints: Sequence[str]) -> None:
    del joints
    two = np.stack([clip, np.zeros_like(clip) * np.nan], -1)  # a second body that nobody sees
    np.savez(path, skeleton=two.transpose(2, 0, 1, 3).astype(np.float32))


def _json(path: Path, clip: np.ndarray, joints: Sequence[str]) -> None:
    del joints
    frames = []
    for frame in clip:
        points = [[None, None, 0.0] if np.isnan(x) else [float(x), float(y), 0.9] for x, y, _ in frame]
        frames.append({"people": [{"keypoints": [value for point in points for value in point]}]})
    path.write_text(json.dumps({"frames": frames}))


WRITERS = {"csv": _csv, "npz": _npz, "json": _json}
