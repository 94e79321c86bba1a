"""Every code block of the pages runs, top to bottom in a folder of its own with made-up data; every command exists.

A block that cannot run here (licensed data, a GPU, hours) says why in a comment above it, `<!-- not run: WHY -->`; it
is still read: Python is compiled, and every `stars-bench` command, in running text too, must be one that the program
takes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from stars_bench import cli
from tests.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "lab").glob("*.md"))]
ELSEWHERE = {"tutorial.md", "adding.md", "cluster.md"}
"""Pages whose blocks have tests of their own: below, in test_adding.py and in test_cluster.py."""
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]+) -->\n)?```(?P<kind>\w*)(?: file=(?P<file>\S+))?[^\n]*\n(?P<code>.*?)^```$",
    re.M | re.S,
)
COMMAND = re.compile(r"`(stars-bench [^`]+)`")
OPEN = re.compile(r"\.\.\.|…|\[|\{|\|| > |\b[A-Z]+(_[A-Z]+)*\.\.\.")
"""What a pattern of commands holds and a command does not."""


@dataclass(frozen=True)
class Block:
    """A code block: its language, what is in it, why it is not run (None: it is), and the file that it is."""

    kind: str
    code: str
    why_not: str | None
    file: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["kind"], each["code"], each["why"], each["file"]) for each in found]


def commands(page: Path) -> Iterator[str]:
    """Every whole `stars-bench` command of a page."""
    text = page.read_text(encoding="utf-8")
    lines = [
        line.partition("  #")[0].strip()
        for block in blocks(page)
        if block.kind in ("bash", "sh")
        for line in block.code.replace("\\\n", " ").splitlines()
    ]
    inline = [" ".join(each.split()) for each in COMMAND.findall(BLOCK.sub("", text))]
    for line in [*lines, *inline]:
        if line.startswith("stars-bench ") and not OPEN.search(line):
            yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_the_program_takes(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    known: Any = typer.main.get_command(cli.app)
    for line in commands(page):
        words = [word for word in shlex.split(line)[1:] if word != "--debug"]
        if not words or words[0].isupper() or words[0].startswith("-"):
            continue
        name, *arguments = words
        assert name in known.commands, line
        command = known.commands[name]
        options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert {word.partition("=")[0] for word in arguments if word.startswith("--")} <= options, line
        # Named in running text a command may lack its arguments; and a placeholder may stand for a number or a choice.
        if arguments and not any(word.isupper() or word == "--help" for word in arguments):
            command.make_context(name, arguments).close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_that_is_not_run_is_python(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "python":
            compile(block.code, page.name, "exec")


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        unknown = {block.kind for block in blocks(page)} - {
            "bash",
            "sh",
            "python",
            "",
            "toml",
            "text",
            "bibtex",
            "csv",
            "mermaid",
        }
        assert not unknown, f"{page.name}: {unknown}"


RUN = [page for page in PAGES if page.name not in ELSEWHERE and any(not b.why_not and b.kind for b in blocks(page))]


@pytest.fixture
def follow(tmp_path: Path) -> Callable[[Path], None]:
    """Runs the blocks of a page from top to bottom, each in the same folder."""
    programs, folder = tmp_path / "programs", tmp_path / "work"
    programs.mkdir()
    folder.mkdir()
    for name, line in {"stars-bench": "-m stars_bench", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/bash\nexec "{sys.executable}" {line} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    for name in ("STARS_BENCH_DATA", "STARS_BENCH_RUNS", "STARS_BENCH_RAW"):
        environment.pop(name, None)

    def one(page: Path) -> None:
        for block in blocks(page):
            if block.file is not None:
                (folder / block.file).write_text(block.code, encoding="utf-8")
            if block.file is not None and not block.file.startswith("try_"):
                continue
            if block.why_not or block.kind not in ("bash", "sh", "python"):
                continue
            shell = ["bash", "-euo", "pipefail", "-c", block.code]
            command = [sys.executable, "-c", block.code] if block.kind == "python" else shell
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block.code}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"

    return one


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_from_top_to_bottom(page: Path, follow: Callable[[Path], None]) -> None:
    follow(page)


@pytest.mark.slow
def test_the_tutorial_runs_and_then_the_page_on_plug_ins_in_its_folder(follow: Callable[[Path], None]) -> None:
    for name in ("tutorial.md", "adding.md"):
        follow(ROOT / "docs" / name)


def test_the_page_of_the_python_names_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "api_page.py", "--check"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
