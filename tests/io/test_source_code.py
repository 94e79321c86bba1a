"""The source that a class or function depends on: import closures of files, definitions in cells, and refusals."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import UsageError
from stars_bench.io.source_code import source_closure

Cell = Callable[[str], dict[str, Any]]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules on the path; what was imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A function that runs a cell of a notebook, in one namespace for all cells."""
    notebook = types.ModuleType("notebook_of_a_test")
    monkeypatch.setitem(sys.modules, notebook.__name__, notebook)

    def run(text: str) -> dict[str, Any]:
        name = f"<cell {len(linecache.cache)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), vars(notebook))
        return vars(notebook)

    return run


def test_a_module_counts_with_all_that_it_imports_of_the_users(modules: Path) -> None:
    (modules / "lab").mkdir()
    (modules / "lab" / "__init__.py").write_text("")
    (modules / "lab" / "layers.py").write_text("import math\nWIDTH = 3\n")
    (modules / "lab" / "later.py").write_text("from . import layers\n")
    (modules / "lab" / "net.py").write_text(
        "import numpy\nfrom stars_bench import api\nclass Net:\n"
        "    def f(self):\n        from lab.later import layers\n"
    )
    from lab.net import Net  # type: ignore[import-not-found]

    before = source_closure([Net])
    assert list(before) == ["lab", "lab.later", "lab.layers", "lab.net"]
    (modules / "lab" / "layers.py").write_text("WIDTH = 4\n")
    after = source_closure([Net])
    assert {name for name in before if before[name] != after[name]} == {"lab.layers"}


def test_a_definition_in_a_cell_counts_alone_with_what_it_names(cell: Cell) -> None:
    cell("SCALE = 2\ndef helper(x):\n    return SCALE * x\nclass Base:\n    def g(self): return 1\n")
    names = cell("class Net(Base):\n    def f(self, x):\n        return helper(x)\nunrelated = 1\n")
    before = source_closure([names["Net"]])
    assert [name.partition(":")[2] for name in before] == ["Base", "Net", "helper"]
    same = cell("other = 3\n\nclass Net(Base):\n    def f(self, x):\n        return helper(x)\n")
    assert source_closure([same["Net"]]) == before
    cell("SCALE = 3")
    assert source_closure([names["Net"]]) != before
    cell("SCALE = 2")
    assert source_closure([names["Net"]]) == before
    cell("def helper(x):\n    return SCALE * x + 1\n")
    assert source_closure([names["Net"]]) != before


def test_a_cell_may_use_a_users_module(cell: Cell, modules: Path) -> None:
    (modules / "mine.py").write_text("A = 1\n")
    names = cell("import mine\ndef f(x):\n    return mine.A * x\n")
    assert list(source_closure([names["f"]])) == ["mine", "notebook_of_a_test:f"]


def test_what_is_installed_is_not_followed() -> None:
    import torch
    from torch import nn

    from stars_bench.models.mamp import Mamp

    assert source_closure([nn.Linear, torch.Tensor, Mamp, int, Path]) == {}


def test_source_that_nobody_can_read_is_refused(cell: Cell) -> None:
    names = cell("x = 1")
    exec("def f(): pass", names)
    with pytest.raises(UsageError, match=r"notebook_of_a_test:f: its source code cannot be read.*in a file"):
        source_closure([names["f"]])
