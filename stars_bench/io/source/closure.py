"""The source code that classes and functions depend on: their module's import closure, or the cells they stand in.

Imports are followed through our own modules and the user's (files beside, on the path, editable installs); what is
installed is named with its version instead. Code that an interpreter was given without a file counts by definition.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from pydantic import BaseModel

from stars_bench.errors import UsageError
from stars_bench.io.files import digest_json, digest_lines
from stars_bench.io.source.modules import OWN, counts, distribution, handed_on, imported, is_standard, source_of

Definition = type | FunctionType


@dataclass(frozen=True)
class SourceClosure:
    """All source code that some classes and functions depend on.

    Attributes:
        sources: SHA-256 (hex) of each piece, by `module`, or `module:name` where it was typed.
        installed: Names of the installed packages that it imports.
    """

    sources: Mapping[str, str]
    installed: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all pieces, with their names."""
        return digest_json(self.sources)

    @property
    def of_user(self) -> dict[str, str]:
        """The pieces that are not ours."""
        return {name: digest for name, digest in self.sources.items() if name.partition(".")[0] != OWN}

    @property
    def distributions(self) -> dict[str, str]:
        """Versions of the installed distributions that it imports, by name."""
        return dict(sorted(found for name in self.installed if (found := distribution(name)) is not None))


def source_closure(definitions: Iterable[object], modules: Iterable[str] = ()) -> SourceClosure:
    """Find all source code that definitions and modules depend on.

    A module that lies in a file counts as a whole, with every module that it imports. Of code that was typed into a
    notebook, the classes and functions that are used count, and the plain values and arrays that they name.

    Args:
        definitions: Classes and functions; of other callables, their classes count, and of what a function has from
            outside.
        modules: Names of further modules.

    Raises:
        UsageError: Source that cannot be read; the message says what to do.
    """
    found: dict[str, str] = {}
    installed: set[str] = set()
    pending: list[str | Definition] = [*modules, *(part for one in definitions for part in _parts(one))]
    looked_at: set[str | Definition] = set()
    while pending:
        piece = pending.pop()
        if piece in looked_at:
            continue
        looked_at.add(piece)
        module = piece if isinstance(piece, str) else piece.__module__
        if isinstance(piece, FunctionType):
            pending += _from_outside(piece)
        elif isinstance(piece, type):  # methods that another file has put into the class
            foreign = [method for method in methods_of(piece) if method.__module__ != module]
            pending += [method for method in foreign if counts(method.__module__)]
        if (through := handed_on(module)) is not None:
            pending.append(through)
        elif counts(module):
            if (source := source_of(module)) is not None:
                found[module] = source.digest
                pending += source.imports
            elif not isinstance(piece, str) and is_typed(module):
                text = _text(piece)
                values, others = _named_in(piece)
                found[qualified_name(piece)] = digest_lines([text, *values])
                pending += [*others, *_imported_by(text, module)]
        elif module.partition(".")[0] != OWN and not is_standard(module):
            installed.add(module.partition(".")[0])
    return SourceClosure(dict(sorted(found.items())), frozenset(installed))


def _parts(thing: object) -> list[Definition]:
    """Return the classes and functions that a callable consists of."""
    if isinstance(thing, (type, FunctionType)):
        return [thing]
    if isinstance(thing, MethodType):
        return [*_parts(thing.__func__), type(thing.__self__)]
    if isinstance(thing, partial):
        held = (thing.func, *thing.args, *thing.keywords.values())
        return [part for one in held if callable(one) for part in _parts(one)]
    return [type(thing)]


def _from_outside(function: FunctionType) -> list[Definition]:
    """Return the classes and functions that the variables which a function has from outside consist of.

    Settings are values: methods that train a stage with the same ones share it, from configs of any class.
    """
    found = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # the variable has no value yet
            if not isinstance(cell.cell_contents, BaseModel):
                found += _parts(cell.cell_contents)
    return found


def qualified_name(definition: Definition) -> str:
    """Name a class or function as `module:name`."""
    return f"{definition.__module__}:{definition.__qualname__}"


def is_typed(module: str) -> bool:
    """Return whether a module's code was typed into a notebook or an interpreter: it is neither a file nor compiled."""
    there = sys.modules.get(module)
    return there is not None and not getattr(there, "__file__", None) and getattr(there, "__spec__", None) is None


def _imported_by(text: str, module: str) -> list[str]:
    """Return names of the modules that typed code imports itself."""
    try:
        return list(imported(ast.parse(textwrap.dedent(text)), module))
    except SyntaxError:  # a cell with commands of IPython
        return []


def functions_of(piece: Definition) -> list[FunctionType]:
    """Return a function itself.

    Of a class the functions that its body defines, properties' and decorated ones included.
    """
    if isinstance(piece, FunctionType):
        return [piece]
    return [method for method in methods_of(piece) if method.__module__ == piece.__module__]


def methods_of(piece: type) -> list[FunctionType]:
    """Return the functions of a class, wherever they were defined."""
    values = (getattr(value, "fget", None) or getattr(value, "func", value) for value in vars(piece).values())
    inner = (getattr(value, "__wrapped__", getattr(value, "__func__", value)) for value in values)
    return [value for value in inner if isinstance(value, FunctionType)]


def _named_in(piece: Definition) -> tuple[list[str], list[str | Definition]]:
    """Return what typed code refers to by a global name: plain values as lines.

    Classes, functions and names of modules.
    """
    names = {name: value for function in functions_of(piece) for name, value in global_values(function).items()}
    others: list[str | Definition] = [] if isinstance(piece, FunctionType) else list(piece.__bases__)
    others += [value for value in names.values() if isinstance(value, (type, FunctionType))]
    others += [value.__name__ for value in names.values() if isinstance(value, ModuleType)]
    shown = {name: _shown(value) for name, value in names.items()}
    return [f"{name} = {text}" for name, text in shown.items() if text is not None], others


def global_values(function: FunctionType) -> dict[str, Any]:
    """Return the values of the global names that a function's code has, by name."""
    names = sorted(set(_names(function.__code__)))
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def _shown(value: Any) -> str | None:
    """Return a plain value as it is written; of an array or a tensor, a digest; None for other things."""
    if is_plain(value):
        return repr(value)
    # torch itself and its class Tensor have these names, too.
    is_tensor = hasattr(value, "detach") and hasattr(value, "cpu") and not isinstance(value, type | ModuleType)
    if not isinstance(value, np.ndarray) and not is_tensor:
        return None
    array = value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
    return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, a text, None, or a list, tuple or dict of such: its repr says all of it."""
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
    """Return the source of typed code: the definition alone, out of the cell that it stands in."""
    functions = functions_of(piece)
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
