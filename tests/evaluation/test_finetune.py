"""Fine-tuning learns, leaves the encoder it was given alone, resumes exactly, and takes encoders without tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stars_bench.evaluation.finetune import Finetune, FinetuneConfig, TunedEncoder
from stars_bench.records.outcome import Outcome
from tests.evaluation.small_subject import CLASSES, FRAMES, JOINTS, small_encoder, subject_for

CONFIG = FinetuneConfig(epochs=6, warmup_epochs=1, batch_size=16, lr=3e-3, head_hidden=16)


def tuned(folder: Path, config: FinetuneConfig = CONFIG, encoder: nn.Module | None = None, **settings) -> Outcome:
    subject, _ = subject_for(encoder or small_encoder(), config, folder, **settings)
    (outcome,) = Finetune().run(subject)
    return outcome


def test_it_learns_and_keeps_the_predictions_of_every_epoch(tmp_path: Path) -> None:
    subject, labels = subject_for(small_encoder(), CONFIG, tmp_path)
    (outcome,) = Finetune().run(subject)
    assert (outcome.predictions == labels).mean() > 0.9
    assert outcome.scores is not None
    assert outcome.scores.shape == (40, CLASSES)
    assert np.array_equal(outcome.scores.argmax(1), outcome.predictions)
    assert outcome.by_epoch is not None
    assert outcome.by_epoch.shape == (6, 40)
    assert np.array_equal(outcome.by_epoch[-1], outcome.predictions)
    assert not np.array_equal(outcome.by_epoch[0], outcome.by_epoch[-1])
    assert (outcome.checkpoint_rule, dict(outcome.extra)) == ("last epoch", {})
    assert [(stage.name, stage.samples) for stage in outcome.stages] == [("finetune", 6 * 96)]


def test_the_encoder_that_is_given_stays_as_it_was(tmp_path: Path) -> None:
    encoder = small_encoder().requires_grad_(False)
    tuned(tmp_path, encoder=encoder)
    before = small_encoder().state_dict()
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert [block.drop_path for block in encoder.blocks] == [0, 0]


def test_the_whole_encoder_is_trained() -> None:
    model = TunedEncoder(small_encoder().requires_grad_(False), CONFIG, JOINTS, CLASSES, test_clips=0)
    model(torch.randn(4, 3, FRAMES, JOINTS, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_stopped_run_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = tuned(tmp_path / "undisturbed")
    keep = TunedEncoder.keep

    def stop(model: TunedEncoder, scores: Tensor, look: int) -> None:
        if look == 3:
            raise KeyboardInterrupt
        keep(model, scores, look)

    with monkeypatch.context() as patch:
        patch.setattr(TunedEncoder, "keep", stop)
        with pytest.raises(KeyboardInterrupt):
            tuned(tmp_path / "stopped", checkpoint_seconds=0)
    assert list((tmp_path / "stopped/stages").glob("finetune-*.resume.pt"))
    torch.rand(3)  # the state of the global generators must not matter
    resumed = tuned(tmp_path / "stopped")
    assert np.array_equal(resumed.scores, undisturbed.scores)
    assert np.array_equal(resumed.by_epoch, undisturbed.by_epoch)
    again = tuned(tmp_path / "stopped")
    assert again.stages[0].reused
    assert np.array_equal(again.scores, undisturbed.scores)


@pytest.mark.parametrize(("test_every", "looks"), [(4, 2), (6, 1), (9, 1), (5, 2)])
def test_the_last_epoch_is_always_looked_at(tmp_path: Path, test_every: int, looks: int) -> None:
    every = tuned(tmp_path / "every")
    some = tuned(tmp_path / "some", CONFIG.model_copy(update={"test_every": test_every}))
    assert np.array_equal(some.scores, every.scores)
    assert every.by_epoch is not None
    if looks == 1:
        assert some.by_epoch is None
    else:
        assert np.array_equal(some.by_epoch, every.by_epoch[[test_every - 1, 5]])


class Plain(nn.Module):
    """A plug-in's encoder: features (B, D), no tokens, no layers, no drop path."""

    dim, frames = 8, FRAMES

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3 * JOINTS, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 4)).flatten(1)).relu()


def test_an_encoder_without_tokens_gets_a_head_on_its_features_and_says_so(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"lr": 3e-2})
    subject, labels = subject_for(Plain(), config, tmp_path)
    (outcome,) = Finetune().run(subject)
    assert (outcome.predictions == labels).mean() > 0.9
    assert outcome.extra["encoder_lacks"].tolist() == ["tokens", "layer_of", "set_drop_path"]


def test_chance_is_for_training_alone() -> None:
    model = TunedEncoder(small_encoder(), CONFIG, JOINTS, CLASSES, test_clips=0)
    x = torch.randn(6, 3, FRAMES, JOINTS, 2)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_bf16_is_for_the_network_and_scores_are_float32(tmp_path: Path) -> None:
    outcome = tuned(tmp_path, CONFIG.model_copy(update={"epochs": 2}), precision="bf16")
    assert outcome.scores is not None
    assert outcome.scores.dtype == np.float32
    assert np.isfinite(outcome.scores).all()
