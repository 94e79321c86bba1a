"""Memory of feature extraction on a CPU: it does not grow with the number of clips."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

GROWTH = 1.07
"""Bound for the last quarter's peak against the second's: 1.17 where nothing is given back."""
EXTRACT = """
import json
import numpy as np
import psutil
import torch
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.evaluation import subject
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.training import memory

CLIPS = 1_600  # which share the same few coordinates
rng = np.random.default_rng(0)
frames, bodies = rng.integers(30, 300, CLIPS), rng.integers(1, 3, CLIPS)
joints = rng.normal(size=(2_400, 25, 3)).astype(np.float32)
store = ClipStore(joints, rng.integers(0, 600, CLIPS), frames, bodies, "zero", skeleton=KINECT_V2, valid=frames)
torch.set_num_threads(1)
memory.keep_freed()  # as a run does
sizes, process = [], psutil.Process()
encoder = SkeletonEncoder(120, 25, 64, 2, 4)
clips = ClipPart(store, np.arange(CLIPS))
subject.extract(encoder, clips, 0.95, progress=lambda *_: sizes.append(process.memory_info().rss))
print(json.dumps([int(max(quarter)) for quarter in np.array_split(sizes, 4)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is glibc's affair")
def test_features_of_many_clips_take_no_more_memory_than_those_of_few() -> None:
    done = subprocess.run([sys.executable, "-c", EXTRACT], capture_output=True, text=True, check=True)
    _, second, _, last = json.loads(done.stdout)
    assert last < GROWTH * second
