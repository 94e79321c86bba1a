"""Few-shot: the accuracy that the geometry of the features implies, and nothing known of test clips but the draw."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from stars_bench.errors import UsageError
from stars_bench.evaluation import few_shot
from stars_bench.evaluation.few_shot import Exemplar, ExemplarConfig, FewShot, FewShotConfig, classify_episodes
from stars_bench.evaluation.nearest import unit
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.records.metrics import measure
from tests.evaluation.still_clips import still_subject

RNG = np.random.default_rng(0)


def on_a_circle(labels: np.ndarray, apart: float, spread: float) -> torch.Tensor:
    """Features (N, 2) of random lengths: classes lie `apart` radians from each other, normal with `spread`."""
    angles = apart * labels + RNG.normal(0, spread, len(labels))
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    return torch.from_numpy(directions * RNG.uniform(0.5, 2, (len(labels), 1)))


def accuracy_of_two_classes(apart: float, spread: float, shots: int) -> float:
    """Of normal classes on a line, told apart by the nearer mean of `shots` clips: a closed form.

    The query q is right when (s2 - s1) and (s1 + s2 - 2 q) have the same sign; the two are independent normals.
    """
    side = norm.cdf(apart / (spread * (2 / shots) ** 0.5))
    place = norm.cdf(apart / (spread * (2 / shots + 4) ** 0.5))
    return float(side * place + (1 - side) * (1 - place))


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_two_classes_give_the_accuracy_that_their_geometry_implies(shots: int) -> None:
    apart, spread = 0.06, 0.04  # small angles: the circle is a line
    labels = np.repeat([0, 1], 1500)
    bank, queries = (unit(on_a_circle(labels, apart, spread)) for _ in range(2))
    drawn = draw_episodes(labels, labels, 2, shots, 15, 2000, 0)
    found = (classify_episodes(bank, queries, drawn, "prototype") == labels[drawn.query]).mean()
    assert found == pytest.approx(accuracy_of_two_classes(apart, spread, shots), abs=0.012)
    nearest = (classify_episodes(bank, queries, drawn, "nearest") == labels[drawn.query]).mean()
    assert (nearest == found) if shots == 1 else (nearest < found)


def test_episodes_in_one_batch_equal_episodes_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(300) % 8
    bank, queries = (RNG.normal(size=(300, 6)) + 1.5 * np.eye(8, 6)[labels] for _ in range(2))
    drawn = draw_episodes(labels, labels, 4, 3, 5, 12, 0)
    units = [unit(torch.from_numpy(features)) for features in (bank, queries)]
    for classifier in ("prototype", "nearest"):
        found = classify_episodes(*units, drawn, classifier)
        for episode in range(12):
            support = units[0].numpy()[drawn.support[episode]]  # (N, K, D)
            cosines = np.einsum("nkd,qd->qnk", support, units[1].numpy()[drawn.query[episode]])
            mean = support.mean(1)
            to_mean = units[1].numpy()[drawn.query[episode]] @ (mean / np.linalg.norm(mean, axis=1)[:, None]).T
            winner = to_mean.argmax(1) if classifier == "prototype" else cosines.max(2).argmax(1)
            assert np.array_equal(found[episode], drawn.classes[episode][winner])
        monkeypatch.setattr(few_shot, "NUMBERS_AT_ONCE", 1)
        assert np.array_equal(found, classify_episodes(*units, drawn, classifier))


def clips(count: int, classes: int, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % classes
    return np.eye(classes, 12)[labels] + spread * RNG.normal(size=(count, 12)), labels


def test_the_evaluation_gives_an_outcome_for_each_setting(tmp_path: Path) -> None:
    features, labels = clips(240, 6)
    config = FewShotConfig(ways=(3, 5), shots=(1, 4), queries=8, episodes=50)
    subject = still_subject(features, labels, np.arange(100), np.arange(100, 240), config, tmp_path)
    outcomes = FewShot().run(subject)
    assert [tuple(outcome.settings.values()) for outcome in outcomes] == [
        (ways, shots, kind) for ways in (3, 5) for shots in (1, 4) for kind in ("prototype", "nearest")
    ]
    for outcome in outcomes:
        assert outcome.kind == "episodes"
        assert outcome.predictions.shape == outcome.rows.shape == (50, outcome.settings["ways"] * 8)
        assert outcome.predictions.dtype == np.int16
        (metric,) = measure(outcome, labels[100:])
        assert 70 < metric.value <= 100
        assert metric.n == 50


def test_all_encoders_meet_the_same_episodes(tmp_path: Path) -> None:
    features, labels = clips(240, 6)
    config, parts = FewShotConfig(ways=(3,), shots=(1,), queries=8, episodes=20), (np.arange(100), np.arange(100, 240))
    one, other = (
        FewShot().run(still_subject(f, labels, *parts, config, tmp_path, key=key))[0]
        for f, key in ((features, "one"), (features[::-1].copy(), "other"))
    )
    assert np.array_equal(one.rows, other.rows)
    assert not np.array_equal(one.predictions, other.predictions)


def test_settings_that_too_few_classes_have_clips_for_are_left_out(tmp_path: Path) -> None:
    features, labels = clips(120, 6)
    parts = np.arange(24), np.arange(24, 120)  # four labelled clips of each of six classes
    config = FewShotConfig(ways=(5, 20), shots=(1, 5), queries=10, episodes=5, classifiers=("nearest",))
    outcomes = FewShot().run(still_subject(features, labels, *parts, config, tmp_path))
    assert [outcome.settings for outcome in outcomes] == [{"ways": 5, "shots": 1, "classifier": "nearest"}]
    config = FewShotConfig(ways=(20,), shots=(1, 5), queries=10, episodes=5)
    with pytest.raises(
        UsageError, match=r"20-way 1-shot episodes need 20 classes .* 6 have them: lower ways.*--set fewshot"
    ):
        FewShot().run(still_subject(features, labels, *parts, config, tmp_path))


def test_small_data_can_take_the_quick_preset(tmp_path: Path) -> None:
    features, labels = clips(60, 6)
    config = FewShotConfig.preset("quick", "synthetic")
    outcomes = FewShot().run(still_subject(features, labels, np.arange(30), np.arange(30, 60), config, tmp_path))
    assert {(o.settings["ways"], o.settings["shots"]) for o in outcomes} == {(2, 1), (2, 5), (5, 1), (5, 5)}
    assert FewShotConfig.preset("paper", "ntu120") == FewShotConfig()


def test_test_labels_reach_the_evaluation_through_the_draw_alone(tmp_path: Path) -> None:
    features, labels = clips(240, 6)
    config, parts = FewShotConfig(ways=(3,), shots=(1,), queries=8, episodes=20), (np.arange(100), np.arange(100, 240))
    draw = partial(draw_episodes, labels[:100], labels[100:])
    honest = FewShot().run(still_subject(features, labels, *parts, config, tmp_path / "a", draw_episodes=draw))[0]
    shuffled = labels.copy()
    RNG.shuffle(shuffled[100:])
    blind = FewShot().run(still_subject(features, shuffled, *parts, config, tmp_path / "b", draw_episodes=draw))[0]
    assert np.array_equal(honest.predictions, blind.predictions)


def test_one_exemplar_a_class_gives_one_outcome_and_the_nearest(tmp_path: Path) -> None:
    features, labels = clips(126, 6, spread=0.2)
    subject = still_subject(features, labels, np.arange(6), np.arange(6, 126), ExemplarConfig(), tmp_path)
    (outcome,) = Exemplar().run(subject)
    assert outcome.settings == {"classifier": "nearest"}
    directions = features.astype(np.float32) / np.linalg.norm(features.astype(np.float32), axis=1)[:, None]
    assert np.array_equal(outcome.predictions, labels[:6][(directions[6:] @ directions[:6].T).argmax(1)])
    assert measure(outcome, labels[6:])[0].value > 80


def test_prototypes_of_many_exemplars_are_better_than_the_nearest_of_them(tmp_path: Path) -> None:
    features, labels = clips(600, 6, spread=0.5)
    subject = still_subject(features, labels, np.arange(300), np.arange(300, 600), ExemplarConfig(), tmp_path)
    by_name = {o.settings["classifier"]: measure(o, labels[300:])[0].value for o in Exemplar().run(subject)}
    assert by_name["prototype"] > by_name["nearest"] + 5


def test_classes_need_not_be_numbered_from_zero(tmp_path: Path) -> None:
    features, labels = clips(126, 6, spread=0.1)
    for part in ("nearest", "prototype"):
        config = ExemplarConfig(classifiers=(part,))
        subject = still_subject(features, labels + 60, np.arange(12), np.arange(12, 126), config, tmp_path / part)
        (outcome,) = Exemplar().run(subject)
        assert (outcome.predictions == labels[12:] + 60).mean() > 0.95
