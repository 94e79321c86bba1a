"""What is in a prepared dataset or in one of its shards: from the index and the tables, not from the coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stars_bench.display.blocks import Bars, Block, Facts, Inspection, Table
from stars_bench.display.blocks_terminal import sparkline
from stars_bench.errors import UsageError
from stars_bench.storage import quality, shards
from stars_bench.storage.one_shard import open_shard
from stars_bench.storage.shards import PreparedDataset

if TYPE_CHECKING:
    import pandas as pd

GROUPS = {"label": "class", "subject": "subject", "camera": "camera", "setup": "setup", "replication": "replication"}
LENGTH_BINS = 24


def overview(dataset: PreparedDataset) -> Inspection:
    """Describe a prepared dataset: counts, lengths, bodies, what the cleaning dropped, checksums.

    Raises:
        UsageError: A shard is missing or damaged.
    """
    table, profile = dataset.table, dataset.profile
    blocks = [Facts(totals(dataset)), *_counts(table, dataset.spec.classes), *quality.blocks(dataset.quality)]
    return Inspection(dataset.name, f"profile {profile.name}: {profile.summary}", tuple(blocks))


def totals(dataset: PreparedDataset) -> dict[str, str]:
    """Return what holds for the whole dataset: name and value, in words."""
    table = dataset.table
    people = table["num_bodies"].value_counts()
    whole = "complete" if dataset.complete else "partial"
    parameters = ", ".join(f"{key}={value}" for key, value in dataset.profile.parameters.items())
    return {
        "folder": str(dataset.folder),
        "digest": dataset.digest,
        "clips": f"{len(table):,} ({whole})",
        "frames": _frames(table["num_frames"], dataset.spec.frame_rate),
        "bodies": f"one in {people.get(1, 0):,} clips, two in {people.get(2, 0):,}",
        "absent body": {"zero": "zeros", "duplicate": "a copy of the first"}[dataset.absent_body],
        "parameters": parameters,
    }


def _frames(frames: pd.Series[int], rate: float) -> str:
    minutes = frames.sum() / rate / 60
    return f"{frames.min()} to {frames.max()}, median {frames.median():.0f}; {minutes:,.1f} minutes in all"


def _counts(table: pd.DataFrame, classes: tuple[str, ...]) -> list[Block]:
    """Return clips of each class, subject, camera, setup and replication; lengths; bodies."""
    rows: list[tuple[str, ...]] = []
    bars: list[Block] = []
    for column, word in GROUPS.items():
        sizes = table[column].value_counts(sort=False).sort_index()
        if len(sizes) == 1 and column != "label":
            continue  # PKU-MMD has no setups
        names = {value: classes[int(value)] if column == "label" else str(value) for value in sizes.index}
        fewest, most = f"{sizes.min():,} ({names[sizes.idxmin()]})", f"{sizes.max():,} ({names[sizes.idxmax()]})"
        rows.append((word, f"{len(sizes):,}", f"{sizes.median():,.0f}", fewest, most))
        prefix = "" if column == "label" else f"{word} "
        counts = tuple(
            (f"{prefix}{number + (column == 'label')} {classes[number] if column == 'label' else ''}".strip(), count)
            for number, count in zip(sizes.index.tolist(), sizes.tolist(), strict=True)
        )
        bars.append(Bars(f"Clips of each {word}", counts, f"{sparkline(sizes.tolist(), lowest=0)}  (all: --all)"))
    summary = Table("Clips", ("per", "how many", "median", "fewest", "most"), tuple(rows), ("per",))
    return [summary, *bars, _lengths(table["num_frames"])]


def _lengths(frames: pd.Series[int]) -> Bars:
    """Return clips by their length."""
    counts, edges = np.histogram(frames, bins=min(LENGTH_BINS, int(frames.max() - frames.min()) + 1))
    first, behind = np.ceil(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int) - 1
    behind[-1] = frames.max()
    named = [
        f"{low} to {high} frames" if low < high else f"{low} frames" for low, high in zip(first, behind, strict=True)
    ]
    bars = tuple(zip(named, counts.tolist(), strict=True))
    return Bars(
        "Clips by length", bars, f"{sparkline(counts.tolist(), lowest=0)}  {frames.min()} to {frames.max()} frames"
    )


def shard_overview(path: Path) -> Inspection:
    """Describe one shard by its own attributes.

    Raises:
        UsageError: The file cannot be read as a shard.
    """
    facts = shards.read_facts(path)
    if facts is None:
        raise UsageError(f"{path}: cannot be read as a shard")
    lines = {"clips": f"{len(facts.contents):,}", "rows": f"{facts.rows:,}", "sha256": facts.sha256, "plan": facts.plan}
    dropped = {rule.replace("_", " "): f"{count:,}" for rule, count in facts.cleaning.items() if count}
    blocks: list[Block] = [Facts(lines)]
    alone = open_shard(path)
    if len(facts.contents):
        table = alone.table
        people = table["num_bodies"].value_counts()
        lines["frames"] = _frames(table["num_frames"], alone.spec.frame_rate)
        lines["bodies"] = f"one in {people.get(1, 0):,} clips, two in {people.get(2, 0):,}"
        blocks += _counts(table, alone.spec.classes)
    blocks.append(Facts(dropped | {"set aside": f"{len(facts.set_aside):,}"}, "Cleaning"))
    if facts.set_aside:
        rows = tuple((item.name, item.where, item.reason) for item in facts.set_aside)
        blocks.append(Table("Set aside", ("clip", "where", "why"), rows, ("clip", "where", "why")))
    return Inspection(str(path), f"a shard of {alone.name}, profile {alone.profile.name}", tuple(blocks))
