"""Encoders that are there already, ours and official ones: evaluated elsewhere, tuned further, exported, and honest
about what they have seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stars_bench import cli
from stars_bench.api import Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.datasets.skeletons.layouts import COCO_17, KINECT_V1
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained, runner
from stars_bench.experiments.finished.reproduce import rerun
from stars_bench.experiments.official.checkpoints import METHOD_NOTE, TUNED_NOTE
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.experiments.sharing import checkpoint_export
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import json_lines
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.storage.shards import open_dataset

SIZE = ("frames=8", "dim=16", "depth=2", "heads=2")
STAGE1 = ("batch_size=16", "epochs=2", "warmup_epochs=1")
STAGE2 = ("tune_epochs=2", "tune_batch_size=16", "queue_size=40", "predictor_hidden=32")
SETTINGS = {"supervised": SIZE, "untrained": SIZE, "mamp": SIZE + STAGE1, "stars": SIZE + STAGE1 + STAGE2}

MakeRequest = Callable[..., Request]


@pytest.fixture
def request_for(small_data: Path, tmp_path: Path) -> MakeRequest:
    def make(method: str, **changes: object) -> Request:
        base = Request(
            method,
            "xsub",
            small_data,
            tmp_path / "runs",
            preset="quick",
            overrides=() if "init" in changes else SETTINGS[method],
            evaluations=("knn",),
            training=TrainingOptions("cpu"),
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    return make


def run_folder(request: Request) -> Path:
    return next(request.runs_dir.glob(f"synthetic/{request.protocol}/{request.method}/*"))


def test_a_trained_encoder_is_evaluated_without_training_and_gives_the_same(request_for: MakeRequest) -> None:
    first = request_for("untrained")
    trained = runner.run(first)
    again = runner.run(request_for("untrained", init=run_folder(first)))
    assert [record.metrics for record in again] == [record.metrics for record in trained]
    assert all(record.init is not None and record.init.protocol == "xsub" for record in again)
    assert again[0].method.config == trained[0].method.config


def test_what_the_encoder_has_seen_of_the_test_part_is_counted_by_clip_name(
    request_for: MakeRequest, small_data: Path
) -> None:
    first = request_for("untrained", protocol="xview")
    runner.run(first)
    (record,) = runner.run(request_for("untrained", init=run_folder(first), overrides=("knn.k=[1]",)))
    table = open_dataset(small_data, "synthetic").table
    split = resolve(request_for("untrained")).split(0)
    seen = table.iloc[split.test]["camera"].isin([2, 3]).sum()
    assert record.init is not None
    assert record.init.test_clips_seen == seen > 0
    assert f"encoder saw {seen} of the {len(split.test)} test clips" in record.marks


def test_stars_takes_a_mamp_encoder_for_its_first_stage(request_for: MakeRequest) -> None:
    mamp = request_for("mamp")
    runner.run(mamp)
    whole = runner.run(request_for("stars"))
    tuned = runner.run(request_for("stars", init=run_folder(mamp), overrides=SETTINGS["stars"]))
    assert [stage.name for stage in tuned[0].stages] == ["stage2"]
    assert [record.metrics for record in tuned] == [record.metrics for record in whole]


def test_an_encoder_that_does_not_fit_is_refused_in_one_line(request_for: MakeRequest, tmp_path: Path) -> None:
    first = request_for("untrained")
    runner.run(first)
    folder = run_folder(first)
    with pytest.raises(UsageError, match="holds a untrained; stars starts from stars, mamp"):
        resolve(request_for("stars", init=folder))
    with pytest.raises(UsageError, match="nothing is left to train"):
        resolve(request_for("untrained", init=folder, overrides=("dim=32",)))
    with pytest.raises(UsageError, match="say --stream joint"):
        resolve(request_for("untrained", init=folder, stream="bone"))
    with pytest.raises(UsageError, match="no run folder"):
        resolve(request_for("untrained", init=tmp_path))
    with pytest.raises(UsageError, match="does not fit skeletons of 17 joints"):
        pretrained.rebuild(pretrained.find(folder, 0), 17)


@pytest.mark.parametrize(
    ("learnt", "joints", "told"),
    [
        ("ntu60-2d", KINECT_V2, r"ntu60-2d, whose joints are x, y, score; these are x, y, z"),
        ("ntu60", COCO_17, None),  # other joints: their number is looked at when the encoder is rebuilt
        ("ntu60", KINECT_V2, None),
        (
            "msr-action3d",
            KINECT_V1,
            r"stand in another order \(msr-action3d, here kinect-v1\)",
        ),
        ("nwucla", KINECT_V1, None),
        ("a dataset that is not here", KINECT_V1, None),
    ],
)
def test_joints_of_another_order_or_kind_are_refused(
    learnt: str,
    joints: Skeleton,
    told: str | None,
    request_for: MakeRequest,
    small_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner.run(request_for("untrained"))
    found = replace(pretrained.find(run_folder(request_for("untrained")), 0), dataset=learnt)
    refused = nullcontext() if told is None else pytest.raises(UsageError, match=f"was trained on .*{told}")
    with refused:
        pretrained.check_joints(found, joints)
    if joints is KINECT_V2 and told is not None:  # that of the prepared data
        monkeypatch.setattr(pretrained, "find", lambda *_: found)
        with pytest.raises(UsageError, match=told):
            resolve(request_for("untrained", init=small_data))


def test_each_seed_starts_from_the_same_seed_where_it_is_there(request_for: MakeRequest) -> None:
    first = request_for("untrained", seeds=(0, 1))
    runner.run(first)
    folder = run_folder(first)
    assert pretrained.seeds(folder) == [0, 1]
    assert [pretrained.find(folder, seed).seed for seed in (0, 1)] == [0, 1]
    assert pretrained.find(folder / "seed1", 0).seed == 1
    with pytest.raises(UsageError, match=r"seed 2 is not there \(seed0, seed1 are\)"):
        pretrained.find(folder, 2)


def test_novel_classes_are_never_trained_on(request_for: MakeRequest, small_data: Path) -> None:
    request = request_for(
        "untrained",
        protocol="fewshot",
        evaluations=(),
        overrides=(*SIZE, "fewshot.ways=[2]", "fewshot.shots=[1]", "fewshot.queries=2", "fewshot.episodes=20",
                   "protocol.novel_classes=[8,58]"),
    )  # fmt: skip
    records = runner.run(request)
    assert {record.evaluation.title for record in records} == {
        "fewshot classifier=nearest shots=1 ways=2",
        "fewshot classifier=prototype shots=1 ways=2",
    }
    assert records[0].protocol.config["novel_classes"] == [8, 58]
    start = pretrained.find(run_folder(request), 0)
    assert len(start.classes) == 2
    table = open_dataset(small_data, "synthetic").table.set_index("name")
    assert set(table.loc[sorted(start.train), "label"]) == {8, 22}


def test_streams_are_trained_apart_and_say_so(request_for: MakeRequest) -> None:
    joint, bone = (runner.run(request_for("untrained", stream=stream))[0] for stream in ("joint", "bone"))
    assert (joint.dataset.stream, bone.dataset.stream) == ("joint", "bone")
    assert joint.predictions.digest != bone.predictions.digest


def test_all_runs_what_the_protocol_names_and_the_methods_own(request_for: MakeRequest) -> None:
    assert list(resolve(request_for("stars", evaluations=("all",))).evaluations) == [
        "knn", "linear", "finetune", "semi", "clusters",
    ]  # fmt: skip
    every = list(resolve(request_for("stars", evaluations=("every",))).evaluations)
    assert every[:6] == ["knn", "linear", "finetune", "semi", "clusters", "retrieval"]
    assert not {"zeroshot", "fewshot", "exemplar"} & set(every)
    assert list(resolve(request_for("stars", evaluations=())).evaluations) == ["knn", "linear"]
    plan = resolve(request_for("supervised", evaluations=(), overrides=()))
    assert list(plan.evaluations) == ["classifier", "knn", "linear"]


def test_a_checkpoint_holds_no_code(request_for: MakeRequest) -> None:
    first = request_for("untrained")
    runner.run(first)
    state = torch.load(run_folder(first) / "seed0" / "encoder.pt", weights_only=True)
    assert state["method"] == "stars_bench.models.untrained:Untrained"


ONE_EPOCH = ("epochs=1", "warmup_epochs=0", "knn.k=[1]")


@pytest.fixture
def official_file(tmp_path: Path) -> Path:
    """A checkpoint as MAMP writes it, of an encoder of the size of `SIZE`."""
    torch.save({"model": SkeletonEncoder(8, 25, dim=16, depth=2, heads=2).state_dict()}, tmp_path / "mamp.pth")
    return tmp_path / "mamp.pth"


def test_an_exported_mamp_run_gives_the_same_and_says_that_nobody_knows_what_it_saw(
    request_for: MakeRequest, small_data: Path, tmp_path: Path
) -> None:
    mamp = request_for("mamp", overrides=(*SIZE, *STAGE1, *ONE_EPOCH))
    (trained,) = runner.run(mamp)
    file = tmp_path / "mamp.pth"
    command = ["export-checkpoint", str(run_folder(mamp)), "--format", "mamp", "--out", str(file)]
    cli.app(command, standalone_mode=False)
    with pytest.raises(UsageError, match=r"mamp\.pth is there already; --force"):
        cli.app(command, standalone_mode=False)
    told: list[str] = []
    official = request_for("mamp", init=file, overrides=("heads=2", "knn.k=[1]"))
    (record,) = runner.run(official, tell=told.append)
    assert record.predictions.digest == trained.predictions.digest
    assert record.method.config == {"frames": 8, "dim": 16, "depth": 2, "heads": 2, "mlp_ratio": 4.0}
    assert record.method.preset.startswith("official checkpoint, then ")
    assert record.init is not None
    assert (record.init.dataset, record.init.seed, record.init.train_clips) == (None, None, None)
    assert record.origin == "from unknown data"
    assert "unknown which test clips the encoder saw" in record.marks
    assert told[1:] == [f"mamp xsub seed 0: {file}: {note}" for note in record.init.notes]
    assert "decoder" in told[1]
    (known,) = runner.run(replace(official, trained_on="synthetic:xview"))
    table = open_dataset(small_data, "synthetic").table
    seen = table.iloc[resolve(official).split(0).test]["camera"].isin([2, 3]).sum()
    assert known.init is not None
    assert known.origin == "from synthetic xview"
    assert known.init.train_clips == table["camera"].isin([2, 3]).sum()
    assert known.init.test_clips_seen == seen > 0
    assert f"encoder saw {seen} of the {record.protocol.test_clips} test clips" in known.marks


def test_an_exported_stars_run_stands_for_both_stages_to_the_bit(request_for: MakeRequest, tmp_path: Path) -> None:
    runner.run(request_for("mamp", overrides=(*SIZE, *STAGE1, *ONE_EPOCH)))
    settings = (*SIZE, *STAGE1, *STAGE2, *ONE_EPOCH)
    stars = request_for("stars", overrides=settings)
    (whole,) = runner.run(stars)
    assert whole.stages[0].reused  # stage 1 lies in the folder of the run before
    both, first = tmp_path / "stars.pt", tmp_path / "mamp.pth"
    RunFolder(run_folder(stars) / "seed0").log.write_text("{damaged}\n")  # encoder.pt itself names its stages
    checkpoint_export.to_program(run_folder(stars), "stars", both)
    checkpoint_export.to_program(run_folder(stars), "mamp", first)
    own = pretrained.find(run_folder(stars), 0).state
    start = pretrained.find(both, 0)
    assert start.method == "stars"
    assert start.notes == ("not used: 16 of 46 tensors (head 13, queue 3)", TUNED_NOTE)
    assert start.state.keys() == own.keys()
    assert all(torch.equal(start.state[name], own[name]) for name in own)
    flat = torch.load(both, weights_only=True)
    assert flat["queue"].shape == (16, 40)
    assert flat["encoder_student.head.predictor.3.weight"].shape == (16, 32)
    (again,) = runner.run(request_for("stars", init=both, overrides=("heads=2", "knn.k=[1]")))
    assert (again.stages, again.predictions.digest) == ((), whole.predictions.digest)
    tuned = request_for("stars", init=first, overrides=settings)
    (record,) = runner.run(tuned)
    assert [stage.name for stage in record.stages] == ["stage2"]
    assert record.predictions.digest == whole.predictions.digest
    kept = pretrained.find(run_folder(tuned).parent / resolve(tuned).key, 0)
    assert (kept.protocol, kept.train, kept.classes) == ("xsub", None, None)


def test_an_encoder_that_does_not_name_its_stages_has_those_of_the_log(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert checkpoint_export._logged_stages(folder) == {}
    folder.log.write_text(json_lines({"stage": stage, "key": key} for stage, key in ("ab", "ac", "de")))
    assert checkpoint_export._logged_stages(folder) == {"a": "c", "d": "e"}
    folder.log.write_text("{damaged}\n")
    with pytest.raises(StarsBenchError, match=r"log\.jsonl: line 1 is damaged, so the run's stages are unknown: "):
        checkpoint_export._logged_stages(folder)


def test_only_stages_that_a_run_has_trained_can_be_exported(request_for: MakeRequest, tmp_path: Path) -> None:
    first = request_for("untrained")
    runner.run(first)
    with pytest.raises(UsageError, match="has trained no stage1, which is what a checkpoint of MAMP holds"):
        checkpoint_export.to_program(run_folder(first), "mamp", tmp_path / "x.pth")
    other = replace(request_for("mamp"), method="mae")
    runner.run(other)
    with pytest.raises(UsageError, match="the stage1 of mae is not what MAMP trains; that of mamp, stars, "):
        checkpoint_export.to_program(run_folder(other), "mamp", tmp_path / "x.pth")
    with pytest.raises(UsageError, match="--format tar: there are safetensors, mamp, stars"):
        checkpoint_export.to_program(run_folder(first), "tar", tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()


def test_what_a_checkpoint_was_trained_on_is_said_in_known_names(
    request_for: MakeRequest, small_data: Path, official_file: Path
) -> None:
    start = pretrained.find(official_file, 0)
    known = pretrained.trained_on(start, "ntu60:xsub", small_data)  # not prepared: its names are published
    assert known.train is not None
    assert known.classes is not None
    assert (len(known.train), len(known.classes)) == (40_091, 60)
    for statement, message in (
        ("ntu60", "say DATASET:PROTOCOL, such as ntu60:xsub"),
        ("ntu60:xset", "ntu60 has no protocol xset"),
        ("ntu61:xsub", "did you mean 'ntu60'"),
        ("pku1:xsub", "pku1 is not prepared"),
    ):
        with pytest.raises(UsageError, match=message):
            pretrained.trained_on(start, statement, small_data)
    own = request_for("untrained")
    runner.run(own)
    with pytest.raises(UsageError, match="says itself what it was trained on: synthetic xsub"):
        resolve(request_for("untrained", init=run_folder(own), trained_on="ntu60:xsub"))
    with pytest.raises(UsageError, match="is said of a checkpoint: give --init FILE"):
        resolve(request_for("untrained", trained_on="ntu60:xsub"))


def test_of_an_official_checkpoint_only_heads_and_frames_may_be_said(
    request_for: MakeRequest, official_file: Path
) -> None:
    def plan(*overrides: str, **changes: object) -> Plan:
        return resolve(request_for("mamp", init=official_file, overrides=overrides, **changes))

    with pytest.raises(UsageError, match=r"--set epochs=3: .* nothing is left to train"):
        plan("heads=2", "epochs=3")
    with pytest.raises(UsageError, match="say --set heads=N"):
        plan()
    with pytest.raises(UsageError, match=r"frames: .*multiple of 4"):
        plan("heads=2", "frames=9")
    longer = plan("heads=2", "frames=12")
    assert longer.starts[0].state["temp_embed"].shape == (1, 3, 1, 16)
    assert f"{official_file}: temporal table interpolated from 8 frames to 12" in longer.notices
    assert plan("heads=2").config.model_copy(update={"frames": 12}) == longer.config
    assert plan("heads=2", stream="bone").starts[0].stream is None  # not said in the file: the user knows
    with pytest.raises(UsageError, match="holds a mamp; supervised starts from supervised"):
        resolve(request_for("supervised", init=official_file, overrides=("heads=2",)))


def test_an_official_encoder_of_another_length_is_fitted_to_the_methods(
    request_for: MakeRequest, official_file: Path
) -> None:
    def plan(*overrides: str) -> Plan:
        return resolve(request_for("stars", init=official_file, overrides=overrides))

    fitted = plan("dim=16", "depth=2", "heads=2")
    frames = fitted.config.model_dump()["frames"]
    assert frames > 8
    unsure = f"{official_file}: {METHOD_NOTE}"
    assert fitted.notices == [unsure, f"{official_file}: temporal table interpolated from 8 frames to {frames}"]
    assert fitted.starts[0].state["temp_embed"].shape == (1, frames // 4, 1, 16)
    assert plan("dim=16", "depth=2", "heads=2", "frames=8").notices == [unsure]
    assert plan("dim=32", "depth=2", "heads=2").notices == [unsure]  # another width: nothing fits, training will say so


def test_a_runs_encoder_of_another_length_is_fitted_too_and_stays_known(request_for: MakeRequest) -> None:
    mamp = request_for("mamp")
    runner.run(mamp)
    folder, settings = run_folder(mamp), (*SETTINGS["stars"], "frames=12")
    before = pretrained.find(folder, 0)
    frames = before.config["frames"]
    told: list[str] = []
    evaluated = runner.run(request_for("mamp", init=folder, overrides=("frames=12",)), tell=told.append)
    tuned = runner.run(request_for("stars", init=folder, overrides=settings))
    note = f"temporal table interpolated from {frames} frames to 12"
    assert told[1] == f"mamp xsub seed 0: {before.path}: {note}"
    for record in (evaluated[0], tuned[0]):
        assert record.method.config["frames"] == 12
        assert record.init is not None
        assert record.init.notes == (note,)
        assert record.init.protocol == "xsub"
        assert record.init.train_clips == len(before.train or ())
    assert [stage.name for stage in tuned[0].stages] == ["stage2"]
    as_it_is = runner.run(request_for("mamp", init=folder))
    assert as_it_is[0].weights == runner.run(mamp)[0].weights != evaluated[0].weights
    with pytest.raises(UsageError, match=r"frames: .*multiple of 4"):
        resolve(request_for("mamp", init=folder, overrides=("frames=9",)))
    with pytest.raises(UsageError, match=r"--set heads=1: .* nothing is left to train"):
        resolve(request_for("mamp", init=folder, overrides=("heads=1",)))


def is_long(record: Path) -> bool:
    return bool(json.loads(record.read_text())["method"]["config"]["frames"] == 12)


def test_a_runs_encoder_of_another_length_is_repeated_as_it_was(request_for: MakeRequest) -> None:
    mamp = request_for("mamp")
    runner.run(mamp)
    longer = request_for("mamp", init=run_folder(mamp), overrides=("frames=12",))
    runner.run(longer)
    (folder,) = {saved.parent.parent for saved in longer.runs_dir.rglob("records/knn-k1-*") if is_long(saved)}
    repeated = rerun(folder, longer.data_dir, longer.runs_dir.parent / "again")
    assert not repeated.differing
    assert repeated.same


def test_two_official_files_are_never_taken_for_two_seeds_of_one(
    request_for: MakeRequest, official_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pth"
    torch.save({"model": SkeletonEncoder(8, 25, dim=16, depth=2, heads=2).state_dict()}, other)
    settings = ("heads=2", "knn.k=[1]")
    records = [
        *runner.run(request_for("mamp", init=official_file, overrides=settings)),
        *runner.run(request_for("mamp", init=other, overrides=settings, seeds=(1,))),
    ]
    (table,) = Leaderboard.of(records).tables
    rows = table.measured
    assert len(rows) == 2
    assert all("from unknown data" in row.label for row in rows)


def test_evaluate_takes_an_official_file(
    request_for: MakeRequest, official_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_for("mamp")
    places = ["--protocol", "xsub", "--data-dir", str(request.data_dir), "--runs-dir", str(request.runs_dir)]
    settings = ["--eval", "knn", "--set", "heads=2", "--set", "frames=12", "--trained-on", "synthetic:xsub"]
    cli.app(["evaluate", str(official_file), *places, *settings, "--device", "cpu"], standalone_mode=False)
    out = capsys.readouterr().out
    assert f"{official_file}: temporal table interpolated from 8 frames to 12\n" in out
    assert "from synthetic xsub" in " ".join(out.split())
