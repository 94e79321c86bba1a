"""What is in a prepared dataset or in one of its shards, at a glance: read from the index and the tables, not from the
coordinates. For the terminal, at most 80 columns wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stars_bench.api import UsageError
from stars_bench.datasets import quality, shards
from stars_bench.datasets.shards import PreparedDataset

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

GROUPS = {"label": "class", "subject": "subject", "camera": "camera", "setup": "setup", "replication": "replication"}


def overview(dataset: PreparedDataset) -> RenderableType:
    """Counts, lengths, bodies, what the cleaning dropped, digests.

    Raises:
        UsageError: a shard is missing or damaged.
    """
    from rich.console import Group
    from rich.text import Text

    table = dataset.table
    head = Text.assemble((dataset.name, "bold"), f", profile {dataset.profile.name}: {dataset.profile.summary}")
    groups = _groups(table, dataset.spec.classes)
    return Group(head, _lines(totals(dataset)), groups, quality.render(dataset.quality))


def totals(dataset: PreparedDataset) -> dict[str, str]:
    """What holds for the whole dataset: name and value, in words."""
    table = dataset.table
    frames, people = table["num_frames"], table["num_bodies"].value_counts()
    minutes = frames.sum() / dataset.spec.frame_rate / 60
    whole = "complete" if dataset.complete else "partial"
    parameters = ", ".join(f"{key}={value}" for key, value in dataset.profile.parameters.items())
    return {
        "folder": str(dataset.folder),
        "digest": dataset.digest,
        "clips": f"{len(table):,} ({whole})",
        "frames": f"{frames.min()} to {frames.max()}, median {frames.median():.0f}; {minutes:,.1f} minutes in all",
        "bodies": f"one in {people.get(1, 0):,} clips, two in {people.get(2, 0):,}",
        "absent body": {"zero": "zeros", "duplicate": "a copy of the first"}[dataset.absent_body],
        "parameters": parameters,
    }


def _groups(table: pd.DataFrame, classes: tuple[str, ...]) -> RenderableType:
    from rich.table import Table

    counts = Table(title="Clips", title_justify="left", box=None, pad_edge=False)
    for column in ("per", "how many", "median", "fewest", "most"):
        counts.add_column(column, justify="left" if column == "per" else "right")
    for column, word in GROUPS.items():
        sizes = table[column].value_counts(sort=False).sort_index()
        if len(sizes) == 1 and column != "label":
            continue  # PKU-MMD has no setups
        names = {value: classes[int(value)] if column == "label" else str(value) for value in sizes.index}
        fewest, most = f"{sizes.min():,} ({names[sizes.idxmin()]})", f"{sizes.max():,} ({names[sizes.idxmax()]})"
        counts.add_row(word, f"{len(sizes):,}", f"{sizes.median():,.0f}", fewest, most)
    return counts


def shard_overview(path: Path) -> RenderableType:
    """What one shard says of itself.

    Raises:
        UsageError: it cannot be read as one.
    """
    facts = shards.read_facts(path)
    if facts is None:
        raise UsageError(f"{path}: cannot be read as a shard")
    lines = {"shard": str(path), "clips": f"{len(facts.contents):,}", "rows": f"{facts.rows:,}", "sha256": facts.sha256}
    lines |= {"plan": facts.plan, "set aside": str(len(facts.set_aside))}
    return _lines(lines | {rule.replace("_", " "): f"{count:,}" for rule, count in facts.cleaning.items() if count})


def _lines(lines: Mapping[str, str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in lines.items():
        table.add_row(Text(name, "dim"), Text(value, overflow="fold"))
    return table
