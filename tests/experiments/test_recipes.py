"""`--recipe own`: data, input, settings and evaluations of the method's own paper; elsewhere the common run."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from stars_bench.api import Recipe
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.errors import UsageError
from stars_bench.experiments import pretrained, runner
from stars_bench.experiments.config_file import to_toml
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.finished.predict import predict
from stars_bench.experiments.plan import resolve, run_key
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.models.aimclr import AimClr
from stars_bench.models.skeletonclr import SkeletonClr
from stars_bench.models.stgcn import Stgcn
from stars_bench.preparation.prepare import prepare
from stars_bench.records.store import read_records
from stars_bench.storage.shards import open_dataset

TINY = ("frames=8", "channels=2", "dim=8", "epochs=1", "batch_size=16")
CONTRAST = (*TINY, "milestones=[1]", "queue_size=32", "feature_dim=4", "linear.batch_size=16", "linear.epochs=2")


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips of `small_data`, with the profile `raw`."""
    folder = tmp_path_factory.mktemp("uncleaned")
    write_raw(folder / "raw", clip_names((1, 2), actions=(8, 9, 23, 58), limit=72))
    prepare(SYNTHETIC, [folder / "raw"], folder / "data", profile="raw", jobs=1)
    return folder / "data"


def request_for(method: str, data: Path, runs: Path = Path("runs"), **options: object) -> Request:
    base = Request(method, "xsub", data, runs, dataset="synthetic", preset="quick", training=TrainingOptions("cpu"))
    return replace(base, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [SkeletonClr, AimClr, Stgcn])
def test_the_whole_recipe_is_in_the_plan(method: type, raw_data: Path, small_data: Path) -> None:
    own = resolve(
        request_for(method.name, raw_data, recipe="own", overrides=("linear.batch_size=16",) * (method is not Stgcn))
    )
    common = resolve(request_for(method.name, small_data))
    recipe: Recipe = method.recipe
    assert (own.dataset.profile.name, common.dataset.profile.name) == ("raw", "mamp")
    assert (own.clip_input, common.clip_input) == (recipe.clip_input, "resized")
    assert own.config == common.config.model_copy(update=recipe.settings)
    assert own.config != common.config
    assert list(own.evaluations) == list(recipe.evaluations)
    for name, (_, config) in own.evaluations.items():
        small = {"batch_size": 16} if name == "linear" else {}
        assert {key: getattr(config, key) for key in recipe.evaluations[name]} == {**recipe.evaluations[name], **small}
    assert own.key != common.key
    assert 'recipe = "own"' in to_toml(own, 0)
    assert "recipe" not in to_toml(common, 0)


def test_a_method_whose_recipe_is_the_common_one_is_the_same_run(small_data: Path) -> None:
    own, common = (resolve(request_for("stars", small_data, recipe=name)) for name in ("own", "common"))
    assert own.key == common.key
    assert replace(own, request=common.request, dataset=common.dataset) == common
    assert to_toml(own, 0) == to_toml(common, 0)


def test_what_does_not_fit_a_recipe_is_refused_in_one_line(raw_data: Path, small_data: Path) -> None:
    def refused(match: str, method: str, data: Path = raw_data, **options: object) -> None:
        with pytest.raises(UsageError, match=match) as caught:
            resolve(request_for(method, data, **options))
        assert "\n" not in str(caught.value)

    refused("--recipe mine: there are common, own", "stars", recipe="mine")
    refused("raw has no paper with a recipe of its own", "raw", recipe="own")
    refused("--eval knn: the recipe of stgcn has classifier alone", "stgcn", recipe="own", evaluations=("knn",))
    refused("--profile mamp: the recipe of stgcn rests on raw", "stgcn", recipe="own", profile="mamp")
    refused(
        "stgcn's paper rests on the profile raw: .*stars-bench prepare synthetic --profile raw",
        "stgcn",
        small_data,
        recipe="own",
    )

    class Elsewhere(Stgcn):
        recipe = Recipe("a paper on another dataset", profiles={"ntu60": "raw"})

    with pytest.raises(UsageError, match="known for ntu60, not for synthetic"):
        resolve(request_for("stgcn", raw_data, recipe="own"), Elsewhere)

    class Misspelled(Stgcn):
        recipe = Recipe("a paper", settings={"chanels": 3})

    with pytest.raises(UsageError, match="the recipe sets chanels of stgcn, which has no such setting"):
        resolve(request_for("stgcn", raw_data, recipe="own"), Misspelled)

    class Wrong(Stgcn):
        recipe = "the paper's"

    with pytest.raises(UsageError, match=r"recipe must be a stars_bench\.api\.Recipe, not a str"):
        resolve(request_for("stgcn", raw_data), Wrong)


def test_recipe_and_input_are_parts_of_the_key() -> None:
    given = dict.fromkeys(("data", "method", "precision", "profile", "protocol", "select", "stream"), "x")
    given |= {"config": {}, "deterministic": False, "compiled": False}
    given |= dict.fromkeys(("init", "protocol_config", "validation"))
    keys = {run_key(**given), run_key(**given, recipe="own"), run_key(**given, clip_input="crossclr")}
    assert len(keys) == 3
    assert run_key(**given, recipe=None, clip_input="resized") in keys


def test_every_field_of_a_recipe_makes_it_another_than_the_common_one() -> None:
    other = {"profiles": {"ntu60": "raw"}, "clip_input": "crossclr", "settings": {"lr": 1}, "evaluations": {"knn": {}}}
    assert {field.name for field in fields(Recipe)} == {"source", *other}
    assert Recipe("a paper").is_common
    assert not any(Recipe("a paper", **{name: value}).is_common for name, value in other.items())


@pytest.fixture(scope="module")
def own_run(raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SkeletonCLR under its own recipe, on the bone stream."""
    runs = tmp_path_factory.mktemp("own") / "runs"
    request = request_for("skeletonclr", raw_data, runs, recipe="own", stream="bone", overrides=CONTRAST)
    (record,) = runner.run(request)
    assert (record.method.recipe, record.dataset.clip_input, record.dataset.profile) == ("own", "crossclr", "raw")
    (folder,) = (runs / "synthetic/xsub/skeletonclr").iterdir()
    return folder


def test_a_finished_run_is_evaluated_predicted_and_verified_under_its_recipe(own_run: Path, raw_data: Path) -> None:
    start = pretrained.find(own_run, 0)
    assert start.recipe == "own"
    with pytest.raises(UsageError, match="trained with the recipe own: use --recipe own"):
        resolve(request_for("skeletonclr", raw_data, init=own_run, stream="bone"))
    (one,) = rescore.read(own_run)
    classes = open_dataset(raw_data, "synthetic", "raw").spec.classes
    predictions = predict(own_run, one.names.tolist(), raw_data)
    assert [each.actions[0][0] for each in predictions] == [classes[label] for label in one.outcome.predictions]
    assert not list(audit(own_run.parents[3], raw_data).faults)


def test_the_recipe_of_a_record_is_checked(own_run: Path, raw_data: Path) -> None:
    (stored,) = read_records(own_run).stored
    for part, changed in (("method", {"recipe": "common"}), ("dataset", {"clip_input": "resized"})):
        edited = stored.record.model_copy(update={part: getattr(stored.record, part).model_copy(update=changed)})
        stored.path.write_text(edited.sealed().model_dump_json(indent=1))
        faults = [str(fault) for fault in audit(own_run.parents[3], raw_data).faults]
        assert any("recipe" in fault or "clip_input" in fault for fault in faults), part
    stored.path.write_text(stored.record.model_dump_json(indent=1))


def test_zero_padded_clips_reach_the_network_and_its_classifier(raw_data: Path, tmp_path: Path, monkeypatch) -> None:
    seen = []
    classify = Stgcn.build(Stgcn(), Stgcn.Config(frames=8), 25).classify.__func__
    monkeypatch.setattr(
        "stars_bench.models.stgcn.ClassifyingSTGCN.classify", lambda net, x: seen.append(x) or classify(net, x)
    )
    overrides = ("frames=160", *TINY[1:])
    (record,) = runner.run(request_for("stgcn", raw_data, tmp_path, recipe="own", overrides=overrides))
    assert record.method.config["bn_splits"] == 4
    assert [len(x) for x in seen[:4]] == [4, 4, 4, 4]  # a batch of 16, four at a time
    table = open_dataset(raw_data, "synthetic", "raw").table
    longest = int(table["num_frames"].max())
    assert longest < 160
    assert all((x[:, :, longest:] == 0).all() for x in seen)
    assert any((x[:, :, longest - 1] != 0).any() for x in seen)
    assert torch.cat(seen).shape[2] == 160
