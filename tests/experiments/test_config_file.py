"""config.toml repeats a run: what it says and what is asked beside it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.config_file import completed, to_toml
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.request import Request, TrainingOptions

CPU = TrainingOptions(device="cpu")


def command(*words: object) -> str:
    done = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def written(request: Request, tmp_path: Path) -> tuple[Plan, Path]:
    plan, file = resolve(request), tmp_path / "config.toml"
    file.write_text(to_toml(plan, request.seeds[0]))
    return plan, file


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("mamp", {"overrides": ("epochs=3", "linear.lr=0.5"), "seeds": (4,)}),
        ("stars", {"stream": "bone", "evaluations": ("knn",), "overrides": ("knn.k=[1,3]",)}),
        ("untrained", {"protocol": "fewshot", "overrides": ("protocol.novel_classes=[9,23]",)}),
        ("supervised", {"select": "validation", "training": replace(CPU, precision="bf16", deterministic=True)}),
        ("raw", {"validation": "subjects", "evaluations": ("knn",)}),
    ],
)
def test_what_is_written_is_resolved_to_the_same_plan(method, changes, small_data: Path, tmp_path: Path) -> None:
    request = Request(method, "xsub", small_data, tmp_path, preset="quick", training=CPU)
    plan, file = written(replace(request, **changes), tmp_path)
    again = resolve(completed(Request("", "", small_data, tmp_path, training=CPU), file, set()))
    for name in ("key", "config", "protocol_config", "evaluations", "precision", "device"):
        assert getattr(again, name) == getattr(plan, name), name
    assert (again.method, again.dataset.digest) == (plan.method, plan.dataset.digest)
    assert again.request.seeds == plan.request.seeds
    assert [again.preset_name(one) for one in again.evaluations] == [plan.preset_name(one) for one in plan.evaluations]
    assert again.split(0).test.tolist() == plan.split(0).test.tolist()


def test_what_the_user_says_wins(small_data: Path, tmp_path: Path) -> None:
    plan, file = written(Request("mamp", "xsub", small_data, tmp_path, preset="quick", training=CPU), tmp_path)
    asked = Request("", "xview", small_data, tmp_path, evaluations=("knn",), overrides=("epochs=1",), seeds=(7,))
    given = {"protocol", "evaluations", "seeds", "overrides"}
    found = resolve(completed(replace(asked, training=CPU), file, given))
    assert (found.protocol.name, list(found.evaluations), found.request.seeds) == ("xview", ["knn"], (7,))
    assert found.config == plan.config.model_copy(update={"epochs": 1})
    with pytest.raises(UsageError, match=r"is of mamp: leave stars out"):
        completed(replace(asked, method="stars"), file, given)
    with pytest.raises(UsageError, match="has all settings: change them with --set"):
        completed(replace(asked, preset="quick"), file, given | {"preset"})


def test_settings_that_are_none_and_other_data_are_told(small_data: Path, tmp_path: Path) -> None:
    request = Request("mamp", "xsub", small_data, tmp_path, preset="quick", training=CPU)
    _, file = written(request, tmp_path)
    file.write_text(file.read_text().replace("unset = []", 'unset = ["method.epochs"]'))
    with pytest.raises(UsageError, match="epochs: input should be a valid integer"):
        resolve(completed(replace(request, method="", protocol=""), file, set()))
    _, file = written(request, tmp_path)
    digest = resolve(request).dataset.digest
    file.write_text(file.read_text().replace(digest, "0" * 64))
    notices = resolve(completed(replace(request, method="", protocol=""), file, set())).notices
    assert "the prepared data are not those of --config (another digest): numbers may differ" in notices


def test_a_run_is_repeated_from_its_folder_and_its_file(small_data: Path, tmp_path: Path) -> None:
    places = ("--data-dir", small_data, "--runs-dir", tmp_path / "runs", "--device", "cpu")
    command("run", "raw", "--protocol", "xsub", "--preset", "quick", "--eval", "knn", "--set", "frames=8", *places)
    (folder,) = (tmp_path / "runs").glob("synthetic/xsub/raw/*")
    time.sleep(1.1)  # records say when they were finished to the second
    record = next((folder / "seed0" / "records").glob("*.json"))
    for config in (folder, folder / "seed0" / "config.toml", folder / "seed0" / "encoder.pt", record):
        told = command("run", "--config", config, *places)
        assert "4 records under" in told
        assert "all there before" in told
    assert "all new" in command("run", "--config", folder, "--seed", "1", *places)
    assert "all new" in command("run", "raw", "--config", folder, "--protocol", "xview", *places)
    assert len(list((tmp_path / "runs").glob("synthetic/*/raw/*/seed*"))) == 3


def test_an_encoder_that_was_evaluated_is_evaluated_again(small_data: Path, tmp_path: Path) -> None:
    places = ("--data-dir", small_data, "--runs-dir", tmp_path / "runs", "--device", "cpu")
    sizes = [word for one in ("frames=8", "dim=16", "depth=1") for word in ("--set", one)]
    command("run", "untrained", "--protocol", "xsub", "--preset", "quick", "--eval", "knn", *sizes, *places)
    (folder,) = (tmp_path / "runs").glob("synthetic/xsub/untrained/*")
    told = command("evaluate", folder, "--protocol", "xview", "--preset", "quick", "--eval", "knn", *places)
    assert told.startswith("untrained xview seed 0: starts")  # not as stars_bench.models.untrained:Untrained
    (second,) = (tmp_path / "runs").glob("synthetic/xview/untrained/*")
    time.sleep(1.1)
    assert "all there before" in command("run", "--config", second, *places)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('methods = ["raw"]\n', "describes a sweep: stars-bench sweep"),
        ("[run]\nmethod = 1\n", "config.toml of a run"),
        ("[run\n", "cannot be read"),
        (None, "there is no such file, and no run"),
    ],
)
def test_another_file_is_told(text: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StarsBenchError, match=told):
        completed(Request("", "", tmp_path, tmp_path), file, set())
