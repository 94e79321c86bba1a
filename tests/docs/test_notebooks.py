"""examples/*.ipynb: each runs from top to bottom on synthetic data, and is kept in the repository as it ran, small."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nbformat
import pytest

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
LARGEST = 150_000
"""Bytes of a notebook with its outputs."""


def test_the_four_subjects_are_there() -> None:
    assert [file.stem for file in NOTEBOOKS] == [
        "explore_a_dataset", "reading_results", "your_encoder", "your_method",
    ]  # fmt: skip


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_is_small_and_has_run_in_order(file: Path) -> None:
    assert file.stat().st_size < LARGEST
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    for place in ("/home/", "/root/", "/tmp/", "/work/"):
        assert place not in json.dumps(notebook), f"{file.name} names a folder of the machine that it ran on"


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    for name in ("STARS_BENCH_DATA", "STARS_BENCH_RUNS"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(file, as_version=4)
    kept = [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"] == kept
