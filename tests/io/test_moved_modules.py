"""Imports, records and checkpoints that name modules as they were called before 0.1.0 are understood."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest

from stars_bench.io.moved_modules import MOVED, PACKAGE, current
from stars_bench.records.record import parse
from stars_bench.registry import load
from tests.paths import HISTORIC


@pytest.mark.parametrize("old", MOVED)
def test_an_old_module_is_the_new_one_and_says_so(old: str) -> None:
    name, new = f"{PACKAGE}.{old}", f"{PACKAGE}.{MOVED[old]}"
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=f"{name} is now {new}"):
        module = importlib.import_module(name)
    assert module is importlib.import_module(new)
    assert module.__name__ == new


OLD_IMPORTS = (
    "from stars_bench.training.loop import Stage",
    "from stars_bench.training.step import SplitStep",
    "from stars_bench.evaluation.features import Outcome, Subject",
    "from stars_bench.batches import ClipPart, ClipStore",
    "from stars_bench.models.encoder import SkeletonEncoder",
    "from stars_bench.datasets.shards import open_dataset",
    "from stars_bench.datasets.sources import walk",
    "from stars_bench.datasets.text_numbers import read_number",
    "from stars_bench.datasets.kinect import JOINTS",
    "from stars_bench.datasets.ntu_raw import parse",
    "from stars_bench.datasets.synthetic import clip_names, make_clip, to_text, write_raw",
    "from stars_bench.models.stars_3stage import Stars3Stage",
)
EACH_IN_ITS_OWN_PROCESS = """
import os, sys, h5py, pandas, torch
for line in sys.argv[1:]:
    if not (child := os.fork()):
        exec(line)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(line)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_users_imported_before_is_still_there() -> None:
    command = [sys.executable, "-W", "ignore", "-c", EACH_IN_ITS_OWN_PROCESS, *OLD_IMPORTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_never_was_stays_unknown() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("stars_bench.batch")
    assert current("somebody.batches:Clip") == "somebody.batches:Clip"
    assert current("batches:Clip") == "batches:Clip"


def test_an_old_target_loads_without_a_warning() -> None:
    assert load("methods", "stars_bench.models.mae:Mae") is load("methods", "mae")


def test_a_record_names_its_method_as_it_is_called_today() -> None:
    content = json.loads((HISTORIC / "record-v5.json").read_text(encoding="utf-8"))
    content["method"]["target"] = "stars_bench.models.mae:Mae"
    assert parse(json.dumps(content), "record").method.target == "stars_bench.models.ablations.mae:Mae"


def test_the_synthetic_dataset_is_found_where_it_was() -> None:
    assert current("stars_bench.datasets.ntu:SYNTHETIC") == "stars_bench.datasets.synthetic:SYNTHETIC"
    assert load("datasets", "stars_bench.datasets.ntu:SYNTHETIC") is load("datasets", "synthetic")


def test_a_function_that_moved_says_where_it_is() -> None:
    synthetic = importlib.import_module("stars_bench.datasets.synthetic")
    with pytest.warns(DeprecationWarning, match="clip_names is now in stars_bench.datasets.synthetic.stage"):
        assert synthetic.clip_names is importlib.import_module("stars_bench.datasets.synthetic.stage").clip_names
    with pytest.raises(AttributeError, match="no attribute 'clip_titles'"):
        synthetic.clip_titles  # noqa: B018
