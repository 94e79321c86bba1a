"""Commands that begin a plug-in: new-method, new-dataset, new-protocol, new-evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stars_bench.cli.options import console

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name in lower case, words joined by -: my-idea.")]
Parent = Annotated[Path, typer.Option("--dir", metavar="DIR", help="Parent of the new folder NAME.")]


def new_method(name: Name, parent: Parent = Path()) -> None:
    """Create a package for your own method: small, ready to run, with its test and entry point."""
    _write("method", name, parent, "run {target} --protocol xsub --preset quick")


def new_dataset(name: Name, parent: Parent = Path()) -> None:
    """Create a package for your own dataset: small, ready to run, with its test and entry point."""
    _write("dataset", name, parent, "prepare {target} --raw FOLDER")


def new_protocol(name: Name, parent: Parent = Path()) -> None:
    """Create a package for your own protocol: small, ready to run, with its test and entry point."""
    _write("protocol", name, parent, "run untrained --protocol {target} --preset quick")


def new_evaluation(name: Name, parent: Parent = Path()) -> None:
    """Create a package for your own evaluation: small, ready to run, with its test and entry point."""
    _write("evaluation", name, parent, "run untrained --protocol xsub --preset quick --eval {target}")


def _write(kind: str, name: str, parent: Path, command: str) -> None:
    from stars_bench.plugins import scaffold

    folder, target = scaffold.write_plugin(kind, name, parent)
    module = target.partition(":")[0].replace(".", "/")
    console.print(f"{folder}: change {module}.py; then, in that folder:", markup=False, soft_wrap=True)
    for line in (f"stars-bench {command.format(target=target)}", "python -m pytest"):
        console.print(f"  {line}", markup=False, soft_wrap=True)
