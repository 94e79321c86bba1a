"""Saved results, without the model: metrics computed again (`rescore`), scores of several streams summed (`fuse`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench import registry
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.seed_run import measured
from stars_bench.io import files
from stars_bench.io.files import digest_file, digest_json, utc_now
from stars_bench.io.outputs import write_outputs
from stars_bench.io.run_folder import LEVELS, RunFolder, seeds_of
from stars_bench.records import store
from stars_bench.records.doubts import doubts_of_sum
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.metrics import confusion_matrix
from stars_bench.records.outcome import Outcome
from stars_bench.records.predictions import load_predictions, save_predictions
from stars_bench.records.record import InitPart, PredictionsPart, Record
from stars_bench.report.csv import harmless

TOLERANCE = 1e-9
"""In percent: between a recorded metric and the same computed again."""


@dataclass(frozen=True)
class Saved:
    """One record with its predictions.

    Args:
        path: File of the record.
        record: The record.
        outcome: The predictions.
        clips: The test clips.
    """

    path: Path
    record: Record
    outcome: Outcome
    clips: MeasuredClips

    @property
    def names(self) -> np.ndarray:
        """(N,) names of the test clips."""
        return self.clips.names

    @property
    def labels(self) -> np.ndarray:
        """(N,) their classes."""
        return self.clips.labels

    @property
    def folder(self) -> RunFolder:
        """The folder of the record's seed."""
        return RunFolder.of_record(self.path)

    def measured(self) -> Record:
        """Return the record with its metrics computed anew."""
        of_each = self.record.per_class
        count = len(_classes(self)) if of_each is None else max(len(of_each), 1 + int(self.labels.max(initial=0)))
        return self.record.model_copy(update=measured(self.outcome, self.clips, count))


def read(runs: Path) -> list[Saved]:
    """Return all records below a folder (runs, a run, a seed) with their predictions.

    Raises:
        UsageError: There are none.
        StarsBenchError: Predictions are gone, or are not those that the record names.
    """
    return [read_one(path) for path in record_paths(runs)]


def read_run(run: Path) -> list[Saved]:
    """Return the records of the one run that a path means (`seeds_of`) with their predictions; of a record, itself.

    Raises:
        UsageError: There are none, or it is the folder of several runs.
        StarsBenchError: Predictions are gone, or are not those that the record names.
    """
    return [read_one(path) for path in record_paths_of_run(run)]


def record_paths(runs: Path) -> list[Path]:
    """Return the files of all records below a folder (runs, a run, a seed); of a record, itself.

    Raises:
        UsageError: There are none.
    """
    paths = [runs] if _is_record(runs) else store.record_files(runs)
    if not paths:
        raise UsageError(f"{runs}: no records below it; give runs/DATASET/PROTOCOL/METHOD/KEY or a folder above")
    return paths


def record_paths_of_run(run: Path) -> list[Path]:
    """Return the files of the records of the one run that a path means (`seeds_of`); of a record, itself.

    Raises:
        UsageError: There are none, or it is the folder of several runs.
    """
    paths = [run] if _is_record(run) else [path for folder in seeds_of(run) for path in folder.record_files()]
    if not paths:
        raise UsageError(
            f"{run}: has no records; give runs/DATASET/PROTOCOL/METHOD/KEY (`stars-bench list runs` names them)"
        )
    return paths


def _is_record(path: Path) -> bool:
    return path.suffix == ".json" and path.is_file()


def read_one(path: Path) -> Saved:
    """Return one record with its predictions.

    Raises:
        StarsBenchError: The predictions are gone, or are not those that the record names.
    """
    record = store.read_record(path)
    file = RunFolder.of_record(path).path / record.predictions.file
    if not file.exists():
        raise StarsBenchError(f"{file}: the predictions of {path.name} are gone; run the evaluation again")
    if digest_file(file) != record.predictions.digest:
        raise StarsBenchError(f"{file}: is not what {path.name} was measured on (its digest differs)")
    return Saved(path, record, *load_predictions(file))


def update(one: Saved, again: Record) -> None:
    """Write metrics that the record lacks (it may be of an older version) into it; numbers that differ stay."""
    have = {metric.name for metric in one.record.metrics}
    more = tuple(metric for metric in again.metrics if metric.name not in have)
    metrics = one.record.metrics + more
    store.write_record(one.folder, again.model_copy(update={"metrics": metrics}))


def write_confusion(one: Saved, folder: Path, *, overwrite: bool = False) -> Path | None:
    """Write the confusion matrix as CSV (rows: true classes, columns: predicted); None where nothing is classified.

    Raises:
        UsageError: The folder is a file, or another file of that name is there, and not to `overwrite`.
    """
    import pandas as pd

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--confusion {folder}: is a file: name a folder; every matrix becomes a CSV file in it")
    if one.outcome.kind != "classes":
        return None
    names = [harmless(name) for name in _classes(one)]
    counts = pd.DataFrame(confusion_matrix(one.outcome, one.labels, len(names)), index=names, columns=names)
    record = one.record
    parts = (
        record.dataset.name,
        record.protocol.name,
        record.method.name,
        f"seed{record.seed}",
        Path(record.file_name).stem,
    )
    path = folder / (files.path_part("-".join(parts)) + ".csv")
    write_outputs({path: counts.rename_axis("true").to_csv()}, "rescore", overwrite=overwrite)
    return path


def _classes(one: Saved) -> tuple[str, ...]:
    """Return the names of the classes of a record's dataset."""
    name = one.record.dataset.name
    registry.check_from_file("datasets", name, one.path)
    classes: tuple[str, ...] = registry.load("datasets", name).classes
    return classes


WEIGHTS: dict[str, dict[str, float]] = {
    "2s-agcn": {"joint": 1, "bone": 1},
    "ctr-gcn": {"joint": 0.6, "bone": 0.6, "motion": 0.4, "bone-motion": 0.4},
    "pyskl": {"joint": 2, "bone": 2, "motion": 1, "bone-motion": 1},
}
"""Weights of streams by the program that sums scores with them: github lshiwjx/2s-AGCN and Uason-Chen/CTR-GCN, each in
its ensemble.py (three streams have CTR-GCN's first three weights), and kennymckormick/pyskl, configs/stgcn++."""


def parse_weights(text: str | None, runs: Sequence[Path]) -> list[float]:
    """Turn `0.6,0.6,0.4`, or the name of a program, into a weight for each run; without a text, 1 for each.

    Raises:
        UsageError: There is not one number for each run, or the program sums no such stream.
    """
    if text is None:
        return [1.0] * len(runs)
    if text in WEIGHTS:
        streams = [read_run(run)[0].record.dataset.stream for run in runs]
        if absent := [stream for stream in streams if stream not in WEIGHTS[text]]:
            raise UsageError(f"--weights {text}: sums {', '.join(WEIGHTS[text])}, and not {absent[0]}")
        return [WEIGHTS[text][stream] for stream in streams]
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--weights {text}: {error}; or one of {', '.join(WEIGHTS)}") from error
    if len(weights) != len(runs):
        raise UsageError(f"--weights {text}: {len(weights)} weights for {len(runs)} runs")
    return weights


def fuse(runs: Sequence[Path], weights: Sequence[float], runs_dir: Path, command: str = "") -> list[Record]:
    """Sum the scores of runs that differ in their stream, clip by clip.

    Args:
        runs: A run for each stream.
        weights: One weight for each run; the scores (logits) are summed as they are.
        runs_dir: Where the new records go.
        command: What the user typed; stored in the records. Default: empty.

    Returns:
        One new record for each seed and evaluation.

    Raises:
        UsageError: There are fewer than two runs, no evaluation whose scores all of them have, or runs that are not
            streams of one method.
        StarsBenchError: The runs were tested on different clips.
    """
    if len(runs) < 2 or len(weights) != len(runs):
        raise UsageError(f"fuse needs two runs or more and a weight for each: {len(runs)} runs, {len(weights)} weights")
    parts = [_with_scores(run) for run in runs]
    common = [key for key in parts[0] if all(key in part for part in parts)]
    if not common:
        raise UsageError(_why_nothing_is_common(runs, [list(part.values()) for part in parts]))
    return [_fuse(_streams([part[key] for part in parts]), weights, runs_dir, command) for key in common]


def _with_scores(run: Path) -> dict[str, Saved]:
    """Return the results of a run that have scores, by what must agree between results that are summed."""
    return {digest_json(_same(one.record)): one for one in read_run(run) if one.outcome.scores is not None}


def _streams(parts: Sequence[Saved]) -> Sequence[Saved]:
    """Return results to sum, if they are of different streams of one method and preset."""
    for name, found in (
        ("targets", [part.record.method.target for part in parts]),
        ("presets", [part.record.method.preset for part in parts]),
    ):
        if len(set(found)) > 1:
            raise UsageError(f"fuse sums streams of one method: these are of different {name} ({', '.join(found)})")
    streams = [part.record.dataset.stream for part in parts]
    if len(set(streams)) < len(streams):
        raise UsageError(f"fuse sums different streams; these are {', '.join(streams)}")
    return parts


def _same(record: Record) -> dict[str, Any]:
    """Return what must agree between results that are summed, by what a user calls it."""
    evaluation, protocol = record.evaluation, record.protocol
    return {
        "dataset": record.dataset.name,
        "protocol": protocol.name,
        "evaluation": evaluation.name,
        "seed": record.seed,
        "test clips": protocol.test_digest,
        "training clips": protocol.train_digest,
        "bank clips": protocol.bank_digest,
        "settings of the evaluation": [evaluation.settings, evaluation.config],
        "epoch that was chosen": evaluation.checkpoint_rule,
        "recipe": record.is_own_recipe,
        "prepared data": record.dataset.digest,
    }


def _why_nothing_is_common(runs: Sequence[Path], parts: Sequence[Sequence[Saved]]) -> str:
    """Say why no result of one run can be summed with one of each other."""
    for run, results in zip(runs, parts, strict=True):
        if not results:
            return f"{run}: has no result with scores; run it again with --eval linear, finetune or classifier"
    first = parts[0]
    for run, results in zip(runs[1:], parts[1:], strict=True):
        differ = min((_differences(one, other) for one in first for other in results), key=len)
        if differ:
            return f"{runs[0]} and {run} cannot be summed: even their nearest results differ in {'; '.join(differ)}"
    return f"no evaluation and seed is in all {len(runs)} runs, though the first shares one with each other"


def _differences(one: Saved, other: Saved) -> list[str]:
    """Return what differs between two results that must be alike, with its values where they are short."""
    told = []
    theirs = _same(other.record)
    for name, value in _same(one.record).items():
        if value == theirs[name]:
            continue
        if name in ("dataset", "protocol", "evaluation", "seed"):
            told.append(f"{name} ({value} and {theirs[name]})")
        elif name in ("test clips", "training clips"):
            count = "test_clips" if name == "test clips" else "train_clips"
            numbers = (getattr(each.record.protocol, count) for each in (one, other))
            told.append(f"{name} ({' and '.join(f'{number:,}' for number in numbers)})")
        else:
            told.append(name)
    return told


def _fuse(parts: Sequence[Saved], weights: Sequence[float], runs_dir: Path, command: str) -> Record:
    first, outcome = parts[0].record, parts[0].outcome
    summed = _sum(parts, weights, parts[0].names)
    outcome = replace(outcome, predictions=summed.argmax(1), scores=summed, by_epoch=None)
    streams = {part.record.dataset.stream: weight for part, weight in zip(parts, weights, strict=True)}
    dataset = first.dataset.model_copy(update={"stream": "+".join(streams)})
    evaluation = first.evaluation.model_copy(update={"config": first.evaluation.config | {"weights": streams}})
    key = fused_key(first, streams)
    folder = RunFolder.of(runs_dir, dataset.name, first.protocol.name, first.method.name, key, first.seed)
    file = folder.predictions / f"{files.path_part(evaluation.name)}-{evaluation.digest[:8]}.npz"
    save_predictions(file, outcome, parts[0].clips)
    now = utc_now()
    record = first.model_copy(
        update={
            "dataset": dataset,
            "evaluation": evaluation,
            "stages": tuple(stage for part in parts for stage in part.record.stages),
            "command": command,
            "started": now,
            "finished": now,
            "predictions": PredictionsPart(file=file.relative_to(folder.path).as_posix(), digest=digest_file(file)),
            "weights": None,
            "init": max((part.record.init for part in parts), key=_seen),
            "fused": tuple(part.record.predictions.digest for part in parts),
            "doubts": doubts_of_sum(outcome, parts[0].labels, first.doubts),
            **measured(outcome, parts[0].clips, summed.shape[1]),
        }
    )
    store.write_record(folder, record)
    return record


def _seen(init: InitPart | None) -> float:
    """Order encoders that were started from by what they have seen of the test part; unknown lies below one clip."""
    if init is None:
        return -1
    return sum(0.5 if seen is None else seen for seen in (init.test_clips_seen, init.novel_classes_seen))


def difference_of_sum(one: Saved) -> str:
    """Compare a fused result with the sum of the results that it was made of, which lie among the dataset's runs.

    Returns:
        What differs; empty if nothing does.

    Raises:
        UsageError: Not all of them are there.
    """
    record, above = one.record, one.folder.path.resolve().parents
    weights = list(record.evaluation.config.get("weights", {}).values())
    wanted = set(record.fused)
    there = store.read_records(above[LEVELS - 1]).stored if len(above) >= LEVELS else []
    found = {of.record.predictions.digest: of.path for of in there if of.path is not None}
    found = {digest: path for digest, path in found.items() if digest in wanted}
    if found.keys() != wanted or len(weights) != len(record.fused):
        raise UsageError(f"{one.path}: {len(found)} of the {len(wanted)} results that it sums are here: no sum is made")
    parts = [read_one(found[digest]) for digest in record.fused]
    streams = "+".join(part.record.dataset.stream for part in parts)
    if streams != record.dataset.stream:
        return f"dataset.stream is {record.dataset.stream}, the results that it sums are {streams}"
    same = one.outcome.scores is not None and np.array_equal(_sum(parts, weights, one.names), one.outcome.scores)
    return "" if same else "its scores are not the weighted sum of the results that it names"


def _sum(parts: Sequence[Saved], weights: Sequence[float], names: np.ndarray) -> np.ndarray:
    """Return the weighted sum of scores (N, classes) float32, clip by clip."""
    scores = sum(weight * _scores(part, names) for part, weight in zip(parts, weights, strict=True))
    return np.asarray(scores, np.float32)


def fused_key(record: Record, streams: Mapping[str, float]) -> str:
    """Name the folder of a fused result.

    Args:
        record: the result, or one of those that were summed.
        streams: the weight of each stream.
    """
    return digest_json([record.method.config, streams, record.evaluation.name, record.dataset.digest])[:10]


def _scores(part: Saved, names: np.ndarray) -> np.ndarray:
    """Return scores (N, classes) float64 in the order of clip names."""
    place = {name: i for i, name in enumerate(part.names.tolist())}
    if place.keys() != set(names.tolist()) or part.outcome.scores is None:
        raise StarsBenchError(f"{part.path}: was measured on other clips than the first run")
    scores: np.ndarray = part.outcome.scores[[place[name] for name in names.tolist()]].astype(np.float64)
    return scores
