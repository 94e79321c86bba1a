"""The house stands: imports go down, torch stays out of the floors that start at once, registered names exist."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stars_bench
from stars_bench import registry
from stars_bench.errors import UsageError

PACKAGE = Path(stars_bench.__file__).parent

FLOORS = {
    "api": 1,
    "errors": 1,
    "registry": 1,
    "io": 1,
    "display": 1,
    "_version": 1,
    "protocols": 2,
    "datasets": 2,
    "storage": 2,
    "preparation": 3,
    "formats": 3,
    "data": 3,
    "training": 3,
    "models": 4,
    "evaluation": 4,
    "records": 4,
    "inspection": 5,
    "viewer": 5,
    "report": 5,
    "experiments": 6,
    "testing": 6,
    "plugins": 6,
    "cli": 7,
    "__main__": 8,
    "__init__": 1,
}
"""Rooms of the house (folders, or files of the top level) and their floors."""

WITHOUT_TORCH = [
    "api", "registry", "errors", "io.files", "preparation.prepare", "datasets.ntu",
    "datasets.pku_mmd", "datasets.synthetic",
    "preparation.verify", "inspection.raw_file", "inspection.dataset", "protocols.novel", "protocols.episodes",
    "protocols.semi", "protocols.standard", "protocols.validation", "formats", "viewer.clips", "viewer.pictures",
    "viewer.html", "report.leaderboard", "report.html", "records.store", "cli",
]  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms of this package that a file imports, annotations-only imports left out."""
    tree = ast.parse(path.read_text())
    hints = {
        node
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and ast.unparse(guard.test) == "TYPE_CHECKING"
        for node in ast.walk(guard)
    }
    found = set()
    for node in ast.walk(tree):
        if node in hints:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "stars_bench":
            parts = node.module.split(".")
            names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
            found |= {name if name in FLOORS else "__init__" for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("stars_bench.")}
    return found


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in PACKAGE.rglob("*.py")} == FLOORS.keys()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_lower_floors_or_its_own_folder(path: Path) -> None:
    own = room(path)
    for other in imported_rooms(path):
        assert other == own or FLOORS[other] <= FLOORS[own], f"{own} (floor {FLOORS[own]}) imports {other}"


def test_rooms_have_no_circles_inside() -> None:
    for folder in (path for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()):
        edges = {}
        for path in folder.glob("*.py"):
            prefix = f"stars_bench.{folder.name}."
            tree = ast.parse(path.read_text())
            targets = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
            edges[path.stem] = {t.removeprefix(prefix).split(".")[0] for t in targets if t.startswith(prefix)}
        while edges:
            leaves = [name for name, to in edges.items() if not (to - {name}) & edges.keys()]
            assert leaves, f"a circle in {folder.name}: {edges}"
            for name in leaves:
                del edges[name]


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_starts_without_torch(module: str) -> None:
    code = f"import sys, stars_bench.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", list(registry.BUILT_IN))
def test_everything_registered_can_be_loaded(kind: str) -> None:
    for name in registry.names(kind):
        assert registry.load(kind, name).name == name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'stars'"):
        registry.load("methods", "star")


def test_a_method_can_be_named_by_module_and_class() -> None:
    assert registry.load("methods", "stars_bench.models.stars:Stars").name == "stars"
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        registry.load("methods", "nowhere:Stars")
    with pytest.raises(UsageError, match="has no 'Nothing'"):
        registry.load("methods", "stars_bench.models.stars:Nothing")
