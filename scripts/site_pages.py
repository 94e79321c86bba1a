"""What the site has beside docs/: pages of the repository's root, the command line's reference, examples, docstrings.

MkDocs calls the functions `on_...` while it builds the site (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from api_page import PARTS, names
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OF_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
}
"""Pages of the repository's root, and where the site has them."""
COPIED = ("LICENSE", "CITATION.cff")
"""Other files of the root that pages link to."""
EXAMPLES = (".ipynb", ".py", ".sh", ".toml")
LINK = re.compile(r"""(?P<before>\]\(|(?:src|srcset|href)=")(?P<path>[^)\s#":]+)(?P<after>[)#"])""")
FENCE = re.compile(r"^(```\w+) (?:file=(\S+)|\w+=\S+)$", re.MULTILINE)
RECORD = "stars_bench.records.record"
"""The module of records."""
CSS = """/* Tables as wide as the page: figures stay on one line, and a narrow screen scrolls within the table. */
.md-typeset table:not([class]) { font-size: 0.68rem; }
.md-typeset table:not([class]) th, .md-typeset table:not([class]) td { padding: 0.5em 0.8em; }
.md-typeset table:not([class]) th:empty { padding: 0; }
.md-typeset td code { word-break: normal; overflow-wrap: anywhere; }
.jupyter-wrapper .jp-Cell-outputWrapper { overflow-x: auto; }
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and files that do not lie in docs/."""
    for name, page in OF_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    for name in COPIED:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for example in sorted((ROOT / "examples").iterdir()):
        if example.suffix in EXAMPLES:
            files.append(File.generated(config, f"examples/{example.name}", abs_src_path=str(example)))
    files.append(File.generated(config, "cli.md", content=command_line()))
    files.append(File.generated(config, "site.css", content=CSS))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Give a page the site's links and code blocks, and docstrings where they belong."""
    source = page.file.src_uri
    if source == "api.md":
        return from_python()
    if source == "files.md":
        markdown = f"{markdown}\n\n{record()}"
    markdown = FENCE.sub(lambda found: f'{found[1]} title="{found[2]}"' if found[2] else found[1], markdown)
    return LINK.sub(lambda found: link(found, source), markdown)


def link(found: re.Match[str], source: str) -> str:
    """Return a link to a file of the repository as the site has that file."""
    origin = next((name for name, page in OF_ROOT.items() if page == source), f"docs/{source}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found["path"]))
    if not (ROOT / target).is_file():
        return found[0]
    place = OF_ROOT.get(target, target.removeprefix("docs/"))
    return found["before"] + posixpath.relpath(place, posixpath.dirname(source) or ".") + found["after"]


def command_line() -> str:
    """Return the reference of the command line, as Typer writes it."""
    command = [sys.executable, "-m", "typer", "stars_bench.cli", "utils", "docs", "--name", "stars-bench"]
    environment = os.environ | {"_TYPER_STANDARD_TRACEBACK": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True)
    text = re.sub(r"^# `stars-bench`$", "# Command line", done.stdout, count=1, flags=re.MULTILINE)
    return re.sub(r"(?<=\w)<(?=[a-z])|\[default: [^\]]*\]", lambda found: found[0].replace("<", "&lt;"), text)


def from_python() -> str:
    """Return the reference of the public Python names: mkdocstrings fills it in from the docstrings."""
    import importlib

    parts = ["# From Python", "What your program calls, and what a plug-in implements."]
    for title, module_name in PARTS.items():
        module = importlib.import_module(module_name)
        parts.append(f"## {title}: `{module_name}`")
        for name in names(module):
            value = getattr(module, name)
            parts.append(f"::: {value.__module__}.{value.__qualname__}")
    return "\n\n".join(parts) + "\n"


def record() -> str:
    """Return the fields of a record: mkdocstrings fills them in from the docstrings."""
    import importlib

    from pydantic import BaseModel

    module = importlib.import_module(RECORD)
    models = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__ == RECORD and name[0] != "_"
    ]
    options = "    options:\n      members: false\n      separate_signature: false\n      show_bases: false"
    parts = [f"## Fields of a record, schema {module.SCHEMA_VERSION}"]
    parts += [f"::: {RECORD}.{name}\n{options}" for name in ("Record", *sorted(set(models) - {"Record"}))]
    return "\n\n".join(parts) + "\n"
