"""Refusals that no other test provokes: each message against what causes it. `scripts/refusals.py` lists those left."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from typer.testing import CliRunner

from stars_bench import cli, registry
from stars_bench.api import Citation, Skeleton, Source
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.data.torch_dataset import _usual
from stars_bench.datasets import pku_mmd
from stars_bench.datasets.cleaning import mamp as cleaning
from stars_bench.datasets.custom import labels, readers
from stars_bench.datasets.custom.model import Coordinates, JointLayout, SplitRule
from stars_bench.datasets.custom.readers.axes import with_scores
from stars_bench.datasets.parsing.ntu import RawBody, RawClip
from stars_bench.datasets.parsing.pku import parse_split
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.official import checkpoints
from stars_bench.experiments.plan import _protocol_config, build_config, choose_device
from stars_bench.experiments.public.given_encoder import _copied
from stars_bench.experiments.request import Request
from stars_bench.formats import import_file
from stars_bench.inspection import finding
from stars_bench.io.untrusted import npy, unpickle
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import Mamp, MampConfig, first_stage
from stars_bench.protocols.official import stated
from stars_bench.protocols.splits import _check_videos
from stars_bench.records.metrics import confusion_matrix, of_clusters
from stars_bench.records.outcome import Outcome
from stars_bench.records.published import numbers
from stars_bench.records.record import Metric, Record, parse
from stars_bench.storage import shard_file
from stars_bench.storage.shards import open_dataset
from stars_bench.training import exported_encoder
from stars_bench.training.stages import StageRun
from stars_bench.viewer import clips, output, pictures, raw
from stars_bench.viewer.scene import Scene, Take
from tests.datasets.custom import custom_files
from tests.formats.test_pictures import annotation, ntu
from tests.sample_records import _content

AN_ARRAY = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00")


def command(*words: str) -> None:
    """Run a command; the error that it prints is raised."""
    done = CliRunner().invoke(cli.app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output


def rows(content: bytes) -> None:
    npy.Rows(io.BytesIO(content))


def fortran() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(np.zeros((2, 3))))
    return stream.getvalue()


def of_file(write: Callable[[Path], object], read: Callable[[Path], object], name: str = "x") -> Callable[[Path], None]:
    def call(folder: Path) -> None:
        write(folder / name)
        read(folder / name)

    return call


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def pickled(content: Any) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(pickle.dumps(content))


def imported(dataset: str) -> Callable[[Path], object]:
    return lambda path: import_file(path, dataset, path.parent / "data")


def one_clip(skeleton: Skeleton | None) -> ClipPart:
    joints = np.zeros((1, 25, 3), np.float32)
    store = ClipStore(joints, np.array([0]), np.array([1]), np.array([1]), "zero", skeleton=skeleton)
    return ClipPart(store, np.arange(1))


class Stubborn(nn.Module):
    """A module that cannot be copied."""

    def __deepcopy__(self, memo: object) -> None:
        raise RuntimeError("I am one of a kind")


def another_size(folder: Path) -> None:
    run = StageRun(MampConfig(frames=16, dim=16, depth=1, heads=2), 0, torch.device("cpu"), folder, {})
    part = ClipPart(
        ClipStore(np.zeros((1, 25, 3), np.float32), *np.array([[0], [1], [1]]), "zero", skeleton=KINECT_V2),
        np.arange(1),
    )
    run.start = SkeletonEncoder(16, 25, 8, 1, 2)
    first_stage(Mamp(), part, run)


def long_scene(frames: int = 1000) -> Scene:
    bodies = np.random.default_rng(0).normal(size=(1, frames, 25, 3)).astype(np.float32)
    return Scene("long", ("1 walk", ""), KINECT_V2, (Take("as recorded", bodies),))


def video(path: Path) -> None:
    path.write_text("\n".join([" ".join(["0.5"] * 150)] * 3))


def doubled_sets(folder: Path) -> None:
    (folder / "cross-subject.txt").write_text("Training videos:\n0002-L, 0003-L\nValidation videos:\n0003-L\n")
    pku_mmd.PKU1.find([folder])


def unfinished(folder: Path) -> None:
    (folder / "data/ntu60/mamp").mkdir(parents=True)
    (folder / "data/ntu60/mamp/shard-00000.h5").touch()
    open_dataset(folder / "data", "ntu60")


def beyond_float32(_: Path) -> None:
    joints = np.full((12, 25, 3), 3e38, np.float32)
    joints[:, 1] = -3e38
    cleaning.clean(RawClip([RawBody(1, np.arange(12), joints)], 12, 0))


def request(folder: Path) -> Request:
    return Request(method="raw", protocol="xsub", data_dir=folder, runs_dir=folder, overrides=("protocol.seed=1",))


def without_table(folder: Path) -> pretrained.Pretrained:
    facts = dict.fromkeys(("seed", "dataset", "protocol", "stream", "train", "classes"))
    of_run = {"target": "x:Y", "config": {"frames": 32}, "preset": "quick", "run": "", "key": "", "state": {}}
    return pretrained.Pretrained(path=folder / "encoder.pt", **of_run, **facts)


def twice(_: Path) -> None:
    top1 = {"name": "top1", "value": 80.0, "unit": "%", "n": 10}
    Record.model_validate(_content(metrics=[top1, top1]))


def strange_shard(name: bytes) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        with h5py.File(folder / "shard.h5", "w") as file:
            file["name"] = np.array([name])
        with h5py.File(folder / "shard.h5") as file:
            shard_file._check(file, "name")

    return read


def csv(**more: Any) -> Callable[[Path], None]:
    return lambda _: Coordinates(**{"format": "csv"} | more)


def of_format(**more: Any) -> Callable[[Path], None]:
    return lambda _: Coordinates(**more)


KEYED = Coordinates(format="json", key="frames[].joints", order="TVC")

REFUSALS: dict[str, tuple[type[Exception], str, Callable[[Path], object]]] = {
    # what a user types
    "list of another kind": (UsageError, "--tag: for list runs", lambda _: command("list", "methods", "--tag", "x")),
    "note of no run": (
        UsageError,
        "none: is no run: give runs/DATASET/PROTOCOL/METHOD/KEY",
        lambda _: command("note", "none", "slow"),
    ),
    "skeletons of a table": (
        UsageError,
        r"--skeletons: only a page \(--format html\) has skeletons",
        lambda _: command("report", "--format", "csv", "--skeletons"),
    ),
    "no method": (UsageError, "METHOD is missing: name one", lambda _: command("run")),
    "verify with words for data": (
        UsageError,
        "--profile, --raw and --names are for prepared datasets",
        lambda folder: command("verify", str(folder), "--profile", "mamp"),
    ),
    "a class of one clip": (
        UsageError,
        "--class selects among --random clips: add their number",
        lambda _: clips.scenes("ntu60", clips.Wanted(action="walk"), Path("data")),
    ),
    "a clip of one file": (
        UsageError,
        "is one raw file: name no clip in it",
        of_file(text("1"), lambda path: clips.scenes(str(path), clips.Wanted(clip="x"), Path("data")), "x.skeleton"),
    ),
    "an export of whom": (
        UsageError,
        "whose clips are these. Say --dataset, as in --dataset ntu60",
        of_file(pickled(ntu()), lambda path: clips.scenes(str(path), clips.Wanted(), Path("data")), "x.pkl"),
    ),
    "a picture of no format": (
        UsageError,
        r"--out x\.jpg: name its --format, or let it end in \.html, \.gif, \.png",
        lambda _: output.target(Path("x.jpg"), None, "x", "html"),
    ),
    "a long GIF": (
        UsageError,
        "a GIF of 1,000 frames: choose some with --frames 0:900, or use HTML",
        lambda folder: pictures.animation([long_scene()], folder / "x.gif"),
    ),
    "a cleaned video": (
        UsageError,
        "a video is cut into clips before it is cleaned; leave out --profile",
        of_file(video, lambda path: raw.raw_scene(Source(path), "raw"), "0002-L.txt"),
    ),
    "a strange device": (UsageError, "--device mps: only cpu and cuda are supported", lambda _: choose_device("mps")),
    "a setting that is near": (
        UsageError,
        r"--set knn\.kk=3: did you mean .k.\? knn knows k",
        lambda _: build_config(
            registry.load("evaluations", "knn").Config, "paper", "ntu60", ["kk=3"], "knn", prefix="knn."
        ),
    ),
    "an unfinished dataset": (UsageError, "is unfinished: run .* again, it continues", unfinished),
    # what a program hands over
    "a paper without a title": (ValueError, "the citation x needs a title", lambda _: Citation("x", " ")),
    "clips without a layout": (
        StarsBenchError,
        "these clips have no joint layout: give ClipStore its",
        lambda _: one_clip(None).skeleton,
    ),
    "crops of no length": (
        UsageError,
        "augment=True crops and resizes: it needs frames=N",
        lambda _: _usual(None, 0.95, True, 0.3, "joint"),
    ),
    "an encoder that cannot be copied": (
        UsageError,
        r"encoder Stubborn: cannot be copied \(.*I am one of a kind\)",
        lambda _: _copied(Stubborn(), "Stubborn"),
    ),
    "an encoder of another size": (
        UsageError,
        "mamp: the encoder to start from is of another size than asked for; say --set frames=16 --set dim=8",
        another_size,
    ),
    "a matrix of scores": (
        StarsBenchError,
        "a confusion matrix is of predicted classes; this outcome is of kind 'clusters'",
        lambda _: confusion_matrix(Outcome({}, np.zeros(2, np.int64), "clusters"), np.zeros(2, np.int64), 2),
    ),
    "problems of doctor": (
        StarsBenchError,
        "2 problems found: see the lines marked above",
        lambda _: finding.check([finding.Finding("a", "problem", "b")] * 2),
    ),
    "clusters without neighbours": (
        StarsBenchError,
        "clusters: the outcome lacks extra neighbours, sampled_features, sampled_rows",
        lambda _: of_clusters(Outcome({}, np.zeros(2, np.int64), "clusters"), np.zeros(2, np.int64), {}),
    ),
    "settings of a protocol without any": (
        UsageError,
        "--set protocol.seed=1: xsub has no settings",
        lambda folder: _protocol_config(request(folder), registry.load("protocols", "xsub")),
    ),
    "frames of an encoder without a table of them": (
        UsageError,
        "has no temporal table, so its frames cannot be set",
        lambda folder: pretrained.fitted(without_table(folder), {"frames": 64}),
    ),
    # splits
    "a split that is not stated": (
        StarsBenchError,
        "the dataset states no split 'split3'",
        lambda _: stated(pd.DataFrame({"name": ["a"], "item": ["a"]}), "split3"),
    ),
    "too few videos": (
        StarsBenchError,
        r"pku1 xsub: \(1, 0\) videos, published are \(944, 132\)",
        lambda _: _check_videos("xsub", "pku1", pd.DataFrame({"item": ["0002-L"], "official_xsub": ["train"]})),
    ),
    "a video in both parts": (StarsBenchError, "0003-L is a training and a validation video", doubled_sets),
    "a video before its heading": (
        Exception,
        "a video before the heading 'Training videos:'",
        lambda _: parse_split(b"0002-L, 0003-L\nTraining videos:\n"),
    ),
    # descriptions
    "an order without joints": (ValidationError, "must be the letters V and C, T, and M", csv(order="TXC")),
    "lines of json": (ValidationError, "skip_lines is for csv", of_format(format="json", key="x", skip_lines=1)),
    "a key of csv": (ValidationError, "key and score_key are for json, npz and mat", csv(key="x")),
    "an order of named columns": (
        ValidationError,
        "with columns, skip_columns and order say nothing",
        csv(columns="{joint}_{axis}", skip_columns=1),
    ),
    "scores twice": (
        ValidationError,
        "score_key: scores are apart, or among the axes",
        of_format(format="json", key="x", axes=["x", "y", "score"], score_key="s"),
    ),
    "a least score of none": (ValidationError, "min_score and people = 'score' need scores", csv(min_score=0.1)),
    "joints that NTU needs": (
        ValidationError,
        "ntu: 'spine base' is missing; all 25 joints need one of yours",
        lambda _: JointLayout(joints=("a", "b"), parents=("a", "a"), centre="a", ntu={"head": "b"}),
    ),
    "a split of two kinds": (
        ValidationError,
        "is by numbers .* or by files .*, not both",
        lambda _: SplitRule(train=(1,), test_file="x.txt"),
    ),
    "an action that is a number of parts": (
        ValueError,
        "label is no text and no whole number",
        lambda _: readers.read_action(b'{"label": 0.5}', KEYED, "label"),
    ),
    "scores of others": (
        ValueError,
        r"scores of shape \(1, 2, 3\) for joints of shape \(1, 2, 4\)",
        lambda _: with_scores(np.zeros((1, 2, 4, 3)), np.zeros((1, 2, 3, 1))),
    ),
    "an object for a list": (
        ValueError,
        "'frames' is no list",
        lambda _: readers.read(b'{"frames": {"joints": []}}', KEYED, ("a", "b")),
    ),
    "a row without a file": (
        UsageError,
        "a row names no file",
        of_file(text("file,action\n,1\n"), lambda path: labels.read([path], {}), "t.csv"),
    ),
    "actions of parts that files say": (
        UsageError,
        "splits: actions are not known before files are read",
        of_file(
            text(
                custom_files.HEAD
                + custom_files.JSON.replace("(?P<action>[a-z ]+)/", "").replace(
                    "[coordinates]", 'action_key = "label"\n[coordinates]'
                )
                + custom_files.SPLIT
                + 'actions = ["wave"]\n'
            ),
            lambda path: registry.load("datasets", str(path)),
            "gym.toml",
        ),
    ),
    # files of other programs
    "coordinates beyond float32": (cleaning.NothingLeft, "coordinates so large that their", beyond_float32),
    "an array in Fortran's order": (ValueError, "an array in Fortran's order", lambda _: rows(fortran())),
    "a header that claims gigabytes": (
        ValueError,
        r"a damaged header of \.npy",
        lambda _: rows(AN_ARRAY[1] + b"\xff\xff\xff\x7f"),
    ),
    "a header that is no header": (
        ValueError,
        r"a damaged header of \.npy",
        lambda _: rows(AN_ARRAY[0] + b"\x05\x00{'a':"),
    ),
    "a pickle of nothing": (
        StarsBenchError,
        r'expected a dictionary with "split" and "annotations", found a dictionary of a',
        of_file(pickled({"a": 1}), imported("ntu60"), "x.pkl"),
    ),
    "a name twice": (
        StarsBenchError,
        "S001C001P001R001A001 is there twice",
        of_file(
            pickled({"split": {}, "annotations": [annotation("S001C001P001R001A001", 0)] * 2}),
            imported("ntu60-2d"),
            "x.pkl",
        ),
    ),
    "a pose of nobody": (
        StarsBenchError,
        "all 1 clips were set aside; the first: .* no body, or no frame",
        of_file(
            pickled(
                {
                    "split": {},
                    "annotations": [
                        annotation("S001C001P001R001A001", 0)
                        | {"keypoint": np.zeros((0, 5, 17, 2)), "keypoint_score": np.zeros((0, 5, 17))}
                    ],
                }
            ),
            imported("ntu60-2d"),
            "x.pkl",
        ),
    ),
    "a checkpoint of a list": (
        StarsBenchError,
        "holds no checkpoint but a list",
        of_file(lambda path: torch.save([1], path), checkpoints.load, "x.pth"),
    ),
    "an array of no object": (
        StarsBenchError,
        "refused, nothing was run: it holds no single object",
        lambda _: unpickle.loads_object(pickle.dumps({"a": 1})),
    ),
    # records
    "a metric twice": (ValidationError, "a metric appears twice: top1, top1", twice),
    "a published number of nobody": (
        StarsBenchError,
        "published.csv line 2: method: ",
        lambda _: numbers.checked_rows(pd.DataFrame([{"method": ""}])),
    ),
    "texts of a shard that are books": (
        ValueError,
        "refused: name has texts of 70,000 bytes",
        strange_shard(b"x" * 70_000),
    ),
    "a value outside of its interval": (
        ValidationError,
        r"top1 50\.0 lies outside its interval \(60\.0, 70\.0\)",
        lambda _: Metric(name="top1", value=50.0, unit="%", n=9, interval=(60.0, 70.0)),
    ),
    "a record of brackets": (
        StarsBenchError,
        "r: not JSON that a record may have",
        lambda _: parse("[" * 100_000, "r"),
    ),
    "a config of brackets": (
        StarsBenchError,
        r"config\.json: not JSON that an encoder's config may be",
        of_file(text("[" * 100_000), exported_encoder._read_config, "config.json"),
    ),
    "weights alone": (
        StarsBenchError,
        "config.json: is missing: it belongs to the weights beside it",
        lambda folder: exported_encoder._read_config(folder / "config.json"),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_it_is_refused_for_its_true_reason(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind, told, provoke = REFUSALS[what]
    with pytest.raises(kind, match=told) as caught:
        provoke(tmp_path)
    if isinstance(caught.value, StarsBenchError):
        assert "\n" not in str(caught.value)
