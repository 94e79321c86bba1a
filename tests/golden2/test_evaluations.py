"""k-NN with many ties, and the linear probe over a whole schedule, predict as the official programs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from stars_bench.evaluation.knn import knn_predict
from stars_bench.evaluation.linear import LinearConfig, Probe, probe_stage
from tests.golden.conftest import below, tensor
from tests.golden2.conftest import TOLERANCE, OfficialBatches, check

KS = (1, 2, 5, 10)


def test_knn_predicts_what_some_choice_among_equally_near_clips_gives(golden2) -> None:
    numbers = golden2("knn.npz")
    bank, labels, queries = (tensor(numbers[name]) for name in ("train", "train_labels", "test"))
    for k, predicted in zip(KS, knn_predict(bank, labels, queries, KS, 9), strict=True):
        found, allowed = predicted.numpy(), numbers[f"allowed/{k}"]
        assert allowed[np.arange(100), found].all()
        certain = allowed.sum(1) == 1
        assert_array_equal(found[certain], numbers[f"predicted/{k}"][certain])
        assert_array_equal(found, numbers[f"earlier_first/{k}"])
        with_its_choices = np.where(certain, found, numbers[f"predicted/{k}"])
        assert (with_its_choices == numbers["test_labels"]).mean() == pytest.approx(float(numbers[f"accuracy/{k}"]))


@pytest.mark.usefixtures("float64")
def test_the_linear_probe(golden2, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = golden2("linear.npz")
    features, test_features, labels = (tensor(numbers[name]) for name in ("features", "test_features", "labels"))
    config = LinearConfig(epochs=6, batch_size=32)
    probe = Probe(32, 12, test_clips=60, epochs=6)
    names = {official: f"head.{official.removeprefix('fc.')}" for official in below(numbers, "init/")}
    weights = {names[name]: value for name, value in below(numbers, "init/").items()}
    probe.load_state_dict(weights, strict=False)
    stage = probe_stage(probe, lambda rows: features[rows], labels, config, "", test_features)
    look, scores = stage.after_epoch, []

    def look_and_keep(epoch: int) -> None:
        look(epoch)
        scores.append(probe.logits(test_features).numpy().copy())

    stage.after_epoch = look_and_keep
    batches = OfficialBatches(numbers["rows"], monkeypatch)
    batches.train(stage)
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    assert_allclose(batches.rates, numbers["lr"], rtol=1e-12)
    assert_allclose(scores, numbers["scores"], **TOLERANCE)
    assert_array_equal(probe.by_epoch.numpy(), numbers["predictions"])
    check({name: probe.state_dict()[ours] for name, ours in names.items()}, below(numbers, "final/"))
