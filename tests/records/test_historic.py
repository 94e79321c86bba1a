"""Files of every schema that was ever written are still read, or say how to make them anew; newer ones say: update."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from stars_bench.data.clip_store import ClipStore
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.preparation.prepare import prepare
from stars_bench.preparation.verify import verify
from stars_bench.records.metrics import measure
from stars_bench.records.predictions import SCHEMA_VERSION, load_predictions
from stars_bench.storage import shards
from stars_bench.storage.clip_facts import ABSENT, FACTS
from stars_bench.training import checkpoint
from tests.paths import HISTORIC

CLIPS = ["S001C001P002R001A009", "S001C002P001R002A008"]


def placed(version: int, folder: Path) -> Path:
    """A data folder with the historic dataset."""
    shutil.copytree(HISTORIC / f"shards-v{version}", folder / "data/synthetic/mamp")
    return folder / "data"


def test_every_schema_of_shards_has_its_files() -> None:
    there = sorted(path.name for path in HISTORIC.glob("shards-v*"))
    assert there == [f"shards-v{version}" for version in range(1, shards.SCHEMA_VERSION + 1)]
    for name in there:
        index = json.loads((HISTORIC / name / "index.json").read_text(encoding="utf-8"))
        assert f"shards-v{index['schema_version']}" == name


@pytest.mark.parametrize("version", range(shards.OLDEST, shards.SCHEMA_VERSION + 1))
def test_shards_of_schemas_that_say_enough_are_read(version: int, tmp_path: Path) -> None:
    dataset = shards.open_dataset(placed(version, tmp_path), "synthetic")
    assert dataset.table["name"].tolist() == CLIPS
    assert dataset.load().shape == dataset.shape == (98, 25, 3)
    assert verify(dataset).faults == ()
    store = ClipStore.of(dataset)
    assert store.valid.tolist() == [63, 35]
    assert store.second.tolist() == [ABSENT, ABSENT]
    assert (FACTS[0] in dataset.table) == (version > 3)


def test_data_of_schema_3_is_done_for_prepare_and_made_anew_when_forced(tmp_path: Path) -> None:
    data = placed(3, tmp_path)
    write_raw(tmp_path / "raw", CLIPS)
    digest = shards.open_dataset(data, "synthetic").digest
    assert prepare(SYNTHETIC, [tmp_path / "raw"], data, jobs=1, overwrite=True).digest == digest
    assert FACTS[0] in shards.open_dataset(data, "synthetic").table


@pytest.mark.parametrize("version", range(1, shards.OLDEST))
def test_shards_of_former_schemas_say_how_to_make_them_anew(version: int, tmp_path: Path) -> None:
    data = placed(version, tmp_path)
    told = rf"of shard schema {version}, .* `stars-bench prepare synthetic --profile mamp --force` makes it anew"
    with pytest.raises(UsageError, match=told):
        shards.open_dataset(data, "synthetic")
    with pytest.raises(UsageError, match=f"--protocol xsub: none prepared has it; .*{told}"):
        resolve(Request("untrained", "xsub", data, tmp_path / "runs", training=TrainingOptions("cpu")))
    write_raw(tmp_path / "raw", CLIPS)
    prepare(SYNTHETIC, [tmp_path / "raw"], data, jobs=1, overwrite=True)
    assert shards.open_dataset(data, "synthetic").num_clips == 2


@pytest.mark.parametrize(
    ("version", "told"), [(99, "schema 99 is newer .* update stars-bench"), (None, "not an index")]
)
def test_an_index_of_an_unknown_schema_is_told(version: int | None, told: str, tmp_path: Path) -> None:
    data = placed(shards.SCHEMA_VERSION, tmp_path)
    file = data / "synthetic/mamp/index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": version}))
    with pytest.raises(UsageError, match=told):
        shards.open_dataset(data, "synthetic")


def test_every_schema_of_checkpoints_has_its_files() -> None:
    for kind in ("stage", "encoder"):
        there = sorted(path.name for path in HISTORIC.glob(f"{kind}-v?.pt"))
        assert there == [f"{kind}-v{version}.pt" for version in range(1, checkpoint.SCHEMA_VERSION + 1)]


@pytest.mark.parametrize("version", range(1, checkpoint.SCHEMA_VERSION + 1))
def test_checkpoints_of_every_schema_are_read(version: int) -> None:
    stage = checkpoint.load(HISTORIC / f"stage-v{version}.pt")
    assert (stage["name"], stage["schema_version"], len(stage["log"])) == ("stage1", version, 2)
    start = pretrained.find(HISTORIC / f"encoder-v{version}.pt", 0)
    assert (start.method, start.dataset, start.protocol, start.seed) == ("mamp", "synthetic", "xsub", 0)
    assert start.notes == ((pretrained.NO_DIGEST,) if version == 1 else ())
    encoder = pretrained.rebuild(start, 25).eval()
    with torch.no_grad():
        features = encoder(torch.linspace(-1, 1, 2 * 3 * 8 * 25 * 2).view(2, 3, 8, 25, 2))
    assert features.shape == (2, encoder.dim)
    assert features.isfinite().all()
    stored = {name: value for name, value in stage["module"].items() if name.startswith("encoder.")}
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, stored[f"encoder.{name}"]), name


def test_an_encoder_without_facts_says_how_to_make_it_anew() -> None:
    with pytest.raises(StarsBenchError, match=r"\('preset' is missing\): the command of its run makes it anew"):
        pretrained.find(HISTORIC / "encoder-v1-without-facts.pt", 0)


@pytest.mark.parametrize("read", [checkpoint.load, lambda path: pretrained.find(path, 0)])
def test_a_newer_checkpoint_says_update(read, tmp_path: Path) -> None:
    state = torch.load(HISTORIC / "encoder-v1.pt", weights_only=True)
    torch.save(state | {"schema_version": 99}, tmp_path / "new.pt")
    with pytest.raises(StarsBenchError, match=r"new\.pt: checkpoint schema 99 is newer than .* reads \(2\): update"):
        read(tmp_path / "new.pt")


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_predictions_of_every_schema_give_their_metrics(version: int) -> None:
    file = HISTORIC / f"predictions-v{version}.npz"
    outcome, clips = load_predictions(file)
    names, labels = clips.names, clips.labels
    assert outcome.kind == "classes"
    assert len(names) == len(labels) == len(outcome.predictions) == 94
    assert sorted(set(labels.tolist())) == sorted(set(outcome.predictions.tolist())) == [7, 8]
    assert measure(outcome, labels)[0].value == 100.0  # two actions, which are easily told apart
    assert [*clips.units] == (["clip"] if version < 3 else ["person", "performance"])
