"""Texts of a record without the places of the machine that wrote them: absolute paths, the machine's own name."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from typing import Any

_START = r"(?:[A-Za-z]:[\\/]|\\\\|~[\w.-]*/|/(?=[^\s/]))"
"""How an absolute path begins: C:\\, \\\\server, ~user/, /home."""
_QUOTED = re.compile(rf"""(?P<quote>['"])(?P<path>{_START}.*?)(?P=quote)""")
_BARE = re.compile(rf"""(?<![\w.\\/-]){_START}[^\s'"<>|;,()]*""")
_IS_PATH = re.compile(rf"^{_START}")
FREE = ("command", "init", "doubts", "notes")
"""Keys of a record below which texts stand that decide nothing: what a user typed, where a file lay, remarks."""


def shortened(text: str) -> str:
    """Return a text with the last name of each absolute path in its place, and HOST for the name of this machine."""
    text = _QUOTED.sub(lambda found: f"{found['quote']}{_last(found['path'])}{found['quote']}", text)
    text = _BARE.sub(lambda found: _last(found[0]), text)
    for name in (platform.node(), platform.node().partition(".")[0]):  # the whole name before its beginning
        if len(name) > 2:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "HOST", text)
    return text


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or "PATH"


def without_places(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a record with its free texts `shortened`; what decides the result stays as it is."""
    return {name: _free(value) if name in FREE else _descend(value) for name, value in content.items()}


def _descend(value: Any) -> Any:
    return without_places(value) if isinstance(value, Mapping) else value


def _free(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, Mapping):
        return {name: _free(one) for name, one in value.items()}
    return [_free(one) for one in value] if isinstance(value, list) else value


def places(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in a tree of plain values that are absolute paths, each with its dotted name."""
    if isinstance(value, str) and _IS_PATH.match(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from places(one, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from places(one, f"{name}.{number}")
