"""The six layers hold, light rooms import no torch, folders and names keep to the rules; and the checks can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stars_bench
from tests.layers import LAYER_OF, LAYERS, UNREADABLE, UPWARD, read_all, sources, violations

PACKAGE = Path(stars_bench.__file__).parent
TESTS = Path(__file__).parent
FILES = sources(PACKAGE)

# ------------------------------------------------------------------------------------------------ layers


def test_the_layers_hold() -> None:
    assert violations(FILES) == []


def test_every_layer_is_there_and_nothing_else() -> None:
    assert {path.split("/")[0].removesuffix(".py") for path in FILES} == {*LAYER_OF, "__init__", "__main__"}


def test_every_listed_exception_is_needed() -> None:
    found, _ = read_all(FILES)
    used = {(one.source, one.target) for one in found}
    for source, targets in UPWARD.items():
        for target in targets:
            assert any(s == source and t.startswith(target) for s, t in used), f"{source} no longer names {target}"
    _, unread = read_all({path: text for path, text in FILES.items() if path not in {path for path, _ in UNREADABLE}})
    assert unread == []
    for path, text in UNREADABLE:
        assert text.partition("(")[0] in FILES[path].replace('"', "'"), f"{path} no longer has {text}"


NTU, RUNNER = "datasets/ntu.py", "experiments/runner.py"
PLANTED = {
    "upward": ({NTU: "from stars_bench.experiments import runner"}, "upward to experiments/runner.py"),
    "upward, of a package": ({NTU: "from stars_bench import experiments"}, "upward to experiments/__init__.py"),
    "upward, import a.b": ({NTU: "import stars_bench.experiments.runner"}, "upward to experiments/runner.py"),
    "upward, import a.b as c": ({NTU: "import stars_bench.experiments.runner as r"}, "upward to experiments/runner.py"),
    "upward, inside a function": (
        {NTU: "def f():\n    from stars_bench.experiments.runner import run"},
        "upward to experiments/runner.py",
    ),
    "upward, for type checkers": (
        {NTU: "if TYPE_CHECKING:\n    from stars_bench.experiments.runner import run"},
        "upward to experiments/runner.py",
    ),
    "upward, relative": ({NTU: "from ..experiments import runner"}, "upward to experiments/runner.py"),
    "upward, relative, from a sub-folder": (
        {"datasets/parsing/pku.py": "from ...experiments.runner import run"},
        "upward to experiments/runner.py",
    ),
    "upward, relative, from a package": (
        {"datasets/__init__.py": "from ..experiments import runner"},
        "upward to experiments/runner.py",
    ),
    "upward, attribute of a package": (
        {NTU: "from stars_bench import storage as s\nimport stars_bench\nstars_bench.experiments.runner.run"},
        "upward to experiments/runner.py",
    ),
    "upward, the package itself": ({NTU: "import stars_bench\nstars_bench.prepare"}, "upward to __init__.py"),
    "upward, import_module": (
        {NTU: 'import importlib\nimportlib.import_module("stars_bench.experiments.runner")'},
        "upward to experiments/runner.py",
    ),
    "upward, import_module under another name": (
        {NTU: 'from importlib import import_module as get\nget("stars_bench.experiments.runner")'},
        "upward to experiments/runner.py",
    ),
    "upward, import_module, relative": (
        {NTU: 'importlib.import_module("..experiments.runner", __package__)'},
        "upward to experiments/runner.py",
    ),
    "upward, import_module, relative to a package by name": (
        {NTU: 'importlib.import_module(".experiments.runner", "stars_bench")'},
        "upward to experiments/runner.py",
    ),
    "upward, import_module, relative to a package given by keyword": (
        {NTU: 'importlib.import_module(".experiments.runner", package="stars_bench")'},
        "upward to experiments/runner.py",
    ),
    "upward, __import__": ({NTU: '__import__("stars_bench.experiments.runner")'}, "upward to experiments/runner.py"),
    "upward, a string as in the registry": (
        {NTU: 'METHOD = {"stars": "stars_bench.models.stars:Stars"}'},
        "upward to models/stars.py",
    ),
    "upward, the registry to another room": (
        {"registry.py": 'X = "stars_bench.experiments.runner:run"'},
        "upward to experiments/runner.py",
    ),
    "upward, a lazy name": ({"__init__.py": '_X = {"x": "stars_bench.report.html"}'}, "upward to report/html.py"),
    "upward, resources": (
        {"display/document.py": 'from importlib.resources import files\nfiles("stars_bench.report")'},
        "upward to report/__init__.py",
    ),
    "unreadable, a variable": ({NTU: "importlib.import_module(name)"}, "cannot be read: importlib.import_module(name)"),
    "unreadable, an f-string": (
        {NTU: 'importlib.import_module(f"stars_bench.{name}")'},
        "cannot be read: importlib.import_module(",
    ),
    "unreadable, an f-string elsewhere": ({NTU: 'X = f"stars_bench.{name}:Y"'}, "cannot be read: f'stars_bench."),
    "unreadable, joined": ({NTU: 'X = "stars_bench." + name'}, "cannot be read: 'stars_bench.'"),
    "unreadable, exec": ({NTU: 'exec("import stars_bench.experiments")'}, "cannot be read: exec("),
    "unreadable, getattr": ({NTU: 'getattr(importlib, "import_module")(name)'}, "cannot be read: getattr("),
    "unreadable, handed on": ({NTU: "get = importlib.import_module"}, "cannot be read: importlib.import_module"),
    "circle of rooms": (
        {
            "protocols/semi.py": "from stars_bench.storage import shards",
            "storage/shards.py": "from stars_bench.protocols import semi",
        },
        "stars_bench: a circle",
    ),
    "circle of rooms, of packages": (
        {
            "storage/quality.py": "from stars_bench import protocols",
            "protocols/semi.py": "from stars_bench import storage",
        },
        "stars_bench: a circle",
    ),
    "circle of folders in a room": (
        {
            "datasets/parsing/numbers.py": "from stars_bench.datasets.synthetic import body",
            "datasets/synthetic/body.py": "from stars_bench.datasets.parsing import numbers",
        },
        "datasets: a circle",
    ),
    "circle of a file and a folder": (
        {
            "datasets/synthetic/body.py": "from stars_bench.datasets import ntu",
            NTU: "def f():\n    from .synthetic import body",
        },
        "datasets: a circle",
    ),
    "circle of files": (
        {
            "datasets/synthetic/body.py": "from stars_bench.datasets.synthetic import stage",
            "datasets/synthetic/stage.py": "from stars_bench.datasets.synthetic.body import LENGTHS",
        },
        "datasets/synthetic: a circle",
    ),
    "circle of three": (
        {
            "datasets/synthetic/actions/mutual_actions.py": "from . import daily_actions",
            "datasets/synthetic/actions/daily_actions.py": "from .first_actions import X",
            "datasets/synthetic/actions/first_actions.py": 'import_module(".mutual_actions", __package__)',
        },
        "datasets/synthetic/actions: a circle",
    ),
    "a room without a layer": ({"utils/text.py": ""}, "utils is in no layer"),
}  # fmt: skip


@pytest.mark.parametrize(("planted", "line"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_reported(planted: dict[str, str], line: str) -> None:
    changed = FILES | {path: f"{FILES.get(path, '')}\n{code}\n" for path, code in planted.items()}
    assert any(line in found for found in violations(changed)), violations(changed)


HARMLESS = {
    "own layer": {"storage/shards.py": "from stars_bench.datasets import ntu"},
    "downward string": {"models/stars.py": 'X = "stars_bench.datasets.ntu:NTU60"'},
    "prose": {NTU: '"""As stars_bench.experiments.runner does."""\nX = "see stars_bench.experiments.runner"'},
    "another package's module": {NTU: 'importlib.import_module("numba")'},
}


@pytest.mark.parametrize("planted", HARMLESS.values(), ids=HARMLESS)
def test_what_is_allowed_is_not_reported(planted: dict[str, str]) -> None:
    changed = FILES | {path: f"{FILES[path]}\n{code}\n" for path, code in planted.items()}
    assert set(violations(changed)) <= set(violations(FILES))


# ------------------------------------------------------------------------------------------ light imports

LIGHT = {*LAYERS[0], *LAYERS[1], "preparation", "formats", "records", "report"}
HEAVY = ("torch", "pandas", "h5py", "numba", "rich", "typer", "sklearn", "scipy", "matplotlib")
WATCH = """
import importlib, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in forbidden:
            raise SystemExit(f"{module} imports {name}")  # `except ImportError` does not hide it
forbidden, modules = set(sys.argv[1].split()), sys.argv[2].split()
sys.meta_path.insert(0, Watch())
for module in modules:
    importlib.import_module(module)
"""


def heavy_import(root: Path, modules: list[str], forbidden: tuple[str, ...]) -> str:
    """Import modules of the package in `root` one after another: the first forbidden import of them, or nothing."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, " ".join(forbidden), " ".join(modules)],
        env=os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2]


def light_modules() -> list[str]:
    names = [path.removesuffix(".py").removesuffix("/__init__") for path in FILES]
    return [f"stars_bench.{name.replace('/', '.')}" for name in names if name.split("/")[0] in LIGHT]


def test_the_light_rooms_import_no_torch() -> None:
    assert heavy_import(PACKAGE.parent, light_modules(), ("torch",)) == ""


def test_the_package_and_its_contract_import_nothing_heavy() -> None:
    modules = ["stars_bench", "stars_bench.errors", "stars_bench.api", "stars_bench.registry"]
    assert heavy_import(PACKAGE.parent, modules, HEAVY) == ""


@pytest.mark.parametrize(
    ("path", "code", "line"),
    [
        ("errors.py", "import torch", "imports torch"),
        ("registry.py", "from torch import nn", "stars_bench.registry imports torch"),
        ("api.py", "import h5py", "imports h5py"),
        ("api.py", "try:\n    import torch\nexcept ImportError:\n    pass", "imports torch"),
    ],
)
def test_a_planted_heavy_import_is_reported(tmp_path: Path, path: str, code: str, line: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "stars_bench", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "stars_bench" / path).open("a") as file:
        file.write(f"\n{code}\n")
    found = heavy_import(tmp_path, ["stars_bench", "stars_bench.api", "stars_bench.registry"], HEAVY)
    assert line in found


# ------------------------------------------------------------------------------------------------- rooms

ROOT = {"__init__.py", "__main__.py", "_version.py", "api.py", "errors.py", "registry.py"}
MOST = 12
"""Modules in one folder, beside its `__init__`."""
ONE_FILE_A_PLUGIN = {"models", "datasets", "evaluation", "formats", "protocols"}
ACROSS = {"golden", "golden2", "bad_input", "reliability", "fuzz", "historic", "docs", "packaging", "benchmarks"}
"""Folders of tests that are about no single room."""
PRIVATE = {
    *("several", "saved", "kept", "told", "tell", "plans", "fixed", "contract", "intake", "board", "advice", "sheet"),
    *("arrange", "tidy", "made", "utils", "helpers", "misc", "common", "manager"),
}
"""Words that say how a module came about, or nothing; a module is named by the field's term for what it holds."""


def test_the_root_holds_nothing_else() -> None:
    assert {path for path in FILES if "/" not in path} == ROOT


def test_no_folder_is_too_long() -> None:
    folders: dict[str, list[str]] = {}
    for path in FILES:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    long = {folder: len(names) - 1 for folder, names in folders.items() if len(names) - 1 > MOST}
    assert set(long) <= ONE_FILE_A_PLUGIN, long


def test_modules_are_named_in_the_words_of_the_field() -> None:
    words = {path: {Path(path).stem, *Path(path).stem.split("_")} for path in FILES}
    assert [path for path, own in words.items() if own & PRIVATE] == []


def test_tests_mirror_the_package() -> None:
    folders = {str(path.parent.relative_to(TESTS)) for path in TESTS.rglob("*.py")} - {"."}
    rooms = {str(Path(path).parent) for path in FILES}
    assert {folder for folder in folders if folder.split("/")[0] not in ACROSS} <= rooms


# --------------------------------------------------------------------------------------- docs/architecture.md


@pytest.fixture(scope="module")
def page() -> str:
    return (TESTS.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_page_has_these_layers(page: str) -> None:
    rows = re.findall(r"^\| (\d) \| (.*?) \|", page, re.MULTILINE)
    found = {int(number): set(re.findall(r"`(\w+)`", rooms)) for number, rooms in rows}
    assert found == {number: set(rooms) for number, rooms in enumerate(LAYERS, 1)}


def test_the_picture_has_these_layers(page: str) -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    found = {int(number): set(rooms.split()) for number, rooms in re.findall(r'L(\d)\["\d: ([\w ]+)"\]', picture)}
    assert found == {number: set(rooms) for number, rooms in enumerate(LAYERS, 1)}


def test_the_page_has_a_line_for_every_folder_and_for_no_other(page: str) -> None:
    named = re.findall(r"^ *- `stars_bench/([\w/.]+?)/?`: \S.*\S$", page, re.MULTILINE)
    folders = {str(Path(path).parent) for path in FILES if "/" in path}
    assert sorted(named) == sorted(folders | ROOT)
