"""JSON: nested lists, or objects by joint, under a key such as `frames[].people[].keypoints`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from stars_bench.datasets.custom.model import Coordinates
from stars_bench.datasets.custom.readers.axes import Stored, arranged, check_size, not_joints, with_scores
from stars_bench.datasets.parsing.numbers import ParseError


def read(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    """Return coordinates (M, T, V, A) as stored.

    Raises:
        ParseError: The text is no JSON; with its line.
        ValueError: The content is wrong.
    """
    content = load(data)
    axes = tuple(axis.removeprefix("-") for axis in how.axes)
    stored = _at(content, how.key, how.order, axes, joints)
    if how.score_key is None:
        return stored
    return with_scores(stored, _at(content, how.score_key, how.order, ("score",), joints))


def load(data: bytes) -> Any:
    """Return the content of a JSON file.

    Raises:
        ParseError: The text is no JSON; with its line.
        ValueError: It cannot be read otherwise.
    """
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise ParseError(error.lineno, error.msg) from error
    except (ValueError, RecursionError) as error:  # no text, a number of thousands of digits, lists in lists in lists
        raise ValueError(f"cannot be read as JSON ({error})") from error


def value(data: bytes, how: Coordinates, key: str) -> Any:
    """Return what lies under a key such as `info.label`.

    Raises:
        ValueError: There is no such key.
    """
    del how
    node = load(data)
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"there is no {name!r} (action_key = {key!r})")
        node = node[name]
    return node


def _at(content: Any, key: str | None, order: str, axes: Sequence[str], joints: Sequence[str]) -> Stored:
    found = _followed(content, key.split(".") if key else [], key, axes, joints)
    where = key or "the file"
    nested = "[]" in (key or "")
    stored = _stacked(found, order, (len(joints), len(axes)), where) if nested else _array(found, where)
    return arranged(stored, order, len(joints), len(axes))


def _followed(node: Any, steps: Sequence[str], key: str | None, axes: Sequence[str], joints: Sequence[str]) -> Any:
    """Return what lies under a key such as 'frames[].joints': lists where it says so, then what a joint has."""
    if not steps:
        return _by_joint(node, axes, joints) if isinstance(node, dict) else node
    name = steps[0].removesuffix("[]")
    if name:
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"there is no {name!r} (key = {key!r})")
        node = node[name]
    if not steps[0].endswith("[]"):
        return _followed(node, steps[1:], key, axes, joints)
    if not isinstance(node, list):
        raise ValueError(f"{name!r} is no list (key = {key!r})")  # noqa: TRY004 - the file's fault
    return [_followed(child, steps[1:], key, axes, joints) for child in node]


def _by_joint(node: dict[str, Any], axes: Sequence[str], joints: Sequence[str]) -> list[Any]:
    """Return the values of {"head": [x, y, z] or {"x": ...}, ...} in the order of the joints; missing ones as None."""
    if unknown := node.keys() - set(joints):
        raise ValueError(f"{min(unknown)!r} is not among the joints")
    of_each = [node.get(joint) for joint in joints]
    rows = [[one.get(axis) for axis in axes] if isinstance(one, dict) else one for one in of_each]
    return [[None] * len(axes) if row is None else row for row in rows]


def _array(found: Any, where: str) -> Stored:
    try:
        return np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} holds no array of numbers ({error})") from error


def _stacked(found: list[Any], order: str, shape: tuple[int, int], where: str) -> Stored:
    """Stack nested lists whose leaves are (V, C), flat or not; NaN fills the ends of shorter lists."""

    def leaf(values: Any) -> Stored:
        if values is None or values == []:
            return np.full(shape, np.nan)
        numbers = _array(values, where)
        if numbers.size != shape[0] * shape[1]:
            raise ValueError(f"{where} holds {numbers.size:,} numbers, {not_joints(numbers.size, *shape)}")
        return numbers.reshape(shape)

    if len(order) == len("TVC"):
        return np.stack([leaf(values) for values in found]) if found else np.empty((0, *shape))
    inner = max(map(len, found), default=0)
    check_size(len(found), inner, shape[0] * shape[1])
    stored = np.full((len(found), inner, *shape), np.nan)
    for i, row in enumerate(found):
        for j, values in enumerate(row):
            stored[i, j] = leaf(values)
    return stored
