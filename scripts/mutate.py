"""Break places of meaning one at a time and say which of these breaks the tests see.

    python scripts/mutate.py [--only NAME ...] [--jobs N] [--resume FILE]

`mutations.toml` lists the places: a promise, a file, a text in it, what takes its place, and the tests that should see
it. Each change is made in a copy of the tree, where its tests run (not the slow ones). It was seen if a test fails that
passes in an unchanged copy. The output is a Markdown table. The exit status is 1 where a change was not seen, or could
not be tried.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("mutations.toml")
COPIED = ("stars_bench", "tests", "docs", "examples", "scripts", "pyproject.toml", "README.md")
OUTCOMES = {0: "NOT SEEN", 1: "seen"}
"""By exit status of pytest; others mean that the tests could not be run."""
BROKEN_OFF = 3
"""Exit status of a session that ends in an exception."""
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


def fails_unchanged(test: str) -> bool:
    """Run a test in an unchanged copy of the tree; return whether it fails. It spoils the process."""
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        return run_tests(folder, [test])[0] != 0


def tried(mutation: Mutation) -> tuple[Mutation, str, str]:
    """Apply a change in a copy of the tree and run its tests there. It spoils the process.

    Returns:
        The change, what happened, and the test that failed; empty where none did.
    """
    try:
        changed = mutation.applied((ROOT / mutation.file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return mutation, f"could not be tried: there is no {mutation.file}", ""
    except ValueError as error:
        return mutation, f"could not be tried: {error}", ""
    signal.signal(signal.SIGALRM, stopped)
    signal.alarm(SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        file = Path(folder, mutation.file)
        file.unlink()  # it may be a link
        file.write_text(changed, encoding="utf-8")
        status, said, failed = run_tests(folder, ["-x", *mutation.tests])
    return mutation, OUTCOMES.get(status, f"could not be tried: {(said or 'no output').splitlines()[-1]}"), failed


def run_tests(folder: str, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run pytest in a copy of the tree; return its exit status, its output, and the first test that failed."""
    import pytest

    os.chdir(folder)
    os.environ.update(PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1")
    sys.path.insert(0, folder)
    options = ["-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
    said, failures = io.StringIO(), _Failures()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            status = int(pytest.main([*options, *arguments], plugins=[failures]))
        except Exception as error:  # warnings of the interpreter at the end of a session, say
            status = 1 if failures.first else BROKEN_OFF
            said.write(f"\n{type(error).__name__}: {error}".rstrip())
    os.chdir(ROOT)
    return status, said.getvalue().strip(), failures.first


class _Failures:
    """Notes the first test that fails, as a plug-in of pytest."""

    first = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.first = self.first or report.nodeid


def left_to_try(chosen: Sequence[Mutation], outcomes: Path | None) -> list[Mutation]:
    """Leave out the changes that were seen in an earlier run, if their entries are as they were then."""
    if outcomes is None or not outcomes.exists():
        return list(chosen)
    lines = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines()]
    seen = [line["entry"] for line in lines if line["outcome"] == "seen"]
    return [one for one in chosen if asdict(one) not in seen]


def stopped(*_: object) -> NoReturn:
    """Fail the test that a change lets run for ever."""
    raise TimeoutError(f"no end after {SECONDS} s")


def main() -> int:
    """Try the changes and print a table."""
    parser = argparse.ArgumentParser(description="Break places of meaning; say which breaks the tests see.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of the list to try; default all")
    parser.add_argument("--jobs", type=int, default=1, help="how many to try at once; default 1")
    parser.add_argument(
        "--resume", type=Path, metavar="FILE", help="add each outcome to FILE; entries seen there are not tried again"
    )
    options = parser.parse_args()
    chosen = [one for one in mutations() if not options.only or one.name in options.only]
    if unknown := set(options.only or ()) - {one.name for one in chosen}:
        parser.error(f"{', '.join(sorted(unknown))}: not in {LIST.name}")
    left = left_to_try(chosen, options.resume)
    outcomes = ["seen"] * (len(chosen) - len(left))
    if not left:
        print(f"{len(outcomes)} tried, all seen.")
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    # A process for each change, forked from this one, which has the imports behind it.
    fork = get_context("fork")
    with fork.Pool(options.jobs, maxtasksperchild=1) as pool, fork.Pool(1, maxtasksperchild=1) as checks:
        print("| broken promise | name | |\n|---|---|---|", flush=True)
        for mutation, outcome, failed in pool.imap_unordered(tried, left, chunksize=1):
            if failed and checks.apply(fails_unchanged, [failed]):
                outcome = f"could not be tried: {failed} fails without the change, too"
            outcomes.append(outcome)
            print(f"| {mutation.promise} | `{mutation.name}` | {outcome} |", flush=True)
            if options.resume:
                with options.resume.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps({"entry": asdict(mutation), "outcome": outcome}) + "\n")
    seen = outcomes.count("seen")
    print(f"\n{len(outcomes)} tried, {seen} seen, {len(outcomes) - seen} not.")
    return int(seen < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
