"""A new plug-in from a template: a package with its module, its test and its entry point, which runs immediately."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path
from string import Template

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.io.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("method", "dataset", "protocol", "evaluation")
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def write_plugin(kind: str, name: str, parent: Path) -> tuple[Path, str]:
    """Write the package of a plug-in to a new folder PARENT/NAME.

    Args:
        kind: One of KINDS.
        name: Name of the plug-in; its package has _ for -.
        parent: Folder for the new folder.

    Returns:
        The folder, and the plug-in's name on the command line, `package.module:Object`.

    Raises:
        UsageError: The name is not valid or is taken, or the folder exists.
    """
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or keyword.iskeyword(package):
        raise UsageError(f"{name!r} cannot be a name: lower-case letters and digits, words joined by - or _")
    if name in registry.names(f"{kind}s"):
        raise UsageError(f"there is a {kind} called {name!r} already: choose another name")
    if importlib.util.find_spec(package) is not None:
        raise UsageError(f"there is a Python module called {package!r} already: choose another name")
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} is there already: nothing is overwritten; choose another name or --dir")
    names = {
        "name": name,
        "package": package,
        "cls": "".join(word.capitalize() for word in package.split("_")),
        "constant": package.upper(),
        "kind": kind,
    }
    names["object"] = names["cls"] if kind in ("method", "evaluation") else names["constant"]
    for template in sorted([*(TEMPLATES / kind).glob("*.txt"), *TEMPLATES.glob("*.txt")]):
        text = Template(template.read_text(encoding="utf-8")).substitute(names)
        write_text(folder / _place(template.stem, kind, package), text)
    return folder, f"{package}.{kind}:{names['object']}"


def _place(stem: str, kind: str, package: str) -> Path:
    """Return where a template's text goes, relative to the plug-in's folder."""
    inside = {"module.py": f"{package}/{kind}.py", "init.py": f"{package}/__init__.py"}
    return Path(inside.get(stem, f"tests/test_{package}.py" if stem == "test.py" else stem))
