"""The supervised baseline learns from labels, and its encoder survives a checkpoint."""

from __future__ import annotations

import pytest
import torch

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.supervised import ClassifyingEncoder, Supervised, SupervisedConfig
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import CLASSES, FRAMES, JOINTS, parts

CONFIG = SupervisedConfig(
    frames=FRAMES, dim=16, depth=2, heads=2, epochs=8, warmup_epochs=1, batch_size=16, lr=3e-3, head_hidden=16
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> ClassifyingEncoder:
    clips, *_ = parts(96, 40)
    run = StageRun(CONFIG, 0, torch.device("cpu"), tmp_path_factory.mktemp("run"), {})
    return Supervised().fit(clips, run)


@torch.no_grad()
def test_it_learns_a_small_task(trained: ClassifyingEncoder) -> None:
    _, test, _, labels = parts(96, 40)
    predictions = trained.eval().classify(test.whole(torch.arange(40), FRAMES, 0.95)).argmax(1)
    assert (predictions.numpy() == labels[96:]).mean() > 0.9


def test_it_is_the_encoder_of_stars_with_a_head(trained: ClassifyingEncoder) -> None:
    plain = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2)
    own = {name for name in trained.state_dict() if not name.startswith("head.")}
    assert own == plain.state_dict().keys()
    names = ["pos_embed", "blocks.1.norm1.bias", "norm.bias", "head.fc1.weight"]
    assert [trained.layer_of(name) for name in names] == [0, 2, 3, 3]
    assert [block.drop_path for block in trained.blocks] == [0, 0]


@torch.no_grad()
def test_a_checkpoint_says_how_many_classes_there_are(trained: ClassifyingEncoder) -> None:
    built = Supervised().build(CONFIG, JOINTS)
    built.load_state_dict(trained.state_dict())
    x = torch.randn(3, 3, FRAMES, JOINTS, 2)
    assert built.eval().classify(x).shape == (3, CLASSES)
    assert torch.equal(built.classify(x), trained.eval().classify(x))
    with pytest.raises(RuntimeError, match=r"head\.fc2\.bias"):
        built.load_state_dict(SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2).state_dict())
