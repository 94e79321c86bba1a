"""Writes docs/api.md from the docstrings: what a program of one's own calls, what a plug-in implements.

Usage, at the top of a checkout: `python scripts/api_page.py`; with `--check` it fails when the page is not current.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """# From Python

Made from the docstrings by `python scripts/api_page.py`; a test holds that it is current.
"""
PARTS = {
    "Data and results": "stars_bench",
    "Transforms of clips": "stars_bench.data.transforms",
    "What a plug-in implements and receives": "stars_bench.api",
    "Checks for plug-ins": "stars_bench.testing",
}
NAMED = re.compile(r"(?:(?<=[.;)] )|^)([\w*]+(?:, [\w*]+)*): ")
SECTION = re.compile(r"^(Args|Raises|Returns|Attributes|Columns|Yields):[ \t]*(.*)$")
WIDTH = 100


def is_code(value: Any) -> bool:
    """Whether a public name is a function or a class: others, such as modules and types, have no docstring here."""
    return inspect.isfunction(value) or inspect.isclass(value)


def names(module: Any) -> list[str]:
    """The public names of a module that have a docstring: functions first, then classes, each in the module's order."""
    listed = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__
    ]
    public = [name for name in listed if not name.startswith("_") and is_code(getattr(module, name))]
    return sorted(public, key=lambda name: inspect.isclass(getattr(module, name)))


def signature(name: str, value: Any) -> str:
    """The call as a programmer writes it, one parameter a line where it is long."""
    told = inspect.signature(value)
    parameters = [str(each) for each in told.parameters.values() if each.name != "self"]
    keyword_only = [each.kind is inspect.Parameter.KEYWORD_ONLY for each in told.parameters.values()]
    if True in keyword_only:
        parameters.insert(keyword_only.index(True), "*")
    parameters = [re.sub(r"""^(\W*\w+: )(['"])(.*?)\2( = |$)""", r"\1\3\4", each) for each in parameters]
    returned = told.return_annotation
    after = "" if returned is told.empty or inspect.isclass(value) else f" -> {returned}"
    line = f"{name}({', '.join(parameters)}){after}"
    if len(line) <= WIDTH or not parameters:
        return line
    return f"{name}(\n    " + ",\n    ".join(parameters) + f",\n){after}"


def text(documentation: str, parameters: Collection[str] = ()) -> str:
    """A docstring as Markdown: sections become bold words, and in them each name an item of a list."""
    paragraphs = []
    for paragraph in inspect.cleandoc(documentation).split("\n\n"):
        head, _, rest = paragraph.partition("\n")
        if (section := SECTION.match(head)) is None:
            paragraphs.append(paragraph)
            continue
        told = " ".join([section[2], *(line.strip() for line in rest.splitlines())]).strip()
        starred = (f"{stars}{name}" for name in parameters for stars in ("", "*", "**"))
        known = {*starred, *re.findall(r"\b[A-Z]\w*(?:Error|Conforming)\b", told)}
        starts = [found for found in NAMED.finditer(told) if set(re.split(r",\s*", found[1])) <= known]
        cuts = [found.start() for found in starts]
        items = [told[first:behind].strip() for first, behind in zip([0, *cuts], [*cuts, len(told)], strict=True)]
        items = [re.sub(r"^([\w*, ]+): ", r"`\1`: ", item) for item in items if item]
        paragraphs += [f"**{section[1]}**", "\n".join(f"- {item}" for item in items)]
    return "\n\n".join(paragraphs)


def entry(name: str, value: Any) -> Iterator[str]:
    """The paragraphs of one name: how it is called, what it is; of a class, its methods and properties."""
    yield f"### `{name}`"
    is_error = inspect.isclass(value) and issubclass(value, Exception)
    is_contract = inspect.isclass(value) and getattr(value, "_is_protocol", False)
    if not is_error and not is_contract:
        yield f"```\n{signature(name, value)}\n```"
    yield text(value.__doc__, () if is_error or is_contract else inspect.signature(value).parameters)
    if not inspect.isclass(value) or is_error:
        return
    for member, found in vars(value).items():
        is_property = isinstance(found, property | cached_property)
        function = found.fget if isinstance(found, property) else getattr(found, "func", found)
        function = getattr(function, "__func__", function)
        if member.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        yield f"```\n.{member if is_property else signature(member, function)}\n```"
        yield text(function.__doc__, inspect.signature(function).parameters)


def page() -> str:
    """The whole page."""
    paragraphs = [HEAD]
    for title, module_name in PARTS.items():
        module = importlib.import_module(module_name)
        paragraphs += [f"## {title}: `{module_name}`"]
        for name in names(module):
            paragraphs += entry(name, getattr(module, name))
    return "\n\n".join(paragraph.strip() for paragraph in paragraphs) + "\n"


def main() -> None:
    """The command line."""
    made = page()
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") != made:
            sys.exit(f"{PAGE} is not current: python scripts/api_page.py")
    else:
        PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
