"""Encoders as safetensors: out of a run, in wherever a checkpoint is taken, the same to the bit; damage is noticed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import stars_bench
from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained, runner
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.experiments.sharing import checkpoint_export
from stars_bench.io.run_folder import RunFolder
from stars_bench.training import checkpoint, exported_encoder

pytest.importorskip("safetensors")

SIZE = ("frames=8", "dim=16", "depth=1", "heads=2")
TUNING = ("batch_size=16", "epochs=1", "warmup_epochs=0", "tune_epochs=1", "tune_batch_size=16", "queue_size=40")


@pytest.fixture(scope="module")
def request_of_run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """A run of MAMP with one seed, done."""
    runs = tmp_path_factory.mktemp("runs")
    request = Request("mamp", "xsub", small_data, runs, preset="quick", training=TrainingOptions("cpu"))
    request = replace(request, overrides=(*SIZE, "batch_size=16", "epochs=1", "warmup_epochs=0"), evaluations=("knn",))
    runner.run(request)
    return request


@pytest.fixture(scope="module")
def run(request_of_run: Request) -> RunFolder:
    return resolve(request_of_run).folder(0)


@pytest.fixture
def out(run: RunFolder, tmp_path: Path) -> Path:
    """The encoder of the run, exported."""
    return checkpoint_export.to_safetensors(run.path, tmp_path / "hub")


def test_the_folder_has_the_layout_of_the_hub(out: Path, tmp_path: Path) -> None:
    assert out == tmp_path / "hub" / "synthetic-xsub"
    assert {file.name for file in out.iterdir()} == set(exported_encoder.FILES)
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["dataset"], config["protocol"]) == ("stars-bench", "synthetic", "xsub")
    assert config["config"]["dim"] == 16
    assert (out / "training_clips.txt").read_text().startswith("S0")


def test_the_other_programs_read_the_weights(out: Path, run: RunFolder) -> None:
    from safetensors import safe_open

    with safe_open(out / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    assert checkpoint.digest_tensors(weights) == checkpoint.digest_tensors(checkpoint.load(run.encoder)["encoder"])


def test_every_fact_of_the_encoder_comes_back(out: Path, run: RunFolder) -> None:
    before, after = pretrained.find(run.path, 0), pretrained.find(out, 0)
    assert replace(after, path=before.path, state={}) == replace(before, state={})


def test_the_card_has_front_matter_numbers_and_no_place_of_this_machine(out: Path, run: RunFolder) -> None:
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: ")
    _, front, body = card.split("---\n", 2)
    values = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in front.splitlines()}
    assert values["tags"] == ["skeleton-based-action-recognition", "mamp", "synthetic", "xsub"]
    top1 = values["model-index"][0]["results"][0]["metrics"][0]["value"]
    assert f"| {top1:.2f} % |" in body
    assert "@inproceedings{" in body
    assert str(run.path.parents[5]) not in card


def test_the_same_features_to_the_bit_by_every_way_to_name_it(out: Path, run: RunFolder) -> None:
    clips = torch.randn(3, 3, 8, 25, 2)
    with torch.no_grad():
        expected = stars_bench.load_encoder(run.path)(clips)
        for path in (out, out.parent, out / "model.safetensors"):
            assert torch.equal(stars_bench.load_encoder(path)(clips), expected)


def test_a_run_that_starts_from_it_is_the_run_that_starts_from_encoder_pt(
    out: Path, run: RunFolder, request_of_run: Request, tmp_path: Path
) -> None:
    base = replace(request_of_run, method="stars", overrides=(*SIZE, *TUNING, "predictor_hidden=32"))
    starts = {"a": run.path, "b": out}
    records = [runner.run(replace(base, init=path, runs_dir=tmp_path / name)) for name, path in starts.items()]
    assert [one.metrics for one in records[0]] == [one.metrics for one in records[1]]
    assert records[0][0].weights == records[1][0].weights
    keys = [{path.name for path in (tmp_path / name).glob("synthetic/xsub/stars/*")} for name in starts]
    assert keys[0] == keys[1]


def test_evaluate_takes_it_and_counts_what_it_has_seen(out: Path, small_data: Path, tmp_path: Path) -> None:
    one = stars_bench.evaluate(
        out, protocol="xview", data_dir=small_data, runs_dir=tmp_path, evaluations="knn", device="cpu", progress=False
    )
    seen = [stored.record.init.test_clips_seen for stored in one if stored.record.init is not None]
    assert seen
    assert all(count and count > 0 for count in seen)


def test_the_command_exports_and_never_overwrites_another_encoder(
    out: Path, run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["stars-bench", "export-checkpoint", str(run.path), "--format", "safetensors", "--out", str(out.parent)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert not done.value.code, "the same encoder again is no other one"
    assert "synthetic-xsub: config.json, model.safetensors, README.md" in " ".join(capsys.readouterr().out.split())
    other = tmp_path / "other"
    other.mkdir()
    content = checkpoint.load(run.encoder)
    content["encoder"] = {name: value + 1 for name, value in content["encoder"].items()}
    checkpoint.save(other / "encoder.pt", {name: value for name, value in content.items() if name != "schema_version"})
    with pytest.raises(UsageError, match="holds another encoder already; --force"):
        checkpoint_export.to_safetensors(other / "encoder.pt", out.parent)
    assert checkpoint_export.to_safetensors(other / "encoder.pt", out.parent, overwrite=True) == out


def test_files_of_somebody_else_stay(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "synthetic-xsub").mkdir()
    (tmp_path / "synthetic-xsub" / "README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"README\.md is there already"):
        checkpoint_export.to_safetensors(run.path, tmp_path)
    assert [file.name for file in (tmp_path / "synthetic-xsub").iterdir()] == ["README.md"]


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("model.safetensors", _flip, "damaged: its weights are not those of config.json"),
        ("model.safetensors", lambda file: file.write_bytes(file.read_bytes()[:-8]), "cannot be read as safetensors"),
        ("training_clips.txt", lambda file: file.write_text("S001\n"), "damaged: its clips are not those"),
        ("training_clips.txt", Path.unlink, "is missing"),
        ("config.json", lambda file: file.write_text(file.read_text().replace('"xsub"', '"xview"')), "was edited"),
        ("config.json", lambda file: file.write_text("{"), "not JSON"),
        ("config.json", lambda file: file.write_text("[]"), "is no config of an encoder"),
        ("config.json", lambda file: file.write_text(re.sub('n": 1,', 'n": 9,', file.read_text())), "of a newer"),
    ],
)
def test_what_is_damaged_or_edited_is_one_line(out: Path, name: str, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(out / name)
    with pytest.raises(StarsBenchError, match=message) as error:
        stars_bench.load_encoder(out)
    assert str(out / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_several_encoders_below_a_folder_are_named(out: Path) -> None:
    out.rename(out.with_name("ntu60-xsub"))
    (out.with_name("ntu60-xview")).mkdir()
    (out.with_name("ntu60-xview") / "model.safetensors").write_bytes(b"")
    with pytest.raises(StarsBenchError, match="holds 2 encoders: give one of ntu60-xsub, ntu60-xview"):
        stars_bench.load_encoder(out.parent)
