"""Calibration: the reference values, the edges of bins, and what probabilities are made of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as theirs

from stars_bench.records.statistics import calibration
from tests.paths import STATISTICS

REFERENCE = json.loads(STATISTICS.read_text(encoding="utf-8"))["calibration"]
CONFIDENCE, RIGHT = np.array(REFERENCE["confidence"]), np.array(REFERENCE["correct"])
PROBABILITIES, LABELS = np.array(REFERENCE["probs"]), np.array(REFERENCE["labels"])
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("bins", [10, 15])
def test_expected_error_is_that_of_the_reference(bins: int) -> None:
    found = calibration.expected_error(calibration.reliability(CONFIDENCE, RIGHT, bins))
    assert found == pytest.approx(REFERENCE[f"ece_{bins}"], abs=1e-12, rel=0)


def test_bins_and_the_largest_error_are_those_of_the_reference() -> None:
    table = calibration.reliability(CONFIDENCE, RIGHT, 10)
    filled = np.flatnonzero(table[:, 0])
    rows = [[i, table[i, 0], table[i, 1] / table[i, 0], table[i, 2] / table[i, 0]] for i in filled]
    np.testing.assert_allclose(rows, REFERENCE["bins_10[index,n,acc,conf]"], rtol=0, atol=1e-12)
    assert calibration.largest_error(table) == pytest.approx(REFERENCE["mce_10"], abs=1e-12, rel=0)


def test_bins_of_equal_mass_are_those_of_the_reference() -> None:
    found = calibration.adaptive_error(CONFIDENCE, RIGHT, 5)
    assert found == pytest.approx(REFERENCE["ace_5_equal_mass_np.array_split_of_stable_argsort"], abs=1e-12, rel=0)


def test_likelihood_and_brier_score_are_those_of_the_reference() -> None:
    likelihood = calibration.negative_log_likelihood(PROBABILITIES, LABELS).mean()
    assert likelihood == pytest.approx(REFERENCE["nll"], abs=1e-12, rel=0)
    brier = calibration.brier_score(PROBABILITIES, LABELS).mean()
    assert brier == pytest.approx(REFERENCE["brier_sum_over_classes"], abs=1e-12, rel=0)


def test_a_bin_holds_its_upper_edge_and_not_its_lower_one() -> None:
    edges = np.array([0, 1 / 15, 2 / 15, 0.2, 0.6, 1])
    assert calibration.bin_of(edges).tolist() == [0, 0, 1, 2, 8, 14]
    assert calibration.bin_of(np.nextafter(edges, 2)[:5]).tolist() == [0, 1, 2, 3, 9]


def test_many_draws_are_computed_at_once() -> None:
    tables = np.stack([calibration.reliability(RNG.random(50), RNG.random(50) < 0.5) for _ in range(4)])
    for metric in (calibration.expected_error, calibration.largest_error):
        assert metric(tables).tolist() == [float(metric(table)) for table in tables]


def test_probabilities_of_logits_give_scikit_learns_log_loss() -> None:
    logits, labels = RNG.normal(size=(80, 5)).astype(np.float32), RNG.integers(0, 5, 80)
    probabilities = calibration.softmax(logits)
    assert probabilities.dtype == np.float64
    found = calibration.negative_log_likelihood(probabilities, labels).mean()
    assert found == pytest.approx(theirs.log_loss(labels, probabilities, labels=range(5)), abs=1e-12)


def test_a_class_that_was_ruled_out_costs_a_finite_number() -> None:
    found = calibration.negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1]))
    assert found == pytest.approx(-np.log(1e-12))


def test_the_votes_of_neighbours_are_shares() -> None:
    votes = np.array([[2, 2, 0, 2], [1, 1, 1, 1]], np.int16)
    assert calibration.vote_shares(votes, 4).tolist() == [[0.25, 0, 0.75, 0], [0, 1, 0, 0]]
