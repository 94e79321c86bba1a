"""A run once more, from what its records say, and how what came out differs: nothing, or within what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.experiments import pretrained, runner
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.finished.rescore import Saved
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import write_text
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.comparability.comparable import to_know
from stars_bench.records.record import Record
from stars_bench.training import checkpoint
from stars_bench.training.loop import Progress, Tell

MARK = "repeats.txt"
"""In a scratch folder: the run that is repeated there."""


@dataclass
class Repetition:
    """The result of a repeated run, one line each.

    Args:
        same: What is the same. Default: none.
        differing: What differs. Default: none.
        circumstances: What was not as in the recorded run. Default: none.
        outside: Metrics outside the 95 % interval of the recorded ones. Default: none.
    """

    same: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    circumstances: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """Metrics that left the 95 % interval of the recorded ones."""

    @property
    def ok(self) -> bool:
        """Whether it is what it must be: under the same circumstances the same bits, else within the intervals."""
        return not self.outside and (bool(self.circumstances) or not self.differing)


def rerun(
    run: Path, data_dir: Path, scratch: Path, progress: Progress | None = None, tell: Tell | None = None
) -> Repetition:
    """Train and evaluate again, in an empty folder, what the records below `run` say, and compare.

    Raises:
        UsageError: No records, or `scratch` holds something else.
        StarsBenchError: Files of a record are gone.
    """
    _claim(scratch, run)
    result = Repetition()
    there = [one for one in rescore.read(run) if not one.record.fused]
    if not there:
        raise UsageError(f"{run}: only fused results, which are repeated by `fuse`")
    for request, ones in _requests(there, data_dir, scratch):
        again = runner.run(request, progress, tell)
        fresh = {new.record.file_name: new for new in rescore.read(scratch) if new.record in again}
        for one in ones:
            _compare(one, fresh[one.record.file_name], result)
    return result


def _claim(scratch: Path, run: Path) -> None:
    """Take an empty folder for repeating a run, or one where the same was begun: stages found there are taken over."""
    mark, text = scratch / MARK, f"{run.resolve()}\n"
    if mark.exists() and mark.read_text(encoding="utf-8") == text:
        return
    if scratch.exists() and any(scratch.iterdir()):
        raise UsageError(f"--scratch {scratch}: is not empty; a run is repeated in a folder of its own")
    write_text(mark, text)


def _requests(there: Sequence[Saved], data_dir: Path, scratch: Path) -> Iterator[tuple[Request, list[Saved]]]:
    """Yield one request for each run, seed and set of evaluation settings, with the results that it must give."""
    groups: dict[RunFolder, list[tuple[Saved, ...]]] = {}
    for one in there:
        rounds = groups.setdefault(one.folder, [])
        # An evaluation that was run under two settings needs two commands.
        fitting = next((number for number, ones in enumerate(rounds) if _fits(one, ones)), None)
        if fitting is None:
            rounds.append((one,))
        else:
            rounds[fitting] += (one,)
    for folder, rounds in groups.items():
        for ones in rounds:
            yield _request([one.record for one in ones], folder.path, data_dir, scratch), list(ones)


def _fits(one: Saved, others: Sequence[Saved]) -> bool:
    evaluation = one.record.evaluation
    return all(
        other.record.evaluation.config == evaluation.config
        for other in others
        if other.record.evaluation.name == evaluation.name
    )


def _request(records: Sequence[Record], folder: Path, data_dir: Path, scratch: Path) -> Request:
    """Return what was asked for, from what the records of a seed's folder say.

    Every setting is given, no preset decides.
    """
    first = records[0]
    for record in records:
        for kind, name in (
            ("methods", first.method.target),
            ("protocols", first.protocol.name),
            ("datasets", first.dataset.name),
            ("evaluations", record.evaluation.name),
        ):
            registry.check_from_file(kind, name, folder)
    init = None if first.init is None else Path(first.init.path)
    evaluations = {record.evaluation.name: record.evaluation.config for record in records}
    of_method = first.method.config if init is None else _settings(init, first)
    overrides = [*_said(of_method), *_said(first.protocol.config, "protocol.")]
    overrides += [item for name, config in evaluations.items() for item in _said(config, f"{name}.")]
    on_gpu = first.environment.device != "cpu" and torch.cuda.is_available()
    precision = first.environment.precision
    parts = {stage.micro_batches for stage in first.stages}
    return Request(
        method=first.method.target,
        protocol=first.protocol.name,
        data_dir=data_dir,
        runs_dir=scratch,
        dataset=first.dataset.name,
        profile=first.dataset.profile,
        evaluations=tuple(evaluations),
        overrides=tuple(overrides),
        seeds=(first.seed,),
        validation=first.protocol.validation,
        select=first.select,
        init=init,
        stream=first.dataset.stream,
        recipe="own" if first.is_own_recipe else "common",
        training=TrainingOptions(
            device="cuda" if on_gpu else "cpu",
            precision="float32" if precision == "tf32" and not on_gpu else precision,
            grad_accum=parts.pop() if len(parts) == 1 else 1,
            deterministic=first.environment.deterministic,
            compile=first.environment.compiled,
        ),
        command=first.command,
    )


def _settings(init: Path, record: Record) -> Mapping[str, Any]:
    """Return the method's settings after an encoder to start from; its own has none but another length."""
    start, config = pretrained.find(init, record.seed), record.method.config
    if start.is_official:
        raise UsageError(f"{init}: evaluations of official checkpoints are not repeated; `evaluate` does it")
    if start.target != record.method.target:
        return config
    return {} if config.get("frames") == start.config.get("frames") else {"frames": config["frames"]}


def _said(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    return [f"{prefix}{key}={json.dumps(value)}" for key, value in config.items()]


# ------------------------------------------------------------------------------------------------ compared


def _compare(old: Saved, new: Saved, result: Repetition) -> None:
    record, title = old.record, f"{old.record.evaluation.title} seed {old.record.seed}"
    # Settings were given one by one, so the preset has another name.
    other = [line for line in to_know(record, new.record) if not line.startswith("preset ")]
    result.circumstances += [line for line in other if line not in result.circumstances]
    for line, differs in _weights(old, new):
        lines = result.differing if differs else result.same
        if line not in lines:
            lines.append(line)
    wrong = int((old.outcome.predictions != new.outcome.predictions).sum())
    scores = old.outcome.scores, new.outcome.scores
    alike = scores[0] is None or (scores[1] is not None and np.array_equal(scores[0], scores[1]))
    if not wrong and alike and record.metrics == new.record.metrics:
        result.same.append(f"{title}: predictions and metrics, bit for bit")
        return
    recorded = {metric.name: metric for metric in record.metrics}
    now = [metric for metric in new.record.metrics if metric.name in recorded]
    shifts = [f"{metric.name} {recorded[metric.name].value:.2f} -> {metric.value:.2f}" for metric in now]
    result.differing.append(f"{title}: {wrong:,} of {old.outcome.predictions.size:,} predictions; {', '.join(shifts)}")
    for metric in now:
        low, high = recorded[metric.name].interval or (-np.inf, np.inf)
        if not low <= metric.value <= high:
            result.outside.append(f"{title}: {metric.name} {metric.value:.2f}, recorded {low:.2f} to {high:.2f}")


def _weights(old: Saved, new: Saved) -> Iterator[tuple[str, bool]]:
    """Yield one line a stage: the same, or the largest difference; and whether it differs."""
    pairs = zip(_stages(old), _stages(new), strict=True)
    for (name, first), (_, second) in pairs:
        if first is None or second is None:
            yield f"{name} seed {old.record.seed}: weights not compared: the checkpoint is gone", True
        elif first.keys() != second.keys() or any(first[key].shape != second[key].shape for key in first):
            yield f"{name} seed {old.record.seed}: weights of other names or shapes", True
        elif all(torch.equal(value, second[key]) for key, value in first.items()):
            yield f"{name} seed {old.record.seed}: weights, bit for bit", False
        else:
            largest, key = max((_distance(value, second[key]), key) for key, value in first.items())
            yield f"{name} seed {old.record.seed}: weights within {largest:.2g} (the farthest in {key})", True


def _stages(one: Saved) -> list[tuple[str, dict[str, Tensor] | None]]:
    found = [(stage.name, one.folder.find_stage(stage.name, stage.key)) for stage in one.record.stages]
    return [(name, None if file is None else checkpoint.load(file)["module"]) for name, file in found]


def _distance(first: Tensor, second: Tensor) -> float:
    return float((first.double() - second.double()).abs().max()) if first.numel() else 0.0
