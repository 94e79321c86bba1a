"""STARS starts from a finished first stage as it would from its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stars_bench.api import UsageError
from stars_bench.models.encoder import SkeletonEncoder
from stars_bench.models.mamp import Mamp, MampConfig
from stars_bench.models.stars import Stars, StarsConfig
from stars_bench.models.untrained import Untrained, UntrainedConfig
from stars_bench.training.run import StageRun
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
