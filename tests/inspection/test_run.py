"""What `inspect` says of a run: stages and what they depend on, curves, numbers; finished or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stars_bench import cli
from stars_bench.display.blocks import Block, Curves, Facts, Notes, Table
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.inspection.run import inspect_run
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import write_record

CONFIG = '[run]\nmethod = "stars"\nprotocol = "xsub"\n\n[method]\ndim = 64\n'


def stage(name: str, key: str, seconds: float = 2.0, reused: bool = False) -> dict[str, object]:
    return {
        "name": name,
        "key": key * 64,
        "seconds": seconds,
        "samples": 100,
        "peak_bytes": 3_000_000,
        "checkpoint_digest": "c",
        "reused": reused,
    }


@pytest.fixture
def run(make_record: Callable[..., Record], tmp_path: Path) -> Path:
    """A run of two seeds; the second took the first stage over."""
    for seed in (0, 1):
        folder = RunFolder.of(tmp_path, "ntu60", "xsub", "stars", "key", seed)
        stages = [stage("stage1", "a", reused=seed == 1), stage("stage2", "bc"[seed])]
        for k, top1 in ((1, 40.0), (10, 50.0)):
            settings = {"evaluation__settings": {"k": k}, "seed": seed, "stages": stages}
            write_record(folder, make_record(top1 + seed, **settings))
        folder.config.write_text(CONFIG)
        lines = [{"stage": "stage1", "epoch": n, "loss": 4.0 - n, "key": "a" * 16} for n in (1, 2)]
        lines += [{"stage": "old", "epoch": 1, "loss": 9.0, "key": "z" * 16}]
        folder.log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder.run


def block(path: Path, kind: type[Block], title: str = "") -> Block:
    return next(one for one in inspect_run(path).blocks if isinstance(one, kind) and getattr(one, "title", "") == title)


def test_stages_say_what_they_cost_and_which_stage_they_start_from(run: Path) -> None:
    table = block(run, Table, "Stages")
    assert isinstance(table, Table)
    assert table.rows == (
        ("0", "stage1", "2.0", "50", "3", "a" * 16, "", ""),
        ("0", "stage2", "2.0", "50", "3", "b" * 16, "stage1", ""),
        ("1", "stage1", "2.0", "50", "3", "a" * 16, "", "taken over"),
        ("1", "stage2", "2.0", "50", "3", "c" * 16, "stage1", ""),
    )
    facts = block(run, Facts)
    assert isinstance(facts, Facts)
    assert {"command", "data", "split", "settings", "environment"} <= facts.rows.keys()
    assert facts.rows["seeds"] == "0, 1"


def test_curves_are_those_of_the_stages_that_records_name(run: Path) -> None:
    curves = block(run, Curves, "Learning curves")
    assert isinstance(curves, Curves)
    told = [(curve.title, curve.stage, curve.quantity, curve.values) for curve in curves.curves]
    assert told == [("seed0", "stage1", "loss", (3.0, 2.0)), ("seed1", "stage1", "loss", (3.0, 2.0))]


def test_numbers_come_as_people_count_and_a_seed_can_be_looked_at_alone(run: Path) -> None:
    table = block(run, Table, "Records")
    assert isinstance(table, Table)
    assert [row[:4] for row in table.rows] == [
        ("k-NN k=1", "0", "top1", "40.00 %"),
        ("k-NN k=1", "1", "top1", "41.00 %"),
        ("k-NN k=10", "0", "top1", "50.00 %"),
        ("k-NN k=10", "1", "top1", "51.00 %"),
    ]
    alone = block(run / "seed1", Table, "Records")
    assert isinstance(alone, Table)
    assert {row[1] for row in alone.rows} == {"1"}


def test_a_run_without_records_is_told_as_far_as_it_is(run: Path) -> None:
    for file in run.rglob("records/*.json"):
        file.unlink()
    found = inspect_run(run)
    assert any(isinstance(one, Notes) and "no record" in one.lines[0] for one in found.blocks)
    curves = block(run, Curves, "Learning curves")
    assert isinstance(curves, Curves)
    assert {curve.stage for curve in curves.curves} == {"stage1", "old"}
    facts = block(run, Facts)
    assert isinstance(facts, Facts)
    assert facts.rows["settings"] == '{"dim": 64}'


def test_a_bad_record_is_a_warning_and_bad_settings_are_an_error(run: Path) -> None:
    next(run.rglob("records/*.json")).write_text("{")
    assert any(isinstance(one, Notes) and one.kind == "warning" for one in inspect_run(run).blocks)
    (run / "seed0" / "config.toml").write_text("=")
    with pytest.raises(StarsBenchError, match=r"config\.toml: cannot be read"):
        inspect_run(run)


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"neither a run .* nor a prepared dataset"):
        inspect_run(tmp_path)


def test_the_command_writes_a_page_and_keeps_files_of_others(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "run.html"
    cli.app(["inspect", str(run), "--html", str(page)], standalone_mode=False)
    assert "written:" in capsys.readouterr().out
    assert "taken over" in page.read_text(encoding="utf-8")
    cli.app(["inspect", str(run), "--html", str(page)], standalone_mode=False)
    page.write_text("a thesis")
    with pytest.raises(UsageError, match="--force"):
        cli.app(["inspect", str(run), "--html", str(page)], standalone_mode=False)
