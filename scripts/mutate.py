"""Break places of meaning one at a time and say which of these breaks the tests see.

    python scripts/mutate.py [--only NAME ...] [--jobs N]

`mutations.toml` lists the places: a promise, a file, a text in it, what takes its place, and the tests that should see
it. Each change is made in a copy of the tree, where these tests run (not the slow ones). The output is a Markdown
table. The exit status is 1 where a change was not seen, or could not be tried.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutations.toml")
COPIED = ("stars_bench", "tests", "docs", "examples", "scripts", "pyproject.toml", "README.md")
OUTCOMES = {0: "NOT SEEN", 1: "seen"}
"""By exit status of pytest; others mean that the tests could not be run."""
SECONDS = 900
"""After which a test that a change makes hang has failed."""
IMPORTED_ONCE = ("pytest", "torch", "pandas", "scipy.stats", "h5py", "pydantic", "numba", "typer", "rich")
"""Packages that take long to import, and are no part of the tree."""


@dataclass(frozen=True)
class Mutation:
    """A small change of the text that breaks a promise.

    Args:
        name: Its name.
        promise: What it breaks.
        file: The file, from the root of the checkout.
        old: A text that occurs there once.
        new: What takes its place.
        tests: Files or node ids of the tests that should see it.
    """

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def applied(self, text: str) -> str:
        """Return the file's text with the change.

        Raises:
            ValueError: The old text does not occur exactly once.
        """
        if (found := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    """Read the list."""
    return [Mutation(name, **entry) for name, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items()]


def copied(folder: Path) -> None:
    """Put what tests need into a folder; files are links to the checkout's own where that is possible."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, copy_function=linked, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            linked(str(source), str(folder / name))


def linked(source: str, place: str) -> None:
    """Link a file, or copy it where the folders lie on different disks."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copy2(source, place)


def tried(mutation: Mutation) -> tuple[Mutation, str]:
    """Apply a change in a copy of the tree and run its tests there; return what happened. It spoils the process."""
    import pytest

    signal.signal(signal.SIGALRM, stopped)
    signal.alarm(SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        file = Path(folder, mutation.file)
        try:
            changed = mutation.applied(file.read_text(encoding="utf-8"))
        except ValueError as error:
            return mutation, str(error)
        file.unlink()  # it may be a link
        file.write_text(changed, encoding="utf-8")
        os.chdir(folder)
        os.environ.update(PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1")
        sys.path.insert(0, folder)
        options = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
        said = io.StringIO()
        with redirect_stdout(said):
            status = pytest.main([*options, *mutation.tests])
        os.chdir(ROOT)
    last = (said.getvalue().strip() or "no output").splitlines()[-1]
    return mutation, OUTCOMES.get(int(status), f"could not be tried: {last}")


def stopped(*_: object) -> NoReturn:
    """Fail the test that a change lets run for ever."""
    raise TimeoutError(f"no end after {SECONDS} s")


def main() -> int:
    """Try the changes and print a table."""
    parser = argparse.ArgumentParser(description="Break places of meaning; say which breaks the tests see.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of the list to try; default all")
    parser.add_argument("--jobs", type=int, default=1, help="how many to try at once; default 1")
    options = parser.parse_args()
    chosen = [one for one in mutations() if not options.only or one.name in options.only]
    if unknown := set(options.only or ()) - {one.name for one in chosen}:
        parser.error(f"{', '.join(sorted(unknown))}: not in {LIST.name}")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    print("| broken promise | name | |\n|---|---|---|", flush=True)
    outcomes = []
    # A process for each change, forked from this one, which has the imports behind it.
    with get_context("fork").Pool(options.jobs, maxtasksperchild=1) as pool:
        for mutation, outcome in pool.imap(tried, chosen, chunksize=1):
            outcomes.append(outcome)
            print(f"| {mutation.promise} | `{mutation.name}` | {outcome} |", flush=True)
    seen = outcomes.count("seen")
    print(f"\n{len(outcomes)} tried, {seen} seen, {len(outcomes) - seen} not.")
    return int(seen < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
