"""What `prepare` is compared with: the usual three scripts for NTU RGB+D, written anew as plain NumPy code.

The preprocessing that CTR-GCN, MAMP and STARS share (get_raw_skes_data, get_raw_denoised_data, seq_transformation) runs
as three passes over all clips, each with everything in memory and a pickle in between. This file does the same work in
the same plain way, a line and a clip at a time, without anything that would slow it down: bodies are gathered in lists,
not stacked frame by frame, and the colour coordinates, which nobody uses, are left out. Its clips are those of the
profile `mamp`, bit for bit (tests/benchmarks/test_benchmarks.py).

Usage: python benchmarks/baseline_prepare.py RAW_FOLDER OUT_FOLDER [--limit N]
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

JOINTS, CLASSES, MAX_FRAMES = 25, 120, 300
XSUB_TRAIN = {
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49, 50, 52, 53, 54, 55, 56),
    *(57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
}
XVIEW_TRAIN = {2, 3}

SHORT_BODY = 11  # frames
WIDE_FRAME = 0.8  # of its height
WIDE_BODY = 0.69754  # of its frames


# -------------------------------------------------------------------- pass 1: text to bodies


def read_bodies(path: Path) -> dict:
    """One file: {"name", "num_frames" (those with a body), "bodies": {id: {"start", "joints" (n, 25, 3)}}}."""
    with path.open() as file:
        lines = file.readlines()
    at = 1
    kept = 0
    bodies: dict[str, dict] = {}
    for _ in range(int(lines[0])):
        count = int(lines[at])
        at += 1
        for _ in range(count):
            number = lines[at].split()[0]
            at += 2  # the line of the number of joints
            joints = np.zeros((JOINTS, 3), dtype=np.float32)
            for joint in range(JOINTS):
                joints[joint] = np.array(lines[at].split()[:3], dtype=np.float32)
                at += 1
            if number not in bodies:
                bodies[number] = {"start": kept, "joints": []}
            bodies[number]["joints"].append(joints)
        if count:
            kept += 1
    for body in bodies.values():
        body["joints"] = np.stack(body["joints"])
    return {"name": path.stem, "num_frames": kept, "bodies": bodies}


def pass_1(raw: Path, work: Path, limit: int | None) -> None:
    """Reads all files and writes one pickle."""
    clips = [read_bodies(path) for path in sorted(raw.glob("*.skeleton"))[:limit]]
    with (work / "raw_bodies.pkl").open("wb") as file:
        pickle.dump(clips, file, pickle.HIGHEST_PROTOCOL)


# ------------------------------------------------------------- pass 2: bodies to one or two actors


def motion(joints: np.ndarray) -> float:
    """Summed variance of x, y and z over all points of a body."""
    return float(np.sum(np.var(joints.reshape(-1, 3), axis=0)))


def wide_frames(joints: np.ndarray) -> np.ndarray:
    """(n,) whether a body is wider than a person is, in each of its frames."""
    x = joints[:, :, 0].max(axis=1) - joints[:, :, 0].min(axis=1)
    y = joints[:, :, 1].max(axis=1) - joints[:, :, 1].min(axis=1)
    return x.astype(np.float64) > WIDE_FRAME * y.astype(np.float64)


def without_noise(bodies: list[dict]) -> list[dict]:
    """Drops short and wide bodies; at least one stays."""
    for body in bodies:
        body["motion"] = motion(body["joints"])
    long = [body for body in bodies if len(body["joints"]) > SHORT_BODY]
    if not long:
        return [max(bodies, key=lambda body: body["motion"])]
    kept = list(long)
    for body in long:
        if len(kept) == 1:
            break
        wide = wide_frames(body["joints"])
        if wide.sum() / len(wide) >= WIDE_BODY:
            kept = [other for other in kept if other is not body]
        elif wide.any():
            body["motion"] = min(body["motion"], motion(body["joints"][~wide]))
    return kept


def two_actors(bodies: list[dict], num_frames: int) -> np.ndarray:
    """(F, 150): the body that moves most, and the others where they fit."""
    bodies = sorted(bodies, key=lambda body: -body["motion"])
    joints = np.zeros((num_frames, 150), dtype=np.float32)
    first = bodies[0]
    ends = [(first["start"], first["start"] + len(first["joints"]) - 1), (0, 0)]
    joints[ends[0][0] : ends[0][1] + 1, :75] = first["joints"].reshape(-1, 75)
    for body in bodies[1:]:
        start, end = body["start"], body["start"] + len(body["joints"]) - 1
        for actor in (0, 1):
            if min(end, ends[actor][1]) - max(start, ends[actor][0]) <= 0:
                joints[start : end + 1, 75 * actor : 75 * actor + 75] = body["joints"].reshape(-1, 75)
                ends[actor] = (min(start, ends[actor][0]), max(end, ends[actor][1]))
                break
    return joints


def actors(clip: dict) -> np.ndarray:
    """(F, 75) of one actor or (F, 150) of two."""
    bodies = list(clip["bodies"].values())
    several = len(bodies) > 1
    if several:
        bodies = without_noise(bodies)
    if len(bodies) == 1:
        joints = np.zeros((clip["num_frames"], 75), dtype=np.float32)
        start = bodies[0]["start"]
        joints[start : start + len(bodies[0]["joints"])] = bodies[0]["joints"].reshape(-1, 75)
    else:
        joints = two_actors(bodies, clip["num_frames"])
    if several:
        joints = joints[joints.sum(axis=1) != 0]
    return joints


def pass_2(work: Path) -> None:
    """Reads the pickle of pass 1 and writes one of names and actors."""
    with (work / "raw_bodies.pkl").open("rb") as file:
        clips = pickle.load(file)
    names = [clip["name"] for clip in clips if clip["bodies"]]
    joints = [actors(clip) for clip in clips if clip["bodies"]]
    with (work / "denoised.pkl").open("wb") as file:
        pickle.dump((names, joints), file, pickle.HIGHEST_PROTOCOL)


# ------------------------------------------------------- pass 3: actors to padded arrays and splits


def centred(joints: np.ndarray) -> np.ndarray:
    """The first actor's spine in its first frame becomes the origin; absent bodies of two stay zero."""
    origin = np.zeros(3, dtype=np.float32)
    for frame in joints:
        if (frame[:75] != 0).any():
            origin = frame[3:6]
            break
    moved = joints - np.tile(origin, joints.shape[1] // 3)
    if joints.shape[1] == 150:
        moved[joints[:, :75].sum(axis=1) == 0, :75] = 0
        moved[joints[:, 75:].sum(axis=1) == 0, 75:] = 0
    return moved


def padded(clips: list[np.ndarray]) -> np.ndarray:
    """(N, 300, 150) float32, zeros where nobody is."""
    out = np.zeros((len(clips), MAX_FRAMES, 150), dtype=np.float32)
    for number, joints in enumerate(clips):
        moved = centred(joints)[:MAX_FRAMES]
        out[number, : len(moved), : moved.shape[1]] = moved
    return out


def pass_3(work: Path) -> None:
    """Reads the pickle of pass 2 and writes one npz a protocol."""
    with (work / "denoised.pkl").open("rb") as file:
        names, clips = pickle.load(file)
    x = padded(clips)
    y = np.zeros((len(names), CLASSES))
    for number, name in enumerate(names):
        y[number, int(name[17:20]) - 1] = 1
    for protocol, digits, train in (("xsub", slice(9, 12), XSUB_TRAIN), ("xview", slice(5, 8), XVIEW_TRAIN)):
        trains = np.array([int(name[digits]) in train for name in names], dtype=bool)
        np.savez(work / f"{protocol}.npz", x_train=x[trains], y_train=y[trains], x_test=x[~trains], y_test=y[~trains])


def run(raw: Path, work: Path, limit: int | None = None) -> dict[str, float]:
    """All three passes; seconds of each."""
    work.mkdir(parents=True, exist_ok=True)
    passes: dict[str, Callable[[], None]] = {
        "pass 1": lambda: pass_1(raw, work, limit),
        "pass 2": lambda: pass_2(work),
        "pass 3": lambda: pass_3(work),
    }
    seconds = {}
    for name, step in passes.items():
        started = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - started
    return seconds


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The usual three scripts, as plain NumPy code.")
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    print(json.dumps(run(options.raw, options.out, options.limit)))


if __name__ == "__main__":
    main()
