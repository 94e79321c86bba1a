"""`verify` of a record: every field is edited once, with and without its checksum computed again, and found."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.experiments import runner
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.inspection.run import inspect_run
from stars_bench.records import store
from stars_bench.records.record import content_digest
from tests.paths import ROOT

SIZE = ("frames=8", "dim=16", "depth=2", "heads=2")
STAGE = ("batch_size=16", "epochs=1", "warmup_epochs=0", "linear.epochs=1", "linear.batch_size=16")
NOT_DERIVABLE = {
    "code.version": "the code that ran may have been another",
    "code.commit": "the code that ran may have been another",
    "code.dirty": "changes that were not committed leave no trace",
    "code.modules": "the code that ran may have been another",
    "code.distributions": "the machine that ran it may have been another",
    "environment.python": "the machine that ran it may have been another",
    "environment.platform": "the machine that ran it may have been another",
    "environment.cpus": "the machine that ran it may have been another",
    "environment.packages": "the machine that ran it may have been another",
    "environment.device": "the machine that ran it may have been another",
    "environment.processes": "it counts the processes that evaluated; each stage has its own number",
    "environment.threads": "the machine that ran it may have been another",
    "command": "it is what the user typed",
    "started": "it is a time",
    "finished": "it is a time",
    "stages.reused": "whether a stage was there before leaves no trace",
    "init.path": "the run may have been moved since; then it is listed as not looked at",
}
"""What nothing else tells, with the reason; docs/trust.md has the same list."""


def _request(data: Path, runs: Path) -> Request:
    settings, options = (*SIZE, *STAGE), TrainingOptions("cpu")
    return Request(
        "mamp", "xview", data, runs, preset="quick", overrides=settings, evaluations=("linear",), training=options
    )


@pytest.fixture(scope="module")
def finished(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of a small run of mamp, and of its encoder evaluated under another protocol."""
    runs = tmp_path_factory.mktemp("fields") / "runs"
    request = _request(small_data, runs)
    runner.run(request)
    start = next(runs.glob("synthetic/xview/mamp/*"))
    runner.run(replace(request, protocol="xsub", init=start, overrides=("knn.k=[1]",), evaluations=("knn",)))
    return runs


def leaves(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all plain values, and of what is empty."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    if not inside or not content:
        yield path
    for key, value in inside:
        yield from leaves(value, (*path, key))


def other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value / 2 + 0.001
        case str():
            return f"{value}0"
        case None:
            return 3
        case _:
            return ["0"] if isinstance(value, list) else {"zero": 0}


def edited(content: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    content = json.loads(json.dumps(content))
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = other(place[path[-1]])
    return content


def named(path: tuple[str | int, ...]) -> str:
    """A leaf's name without numbers of lists: `stages.seconds`."""
    return ".".join(step for step in path if isinstance(step, str))


def listed(path: tuple[str | int, ...]) -> str:
    """The entry of NOT_DERIVABLE that a leaf belongs to; empty: it can be derived."""
    return next((name for name in NOT_DERIVABLE if f"{named(path)}.".startswith(f"{name}.")), "")


@pytest.mark.parametrize(
    ("of", "below"),
    [
        ("xview/mamp/*/seed0/records/linear-*.json", ""),
        ("xsub/mamp/*/seed0/records/knn-*.json", "init"),
        pytest.param("xsub/mamp/*/seed0/records/knn-*.json", "", marks=pytest.mark.slow),
    ],
)
def test_every_field_that_is_edited_is_found_in_one_line_each(
    finished: Path, small_data: Path, of: str, below: str
) -> None:
    (path,) = finished.glob(f"synthetic/{of}")
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    assert audit(path, small_data).faults == []
    not_seen, not_found = [], []
    looked_at = [leaf for leaf in leaves(content) if named(leaf).startswith(below)]
    for leaf in {(named(leaf), leaf[-1] == 0): leaf for leaf in looked_at}.values():
        change = edited(content, leaf)
        path.write_text(json.dumps(change), encoding="utf-8")
        read = store.read_records(path.parent.parent)
        not_seen += [] if read.edited or read.warnings else [named(leaf)]
        path.write_text(json.dumps(change | {"self_digest": content_digest(change)}), encoding="utf-8")
        faults = audit(path, small_data).faults
        assert all("\n" not in fault for fault in faults)
        not_found += [] if faults else [leaf]
    path.write_text(text, encoding="utf-8")
    assert not_seen == []
    # The checksum alone may be edited and computed again: then it is what it was.
    itself = {"self_digest"} if not below else set()
    assert {listed(leaf) or named(leaf) for leaf in not_found} == itself | set(filter(None, map(listed, looked_at)))


def test_what_a_record_says_of_a_chosen_epoch_is_derived_again(finished: Path, small_data: Path) -> None:
    start = next(finished.glob("synthetic/xview/mamp/*"))
    request = replace(_request(small_data, finished.with_name("selected")), select="validation", init=start)
    runner.run(replace(request, overrides=("linear.epochs=2", "linear.batch_size=8")))
    (path,) = request.runs_dir.glob("synthetic/xview/mamp/*/seed0/records/linear-*.json")
    text = path.read_text(encoding="utf-8")
    assert audit(path, small_data).faults == []
    parts = ("selection.", "evaluation.checkpoint_rule", "stages.epoch")
    for leaf in [leaf for leaf in leaves(json.loads(text)) if named(leaf).startswith(parts)]:
        change = edited(json.loads(text), leaf)
        path.write_text(json.dumps(change | {"self_digest": content_digest(change)}), encoding="utf-8")
        assert audit(path, small_data).faults != [], leaf
    path.write_text(json.dumps(json.loads(text) | {"selection": None}), encoding="utf-8")
    assert any("selection" in fault for fault in audit(path, small_data).faults)


def test_a_fifo_in_place_of_the_settings_is_told_and_not_waited_for(
    finished: Path, small_data: Path, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(finished, tmp_path / "runs"))
    (config,) = runs.glob("synthetic/xview/mamp/*/seed0/config.toml")
    config.unlink()
    os.mkfifo(config)
    line = f"{config}: is no regular file; remove or rename it"
    assert [fault for fault in audit(config.parent, small_data).faults if line in fault]
    with pytest.raises(StarsBenchError, match=re.escape(line)):
        inspect_run(config.parent)


def test_the_same_run_again_replaces_an_edited_record(finished: Path, small_data: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(finished, tmp_path / "runs"))
    (path,) = runs.glob("synthetic/xview/mamp/*/seed0/records/linear-*.json")
    true = store.read_record(path)
    for name, seal in (("command", False), ("method", True)):
        content = json.loads(path.read_text(encoding="utf-8"))
        content |= {"command": "edited"} if name == "command" else {"method": content["method"] | {"preset": "paper"}}
        content |= {"self_digest": content_digest(content)} if seal else {}
        path.write_text(json.dumps(content), encoding="utf-8")
        runner.run(_request(small_data, runs))
        assert getattr(store.read_record(path), name) == getattr(true, name)
        assert audit(path, small_data).faults == []


def test_the_page_on_trust_lists_the_same_fields() -> None:
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## What `verify` cannot derive")
    rows = [line.split("`")[1] for line in section.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == list(NOT_DERIVABLE)


def test_a_seed_that_was_copied_is_no_second_seed(finished: Path, small_data: Path, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(finished, tmp_path / "runs"))
    (first,) = runs.glob("synthetic/xview/mamp/*/seed0")
    copy = Path(shutil.copytree(first, first.with_name("seed1")))
    said = audit(copy, small_data).faults
    assert "seed is 0, its folder says 1" in "\n".join(said)
    for path in copy.glob("records/*.json"):
        content = json.loads(path.read_text(encoding="utf-8")) | {"seed": 1}
        path.write_text(json.dumps(content | {"self_digest": content_digest(content)}), encoding="utf-8")
    (said,) = audit(copy, small_data).faults
    assert said.endswith("seed is 1, encoder.pt says 0")
