"""The classifier evaluation repeats what the encoder itself says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stars_bench.errors import UsageError
from stars_bench.evaluation.classifier import Classifier, ClassifierConfig
from tests.evaluation.small_subject import FRAMES, Subject, small_encoder, subject_for


def subject_that_classifies(folder: Path, classes: int) -> Subject:
    encoder = small_encoder()
    weights = torch.randn(16, classes)

    def classify(x: Tensor) -> Tensor:
        assert not encoder.training
        return encoder(x) @ weights

    encoder.classify = classify  # type: ignore[assignment]
    return subject_for(encoder, ClassifierConfig(), folder)[0]


def test_scores_are_the_encoders_own_logits_of_centre_crops(tmp_path: Path) -> None:
    subject = subject_that_classifies(tmp_path, 4)
    (outcome,) = Classifier().run(subject)
    with torch.no_grad():
        expected = subject.encoder.classify(subject.test.whole(torch.arange(40), FRAMES, 0.95))
    np.testing.assert_allclose(outcome.scores, expected.numpy(), rtol=1e-6)
    assert np.array_equal(outcome.predictions, expected.argmax(1).numpy())
    assert outcome.stages == ()


def test_an_encoder_that_cannot_classify_is_told_what_to_do(tmp_path: Path) -> None:
    subject, _ = subject_for(small_encoder(), ClassifierConfig(), tmp_path)
    with pytest.raises(UsageError, match=r"no classify\(x\); evaluate it with finetune or linear"):
        Classifier().run(subject)


def test_classes_of_another_dataset_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows 7 classes, the dataset has 4"):
        Classifier().run(subject_that_classifies(tmp_path, 7))
