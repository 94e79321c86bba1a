"""What several commands share: the consoles, and where data and runs lie."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stars_bench import registry
from stars_bench.display.console import CarefulConsole

console = CarefulConsole(highlight=False)
errors = CarefulConsole(stderr=True, highlight=False)


def _known(data_dir: Path) -> Path:
    """A data folder, after which the datasets described in it have names."""
    registry.look_in(data_dir)
    return data_dir


DataDir = Annotated[
    Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_DATA", help="Prepared datasets.", callback=_known)
]
RunsDir = Annotated[Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_RUNS", help="Runs and records.")]
