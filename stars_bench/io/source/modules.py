"""Modules as files: where each lies, what it is (ours, a user's, installed, standard), its digest and its imports.

Nothing is imported for it. A module that is loaded counts as it was when it was first looked at: what its file says
later does not run.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from stars_bench.io.moved_modules import current

OWN = __name__.partition(".")[0]
FACES = (OWN, f"{OWN}.api")
"""Our modules that only hand on names of others: those that are used are followed."""
PLUMBING = [f"{OWN}.{name}" for name in ("_version", "api", "display", "errors", "io", "registry")]
"""Our modules and folders that decide no number: they find, keep and show things."""
INSTALLED = {"site-packages", "dist-packages"}
STANDARD = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}


class ModuleSource(NamedTuple):
    """The source of a module.

    Args:
        digest: SHA-256 (hex) of its file.
        imports: Names that it may import.
    """

    digest: str
    imports: tuple[str, ...]


_seen: dict[str, tuple[object, ModuleSource]] = {}


def source_of(module: str) -> ModuleSource | None:
    """Read a module's file; None: it has none, as a namespace package or what was typed.

    Args:
        module: Its full name; it need not be imported.
    """
    there = sys.modules.get(module)
    loaded = None if there is None else getattr(there, "__spec__", None) or there  # reloading makes another spec
    if loaded is not None and module in _seen and _seen[module][0] is loaded:
        return _seen[module][1]
    file = file_of(module)
    if file is None:
        return None
    state = file.stat()
    source = _read(module, file, state.st_mtime_ns, state.st_size)
    _seen[module] = loaded, source
    return source


def file_of(module: str) -> Path | None:
    """Find the file of a module; None: it has none."""
    there, spec = sys.modules.get(module), _spec(module)
    file = getattr(there, "__file__", None) or (spec.origin if spec is not None and spec.has_location else None)
    return Path(file) if file is not None and Path(file).is_file() else None


def counts(module: str) -> bool:
    """Return whether a module's source counts: it is the user's, or ours and decides numbers."""
    if module.partition(".")[0] == OWN:
        return module != OWN and not any(f"{module}.".startswith(f"{name}.") for name in PLUMBING)
    return not is_standard(module) and distribution(module) is None


@cache
def is_standard(module: str) -> bool:
    """Return whether a module is of the standard library; a user's file of the same name is not."""
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names or top == "__main__":
        return False
    file = file_of(top)
    return file is None or any(folder in file.parents for folder in STANDARD)


@cache
def distribution(module: str) -> tuple[str, str] | None:
    """Name the installed distribution that a module belongs to, and its version.

    Returns:
        None for what counts as source: a file of the user's, an editable install, a file that lies among the installed
        packages but belongs to none.
    """
    top = module.partition(".")[0]
    spec = _spec(top)
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    if not any(INSTALLED & set(Path(place).parts) for place in places):
        return None
    try:
        return top, importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:  # as sklearn, which scikit-learn has
        names = importlib.metadata.packages_distributions().get(top)
        return (names[0], importlib.metadata.version(names[0])) if names else None


def handed_on(name: str) -> str | None:
    """Name the module that one of our `FACES` takes `face.attribute` from; None where it is no such name."""
    face, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(face), attribute, None) if face in FACES else None
    return found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Name what code may import, wherever it does: modules, and names that may be modules.

    Args:
        tree: The code.
        package: What its relative imports start from.
    """
    bound: dict[str, str] = {}
    attributes = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
                top = alias.name.partition(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            yield from _with_parents(base)
            for alias in node.names:
                yield f"{base}.{alias.name}"
                bound[alias.asname or alias.name] = f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            if isinstance(first := node.args[0], ast.Constant) and isinstance(first.value, str):
                yield from _with_parents(_absolute(first.value, package))
        elif isinstance(node, ast.Attribute):
            attributes.append(node)
    for node in attributes:  # `import lab` and then `lab.layers.f`, where somebody else has imported lab.layers
        head, _, rest = _dotted(node).partition(".")
        if head in bound:
            yield f"{bound[head]}.{rest}"


@lru_cache(maxsize=4096)
def _read(module: str, file: Path, modified: int, size: int) -> ModuleSource:  # noqa: ARG001 - what tells versions apart
    text = file.read_bytes()
    names: tuple[str, ...] = ()
    if file.suffix == ".py":
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        names = tuple(dict.fromkeys(imported(ast.parse(text), package)))
    return ModuleSource(hashlib.sha256(text).hexdigest(), names)


def _spec(module: str) -> ModuleSpec | None:
    """Return how a module is found. No package is imported for it, as `find_spec` would."""
    there = sys.modules.get(module)
    if there is not None and getattr(there, "__spec__", None) is not None:
        return there.__spec__
    parent = module.rpartition(".")[0]
    if parent:
        above = _spec(parent)
        places = None if above is None else above.submodule_search_locations
        if places is None:
            return None
        try:
            return PathFinder.find_spec(module, list(places))
        except KeyError:  # a namespace package in another one, which it asks for among the imported modules
            found = ModuleSpec(module, None, is_package=True)
            below = (Path(place) / module.rpartition(".")[2] for place in places)
            found.submodule_search_locations = [str(folder) for folder in below if folder.is_dir()]
            return found
    try:
        return importlib.util.find_spec(module)
    except ValueError:  # __main__, and what a program has put among the modules
        return None


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes, without what only a type checker sees."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        hidden = isinstance(node, ast.If) and _dotted(node.test).endswith("TYPE_CHECKING")
        pending += node.orelse if hidden and isinstance(node, ast.If) else ast.iter_child_nodes(node)


def _dotted(node: ast.AST) -> str:
    """Return `a.b.c` of nested attributes; empty if it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := _dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def _called(node: ast.Call) -> str:
    return _dotted(node.func).rpartition(".")[2]


def _absolute(name: str, package: str) -> str:
    """Return a module's name without leading dots."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    above = package.split(".")
    kept = above[: len(above) - (level - 1)]
    return ".".join(filter(None, [*kept, name.lstrip(".")]))


def _with_parents(name: str) -> Iterator[str]:
    """Yield a module and the packages that it lies in, whose __init__.py run as well."""
    parts = current(name).split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))
