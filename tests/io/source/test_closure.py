"""The source that a class or function depends on: import closures of files, definitions in cells, and refusals."""

from __future__ import annotations

import importlib
import linecache
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stars_bench.errors import UsageError
from stars_bench.io.source.closure import source_closure
from stars_bench.io.source.modules import is_standard

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
    assert list(before.sources) == ["lab", "lab.later", "lab.layers", "lab.net"]
    assert before.distributions == {"numpy": np.__version__}
    Net().f()
    assert source_closure([Net]) == before
    (modules / "lab" / "layers.py").write_text("WIDTH = 4\n")
    assert source_closure([Net]) == before  # what was loaded is what runs
    importlib.reload(sys.modules["lab.layers"])
    after = source_closure([Net])
    assert {name for name in before.sources if before.sources[name] != after.sources[name]} == {"lab.layers"}
    assert before.digest != after.digest


def test_a_definition_in_a_cell_counts_alone_with_what_it_names(cell: Cell) -> None:
    cell("SCALE = 2\ndef helper(x):\n    return SCALE * x\nclass Base:\n    def g(self): return 1\n")
    names = cell("class Net(Base):\n    def f(self, x):\n        return helper(x)\nunrelated = 1\n")
    before = source_closure([names["Net"]])
    assert [name.partition(":")[2] for name in before.sources] == ["Base", "Net", "helper"]
    same = cell("other = 3\n\nclass Net(Base):\n    def f(self, x):\n        return helper(x)\n")
    assert source_closure([same["Net"]]) == before
    cell("SCALE = 3")
    assert source_closure([names["Net"]]) != before
    cell("SCALE = 2")
    assert source_closure([names["Net"]]) == before
    cell("def helper(x):\n    return SCALE * x + 1\n")
    assert source_closure([names["Net"]]) != before


def test_a_cell_may_name_torch_and_its_class_tensor(cell: Cell) -> None:
    text = (
        "import torch\nfrom torch import Tensor\nclass Own:\n    def f(self, x):\n        return Tensor(torch.abs(x))\n"
    )
    assert source_closure([cell(text)["Own"]])


def test_a_cell_may_use_a_users_module(cell: Cell, modules: Path) -> None:
    (modules / "mine.py").write_text("A = 1\n")
    names = cell("import mine\ndef f(x):\n    return mine.A * x\n")
    assert list(source_closure([names["f"]]).sources) == ["mine", "notebook_of_a_test:f"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import lab.net\n", {"lab", "lab.net"}),
        ("from lab import net as other\n", {"lab", "lab.net"}),
        ("import lab\ndef f():\n    return lab.net.A\n", {"lab", "lab.net"}),
        ("import importlib\ndef f():\n    return importlib.import_module('lab.net')\n", {"lab", "lab.net"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lab.net\n", set()),
        ("import missing\nimport numpy.linalg\nimport json\n", set()),
    ],
)
def test_every_kind_of_import_is_followed(modules: Path, text: str, found: set[str]) -> None:
    (modules / "lab").mkdir()
    (modules / "lab" / "__init__.py").write_text("")
    (modules / "lab" / "net.py").write_text("A = 1\n")
    (modules / "start.py").write_text(text)
    assert set(source_closure([], ["start"]).sources) == {"start", *found}


def test_a_file_named_as_a_standard_module_and_a_package_among_installed_ones_count(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = modules / "site-packages"
    (place / "copied").mkdir(parents=True)
    (place / "copied" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(place))
    (modules / "tomllib.py").write_text("")
    monkeypatch.delitem(sys.modules, "tomllib", raising=False)
    (modules / "start.py").write_text("import copied, tomllib, json, torch\n")
    is_standard.cache_clear()
    found = source_closure([], ["start"])
    is_standard.cache_clear()
    assert set(found.sources) == {"copied", "start", "tomllib"}
    assert set(found.distributions) == {"torch"}


def test_of_our_modules_those_count_that_are_used_and_decide_numbers() -> None:
    from stars_bench.models.stars import Stars

    found = set(source_closure([Stars, Path, int]).sources)
    assert {f"stars_bench.models.{name}" for name in ("stars", "mamp", "layers.encoder", "layers.nnclr")} <= found
    assert "stars_bench.training.loop" in found
    assert "stars_bench.models.aimclr" not in found
    assert not {name.split(".")[1] for name in found} & {"io", "errors", "registry", "report", "cli", "experiments"}


@pytest.mark.parametrize(
    "text",
    [
        "from stars_bench.api import augment\n",
        "from stars_bench import api\ndef f():\n    return api.augment\n",
        "import stars_bench.api as sb\ndef f():\n    return sb.augment\n",
    ],
)
def test_what_the_public_face_hands_on_is_followed(modules: Path, text: str) -> None:
    (modules / "mine.py").write_text(text)
    assert "stars_bench.models.layers.augment" in source_closure([], ["mine"]).sources


def test_it_is_fast() -> None:
    from stars_bench.models.stars import Stars

    source_closure([Stars])
    started = time.process_time()
    source_closure([Stars])
    assert time.process_time() - started < 0.05


def test_functions_and_arrays_that_a_function_has_from_outside_count(cell: Cell, modules: Path) -> None:
    (modules / "mine.py").write_text("def f(x):\n    return x\n")
    names = cell(
        "import numpy as np\nimport mine\nMEAN = np.zeros(3)\n"
        "def make(inner):\n    def step(x):\n        return inner(x) - MEAN\n    return step\n"
    )
    before = source_closure([names["make"](names["mine"].f)])
    assert "mine" in before.sources
    names["MEAN"] += 1
    assert source_closure([names["make"](names["mine"].f)]).digest != before.digest


def test_a_method_that_another_file_has_put_into_a_class_counts(modules: Path) -> None:
    (modules / "mine.py").write_text("class Net:\n    def f(self):\n        return 1\n")
    (modules / "patch.py").write_text("def f(self):\n    return 2\n")
    import mine  # type: ignore[import-not-found]
    import patch  # type: ignore[import-not-found]

    assert list(source_closure([mine.Net]).sources) == ["mine"]
    mine.Net.f = patch.f
    assert list(source_closure([mine.Net]).sources) == ["mine", "patch"]


def test_source_that_nobody_can_read_is_refused(cell: Cell) -> None:
    names = cell("x = 1")
    exec("def f(): pass", names)
    with pytest.raises(UsageError, match=r"notebook_of_a_test:f: its source code cannot be read.*in a file"):
        source_closure([names["f"]])
