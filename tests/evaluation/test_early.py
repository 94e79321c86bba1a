"""Early recognition: the frames that are seen."""

from __future__ import annotations

import json

import torch

from stars_bench.evaluation.early import early_frames
from tests.paths import STATISTICS

REFERENCE = json.loads(STATISTICS.read_text(encoding="utf-8"))["early_frames"]


def test_frames_are_those_of_the_reference() -> None:
    for frames, percent, expected in REFERENCE["cases"]:
        assert int(early_frames(torch.tensor(frames), percent)) == expected


def test_whole_numbers_are_exact_where_floating_point_falls_a_frame_short() -> None:
    for frames, percent in REFERENCE["float_and_integer_disagree_for_n_pct"]:
        exact = int(early_frames(torch.tensor(frames), percent))
        assert exact == int(frames * (percent / 100)) + 1
