"""STARS starts from a finished first stage as it would from its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stars_bench.errors import UsageError
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import NeighbourTuning
from stars_bench.models.mamp import Mamp, MampConfig, MaskedPrediction
from stars_bench.models.stars import Stars, StarsConfig
from stars_bench.models.untrained import Untrained, UntrainedConfig
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import FRAMES, JOINTS, parts

STAGE1 = MampConfig(
    frames=FRAMES, dim=16, depth=2, heads=2, decoder_depth=1, epochs=1, warmup_epochs=0, batch_size=16, mask_ratio=0.5
)
CONFIG = StarsConfig(**STAGE1.model_dump(), tune_epochs=1, tune_batch_size=16, queue_size=40, predictor_hidden=16)


def fit(method, config, folder: Path, start: SkeletonEncoder | None = None) -> tuple[SkeletonEncoder, list[str]]:
    run = StageRun(config, 0, torch.device("cpu"), folder, {}, start=start)
    return method().fit(parts(48, 4)[0], run), [stage.name for stage in run.stages]


def test_a_given_first_stage_stands_for_its_own(tmp_path: Path) -> None:
    first, _ = fit(Mamp, STAGE1, tmp_path / "mamp")
    before = {name: value.clone() for name, value in first.state_dict().items()}
    started, stages = fit(Stars, CONFIG, tmp_path / "started", first)
    assert stages == ["stage2"]
    assert started is not first
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())
    tuned = {name for name, value in started.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in tuned} == {"blocks", "norm"}
    assert all(name.startswith(("blocks.1.", "norm.")) for name in tuned)


def test_an_encoder_of_another_size_is_told_with_the_settings_that_fit(tmp_path: Path) -> None:
    first = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=4)
    with pytest.raises(UsageError, match=r"another size.*--set heads=4"):
        fit(Stars, CONFIG, tmp_path, first)


@pytest.mark.parametrize(
    ("method", "config"),
    [(Mamp, STAGE1), (Stars, CONFIG), (Untrained, UntrainedConfig(frames=FRAMES, dim=16, depth=2, heads=2))],
)
def test_build_gives_an_encoder_that_takes_the_trained_weights(method, config, tmp_path: Path) -> None:
    encoder, _ = fit(method, config, tmp_path)
    built = method().build(config, JOINTS)
    built.load_state_dict(encoder.state_dict())
    x = torch.randn(2, 3, FRAMES, JOINTS, 2)
    assert torch.equal(built(x), encoder(x))
    assert built.size == {"frames": FRAMES, "dim": 16, "depth": 2, "heads": 2, "mlp_ratio": 4.0}


def test_the_share_of_the_encoder_that_is_tuned(tmp_path: Path) -> None:
    for depth, share, first in ((8, 0.5, 4), (8, 0.25, 6), (8, 1.0, 0), (3, 0.5, 2), (8, 0.0, 8)):
        encoder = SkeletonEncoder(FRAMES, JOINTS, dim=8, depth=depth, heads=2)
        model = NeighbourTuning(encoder, queue_size=4, predictor_hidden=8, share=share)
        assert model.first_tuned == first
        learns = {name.split(".")[1] for name, p in encoder.named_parameters() if p.requires_grad and "blocks" in name}
        assert learns == {str(block) for block in range(first, depth)}
    first, _ = fit(Mamp, STAGE1, tmp_path / "mamp")
    runs = {}
    for share in (0.0, 0.5, 1.0):
        config = CONFIG.model_copy(update={"tune_share": share})
        run = StageRun(config, 0, torch.device("cpu"), tmp_path / "stars", {}, start=first)
        tuned = Stars().fit(parts(48, 4)[0], run)
        changed = {n for n, value in tuned.state_dict().items() if not torch.equal(value, first.state_dict()[n])}
        assert {name.split(".")[1] for name in changed if "blocks" in name} == {
            0.0: set(),
            0.5: {"1"},
            1.0: {"0", "1"},
        }[share]
        assert "norm.weight" in changed
        runs[share] = run.stages[0].key
    assert len(set(runs.values())) == 3


def test_absent_bodies_can_be_left_out_of_stage_1_under_a_preset_of_that_name() -> None:
    assert not StarsConfig.preset("paper", "ntu60").skip_absent
    assert StarsConfig.preset("paper-one-body", "ntu60").skip_absent
    torch.manual_seed(0)
    encoder = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2)
    all_in, skipping = (MaskedPrediction(encoder, 1, 0.5, skip_absent=skip).double() for skip in (False, True))
    skipping.load_state_dict(all_in.state_dict())
    x = torch.randn(4, 3, FRAMES, JOINTS, 2, dtype=torch.float64)
    x[1, ..., 1] = 0
    x[2, ..., 1] = x[2, ..., 0]
    x[3] = 0
    uniform = torch.rand(8, 2 * JOINTS, dtype=torch.float64)
    seen: list[int] = []
    encoder.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    losses = skipping.clip_losses(x, uniform)
    one_body = all_in.clip_losses(x[1:, ..., :1], uniform[2::2])
    assert seen == [5, 3]
    torch.testing.assert_close(losses[0], all_in.clip_losses(x, uniform)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(losses[1:], one_body, rtol=0, atol=1e-12)
    losses.mean().backward()
    assert encoder.norm.weight.grad is not None
