"""A run and an encoder of one's own in a Jupyter kernel: progress, tables, and cells as the source of results."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NET = """
from torch import nn
class Net(nn.Module):
    frames = 8
    def forward(self, x):
        return {expression}
"""
CELLS = [
    "import stars_bench\nwhere = dict(protocol='xsub', evaluations='knn', device='cpu', data_dir={data!r})",
    "stars_bench.run('untrained', preset='quick', settings=dict(frames=8, dim=16, depth=1, heads=2), **where)",
    NET.format(expression="x.mean(2).flatten(1)"),
    "first = stars_bench.evaluate(Net(), name='mine', **where)\nfirst",
    "# another cell\n" + NET.format(expression="x.mean(2).flatten(1)"),
    "again = stars_bench.evaluate(Net(), name='mine', **where)\nprint(again[0].path == first[0].path)",
    NET.format(expression="-2 * x.std(2).flatten(1)"),
    "other = stars_bench.evaluate(Net(), name='mine', progress=False, **where)\nprint(other[0].path != first[0].path)",
    "from stars_bench.models.untrained import Untrained\nclass Mine(Untrained):\n    name = 'my-method'\n"
    "    def fit(self, clips, run):\n        return super().fit(clips, run)",
    "stars_bench.run(Mine, preset='quick', settings=dict(frames=8, dim=16, depth=1, heads=2), **where)",
    "try:\n    stars_bench.evaluate(Net(), name='mine', **where | {{'protocol': 'xsubb'}})\n"
    "except stars_bench.UsageError as error:\n    print(error)",
]


@pytest.fixture(scope="module")
def outputs(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each cell has shown: its plain text, then its HTML."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [nbformat.v4.new_code_cell(text.format(data=str(small_data)) if "{" in text else text) for text in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return ["\n".join(_shown(output) for output in cell.outputs) for cell in notebook.cells]


def _shown(output: nbformat.NotebookNode) -> str:
    assert output.output_type != "stream" or output.name == "stdout", output.text
    data = output.get("data", {})
    return "\n".join([output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")])


@pytest.mark.slow
def test_a_run_shows_its_progress_in_plain_lines_and_its_results_as_a_table(outputs: list[str]) -> None:
    assert "train features: 36 samples in 0:00:0" in outputs[1]
    assert "<td>k-NN k=1</td>" in outputs[1]
    assert "changed quick preset; synthetic data</td>" in outputs[1]


@pytest.mark.slow
def test_an_encoder_that_was_typed_into_a_cell_is_keyed_by_its_source(outputs: list[str]) -> None:
    assert "<td>mine</td>" in outputs[3]
    assert outputs[5].strip().endswith("True")
    assert outputs[7].strip() == "True"


@pytest.mark.slow
def test_a_method_that_was_typed_into_a_cell_runs(outputs: list[str]) -> None:
    assert "<td>my-method</td>" in outputs[9]


@pytest.mark.slow
def test_a_fault_is_one_line(outputs: list[str]) -> None:
    assert outputs[10].strip().startswith("no protocol is called 'xsubb': did you mean 'xsub'?")
