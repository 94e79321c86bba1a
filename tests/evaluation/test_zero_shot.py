"""Zero-shot: the loss is DeViSE's, unseen classes are told by texts alone, and seen ones pay a penalty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.evaluation.class_texts import SHIPPED, class_texts
from stars_bench.evaluation.subject import Subject
from stars_bench.evaluation.zero_shot import ZeroShot, ZeroShotConfig, margin_loss
from stars_bench.records.metrics import measure
from stars_bench.records.outcome import Outcome
from tests.evaluation.small_subject import CLASSES, FRAMES, JOINTS, subject_for

NAMES = ("drink water", "throw", "clapping", "jump up")


class Positions(nn.Module):
    """The mean position of every joint: the far one says the class."""

    dim, frames = JOINTS, FRAMES

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 2].mean(1).amax(2)


@pytest.fixture
def texts(tmp_path: Path) -> str:
    """Texts that a map to joints' heights fits: a class is near the two joints that it is about."""
    features = np.array([[1, 0, 0.2], [0, 1, 0.2], [1, 1, -1], [-1, -1, 0.5]], np.float32)
    np.save(tmp_path / "texts.npy", features)
    return str(tmp_path / "texts.npy")


def zero_shot_subject(folder: Path, unseen: tuple[int, ...] = (3,), **settings: object) -> tuple[Subject, np.ndarray]:
    config = ZeroShotConfig(batch_size=16, epochs=5, **settings)
    subject, labels = subject_for(Positions(), config, folder)
    return replace(subject, class_names=NAMES, unseen=np.array(unseen, np.int64)), labels


def test_the_loss_is_the_sum_over_other_classes_of_what_lacks_to_the_margin() -> None:
    cosines = torch.rand(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    own, total = [0, 4, 2, 2, 1, 3, 0], 0.0
    for clip, label in enumerate(own):
        for other in range(5):
            if other != label:
                total += max(0.0, 0.1 - float(cosines[clip, label]) + float(cosines[clip, other]))
    assert float(margin_loss(cosines, torch.tensor(own), 0.1)) == pytest.approx(total / 7, rel=1e-12)


def test_two_results_unseen_among_unseen_and_all_among_all(tmp_path: Path, texts: str) -> None:
    subject, labels = zero_shot_subject(tmp_path, unseen=(2, 3), text=texts)
    alone, general = ZeroShot().run(subject)
    assert set(alone.predictions) <= {2, 3}
    assert alone.classes.tolist() == [2, 3]
    assert general.settings == {"text": "texts.npy", "classes": "all"}
    assert set(general.predictions) <= set(range(CLASSES))
    metrics = {one.name: one for one in measure(alone.limited(labels), labels)}
    assert metrics["top1"].n == int(np.isin(labels, [2, 3]).sum())


def test_the_penalty_of_seen_classes_moves_clips_to_unseen_ones(tmp_path: Path, texts: str) -> None:
    shares = []
    for number, penalty in enumerate((0.0, 0.3, 2.0)):
        subject, _ = zero_shot_subject(tmp_path / str(number), text=texts, penalty=penalty)
        shares.append((ZeroShot().run(subject)[1].predictions == 3).mean())
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1
    subject, _ = zero_shot_subject(tmp_path / "chosen", text=texts)
    outcome = ZeroShot().run(subject)[1]
    assert 0 <= float(outcome.extra["penalty"]) <= 1
    assert [stage.name for stage in outcome.stages] == ["zeroshot-penalty", "zeroshot"]


def test_training_clips_of_unseen_classes_change_nothing(tmp_path: Path) -> None:
    """A bank that has them all the same (`check_evaluation`) must not teach them."""
    subject, _ = zero_shot_subject(tmp_path / "all")
    kept = np.flatnonzero((subject.train.labels != 3).numpy())
    names = {**subject.names, "train": subject.names["train"][kept]}
    without, _ = zero_shot_subject(tmp_path / "without")
    without = replace(without, train=subject.train.subset(kept), names=names)
    for one, other in zip(ZeroShot().run(subject), ZeroShot().run(without), strict=True):
        assert np.array_equal(one.predictions, other.predictions)


def test_a_protocol_without_unseen_classes_is_told(tmp_path: Path) -> None:
    subject, _ = zero_shot_subject(tmp_path, unseen=())
    with pytest.raises(UsageError, match=r"tests no class that it does not train: --protocol zeroshot"):
        ZeroShot().run(subject)


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120", "pku1", "pku2", "nwucla", "utd-mhad", "kinetics-skeleton"])
@pytest.mark.parametrize("text", ["names", "descriptions"])
def test_texts_ship_for_every_dataset_that_has_a_published_split(dataset: str, text: str) -> None:
    names = registry.load("datasets", dataset).classes
    found = class_texts(text, names)
    assert found.features.shape == (len(names), 256)
    assert np.allclose(np.linalg.norm(found.features, axis=1), 1)
    assert found.model.startswith("WordLlama 0.4.0.post1")


def test_like_actions_have_like_texts() -> None:
    features = class_texts("descriptions", ("drink water", "wear jacket", "take off jacket", "kicking other person"))
    cosines = features.features @ features.features.T
    assert cosines[1, 2] > max(cosines[0, 1], cosines[1, 3], cosines[0, 3])


def test_texts_of_a_file_by_name_or_in_order(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(4, 8))
    np.save(tmp_path / "own.npy", features)
    np.savez(tmp_path / "own.npz", names=np.array(NAMES[::-1]), features=features[::-1], model=np.array("mine"))
    one, other = (class_texts(str(tmp_path / f"own.{kind}"), NAMES) for kind in ("npy", "npz"))
    assert np.array_equal(one.features, other.features)
    assert (one.model, other.model) == ("own.npy", "mine")
    assert one.digest != other.digest


def test_a_file_that_does_not_fit_is_told(tmp_path: Path) -> None:
    def refused(text: str, match: str) -> None:
        with pytest.raises(UsageError, match=match):
            class_texts(text, NAMES)

    refused("sentences", r"zeroshot\.text=sentences: .*it must be names or descriptions, or a \.npy or \.npz file")
    np.save(tmp_path / "short.npy", np.eye(3))
    refused(str(tmp_path / "short.npy"), "3 rows, and the dataset has 4 classes")
    np.save(tmp_path / "whole.npy", np.eye(4, dtype=int))
    refused(str(tmp_path / "whole.npy"), "must be finite floats")
    np.save(tmp_path / "same.npy", np.ones((4, 3)))
    refused(str(tmp_path / "same.npy"), "so that they say nothing")
    np.savez(tmp_path / "other.npz", names=np.array(["throw"]), features=np.eye(1))
    refused(str(tmp_path / "other.npz"), "has no text of 3 classes, the first 'drink water': give a file")
    (tmp_path / "cut.npz").write_bytes(SHIPPED.read_bytes()[:5000])
    refused(str(tmp_path / "cut.npz"), "damaged")


def test_seen_and_unseen_clips_count_alike_and_the_harmonic_mean_is_theirs() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2, 2, 2])
    said = np.array([0, 0, 1, 1, 2, 1, 0, 2])
    outcome = Outcome({}, said, extra={"unseen": np.array([2])})
    found = {one.name: one.value for one in measure(outcome, labels)}
    assert found["seen"] == pytest.approx(75)  # over clips: 3 of 4, not the mean of 2/3 and 1
    assert found["unseen"] == pytest.approx(50)
    assert found["harmonic_mean"] == pytest.approx(60)
    assert found["macro_seen"] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert found["macro_harmonic_mean"] == pytest.approx(2 * 50 * 250 / 3 / (50 + 250 / 3))
    nothing = Outcome({}, np.zeros(8, int) + 3, extra={"unseen": np.array([2])})
    assert {one.name: one.value for one in measure(nothing, labels)}["harmonic_mean"] == 0
