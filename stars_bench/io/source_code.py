"""The source code that classes and functions depend on: their module's import closure, or the cells they stand in.

What is installed (the standard library, site-packages) is not followed. Neither is this package, whose code has a
digest of its own. An editable install counts as source, since it lies outside of site-packages.
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from stars_bench.errors import UsageError
from stars_bench.io.files import digest_file, digest_lines

Definition = type | FunctionType
INSTALLED = {"site-packages", "dist-packages"}
OWN = __name__.partition(".")[0]


def source_closure(definitions: Iterable[Definition]) -> dict[str, str]:
    """Find all source code of the user's own that classes and functions depend on.

    A module that lies in a file counts as a whole, with every module that it imports. Of code that was typed into a
    notebook, the classes and functions that are used count, and the plain values that they name.

    Args:
        definitions: classes and functions.

    Returns:
        SHA-256 (hex) of each piece, by `module` or `module:name`.

    Raises:
        UsageError: source that cannot be read; the message says what to do.
    """
    found: dict[str, str] = {}
    pending: list[str | Definition] = list(definitions)
    while pending:
        piece = pending.pop()
        module = piece if isinstance(piece, str) else piece.__module__
        file = _file(module)
        if _is_installed(module, file):
            continue
        if file is not None and module not in found:
            found[module] = digest_file(file)
            pending += _imported(module, file)
        elif file is None and not isinstance(piece, str) and is_typed(module):
            name = qualified_name(piece)
            if name not in found:
                values, others = _named_in(piece)
                found[name] = digest_lines([_text(piece), *values])
                pending += others
    return dict(sorted(found.items()))


def typed_source(module: str, qualname: str) -> dict[str, str]:
    """Find the source that a name of a module that was typed depends on: `source_closure` of the outermost definition.

    Raises:
        UsageError: the name is gone, or its source cannot be read.
    """
    definition = getattr(sys.modules[module], qualname.partition(".")[0], None)
    if not isinstance(definition, (type, FunctionType)):
        raise UsageError(f"{module}:{qualname}: is gone, so its source code cannot be read: define it again")
    return source_closure([definition])


def qualified_name(definition: Definition) -> str:
    """Name a class or function as `module:name`."""
    return f"{definition.__module__}:{definition.__qualname__}"


def _file(module: str) -> Path | None:
    """The Python file of a module, imported or not; None: it has none."""
    if (there := sys.modules.get(module)) is not None:
        origin = getattr(there, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, AttributeError, ValueError):  # a parent that is missing, or that is no package
            spec = None
        origin = None if spec is None else spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") and Path(origin).exists() else None


def _is_installed(module: str, file: Path | None) -> bool:
    top = module.partition(".")[0]
    standard = top in sys.stdlib_module_names and top != "__main__"
    return top == OWN or standard or (file is not None and not INSTALLED.isdisjoint(file.parts))


def is_typed(module: str) -> bool:
    """Whether a module's code was typed into a notebook or an interpreter: it is neither a file nor compiled."""
    there = sys.modules.get(module)
    return there is not None and not getattr(there, "__file__", None) and getattr(there, "__spec__", None) is None


def _imported(module: str, file: Path) -> Iterator[str]:
    """Names of the modules that a file imports, wherever it does."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            yield from filter(None, (base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)))


def _functions(piece: Definition) -> list[FunctionType]:
    """A function itself; of a class the functions that its body defines, properties' and decorated ones included."""
    if isinstance(piece, FunctionType):
        return [piece]
    values = (getattr(value, "fget", None) or getattr(value, "func", value) for value in vars(piece).values())
    inner = (getattr(value, "__wrapped__", getattr(value, "__func__", value)) for value in values)
    return [value for value in inner if isinstance(value, FunctionType) and value.__module__ == piece.__module__]


def _named_in(piece: Definition) -> tuple[list[str], list[str | Definition]]:
    """What typed code refers to by a global name: plain values as lines; classes, functions and names of modules."""
    names = {
        name: function.__globals__[name]
        for function in _functions(piece)
        for name in sorted(set(_names(function.__code__)))
        if name in function.__globals__
    }
    others: list[str | Definition] = [] if isinstance(piece, FunctionType) else list(piece.__bases__)
    others += [value for value in names.values() if isinstance(value, (type, FunctionType))]
    others += [value.__name__ for value in names.values() if isinstance(value, ModuleType)]
    return [f"{name} = {value!r}" for name, value in names.items() if is_plain(value)], others


def is_plain(value: Any) -> bool:
    """Whether a value is a number, a text, None, or a list, tuple or dict of such: its repr says all of it."""
    if isinstance(value, dict):
        return all(map(is_plain, (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, complex, str, bytes)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _text(piece: Definition) -> str:
    """The source of typed code: the definition alone, out of the cell that it stands in."""
    functions = _functions(piece)
    if not functions:  # a class whose body holds values only
        return repr(sorted((name, value) for name, value in vars(piece).items() if is_plain(value)))
    code = functions[0].__code__
    cell = "".join(linecache.getlines(code.co_filename))
    if not cell:
        raise UsageError(
            f"{qualified_name(piece)}: its source code cannot be read, so no result can be traced to "
            "it: define it in a file or in a cell of a notebook"
        )
    try:
        nodes = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    except SyntaxError:  # a cell with commands of IPython: all of it counts
        return cell
    name = piece.__name__
    spans = [(node, range(node.lineno, (node.end_lineno or node.lineno) + 1)) for node in nodes if node.name == name]
    own = next((node for node, lines in spans if code.co_firstlineno in lines), None)
    return (ast.get_source_segment(cell, own) if own is not None else None) or cell
