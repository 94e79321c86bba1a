"""Raw PKU-MMD folders through `prepare`: every instance and every count as in the public preparation."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.api import DatasetSpec
from stars_bench.datasets.pku_mmd import PKU1, PKU2
from stars_bench.preparation.prepare import prepare
from stars_bench.protocols.standard import XSUB, XVIEW
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.paths import GOLDEN

PHASES = [(PKU1, "pku_v1"), (PKU2, "pku_v2")]


@pytest.fixture(scope="module", params=PHASES, ids=lambda phase: phase[1])
def phase(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedDataset, dict]:
    spec: DatasetSpec
    spec, name = request.param
    data_dir = tmp_path_factory.mktemp(name)
    prepare(spec, [GOLDEN / name], data_dir, jobs=1)
    with np.load(GOLDEN / f"{name}_official.npz") as file:
        return open_dataset(data_dir, spec.name), dict(file)


def official_rows(bodies: np.ndarray) -> np.ndarray:
    """(M, F, 25, 3) -> (F, 150), the absent body as zeros: the profile's absent_body."""
    padded = np.zeros((2, *bodies.shape[1:]), np.float32)
    padded[: len(bodies)] = bodies
    return np.hstack([body.reshape(-1, 75) for body in padded])


def test_the_instances_are_the_official_ones_and_no_others(phase: tuple[PreparedDataset, dict]) -> None:
    prepared, official = phase
    assert set(prepared.table["name"]) == {key.split("/")[0] for key in official if key.endswith("/x")}


def test_every_instance_and_label_is_exactly_the_official_one(phase: tuple[PreparedDataset, dict]) -> None:
    prepared, official = phase
    assert prepared.absent_body == "zero"
    joints = prepared.load()
    for clip in prepared.table.itertuples():
        rows = joints[clip.offset : clip.offset + clip.num_bodies * clip.num_frames]
        bodies = rows.reshape(clip.num_bodies, clip.num_frames, 25, 3)
        np.testing.assert_array_equal(official_rows(bodies), official[f"{clip.name}/x"])
        assert clip.label == official[f"{clip.name}/label"]


def test_both_official_splits_have_the_official_counts(phase: tuple[PreparedDataset, dict]) -> None:
    prepared, official = phase
    for protocol, name in ((XSUB, "XSub"), (XVIEW, "XView")):
        split = protocol.split(prepared.table)
        assert len(split.train) == official[f"count/{name}/train"]
        assert len(split.test) == official[f"count/{name}/test"]
