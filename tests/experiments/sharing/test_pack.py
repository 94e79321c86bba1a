"""A pack has what a result can be checked by, and nothing of the data or of the machine that made it."""

from __future__ import annotations

import json
import platform
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

import stars_bench
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.sharing.pack import pack
from stars_bench.experiments.sharing.private_text import places, shortened
from stars_bench.experiments.sharing.unpack import unpack
from stars_bench.records import store

pytest.importorskip("safetensors")


def test_a_pack_holds_records_predictions_settings_curves_and_encoders_alone(packed: Path, shared_runs: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert names[0] == "pack.json"
    kinds = {name.split("/", 6)[6] if name.count("/") > 5 else name for name in names}
    assert {kind.split("/")[0] for kind in kinds} == {
        "pack.json", "README.md", "packed.json", "config.toml", "log.jsonl", "records", "predictions", "encoder"
    }  # fmt: skip
    assert {kind for kind in kinds if kind.startswith("encoder/")} == {
        "encoder/config.json", "encoder/model.safetensors", "encoder/training_clips.txt", "encoder/README.md"
    }  # fmt: skip
    assert len([name for name in names if name.endswith(".safetensors")]) == 3
    records = [name for name in names if "/records/" in name]
    assert len(records) == len(store.record_files(shared_runs))


def test_nothing_in_it_names_a_place_of_this_machine(packed: Path, shared_runs: Path, small_data: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    forbidden = [str(shared_runs), str(shared_runs.parent), str(small_data), "/home", "alice", str(Path.home()) + "/"]
    for name, data in content.items():
        for text in (*forbidden, platform.node() if len(platform.node()) > 3 else "/tmp"):
            assert text.encode() not in data, f"{text} in {name}"
    record = json.loads(next(data for name, data in content.items() if "/records/" in name))
    assert record["command"] == "stars-bench run mamp --runs-dir runs --data-dir 'data'"


def test_the_same_runs_give_the_same_bytes(packed: Path, shared_runs: Path, tmp_path: Path) -> None:
    pack([shared_runs], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_unpacked_runs_have_the_same_numbers_and_pass_the_audit(
    packed: Path, shared_runs: Path, small_data: Path, tmp_path: Path
) -> None:
    report = unpack(packed, tmp_path / "runs")
    assert len(report.folders) == 3
    before, after = store.read_records(shared_runs), store.read_records(tmp_path / "runs")
    assert [one.metrics for one in after.stored] == [one.metrics for one in before.stored]
    assert after.warnings == after.edited == []
    result = audit(tmp_path / "runs", small_data)
    assert result.faults == []
    assert result.looked_at["encoders"] == result.looked_at["records"] == len(before.stored)
    assert any("checkpoints of stages: a pack has none" in line for line in result.skipped)
    assert not any("weights" in line for line in result.skipped)


def test_an_unpacked_run_gives_its_encoder_to_the_bit(packed: Path, shared_runs: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path)
    clips = torch.randn(2, 3, 8, 25, 2)
    (before,), (after,) = (folder.glob("synthetic/xsub/mamp/*") for folder in (shared_runs, tmp_path))
    with torch.no_grad():
        for seed in (0, 1):
            same = [stars_bench.load_encoder(folder, seed=seed)(clips) for folder in (before, after)]
            assert torch.equal(*same)


def test_a_pack_of_unpacked_runs_is_the_same_pack(packed: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "runs")
    pack([tmp_path / "runs"], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_single_runs_and_seeds_may_be_packed(shared_runs: Path, tmp_path: Path) -> None:
    (seed,) = shared_runs.glob("synthetic/xsub/mamp/*/seed1")
    report = stars_bench.pack(str(seed), tmp_path / "one.zip")
    assert [Path(name).name for name in report.runs] == ["seed1"]
    assert (report.encoders, report.shortened) == (1, report.records)
    copy = shutil.copytree(seed.parents[3], tmp_path / "copy")
    with pytest.raises(UsageError, match="two of the folders are this run"):
        pack([seed, copy], tmp_path / "two.zip")


def test_a_file_that_is_no_pack_stays(shared_runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.zip"
    out.write_text("mine")
    with pytest.raises(UsageError, match="does not say that stars-bench pack wrote it; --force"):
        pack([shared_runs], out)
    assert out.read_text() == "mine"
    pack([shared_runs], out, overwrite=True)
    pack([shared_runs], out)
    with pytest.raises(UsageError, match="no records below it"):
        pack([tmp_path / "nothing"], out)


@pytest.fixture
def seed(shared_runs: Path, tmp_path: Path) -> Path:
    """The folder of a seed that a test may spoil."""
    copy = shutil.copytree(shared_runs, tmp_path / "runs")
    return next(copy.glob("synthetic/xsub/mamp/*/seed0"))


def test_an_edited_record_is_not_packed(seed: Path, tmp_path: Path) -> None:
    file = next((seed / "records").glob("knn*.json"))
    file.write_text(file.read_text().replace('"seconds": ', '"seconds": 1', 1))
    with pytest.raises(StarsBenchError, match=r"was edited after it was written.*verify"):
        pack([seed], tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_other_predictions_than_the_records_are_not_packed(seed: Path, tmp_path: Path) -> None:
    next((seed / "predictions").glob("knn*.npz")).write_bytes(b"other")
    with pytest.raises(StarsBenchError, match="is gone, or not what"):
        pack([seed], tmp_path / "x.zip")


def test_a_setting_that_is_a_path_is_told(seed: Path, tmp_path: Path) -> None:
    config = seed / "config.toml"
    config.write_text(config.read_text() + 'weights = "/home/alice/mae.pt"\n')
    with pytest.raises(UsageError, match=r"weights is a path of this machine \(/home/alice/mae\.pt\)"):
        pack([seed], tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stars-bench run stars --runs-dir /home/alice/runs", "stars-bench run stars --runs-dir runs"),
        ("run --data-dir='/mnt/my data/x' --seed 1", "run --data-dir='x' --seed 1"),
        (r"run --init C:\Users\Alice\enc.pt", "run --init enc.pt"),
        (r"run --init \\server\share\enc.pt", "run --init enc.pt"),
        ("run --init ~alice/enc.pt --out=~/a/", "run --init enc.pt --out=a"),
        (
            "lab:/data/ntu60 is unknown here: /data/ntu60/index.json: gone",
            "lab:ntu60 is unknown here: index.json: gone",
        ),
        ("runs/ntu60/xsub 1/2 and/or x-sub / x-view https://arxiv.org/abs/1 ntu60:xsub", None),
        ("the folder /", None),
    ],
)
def test_absolute_paths_are_shortened_and_nothing_else(text: str, expected: str | None) -> None:
    assert shortened(text) == (text if expected is None else expected)


def test_the_machines_name_is_taken_out_as_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "gpu7.lab.edu")
    assert shortened("on gpu7.lab.edu and gpu7, not gpu71 or my-gpu7") == "on HOST and HOST, not gpu71 or my-gpu7"


def test_places_are_found_anywhere_in_settings() -> None:
    value = {"a": {"b": ["x", "/etc/x"]}, "c": 1, "d": "runs/x", "e": "D:\\x"}
    assert list(places(value)) == [("a.b.1", "/etc/x"), ("e", "D:\\x")]
