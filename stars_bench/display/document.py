"""One self-contained HTML file: a Jinja template on `parts/base.html`, data as JSON, and scripts.

Names never become markup: the template escapes everything that is not Markup, and the JSON holds no character that HTML
reads.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files as resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stars_bench._version import __version__
from stars_bench.io.outputs import mark

SHARED = ("stars_bench.display", "parts")


def document(
    command: str, folder: tuple[str, str], template: str, scripts: Sequence[str], data: Any, **context: Any
) -> str:
    """Return a page.

    Args:
        command: Command that writes it, whose later pages may replace it.
        folder: (package, folder in it) where the template and its scripts lie; those that pages share are found too.
        template: Its file, which extends base.html and sees `context`.
        scripts: Files, run in this order as one script.
        data: What the scripts draw; JSON-able.
        context: Values that the template sees.

    Returns:
        The page as HTML.
    """
    script = "\n".join(_part(folder, name) for name in ("base.js", *scripts))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment(folder).get_template(template).render(
        **context,
        data=Markup(embedded(data)),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style=Markup(_part(SHARED, "page.css")),  # noqa: S704
        digest=digest,
        generator=mark(command),
        version=__version__,
    )  # fmt: skip


def fragment(folder: tuple[str, str], template: str, **context: Any) -> str:
    """Fill in a template that is not a page of its own.

    Args:
        folder: (package, folder in it) where the template lies.
        template: Its file.
        context: Values that the template sees.
    """
    return _environment(folder).get_template(template).render(**context)


@cache
def _environment(folder: tuple[str, str]) -> Environment:
    # Everything that is not Markup is escaped; a name that is missing is a fault, not an empty string.
    return Environment(
        loader=ChoiceLoader([PackageLoader(*folder), PackageLoader(*SHARED)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _part(folder: tuple[str, str], name: str) -> str:
    for package, below in (folder, SHARED):
        file = resources(package).joinpath(below, name)
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError(f"{name} is no part of {folder[0]}")


def embedded(content: Any) -> str:
    """Return JSON for an HTML page; no text in it can end the script: a parser of HTML sees no tag and no entity."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
