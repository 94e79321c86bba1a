"""Hits from saved predictions, and paired differences that equal the enumerated reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import digest_file
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.outcome import Outcome
from stars_bench.records.paired.differences import difference
from stars_bench.records.paired.hits import Hits, read_hits
from stars_bench.records.predictions import save_predictions
from stars_bench.records.record import Record
from stars_bench.records.statistics import formulas
from stars_bench.records.store import StoredRecord, write_record
from tests.paths import STATISTICS

MakeRecord = Callable[..., Record]
REFERENCE = json.loads(STATISTICS.read_text(encoding="utf-8"))
N = REFERENCE["n"]
NUMBERS = {
    "subject": np.array([clip["subject"] for clip in REFERENCE["clips"]]),
    "performance": np.array([clip["performance"] for clip in REFERENCE["clips"]]),
}
CLIPS = MeasuredClips(np.array([clip["name"] for clip in REFERENCE["clips"]]), np.zeros(N, int), NUMBERS)
HITS = {method: Hits(np.array(hits, bool), np.arange(N), CLIPS) for method, hits in REFERENCE["hits"].items()}
SEEDS = REFERENCE["three_seeds"]


def one_seed(method: str, seed: int = 0) -> Hits:
    return Hits(HITS[method].seeds[seed : seed + 1], HITS[method].rows, CLIPS)


def test_one_seed_has_the_noise_of_the_test_part_alone() -> None:
    found, expected = difference(one_seed("A"), one_seed("B"), "person"), REFERENCE["paired_A_minus_B_seed0"]
    assert found.value == pytest.approx(100 * expected["mean"], abs=1e-10)
    assert found.se == found.total_se == pytest.approx(100 * expected["by_subject"]["cr1"], abs=1e-10)
    assert (found.p_models, found.p_methods, found.exact) == (0.5, None, True)
    assert found.high - found.value == pytest.approx(t.ppf(0.975, 3) * found.se)


def test_several_seeds_add_the_noise_of_training() -> None:
    found, expected = difference(HITS["A"], HITS["B"], "performance"), SEEDS["A_minus_B"]
    # All clips are of one class here, so that strata change nothing.
    assert found.se == pytest.approx(100 * expected["by_performance"]["cr1"], abs=1e-10)
    assert found.total_se == pytest.approx(100 * expected["total_se_by_sum_performance"], abs=1e-10)
    assert found.p_models == expected["by_performance"]["sign_flip"]["p_two_sided"]
    assert found.p_methods == pytest.approx(2 * t.sf(found.value / found.total_se, 7))
    assert found.p == max(found.p_models, found.p_methods)


@pytest.mark.parametrize("methods", ["AB", "BA"])
def test_of_a_method_with_one_seed_the_noise_of_training_is_unknown(methods: str) -> None:
    first, second = HITS[methods[0]], one_seed(methods[1])
    assert difference(first, second, "person").p_methods is None
    assert difference(second, first, "person").p_methods is None


def test_lists_of_one_seed_say_nothing_of_the_noise_of_training() -> None:
    lists = (0, 0, 0), (0, 1, 2)
    one, other = (Hits(HITS[method].seeds, HITS[method].rows, CLIPS, lists) for method in "AB")
    assert difference(one, other, "person").p_methods is None
    assert difference(one, other, "person").total_se == difference(HITS["A"], HITS["B"], "person").total_se
    assert difference(HITS["A"], HITS["B"], "person").p_methods is not None


def test_the_headline_is_by_person_and_turns_its_sign_with_the_methods() -> None:
    found = difference(HITS["B"], HITS["A"])
    assert (found.unit, found.clusters) == ("person", 4)
    assert found.value == -difference(HITS["A"], HITS["B"]).value
    assert found.smallest == formulas.smallest_difference(found.total_se)


def test_a_method_does_not_differ_from_itself() -> None:
    found = difference(one_seed("A"), one_seed("A"))
    assert (found.value, found.total_se, found.p) == (0, 0, 1)


def test_a_unit_that_the_data_does_not_name_is_refused() -> None:
    scenes = MeasuredClips(CLIPS.names, CLIPS.labels, NUMBERS, names_persons=False)
    hits = Hits(HITS["A"].seeds, HITS["A"].rows, scenes)
    with pytest.raises(UsageError, match="--by person: the test part names no persons; intervals by performance"):
        difference(hits, hits, "person")


def test_other_test_clips_are_refused() -> None:
    other = MeasuredClips(CLIPS.names[::-1], CLIPS.labels, NUMBERS)
    with pytest.raises(StarsBenchError, match="other test clips"):
        difference(HITS["A"], Hits(HITS["B"].seeds, HITS["B"].rows, other))


def stored(runs: Path, make_record: MakeRecord, hits: np.ndarray, seed: int, clips: MeasuredClips) -> StoredRecord:
    """A record whose predictions recognise these clips; all are of class 0."""
    folder = RunFolder.of(runs, "ntu60", "xsub", "stars", "key", seed)
    file = folder.predictions / "knn-k1.npz"
    file.parent.mkdir(parents=True)
    save_predictions(file, Outcome({}, np.where(hits, 0, 1)), clips)
    record = make_record(seed=seed, predictions__digest=digest_file(file))
    return StoredRecord(record, write_record(folder, record))


def test_hits_are_read_from_the_predictions_of_every_seed(tmp_path: Path, make_record: MakeRecord) -> None:
    one = [stored(tmp_path, make_record, hits, seed, CLIPS) for seed, hits in enumerate(HITS["A"].seeds)]
    found = read_hits(one)
    assert found is not None
    assert np.array_equal(found.seeds, HITS["A"].seeds)
    by_person = formulas.clustered_se(HITS["A"].mean, formulas.numbered(NUMBERS["subject"]))
    assert found.sample_se() == pytest.approx(100 * by_person)


def test_hits_of_other_clips_changed_files_or_no_files_are_none(tmp_path: Path, make_record: MakeRecord) -> None:
    first = stored(tmp_path, make_record, HITS["A"].seeds[0], 0, CLIPS)
    other = MeasuredClips(CLIPS.names[::-1], CLIPS.labels, NUMBERS)
    second = stored(tmp_path, make_record, HITS["A"].seeds[1], 1, other)
    assert read_hits([first, second]) is None
    assert read_hits([StoredRecord(first.record)]) is None
    assert second.folder is not None
    file = second.folder.path / second.record.predictions.file
    save_predictions(file, Outcome({}, np.zeros(N, int)), CLIPS)
    assert read_hits([second]) is None
    file.unlink()
    assert read_hits([second]) is None
