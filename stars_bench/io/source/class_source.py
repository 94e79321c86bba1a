"""Facts of a class read from its source: lists and reports show them without importing it, and torch with it.

A fact is what its file writes as a literal: a string, a number, a tuple, a dict, a `Citation(...)`, a `Recipe(...)`, or
a name that stands for one of these, in that file or in one that it imports from.
"""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from stars_bench.api import Citation, Recipe

MADE = {made.__name__: made for made in (Citation, Recipe)}
"""Dataclasses of literals that a fact may be."""


def summary(target: str) -> str:
    """Return the first line of the docstring of a class; empty where there is none to be found.

    Args:
        target: The class as `package.module:Class`.
    """
    found = _class(target)
    return "" if found is None else (ast.get_docstring(found) or "").partition("\n")[0]


def fact(target: str, attribute: str) -> Any:
    """Return the value of an attribute of a class; None where the class does not write it as a literal.

    Args:
        target: The class as `package.module:Class`.
        attribute: The attribute's name. What a base class says is not looked for.
    """
    found = _class(target)
    try:
        return None if found is None else _value(ast.Name(attribute), found.body, _tree(target.partition(":")[0]).body)
    except (LookupError, TypeError, ValueError, RecursionError):  # names that stand for each other
        return None


@cache
def _tree(module: str) -> ast.Module:
    """Return the module as its file has it; empty where it has no file."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    path = Path(found.origin) if found is not None and found.origin is not None else None
    if path is None or path.suffix != ".py":
        return ast.Module([], [])
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):  # importing it says what is wrong
        return ast.Module([], [])


def _class(target: str) -> ast.ClassDef | None:
    module, _, name = target.partition(":")
    classes = (node for node in _tree(module).body if isinstance(node, ast.ClassDef) and node.name == name)
    return next(classes, None)


def _value(node: ast.expr | None, *scopes: list[ast.stmt]) -> Any:
    """Return what a literal stands for; names are looked up in the scopes, the innermost first.

    Raises:
        LookupError: It is no literal, or a name is not found.
    """
    match node:
        case ast.Constant():
            return node.value
        case ast.Tuple():
            return tuple(_value(one, *scopes) for one in node.elts)
        case ast.Dict(keys=keys, values=values):
            return {_value(key, *scopes): _value(value, *scopes) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(name)) if name in MADE:
            keywords = {one.arg or "": _value(one.value, *scopes) for one in node.keywords}
            return MADE[name](*(_value(one, *scopes) for one in node.args), **keywords)
        case ast.Name():
            return _named(node.id, *scopes)
    raise LookupError("not a literal")


def _named(name: str, *scopes: list[ast.stmt]) -> Any:
    for place, scope in enumerate(scopes):
        for node in scope:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return _value(getattr(node, "value", None), *scopes[place:])
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        return _named(alias.name, _tree(node.module).body)
    raise LookupError(name)
