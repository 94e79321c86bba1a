"""The content of a run: how it was made, what its stages cost and depend on, learning curves, measured numbers.

In: a run's folder (all seeds) or a seed's. Out: an `Inspection`. An unfinished run is described as far as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.display.blocks import Block, Curve, Curves, Facts, Inspection, Notes, Table
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import read_toml
from stars_bench.io.run_folder import DIGITS_OF_KEY, RunFolder, seeds_of
from stars_bench.records import learning_curves, notes, store
from stars_bench.records.record import Metric, Record
from stars_bench.records.record_facts import interval, provenance, sampled, titles

TOLD = ("command", "commit", "data", "split", "method", "settings", "started from", "environment", "packages", "marks")
"""Of a record's provenance what holds for the whole run."""
DEPENDS = (
    "A stage's key is a digest of the code, the settings, the data, the clips it learns from, the seed, the device's "
    "kind, the precision and the stage before: it is taken over when all of these are the same."
)


def inspect_run(path: Path) -> Inspection:
    """Inspect a run.

    Raises:
        UsageError: The folder is not a run.
        StarsBenchError: Its settings cannot be read.
    """
    folders = seeds_of(path)
    if not folders:
        if store.read_records(path).stored:
            raise UsageError(f"{path}: holds runs and is none: `stars-bench list runs --runs-dir {path}` lists them")
        raise UsageError(
            f"{path}: neither a run (runs/DATASET/PROTOCOL/METHOD/KEY, or one of its seeds) nor a prepared dataset "
            f"(DATA_DIR/DATASET/PROFILE): {what_lies_there([path])}"
        )
    records, warnings = _records(folders)
    made = next((_made(folder.config) for folder in folders if folder.config.exists()), {})
    said = notes.read(folders[0])
    facts = _facts(records, made, folders) | ({"tags": ", ".join(said.tags)} if said.tags else {})
    blocks: list[Block] = [Facts(facts)]
    if said.notes:
        blocks.append(Notes(tuple(f"{one.written[:10]}: {one.text}" for one in said.notes)))
    if not records:
        warnings.append("no record: the run has not finished, or nothing was evaluated")
    if warnings:
        blocks.append(Notes(tuple(warnings), "warning"))
    if stages := tuple(_stages(records)):
        header: tuple[str, ...] = ("seed", "stage", "seconds", "samples/s", "GPU MB", "key", "after", "")
        blocks += [Table("Stages", header, stages, ("seed", "stage", "key", "after", "")), Notes((DEPENDS,))]
    if curves := tuple(_curves(folders, records)):
        blocks.append(Curves("Learning curves", curves))
    if numbers := tuple(_numbers(records)):
        header = ("evaluation", "seed", "metric", "value", "95 %", "sampled", "clips")
        blocks.append(Table("Records", header, numbers, ("evaluation", "seed", "metric", "sampled")))
    return Inspection(_title(records, path), str(path), tuple(blocks))


def _records(folders: Sequence[RunFolder]) -> tuple[list[Record], list[str]]:
    records, warnings = [], []
    for folder in folders:
        for file in folder.record_files():
            try:
                records.append(store.read_record(file))
            except StarsBenchError as error:
                warnings.append(str(error))
    return sorted(records, key=lambda one: (one.evaluation.order, one.seed)), warnings


def _made(config: Path) -> dict[str, str]:
    """Return the settings that a run was started with, flat."""
    content = read_toml(config)
    flat = {name: str(value) for name, value in content.get("run", {}).items()}
    return flat | {"settings": json.dumps(content.get("method", {}), sort_keys=True)}


def _facts(records: Sequence[Record], made: dict[str, str], folders: Sequence[RunFolder]) -> dict[str, str]:
    seeds = ", ".join(folder.path.name.removeprefix("seed") for folder in folders)
    if not records:
        return {**made, "seeds": seeds}
    first = provenance(records[0])
    multiply_adds = records[0].method.multiply_adds
    cost = {"cost": f"{multiply_adds / 1e9:,.2f} billion multiply-adds a clip"} if multiply_adds is not None else {}
    return {"seeds": seeds, **{name: first[name] for name in TOLD if name in first}, **cost}


def _title(records: Sequence[Record], path: Path) -> str:
    if not records:
        return path.name
    one = records[0]
    return f"{one.method.name}, {one.method.preset}, on {one.dataset.name} {one.protocol.name}"


def _stages(records: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each stage of each seed, and the stage whose result it starts from."""
    told = set()
    for record in sorted(records, key=lambda one: one.seed):
        before = ""
        for stage in record.stages:
            if (record.seed, stage.key) not in told:
                told.add((record.seed, stage.key))
                rate = f"{stage.samples / stage.seconds:,.0f}" if stage.seconds else ""
                memory = "" if stage.peak_bytes is None else f"{stage.peak_bytes / 1e6:,.0f}"
                notes = [*(["taken over"] if stage.reused else []), *([f"epoch {stage.epoch}"] if stage.epoch else [])]
                key = stage.key[:DIGITS_OF_KEY]
                yield str(record.seed), stage.name, f"{stage.seconds:,.1f}", rate, memory, key, before, ", ".join(notes)
            before = stage.name


def _curves(folders: Sequence[RunFolder], records: Sequence[Record]) -> Iterator[Curve]:
    """Yield what the log holds: of the stages that records name, where there are records."""
    keys = {stage.key[:DIGITS_OF_KEY]: stage.name for record in records for stage in record.stages}
    for record, title in zip(records, titles(records), strict=True):  # two probes of one name differ in their settings
        for stage in record.stages[-1:]:
            if stage.name == record.evaluation.title:
                keys[stage.key[:DIGITS_OF_KEY]] = title
    for folder in folders:
        for key, lines in learning_curves.logged(folder).items():
            if keys and key not in keys:
                continue
            found = learning_curves.curve(lines)
            for quantity, values in found["values"].items():
                yield Curve(
                    folder.path.name, keys.get(key, found["stage"]), quantity, tuple(found["epochs"]), tuple(values)
                )


def _numbers(records: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    for record, evaluation in zip(records, titles(records), strict=True):
        for place, metric in enumerate(record.metrics):
            title = (evaluation, str(record.seed)) if not place else ("", "")
            yield (
                *title,
                metric.name,
                f"{metric.value:.2f}{_unit(metric)}",
                interval(metric, ".2f"),
                sampled(metric),
                f"{metric.n:,}",
            )


def _unit(metric: Metric) -> str:
    return f" {metric.unit}" if metric.unit else ""
