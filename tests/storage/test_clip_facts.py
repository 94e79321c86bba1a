"""What is known of a clip when it is prepared: what a run would count, and nothing that a forged file may claim."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from stars_bench.data import clip_store
from stars_bench.data.clip_inputs import frames_of_first_body
from stars_bench.data.clip_store import ClipStore, valid_frames
from stars_bench.errors import UsageError
from stars_bench.preparation.verify import verify
from stars_bench.storage import shard_file, shards
from stars_bench.storage.clip_facts import ABSENT, COPY, DISTINCT, EMPTY, FACTS, FIRST_BODY, SECOND, VALID, facts_of


def clips() -> list[np.ndarray]:
    """Clips (M, F, V, 3) with empty frames, bodies that cancel, copies and empty bodies."""
    rng = np.random.default_rng(0)
    found = [rng.normal(size=(1 + number % 2, 3 + number, 25, 3)).astype(np.float32) for number in range(8)]
    found[0][0, 1] = 0
    found[1][1, 2] = -found[1][0, 2]
    found[2][0, :, 0] = 0
    found[3][1] = found[3][0]
    found[5][1] = 0
    found[7][:] = 0
    return found


def test_they_are_what_a_run_counts() -> None:
    every = clips()
    facts = facts_of(every)
    joints = np.concatenate([clip.reshape(-1, 25, 3) for clip in every])
    bodies, frames = (np.array([clip.shape[axis] for clip in every]) for axis in (0, 1))
    offset = np.cumsum([0, *(bodies * frames)[:-1]])
    np.testing.assert_array_equal(facts[VALID], valid_frames(joints, offset, frames, bodies))
    np.testing.assert_array_equal(facts[FIRST_BODY], frames_of_first_body(joints, offset, frames))
    assert facts[VALID].tolist()[:3] == [2, 3, 5]
    assert facts[SECOND].tolist() == [ABSENT, DISTINCT, ABSENT, COPY, ABSENT, EMPTY, ABSENT, EMPTY]


@pytest.mark.parametrize("clip_input", ["resized", "crossclr"])
def test_a_run_on_prepared_clips_counts_nothing(
    clip_input: str, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = shards.open_dataset(small_data, "synthetic")
    counted = ClipStore.of(dataset, clip_input=clip_input)
    assert set(FACTS) <= set(dataset.table)
    dataset.__dict__["table"] = dataset.table.drop(columns=list(FACTS))  # as data of schema 3 has it
    expected = ClipStore.of(dataset, clip_input=clip_input)
    monkeypatch.setattr(clip_store, "lengths", None)
    again = ClipStore.of(shards.open_dataset(small_data, "synthetic"), clip_input=clip_input)
    for store in (counted, again):
        assert store.valid.tolist() == expected.valid.tolist()


LIES = {
    "more frames": (VALID, lambda frames, _: frames + 1, True),
    "no frame": (FIRST_BODY, lambda frames, _: 0 * frames, True),
    "a second body of one": (SECOND, lambda _, second: second + 1, True),
    "one frame": (VALID, lambda frames, _: 0 * frames + 1, False),
}


@pytest.mark.parametrize(("fact", "change", "impossible"), LIES.values(), ids=LIES)
def test_what_the_columns_claim_is_compared(
    fact: str, change, impossible: bool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard whose columns somebody changed, whose digest he computed anew."""
    folder = tmp_path / "mamp"
    shutil.copytree(small_data / "synthetic" / "mamp", folder)
    index = shards.read_index(folder)
    path = folder / index["shards"][0]["file"]
    with h5py.File(path, "r+") as file:
        file[fact][:] = change(file["num_frames"][()], file[SECOND][()])
        index["shards"][0]["columns"] = shard_file.digest_of_columns(shard_file.read_columns(file), dict(file.attrs))
    monkeypatch.setattr(shards, "_check_index", lambda *_: None)
    dataset = shards.PreparedDataset(folder, index)
    if impossible:
        with pytest.raises(UsageError, match="say what cannot be of clips of so many frames and bodies"):
            dataset.table  # noqa: B018
    else:
        assert any(
            "valid_frames, first_body_frames, second_body are not what" in line for line in verify(dataset).faults
        )
