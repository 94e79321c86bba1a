"""Print the test clips that an encoder finds most alike one of them: trained encoders in work of your own.

    python examples/nearest_clips.py RUNS/synthetic/xsub/stars/KEY synthetic xsub [CLIP]

The first argument is what `stars_bench.load_encoder` takes: a run's folder or a checkpoint of MAMP or STARS.
"""

from __future__ import annotations

import sys

import torch
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

import stars_bench

run, dataset, protocol, *asked = sys.argv[1:]
encoder = stars_bench.load_encoder(run)
parts = stars_bench.load(dataset, protocol, frames=int(encoder.frames))

with torch.no_grad():
    features = torch.cat([encoder(clips) for clips, _, _ in DataLoader(parts.test, batch_size=32)])

number = parts.test.names.index(asked[0]) if asked else 0
similarity = normalize(features) @ normalize(features[number], dim=0)
for found in similarity.topk(6).indices.tolist():
    action = parts.classes[parts.test.labels[found]]
    print(f"{parts.test.names[found]}  {similarity[found]:.3f}  {action}")
