"""k-NN equals scikit-learn's, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from stars_bench.evaluation.knn import knn_predict


@pytest.mark.parametrize("k", [1, 2, 5, 10])
@pytest.mark.parametrize("classes", [3, 20])
def test_equals_scikit_learn(k: int, classes: int) -> None:
    rng = np.random.default_rng(classes)
    bank, queries = rng.normal(size=(400, 16)), rng.normal(size=(1500, 16))
    labels = rng.integers(0, classes, 400)
    theirs = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(bank, labels).predict(queries)
    ours = knn_predict(*(torch.from_numpy(a) for a in (bank, labels, queries)), (k,), classes)
    assert np.array_equal(ours[0].numpy(), theirs)


def test_of_equally_many_votes_the_smallest_class_wins() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    found = knn_predict(bank, torch.tensor([3, 1]), torch.tensor([[1.0, 0.0]]), (1, 2), 4)
    assert [int(f) for f in found] == [3, 1]


def test_features_are_normalised_first() -> None:
    bank = torch.tensor([[10.0, 10.0], [0.1, 0.0]])
    assert int(knn_predict(bank, torch.tensor([0, 1]), torch.tensor([[5.0, 0.5]]), (1,), 2)[0]) == 1
