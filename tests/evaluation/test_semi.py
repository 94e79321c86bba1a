"""Semi-supervised evaluation: one result a list, trained on that list alone, whatever else is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from stars_bench.evaluation.finetune import FinetuneConfig
from stars_bench.evaluation.semi import Semi, SemiConfig
from stars_bench.io.files import digest_lines
from stars_bench.records.outcome import Outcome
from tests.evaluation.small_subject import CLASSES, small_encoder, subject_for

CONFIG = SemiConfig(
    epochs=3, warmup_epochs=0, batch_size=16, lr=3e-3, head_hidden=8, test_every=3, percents=(1, 25), lists=2
)


def outcomes(folder: Path, **changes) -> list[Outcome]:
    subject, _ = subject_for(small_encoder(), CONFIG.model_copy(update=changes), folder)
    return Semi().run(subject)


def test_one_outcome_for_each_percentage_and_list(tmp_path: Path) -> None:
    subject, _ = subject_for(small_encoder(), CONFIG, tmp_path)
    labels = dict(zip(subject.names["train"], subject.train.labels.tolist(), strict=True))
    found = Semi().run(subject)
    assert [outcome.settings for outcome in found] == [
        {"percent": 1, "list": 0}, {"percent": 1, "list": 1}, {"percent": 25, "list": 0}, {"percent": 25, "list": 1}
    ]  # fmt: skip
    for outcome, clips, batch in zip(found, (4, 4, 24, 24), (4, 4, 16, 16), strict=True):
        names = outcome.extra["train_names"]
        assert np.bincount([labels[name] for name in names]).tolist() == [clips // CLASSES] * CLASSES
        assert outcome.extra["train_digest"] == digest_lines(names)
        assert outcome.extra["batch_size"] == batch
        assert outcome.stages[0].samples == 3 * (clips // batch) * batch
        assert len(outcome.stages) == 1
    assert not np.array_equal(found[0].scores, found[1].scores)


def test_it_learns_from_few_labels(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"percents": (25,), "lists": 1, "epochs": 40, "test_every": 20})
    subject, labels = subject_for(small_encoder(), config, tmp_path)
    (outcome,) = Semi().run(subject)
    assert (outcome.predictions == labels).mean() > 0.9
    assert outcome.by_epoch is not None
    assert outcome.by_epoch.shape == (2, 40)


def test_a_list_stands_alone(tmp_path: Path) -> None:
    after_others = outcomes(tmp_path / "two")
    (alone,) = outcomes(tmp_path / "one", percents=(25,), lists=1)
    assert np.array_equal(alone.scores, after_others[2].scores)
    more = outcomes(tmp_path / "two", percents=(25, 50), lists=3)
    assert [outcome.stages[0].reused for outcome in more] == [True, True, False, False, False, False]
    assert np.array_equal(alone.scores, more[0].scores)


def test_the_published_drawing_is_marked(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path, percents=(12.5,), lists=1, drawing="published")
    assert outcome.settings == {"percent": 12.5, "list": 0, "drawing": "published"}
    assert len(outcome.extra["train_names"]) == 12


def test_settings_are_those_of_fine_tuning() -> None:
    semi, finetune = (
        SemiConfig.preset("paper", "ntu60").model_dump(),
        FinetuneConfig.preset("paper", "ntu60").model_dump(),
    )
    assert {key: value for key, value in semi.items() if finetune.get(key) != value} == {
        "test_every": 10, "percents": (1, 10), "lists": 5, "drawing": "balanced",
    }  # fmt: skip


@pytest.mark.parametrize("percents", [(), (0,), (101,)])
def test_a_percentage_that_is_none_is_refused(percents: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="percents"):
        SemiConfig(percents=percents)
