"""Small raw files for the tests: NTU text from bodies, and a PKU-MMD folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

Frame = Sequence[tuple[int, np.ndarray]]  # (body id, joints (25, 3)) of each body

BODY_ID = 72057594037931101
DIGITS = "%.7g"


def standing(frames: int, seed: int = 0, height: float = 1.7) -> np.ndarray:
    """(frames, 25, 3): someone who stands 3 m away and trembles."""
    rng = np.random.default_rng(seed)
    pose = np.stack([rng.uniform(-0.3, 0.3, 25), np.linspace(-0.9, height - 0.9, 25), np.full(25, 3.0)], axis=1)
    return (pose + rng.normal(0, 0.01, (frames, 25, 3))).astype(np.float32)


def ntu_lines(frames: Sequence[Frame], digits: str = DIGITS) -> list[str]:
    """The lines of a `.skeleton` file, without line ends."""
    lines = [str(len(frames))]
    for frame in frames:
        lines.append(str(len(frame)))
        for body, joints in frame:
            lines += [f"{body} 0 1 1 1 1 0 0.02764709 0.05745083 2", str(len(joints))]
            for joint in joints:
                xyz = " ".join(digits % value for value in joint)
                lines.append(f"{xyz} 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2")
    return lines


def ntu_bytes(frames: Sequence[Frame], newline: str = "\n") -> bytes:
    """A whole `.skeleton` file."""
    return (newline.join(ntu_lines(frames)) + newline).encode()


def one_person(frames: int = 5, seed: int = 0) -> bytes:
    """A file in which one body is seen in every frame."""
    return ntu_bytes([[(BODY_ID, joints)] for joints in standing(frames, seed)])


def write_ntu(folder: Path, names: Sequence[str], frames: int = 5) -> None:
    """One different file a name."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        (folder / f"{name}.skeleton").write_bytes(one_person(frames, seed))


def video(frames: int, bodies: int = 2, seed: int = 0) -> bytes:
    """A PKU-MMD video; with one body the second is zero."""
    rows = np.zeros((frames, 150), np.float32)
    for body in range(bodies):
        rows[:, 75 * body : 75 * body + 75] = standing(frames, seed + body).reshape(frames, 75)
    return "".join(" ".join(f"{value:f}" for value in row) + "\n" for row in rows).encode()


def write_pku(folder: Path, labels: dict[str, str], skeletons: str = "skeleton", label: str = "label") -> None:
    """Videos of 60 frames, their label files, and the two split files (M validates in cross-view)."""
    for name, content in labels.items():
        for part, data in ((skeletons, video(60, seed=len(name))), (label, content.encode())):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / f"{name}.txt").write_bytes(data)
    names = list(labels)
    views = [name for name in names if not name.endswith("M")], [name for name in names if name.endswith("M")]
    for file, (train, test) in {"cross-subject.txt": (names[:1], names[1:]), "cross-view.txt": views}.items():
        text = f"Training videos: \n{', '.join(train)}, \nValidataion videos: \n{', '.join(test)}, \n"
        (folder / file).write_text(text)
