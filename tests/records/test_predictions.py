"""Saved predictions: small, the same bytes each time, and enough to compute every metric again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.records.measured_clips import COLUMNS, MeasuredClips
from stars_bench.records.metrics import measure
from stars_bench.records.outcome import Outcome
from stars_bench.records.predictions import SCHEMA_VERSION, as_small_as_fits, load_predictions, save_predictions
from stars_bench.records.record import Metric

RNG = np.random.default_rng(0)
N, CLASSES = 200, 12
NAMES, LABELS = np.array([f"clip{n:03}" for n in range(N)]), RNG.integers(0, CLASSES, N)
CLIPS = MeasuredClips(NAMES, LABELS, {name: RNG.integers(0, 9, N) for name in COLUMNS})
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
    outcome, clips = load_predictions(file)
    return measure(outcome, clips.labels, clips.units)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_every_metric_can_be_computed_again_from_the_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "p.npz"
    save_predictions(file, OUTCOMES[kind], CLIPS)
    assert measure_saved(file) == measure(OUTCOMES[kind], LABELS, CLIPS.units)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_what_is_saved_is_loaded(tmp_path: Path, kind: str) -> None:
    file, outcome = tmp_path / "p.npz", OUTCOMES[kind]
    save_predictions(file, outcome, CLIPS)
    loaded, clips = load_predictions(file)
    assert np.array_equal(clips.names, NAMES)
    assert np.array_equal(clips.labels, LABELS)
    assert clips.numbers.keys() == CLIPS.numbers.keys()
    for name, numbers in clips.numbers.items():
        assert np.array_equal(numbers, CLIPS.numbers[name])
    assert (loaded.kind, loaded.checkpoint_rule) == (kind, outcome.checkpoint_rule)
    assert dict(loaded.settings) == dict(outcome.settings)
    assert loaded.extra.keys() == outcome.extra.keys()
    arrays = [(getattr(loaded, n), getattr(outcome, n)) for n in ("predictions", "scores", "by_epoch", "rows")]
    for ours, given in [*arrays, *((loaded.extra[name], outcome.extra[name]) for name in outcome.extra)]:
        assert (ours is None) == (given is None)
        assert ours is None or np.array_equal(ours, given)


def test_the_same_outcome_gives_the_same_bytes(tmp_path: Path) -> None:
    for file in ("a.npz", "b.npz"):
        save_predictions(tmp_path / file, OUTCOMES["classes"], CLIPS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_files_of_before_load(tmp_path: Path) -> None:
    file = tmp_path / "old.npz"
    with file.open("wb") as stream:  # as the first version wrote them
        np.savez(stream, names=NAMES, labels=LABELS, predictions=SCORES.argmax(1), scores=SCORES)
    outcome, clips = load_predictions(file)
    assert (outcome.kind, len(clips.names)) == ("classes", N)
    assert (clips.persons, clips.performances, [*clips.units]) == (None, None, ["clip"])
    assert measure_saved(file) == measure(Outcome({}, SCORES.argmax(1), scores=SCORES), LABELS)


def test_whole_numbers_take_as_few_bytes_as_they_need() -> None:
    assert as_small_as_fits(np.array([0, -32768, 32767])).dtype == np.int16
    assert as_small_as_fits(np.array([0, 32768])).dtype == np.int32
    assert as_small_as_fits(np.array([0, 2**31])).dtype == np.int64
    assert as_small_as_fits(SCORES).dtype == np.float32
    assert as_small_as_fits(np.array([], np.int64)).dtype == np.int64


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no predictions")
    save_predictions(tmp_path / "cut.npz", OUTCOMES["classes"], CLIPS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:500])
    np.savez(tmp_path / "other.npz", names=NAMES)
    for name in ("text.npz", "cut.npz", "absent.npz"):
        with pytest.raises(StarsBenchError, match=rf"{name}: .*(damaged|cannot be read|No such file)"):
            load_predictions(tmp_path / name)
    with pytest.raises(StarsBenchError, match=r"other\.npz: no saved predictions .*'predictions'"):
        load_predictions(tmp_path / "other.npz")


def test_scores_need_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    save_predictions(file, OUTCOMES["classes"], CLIPS)
    outcome, clips = load_predictions(file, scores=False)
    assert (outcome.scores, outcome.by_epoch, outcome.extra) == (None, None, {})
    assert np.array_equal(outcome.predictions, OUTCOMES["classes"].predictions)
    assert [*clips.units] == ["person", "performance"]


def test_whether_subjects_are_persons_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "p.npz"
    save_predictions(file, OUTCOMES["classes"], MeasuredClips(NAMES, LABELS, CLIPS.numbers, names_persons=False))
    _, clips = load_predictions(file)
    assert (clips.persons, [*clips.units]) == (None, ["performance"])


def test_predictions_of_a_newer_version_say_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stars_bench.records.predictions.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    save_predictions(tmp_path / "p.npz", OUTCOMES["classes"], CLIPS)
    monkeypatch.undo()
    with pytest.raises(StarsBenchError, match="newer stars-bench: update it"):
        load_predictions(tmp_path / "p.npz")
