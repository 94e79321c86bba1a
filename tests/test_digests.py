"""Every part of a digest counts: change one field of what is digested, and the digest changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stars_bench.api import Clip
from stars_bench.evaluation import subject as subject_module
from stars_bench.evaluation.feature_cache import FeatureFiles
from stars_bench.evaluation.subject import Subject
from stars_bench.experiments.plan import run_key
from stars_bench.io.source import closure
from stars_bench.models.raw import Coordinates
from stars_bench.storage.shards import content_digest
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import small_encoder, subject_for

CLIP = Clip("S001C001P001R001A001", 0, 1, 1, 1, 1, np.ones((1, 4, 3, 3), np.float32), "source")
OF_A_CLIP: Mapping[str, Any] = {
    "name": "S001C001P001R001A002",
    "label": 1,
    "subject": 2,
    "camera": 2,
    "setup": 2,
    "replication": 2,
    "bodies": 2 * CLIP.bodies,
    "picture": (1080, 1920),
}
NOT_CONTENT: Mapping[str, Any] = {"source_digest": "other", "log": {"rule": 1}}
"""Where a clip comes from and what was done to it; its content is the same."""


def test_every_field_of_a_clip_has_a_case() -> None:
    assert {field.name for field in fields(Clip)} == {*OF_A_CLIP, *NOT_CONTENT}


@pytest.mark.parametrize("field", OF_A_CLIP)
def test_the_content_digest_of_a_clip_has_this_field(field: str) -> None:
    assert content_digest(replace(CLIP, **{field: OF_A_CLIP[field]})) != content_digest(CLIP)


@pytest.mark.parametrize("field", NOT_CONTENT)
def test_the_content_digest_of_a_clip_does_not_have_this_field(field: str) -> None:
    assert content_digest(replace(CLIP, **{field: NOT_CONTENT[field]})) == content_digest(CLIP)


def test_the_content_digest_of_a_clip_has_the_shape_of_its_coordinates() -> None:
    assert content_digest(replace(CLIP, bodies=CLIP.bodies.reshape(2, 2, 3, 3))) != content_digest(CLIP)


class Keys:
    """Stands for the files of features: it remembers their key and has none."""

    def __init__(self, *arguments: Any) -> None:
        seen.append(arguments[1])

    def find(self, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.empty((len(names), 0), np.float32), np.zeros(len(names), bool)

    def add(self, *_: object) -> None:
        pass


seen: list[str] = []


def key_of(subject: Subject[Any], monkeypatch: pytest.MonkeyPatch, keep: float = 0.95) -> str:
    monkeypatch.setattr(subject_module, "FeatureFiles", Keys)
    seen.clear()
    subject.features("test", keep)
    monkeypatch.setattr(subject_module, "FeatureFiles", FeatureFiles)
    return seen[0].partition("-")[2]


@pytest.mark.parametrize("change", ["encoder", "code", "packages", "data", "keep", "precision", "device"])
def test_the_key_of_features_has_all_that_they_depend_on(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, _ = subject_for(small_encoder(), None, tmp_path, 8, 4)
    before, keep = key_of(subject, monkeypatch), 0.95
    assert key_of(replace(subject, cache={}), monkeypatch) == before
    if change == "encoder":
        subject = replace(subject, key="another")
    elif change == "code":
        subject = replace(subject, encoder=Coordinates(8, 6))
    elif change == "packages":
        monkeypatch.setattr(closure, "distribution", lambda name: (name, "0.0.1"))
    elif change == "data":
        subject = replace(subject, data={"stream": "bone"})
    elif change == "keep":
        keep = 0.9
    elif change == "precision":
        subject.run.precision = "bf16"
    else:
        monkeypatch.setattr(subject.run, "device", torch.device("cuda"))
        monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_, **__: tensor)
    assert key_of(replace(subject, cache={}), monkeypatch, keep) != before


OF_A_RUN: Mapping[str, Any] = {
    "method": "mine:Mine",
    "config": {"lr": 1},
    "data": "b",
    "profile": "raw",
    "protocol": "xview",
    "validation": "subjects",
    "precision": "bf16",
    "stream": "bone",
    "deterministic": True,
    "compiled": True,
    "select": "validation",
    "protocol_config": {"shots": 1},
    "init": "b",
    "recipe": "own",
    "clip_input": "crossclr",
}


def test_every_argument_of_a_runs_key_counts() -> None:
    parameters = signature(run_key).parameters
    assert set(OF_A_RUN) == set(parameters)
    usual = {"method": "m", "data": "a", "profile": "mamp", "protocol": "xsub", "precision": "float32"}
    usual |= {"config": {}, "stream": "joint", "select": "last", "deterministic": False, "compiled": False}
    usual |= {"validation": None, "protocol_config": None, "init": None, "recipe": None, "clip_input": "resized"}
    keys = [run_key(**usual), *(run_key(**usual | {name: value}) for name, value in OF_A_RUN.items())]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "change", [{"context": {"data": "b"}}, {"seed": 1}, {"precision": "bf16"}, {"device": torch.device("cuda")}]
)
def test_the_key_of_a_run_has_data_seed_precision_and_device(change: dict[str, Any], tmp_path: Path) -> None:
    given: dict[str, Any] = {"seed": 0, "device": torch.device("cpu"), "folder": tmp_path, "context": {"data": "a"}}
    assert StageRun(None, **(given | change)).key != StageRun(None, **given).key
