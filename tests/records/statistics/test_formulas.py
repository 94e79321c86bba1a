"""Statistics of clustered clips: equal to enumerated reference values, and to what their definitions say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from stars_bench.records.statistics import formulas
from tests.paths import STATISTICS

REFERENCE = json.loads(STATISTICS.read_text(encoding="utf-8"))
CLUSTERS = {
    "by_performance": formulas.numbered([clip["performance"] for clip in REFERENCE["clips"]]),
    "by_subject": formulas.numbered([clip["subject"] for clip in REFERENCE["clips"]]),
}
HITS = {method: np.array(hits, float) for method, hits in REFERENCE["hits"].items()}
DIFFERENCE = HITS["A"][0] - HITS["B"][0]
MEAN_DIFFERENCE = HITS["A"].mean(0) - HITS["B"].mean(0)
ONE, PAIRED, SEEDS = (REFERENCE[name] for name in ("one_run_A_seed0", "paired_A_minus_B_seed0", "three_seeds"))
CASES = [
    *((HITS["A"][0], by, ONE[by]) for by in CLUSTERS),
    *((DIFFERENCE, by, PAIRED[by]) for by in CLUSTERS),
    (HITS["A"].mean(0), "by_performance", SEEDS["A"]["seed_averaged_hits_by_performance"]),
    (MEAN_DIFFERENCE, "by_performance", SEEDS["A_minus_B"]["by_performance"]),
]
EXACT = 1e-12


def sizes(by: str) -> np.ndarray:
    return np.bincount(CLUSTERS[by])


def assert_is_sampled(means: np.ndarray, exact: dict[str, float]) -> None:
    """A sampled distribution agrees with the enumerated one: sd within 2 %, quantiles on the same atom or the next."""
    assert means.mean() == pytest.approx(exact["mean"], abs=0.005)
    assert means.std() == pytest.approx(exact["sd"], rel=0.02)
    atoms = np.unique(np.round(means, 9))
    for q, name in ((0.025, "q025"), (0.975, "q975")):
        ours = np.quantile(means, q, method="inverted_cdf")
        places = np.searchsorted(atoms, [ours - EXACT, exact[name] - 1e-8])
        assert abs(int(places[0]) - int(places[1])) <= 1


@pytest.mark.parametrize(("values", "by", "expected"), CASES)
def test_clustered_standard_errors(values: np.ndarray, by: str, expected: dict[str, Any]) -> None:
    clusters = CLUSTERS[by]
    assert formulas.clustered_se(values, clusters, correct=False) == pytest.approx(expected["cr0"], abs=EXACT)
    assert formulas.clustered_se(values, clusters) == pytest.approx(expected["cr1"], abs=EXACT)
    assert int(clusters.max()) + 1 == expected["G"]


def test_independent_clips_give_the_binomial_error_and_the_design_effect() -> None:
    independent = formulas.independent_se(HITS["A"][0])
    assert independent == pytest.approx(ONE["se_binomial"], abs=EXACT)
    for by, clusters in CLUSTERS.items():
        effect = (formulas.clustered_se(HITS["A"][0], clusters, correct=False) / independent) ** 2
        assert effect == pytest.approx(ONE[by]["design_effect_cr0_over_binomial"], abs=EXACT)


@pytest.mark.parametrize("by", CLUSTERS)
def test_intraclass_correlation(by: str) -> None:
    found = formulas.intraclass_correlation(HITS["A"][0], CLUSTERS[by])
    assert found == pytest.approx((ONE[by]["icc"], ONE[by]["k0"]), abs=EXACT)


def test_stratified_by_class() -> None:
    case = REFERENCE["stratified_by_class"]
    classes, clusters = (formulas.numbered(case[name]) for name in ("class", "subject"))
    found = formulas.stratified_se(case["hits"], clusters, classes)
    assert found == pytest.approx(case["se_stratified_cluster_subject_within_class"], abs=EXACT)
    independent = formulas.stratified_se(case["hits"], np.arange(len(clusters)), classes)
    assert independent == pytest.approx(case["se_stratified_iid"], abs=EXACT)
    across = formulas.clustered_se(case["hits"], clusters)
    assert across == pytest.approx(case["se_cluster_subject_classes_together_cr1"], abs=EXACT)
    together = formulas.clustered_se(case["hits"], formulas.numbered(classes, clusters))
    assert together == pytest.approx(case["se_cluster_subject_x_class_not_stratified_cr1_TOO_LARGE"], abs=EXACT)


def test_a_class_with_one_cluster_contributes_nothing() -> None:
    hits, clusters, classes = np.array([1, 0, 1, 0.0, 1]), np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 1])
    alone = formulas.stratified_se(hits[:3], clusters[:3], classes[:3]) * 3 / 5
    assert formulas.stratified_se(hits, clusters, classes) == pytest.approx(alone, abs=EXACT)


@pytest.mark.parametrize(("values", "by", "expected"), CASES)
def test_the_sampled_bootstrap_agrees_with_the_enumerated_one(
    values: np.ndarray, by: str, expected: dict[str, Any]
) -> None:
    sums = formulas.cluster_sums(values[None], CLUSTERS[by])
    assert_is_sampled(formulas.bootstrap_means(sums, sizes(by))[:, 0], expected["exact_bootstrap"])


def test_seeds_are_drawn_with_the_clusters() -> None:
    first, second = (formulas.cluster_sums(HITS[method], CLUSTERS["by_subject"]) for method in "AB")
    one = formulas.two_level_means(first, sizes("by_subject"), draws=100_000)
    assert_is_sampled(one, SEEDS["A"]["two_level_subject_and_seed"])
    both = formulas.two_level_differences(first, second, sizes("by_subject"), draws=100_000)
    assert_is_sampled(both, SEEDS["A_minus_B"]["two_level_subject_and_seed"])


def test_each_bootstrap_draw_has_as_many_clusters_as_there_are() -> None:
    counts = np.concatenate([*formulas.bootstrap_counts(7, 1000)])
    assert counts.shape == (1000, 7)
    assert (counts.sum(1) == 7).all()
    assert counts.var(0) == pytest.approx(np.full(7, 1 - 1 / 7), rel=0.15)  # multinomial, not Poisson


def test_noise_of_training_is_added() -> None:
    clusters = CLUSTERS["by_performance"]
    one = formulas.total_se(formulas.clustered_se(HITS["A"].mean(0), clusters), HITS["A"].mean(1))
    assert one == pytest.approx(SEEDS["A"]["total_se_by_sum_performance"], abs=EXACT)
    first = formulas.total_se(formulas.clustered_se(MEAN_DIFFERENCE, clusters), HITS["A"].mean(1))
    both = formulas.total_se(first, HITS["B"].mean(1))
    assert both == pytest.approx(SEEDS["A_minus_B"]["total_se_by_sum_performance"], abs=EXACT)
    assert formulas.total_se(0.1, [0.5]) == 0.1


@pytest.mark.parametrize(
    ("values", "by", "expected"),
    [
        *((DIFFERENCE, by, PAIRED[by]["sign_flip"]) for by in CLUSTERS),
        (MEAN_DIFFERENCE, "by_performance", SEEDS["A_minus_B"]["by_performance"]["sign_flip"]),
    ],
)
def test_sign_flips_are_counted_exactly(values: np.ndarray, by: str, expected: dict[str, Any]) -> None:
    found = formulas.sign_flip(formulas.cluster_sums(values, CLUSTERS[by]))
    assert (found.extreme, found.flips, found.exact) == (expected["count_as_extreme"], expected["of"], True)
    assert found.p == expected["p_two_sided"]


def test_many_clusters_are_flipped_at_random() -> None:
    differences = np.random.default_rng(0).normal(0.25, 1, 40)
    found = formulas.sign_flip(differences)
    spread = np.sqrt((differences**2).sum())
    normal = 2 * norm.sf(abs(differences.sum()) / spread)
    assert not found.exact
    assert found.p == (1 + found.extreme) / 10_001
    assert found.p == pytest.approx(normal, abs=0.03)
    assert formulas.sign_flip(np.ones(40)).p == 1 / 10_001
    assert formulas.sign_flip(np.zeros(40)).p == 1


def test_adjusted_p_values() -> None:
    case = REFERENCE["multiplicity"]
    assert formulas.holm(case["p"]) == pytest.approx(case["holm"], abs=EXACT)
    assert formulas.benjamini_hochberg(case["p"]) == pytest.approx(case["benjamini_hochberg"], abs=EXACT)
    assert formulas.holm([]).size == 0


def test_power() -> None:
    case = REFERENCE["sample_size"]
    assert formulas.clusters_needed(case["sd_d"], case["delta"]) == case["G"]
    smallest = formulas.smallest_difference(case["sd_d"] / case["G"] ** 0.5)
    assert smallest == pytest.approx(case["delta"], rel=0.002)


def test_few_clusters_have_the_quantile_of_t() -> None:
    assert formulas.quantile(4) == pytest.approx(3.182446)
    assert formulas.quantile(49) == pytest.approx(2.010635)
    assert formulas.quantile(50) == 1.96


def test_clusters_are_numbered_by_all_their_keys() -> None:
    ids = formulas.numbered([1, 1, 2, 2, 1], ["a", "b", "a", "a", "a"])
    assert sorted(set(ids.tolist())) == [0, 1, 2]
    assert (ids[0] == ids[4], ids[2] == ids[3], ids[0] == ids[1]) == (True, True, False)
