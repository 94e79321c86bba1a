"""What windows of recordings were recognised as: as CSV, and on a timeline in a page with the recordings."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from stars_bench.api import DatasetSpec
from stars_bench.experiments.finished.predict import Prediction
from stars_bench.io import files
from stars_bench.preparation.recordings import Recording
from stars_bench.viewer.html import to_html
from stars_bench.viewer.scene import Label, Scene, Take, licence_of, seen, upright

COLUMNS = ("clip", "first_frame", "last_frame", "rank", "action", "probability")


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write predictions, a line an action: clip, first and last frame (from 1; empty of whole clips), rank, share."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for one in predictions:
        for rank, (action, share) in enumerate(one.actions, start=1):
            rows.writerow([one.clip, *(one.frames or ("", "")), rank, action, f"{share:.6f}"])
    files.write_text(path, text.getvalue())


def labels_of(windows: Sequence[Prediction], frames: int) -> tuple[Label, ...]:
    """Return labels that share the frames of a recording among its windows: a frame is the nearest window's.

    Args:
        windows: Predictions of the windows, in their order.
        frames: Frames of the recording.
    """
    spans = [one.frames or (1, frames) for one in windows]
    middles = [(first + last) / 2 for first, last in spans]
    ends = [int((one + other) / 2) for one, other in pairwise(middles)] + [frames]
    starts = [1, *(end + 1 for end in ends[:-1])]
    return tuple(Label(start, end, *one.actions[0]) for start, end, one in zip(starts, ends, windows, strict=True))


def page(spec: DatasetSpec, recordings: Sequence[Recording], predictions: Sequence[Prediction]) -> str:
    """Return a page with the recordings, above them a timeline of what their windows were recognised as."""
    scenes = []
    for one in recordings:
        own = [prediction for prediction in predictions if prediction.clip == one.name]
        frames = one.bodies.shape[1]
        facts = ("" if one.label is None else spec.classes[one.label], f"{frames:,} frames, {len(own):,} windows")
        take = Take("as read", seen(upright(one.bodies, spec.skeleton, one.picture)))
        labels = labels_of(own, frames)
        scene = Scene(one.name, facts, spec.skeleton, (take,), licence_of(spec), spec.frame_rate, labels)
        scenes.append(scene)
    return to_html(scenes, f"{spec.title}: predictions")
