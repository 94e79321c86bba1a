"""Commands that show what there is: list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stars_bench import registry
from stars_bench.api import UsageError
from stars_bench.cli.options import DataDir, console


def list_names(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="datasets, protocols, methods or evaluations.")
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """What there is: datasets (and which are prepared), protocols, methods, evaluations, plug-ins included."""
    from stars_bench.datasets.shards import prepared_datasets

    kinds = list(registry.BUILT_IN)
    if kind not in (None, *kinds):
        raise UsageError(f"there is no list of {kind!r}: {', '.join(kinds)}")
    prepared = {found.name for found in prepared_datasets(data_dir)}
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "what it is"):
        table.add_column(column)
    for group in [kind] if kind else kinds:
        for name in registry.names(group):
            text = registry.summary(group, name)  # of a class; datasets and protocols are objects, and cheap to load
            if not text:
                spec = registry.load(group, name)
                text = spec.title + (" [green](prepared)[/]" if name in prepared else "")
                if kind == "datasets":
                    text += f"\n[dim]cite: {spec.citation}\nlicence: {spec.licence}[/]"
            table.add_row(group[:-1], name, text)
    console.print(table)
