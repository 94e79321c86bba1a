"""Which file of the package refers to which, and whether the six layers hold: plain functions over {path: source}.

A path is relative to the folder of the package: `datasets/ntu.py`. Every kind of reference counts: imports at module
level, inside functions and for type checkers, relative ones, `import_module` and `__import__`, attributes of an
imported package, and strings that name a module, such as `"stars_bench.models.mamp:Mamp"`. Imports for type checkers
count because a reader follows them like all others.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

PACKAGE = "stars_bench"
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_version", "api", "errors", "registry", "io", "display"),
    ("datasets", "protocols", "storage"),
    ("preparation", "formats", "data", "training"),
    ("models", "evaluation", "records"),
    ("report", "inspection", "viewer"),
    ("cli", "experiments", "testing", "plugins"),
)
"""Rooms (folders, or files of the package root), the lowest layer first."""
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS, 1) for room in rooms}
TOP = len(LAYERS) + 1
"""Where `stars_bench/__init__` stands as a target. As a source it is in layer 1, because every import runs it."""
MAIN = "__main__.py"

UPWARD: dict[str, set[str]] = {
    "api.py": {
        "data/random.py",
        "data/transforms.py",
        "datasets/parsing/ntu_text.py",
        "evaluation/subject.py",
        "models/layers/augment.py",
        "models/layers/feature_queue.py",
        "models/layers/momentum_teacher.py",
        "records/outcome.py",
        "training/loggers/logger.py",
        "training/optim.py",
        "training/stage.py",
        "training/step.py",
    },
    "registry.py": {"datasets/", "protocols/", "models/", "evaluation/", "training/loggers/"},
    "__init__.py": {
        "data/torch_dataset.py",
        "data/transforms.py",
        "experiments/public/load_encoder.py",
        "experiments/public/results.py",
        "experiments/public/run.py",
        "experiments/public/share.py",
        "experiments/public/sweep.py",
        "experiments/sharing/pack.py",
        "experiments/sharing/unpack.py",
        "preparation/prepare.py",
        "preparation/verify.py",
        "records/store.py",
        "report/leaderboard.py",
        "storage/shards.py",
    },
}
"""The only references upward, by file: the registry's tables (whole folders, so that a new plug-in
changes nothing here) and what the package and `api` export lazily (exact files)."""
UNREADABLE = {
    ("__init__.py", "import_module(_LAZY[name])"),
    ("api.py", "import_module(module)"),
    ("cli/__init__.py", "registry.import_module(module)"),
    ("datasets/synthetic/__init__.py", "import_module(module)"),
    ("experiments/sweeps/worker.py", "registry.import_module(module)"),
    ("io/moved_modules.py", "importlib.import_module(current(name))"),
    ("registry.py", "importlib.import_module(module_name)"),
    ("registry.py", "default.import_module"),
    ("registry.py", "import_module"),
    ("registry.py", "f'stars_bench.{kind}'"),
}
"""What names a module only when it runs, as (path, expression): tables that are read elsewhere, and users' plug-ins."""


class Reference(NamedTuple):
    """One file names a module of the package.

    Args:
        source: path of the file that refers.
        target: path of the file that is meant.
        line: where in `source`, 1-based.
        deferred: it is a string or an import that runs only when it is needed, so that no circle of imports arises.
    """

    source: str
    target: str
    line: int
    deferred: bool


def sources(package: Path) -> dict[str, str]:
    """Read every Python file of a package, by its path below it."""
    return {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}


def room(path: str) -> str:
    """Name the folder in the package root that holds a file, or the file itself where it lies there."""
    return path.split("/")[0].removesuffix(".py")


def violations(files: Mapping[str, str]) -> list[str]:
    """List everything that breaks the layers, one line each; empty where they hold."""
    found, unread = read_all(files)
    return [*unread, *unknown_rooms(files), *upward(found), *circles(found)]


def read_all(files: Mapping[str, str]) -> tuple[list[Reference], list[str]]:
    """Find all references between the files, and what cannot be read."""
    modules = frozenset((_module(path), path) for path in files)
    readers = [_read(path, source, modules) for path, source in files.items()]
    return [one for reader in readers for one in reader.found], [line for reader in readers for line in reader.unread]


@cache  # a test changes one file of hundreds
def _read(path: str, source: str, modules: frozenset[tuple[str, str]]) -> _Reader:
    return _Reader(path, source, dict(modules))


def unknown_rooms(files: Mapping[str, str]) -> Iterator[str]:
    """Report files that belong to no layer."""
    for path in files:
        if room(path) not in {*LAYER_OF, "__init__", "__main__"}:
            yield f"{path}: {room(path)} is in no layer"


def upward(found: Iterable[Reference]) -> Iterator[str]:
    """Report references to a higher layer that are not among UPWARD."""
    for one in found:
        low, high = LAYER_OF.get(room(one.source), 1), LAYER_OF.get(room(one.target), TOP)
        if low < high and one.source not in (one.target, MAIN) and not _is_listed(one):
            yield f"{one.source}:{one.line}: refers upward to {one.target} (layer {low} to layer {high})"


def circles(found: Iterable[Reference]) -> Iterator[str]:
    """Report circles between the files and folders of one folder, at every depth."""
    edges: dict[str, dict[tuple[str, str], Reference]] = defaultdict(dict)
    for one in found:
        source, target = one.source.split("/"), one.target.split("/")
        depth = next((n for n, (a, b) in enumerate(zip(source, target, strict=False)) if a != b), None)
        if depth is not None and not _is_listed(one):
            edges["/".join(source[:depth])].setdefault((source[depth], target[depth]), one)
    for folder, inside in sorted(edges.items()):
        if on := _on_circles(inside):
            shown = ", ".join(f"{a} -> {b} ({inside[a, b].source}:{inside[a, b].line})" for a, b in sorted(on))
            yield f"{folder or PACKAGE}: a circle: {shown}"


def _is_listed(one: Reference) -> bool:
    return any(
        one.target == to or (to.endswith("/") and one.target.startswith(to)) for to in UPWARD.get(one.source, ())
    )


def _on_circles(edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Take away edges that lead nowhere or come from nowhere, until none is left to take away."""
    left = set(edges)
    while True:
        starts, ends = {a for a, _ in left}, {b for _, b in left}
        keep = {(a, b) for a, b in left if a in ends and b in starts}
        if keep == left:
            return left
        left = keep


def _module(path: str) -> str:
    """The dotted name of a file."""
    return ".".join([PACKAGE, *path.removesuffix(".py").split("/")]).removesuffix(".__init__")


class _Reader(ast.NodeVisitor):
    """Reads one file: what it refers to, and what it imports under a name that cannot be read."""

    def __init__(self, path: str, source: str, modules: Mapping[str, str]) -> None:
        self.path, self.modules = path, modules
        self.found: list[Reference] = []
        self.unread: list[str] = []
        self._bound: dict[str, str] = {}
        """Names in the file that stand for a package or module of ours."""
        self._importers = {"import_module", "__import__"}
        tree = ast.parse(source)
        self._docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):  # first what names stand for, because functions use them before
            if isinstance(node, ast.ImportFrom) and node.module == "importlib":
                self._importers |= {one.asname for one in node.names if one.name == "import_module" and one.asname}
        self.visit(tree)

    def _refer(self, dotted: str, node: ast.expr | ast.stmt, *, deferred: bool = False) -> bool:
        """Notes a reference to the innermost module that a dotted name leads to."""
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            if target := self.modules.get(".".join(parts[:length])):
                self.found.append(Reference(self.path, target, node.lineno, deferred))
                return True
        return False

    def _refuse(self, node: ast.expr) -> None:
        text = ast.unparse(node)
        if (self.path, text) not in UNREADABLE:
            self.unread.append(f"{self.path}:{node.lineno}: cannot be read: {text}")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] == PACKAGE:
                self._refer(alias.name, node)
                self._bound[alias.asname or PACKAGE] = alias.name if alias.asname else PACKAGE

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = _absolute(self.path, node.level, node.module or "")
        if module.partition(".")[0] != PACKAGE:
            return
        for alias in node.names:
            self._refer(f"{module}.{alias.name}", node)
            self._bound[alias.asname or alias.name] = f"{module}.{alias.name}"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        first, _, rest = ast.unparse(node).partition(".")
        known = self._bound.get(first)
        if known and f"{known}.{rest}" in self.modules:
            self._refer(f"{known}.{rest}", node)
        elif node.attr in self._importers:  # not called: what it imports cannot be seen here
            self._refuse(node)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self._importers:
            self._refuse(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Name) and (
            name in ("exec", "eval") or (name == "getattr" and ast.unparse(node.args[0]) == "importlib")
        ):
            self._refuse(node)  # may import anything
        if name not in self._importers:
            self.generic_visit(node)
            return
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        first = arguments[0] if arguments else node
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            anchor = arguments[1] if len(arguments) > 1 else None
            if isinstance(anchor, ast.Constant) and isinstance(anchor.value, str):  # the package that dots begin at
                dotted = resolve_name(first.value, anchor.value)
            else:
                level = len(first.value) - len(first.value.lstrip("."))
                dotted = _absolute(self.path, level, first.value.lstrip("."))
            if dotted.partition(".")[0] == PACKAGE:
                self._refer(dotted, node, deferred=True)
        else:
            self._refuse(node)
        for argument in arguments[1:]:
            self.visit(argument)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        start = node.values[0] if node.values else None
        if isinstance(start, ast.Constant) and str(start.value).startswith(f"{PACKAGE}."):
            self._refuse(node)
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                self.visit(value)

    def visit_Constant(self, node: ast.Constant) -> None:
        text = node.value
        if not isinstance(text, str) or id(node) in self._docstrings or not re.match(rf"{PACKAGE}\.\S*$", text):
            return
        if not re.fullmatch(r"[\w.]+\w(:\w+)?", text):
            self._refuse(node)
        else:
            self._refer(text.partition(":")[0], node, deferred=True)


def _absolute(path: str, level: int, module: str) -> str:
    """The whole name of a module that a file names with `level` dots before it."""
    if level == 0:
        return module
    folders = [PACKAGE, *path.split("/")[:-1]]
    return ".".join([*folders[: len(folders) - level + 1], *([module] if module else [])])
