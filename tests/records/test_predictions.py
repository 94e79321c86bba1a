"""Saved predictions: small, the same bytes each time, and enough to compute every metric again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.records.metrics import Metric, measure
from stars_bench.records.outcome import Outcome
from stars_bench.records.predictions import as_small_as_fits, load_predictions, save_predictions

RNG = np.random.default_rng(0)
N, CLASSES = 200, 12
NAMES, LABELS = np.array([f"clip{n:03}" for n in range(N)]), RNG.integers(0, CLASSES, N)
SCORES = RNG.normal(size=(N, CLASSES)).astype(np.float32)
UNITS = RNG.normal(size=(60, 8)).astype(np.float32)
OUTCOMES = {
    "classes": Outcome(
        {"percent": 1, "list": 0},
        SCORES.argmax(1),
        scores=SCORES,
        by_epoch=RNG.integers(0, CLASSES, (5, N)).astype(np.int16),
        extra={"train_names": np.array(["S001", "S002"]), "batch_size": np.array(48)},
        checkpoint_rule="best-on-test (as published)",
    ),
    "episodes": Outcome(
        {"ways": 5, "shots": 1, "classifier": "prototype"},
        RNG.integers(0, CLASSES, (40, 15)).astype(np.int16),
        kind="episodes",
        rows=RNG.integers(0, N, (40, 15)).astype(np.int32),
    ),
    "clusters": Outcome(
        {},
        RNG.integers(0, CLASSES, N),
        kind="clusters",
        extra={
            "neighbours": RNG.integers(0, N, (N, 10)),
            "sampled_rows": np.arange(0, 180, 3),
            "sampled_features": UNITS,
        },
    ),
}


def measure_saved(file: Path) -> list[Metric]:
    outcome, _, labels = load_predictions(file)
    return measure(outcome, labels)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_every_metric_can_be_computed_again_from_the_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "p.npz"
    save_predictions(file, OUTCOMES[kind], NAMES, LABELS)
    assert measure_saved(file) == measure(OUTCOMES[kind], LABELS)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_what_is_saved_is_loaded(tmp_path: Path, kind: str) -> None:
    file, outcome = tmp_path / "p.npz", OUTCOMES[kind]
    save_predictions(file, outcome, NAMES, LABELS)
    loaded, names, labels = load_predictions(file)
    assert np.array_equal(names, NAMES)
    assert np.array_equal(labels, LABELS)
    assert (loaded.kind, loaded.checkpoint_rule) == (kind, outcome.checkpoint_rule)
    assert dict(loaded.settings) == dict(outcome.settings)
    assert loaded.extra.keys() == outcome.extra.keys()
    arrays = [(getattr(loaded, n), getattr(outcome, n)) for n in ("predictions", "scores", "by_epoch", "rows")]
    for ours, given in [*arrays, *((loaded.extra[name], outcome.extra[name]) for name in outcome.extra)]:
        assert (ours is None) == (given is None)
        assert ours is None or np.array_equal(ours, given)


def test_the_same_outcome_gives_the_same_bytes(tmp_path: Path) -> None:
    for file in ("a.npz", "b.npz"):
        save_predictions(tmp_path / file, OUTCOMES["classes"], NAMES, LABELS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_files_of_before_load(tmp_path: Path) -> None:
    file = tmp_path / "old.npz"
    with file.open("wb") as stream:  # as the first version wrote them
        np.savez(stream, names=NAMES, labels=LABELS, predictions=SCORES.argmax(1), scores=SCORES)
    outcome, names, _ = load_predictions(file)
    assert (outcome.kind, len(names)) == ("classes", N)
    assert measure_saved(file) == measure(Outcome({}, SCORES.argmax(1), scores=SCORES), LABELS)


def test_whole_numbers_take_as_few_bytes_as_they_need() -> None:
    assert as_small_as_fits(np.array([0, -32768, 32767])).dtype == np.int16
    assert as_small_as_fits(np.array([0, 32768])).dtype == np.int32
    assert as_small_as_fits(np.array([0, 2**31])).dtype == np.int64
    assert as_small_as_fits(SCORES).dtype == np.float32
    assert as_small_as_fits(np.array([], np.int64)).dtype == np.int64


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no predictions")
    save_predictions(tmp_path / "cut.npz", OUTCOMES["classes"], NAMES, LABELS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:500])
    np.savez(tmp_path / "other.npz", names=NAMES)
    for name in ("text.npz", "cut.npz", "absent.npz"):
        with pytest.raises(StarsBenchError, match=rf"{name}: .*(damaged|cannot be read|No such file)"):
            load_predictions(tmp_path / name)
    with pytest.raises(StarsBenchError, match=r"other\.npz: no saved predictions .*'predictions'"):
        load_predictions(tmp_path / "other.npz")
