"""Where data, protocol, method, evaluation and records meet: one call trains and evaluates a method and keeps records.

Everything decided here is in the record; everything slow is kept in the run folder under the key of what it depends on,
so the same call again goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.api import Split, StarsBenchError
from stars_bench.batches import ClipPart, ClipStore
from stars_bench.datasets.shards import PreparedDataset
from stars_bench.evaluation.features import Outcome, PartName, Subject
from stars_bench.evaluation.metrics import measure
from stars_bench.plan import Plan, Request, check_batch_sizes, device_name, resolve, to_toml
from stars_bench.protocols.validation import hold_out_subjects
from stars_bench.provenance import (
    atomic_path,
    code_state,
    digest_file,
    digest_json,
    digest_lines,
    environment,
    utc_now,
    write_text,
)
from stars_bench.results import store
from stars_bench.results.record import (
    CodePart,
    DatasetPart,
    EnvironmentPart,
    EvaluationPart,
    MethodPart,
    Metric,
    PredictionsPart,
    ProtocolPart,
    Record,
    StagePart,
)
from stars_bench.training import checkpoint
from stars_bench.training.loop import Progress
from stars_bench.training.run import StageResult, StageRun, code_digest


def run(request: Request, progress: Progress | None = None) -> list[Record]:
    """Trains and evaluates a method under every seed; returns the records, new or already there.

    Raises:
        UsageError, StarsBenchError: one line that says what is wrong and what to do.
    """
    plan = resolve(request)
    torch.set_float32_matmul_precision("high" if plan.precision == "tf32" else "highest")
    clips = ClipStore.of(plan.dataset, plan.device)
    return [record for seed in request.seeds for record in _run_seed(plan, clips, seed, progress)]


@dataclass(frozen=True)
class _Seed:
    """One seed of a plan: its split (the held-out subjects depend on the seed), its folder and its clips."""

    plan: Plan
    seed: int
    split: Split
    folder: Path
    store: ClipStore
    progress: Progress | None
    started: str

    @property
    def names(self) -> dict[PartName, np.ndarray]:
        """Clip names of the training and test part."""
        names = self.plan.dataset.table["name"].to_numpy(dtype=str)
        return {"train": names[self.split.train], "test": names[self.split.test]}

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Classes of clips, by their numbers."""
        labels: np.ndarray = self.plan.dataset.table["label"].to_numpy(dtype=np.int64)[ids]
        return labels

    def stage_run(self, config: BaseModel, **context: str) -> StageRun:
        """What a method or an evaluation trains its stages with; `context` is what they depend on beside the data."""
        dataset, request = self.plan.dataset, self.plan.request
        data = {"data": dataset.digest, "absent_body": dataset.absent_body, "train": digest_lines(self.names["train"])}
        return StageRun(
            config=config,
            seed=self.seed,
            device=self.plan.device,
            folder=self.folder,
            context=data | context,
            precision=self.plan.precision,
            reuse_from=request.runs_dir / dataset.name,
            checkpoint_seconds=request.checkpoint_seconds,
            progress=self.progress,
        )


def _run_seed(plan: Plan, clips: ClipStore, seed: int, progress: Progress | None) -> list[Record]:
    held_out = plan.request.validation is not None
    this = _Seed(
        plan=plan,
        seed=seed,
        split=hold_out_subjects(plan.dataset.table, plan.split, seed) if held_out else plan.split,
        folder=store.run_folder(
            plan.request.runs_dir, plan.dataset.name, plan.protocol.name, plan.method.name, plan.key, seed
        ),
        store=clips,
        progress=progress,
        started=utc_now(),
    )
    check_batch_sizes(plan, len(this.split.train))
    write_text(this.folder / "config.toml", to_toml(plan))
    train = ClipPart(clips, this.split.train, this.labels(this.split.train))
    encoder, fit, key = _fit(this, train)
    records = []
    for name, (evaluation, config) in plan.evaluations.items():
        subject = Subject(
            encoder=encoder,
            train=train,
            test=ClipPart(clips, this.split.test),
            num_classes=len(plan.dataset.spec.classes),
            run=this.stage_run(config, encoder=key, test=digest_lines(this.names["test"])),
            names=this.names,
            key=key,
        )
        for outcome in evaluation().run(subject):
            records.append(_keep(this, outcome, name, config, encoder, fit.stages))
    return records


def _fit(this: _Seed, train: ClipPart) -> tuple[nn.Module, StageRun, str]:
    """The trained encoder, the run that holds its stages, and its key."""
    plan = this.plan
    fit = this.stage_run(plan.config)
    method = plan.method()
    seen = train if getattr(method, "needs_labels", False) else ClipPart(this.store, this.split.train)
    encoder = method.fit(seen, fit)
    if not isinstance(encoder, nn.Module) or not hasattr(encoder, "dim") or not hasattr(encoder, "frames"):
        raise StarsBenchError(f"{plan.method.name}: fit must return an nn.Module with `dim` and `frames`")
    encoder = encoder.to(plan.device).requires_grad_(True)
    config = plan.config.model_dump(mode="json")
    code = sorted({code_digest(type(part).__module__) for part in (method, encoder)})
    key = digest_json({"stages": fit.key, "method": plan.target, "config": config, "code": code})
    state = {"encoder": encoder.state_dict(), "method": plan.target, "config": config, "key": key}
    checkpoint.save(this.folder / "encoder.pt", state)
    return encoder, fit, key


def _keep(
    this: _Seed, outcome: Outcome, name: str, config: BaseModel, encoder: nn.Module, stages: Sequence[StageResult]
) -> Record:
    """Saves predictions, measures them and writes the record; an equal result that is already there stays."""
    evaluation = EvaluationPart(
        name=name,
        config=config.model_dump(mode="json"),
        settings=dict(outcome.settings),
        checkpoint_rule=outcome.checkpoint_rule,
    )
    labels = this.labels(this.split.test)
    predictions = _save_predictions(this, outcome, evaluation, labels)
    record = Record(
        method=_method_part(this.plan, encoder),
        dataset=_dataset_part(this.plan.dataset),
        protocol=_protocol_part(this),
        evaluation=evaluation,
        seed=this.seed,
        metrics=tuple(Metric(**asdict(metric)) for metric in measure(outcome, labels)),
        stages=tuple(StagePart(**asdict(stage)) for stage in (*stages, *outcome.stages)),
        code=CodePart(**code_state()),
        environment=EnvironmentPart(**environment(device_name(this.plan.device)), precision=this.plan.precision),
        command=this.plan.request.command,
        started=this.started,
        finished=utc_now(),
        predictions=predictions,
    )
    path = this.folder / "records" / record.file_name
    if path.exists():
        old = store.read_record(path)
        unchanged = ("predictions", "metrics", "code", "method", "dataset", "protocol")
        if all(getattr(old, part) == getattr(record, part) for part in unchanged):
            return old
    store.write_record(this.folder, record)
    return record


def _save_predictions(this: _Seed, outcome: Outcome, evaluation: EvaluationPart, labels: np.ndarray) -> PredictionsPart:
    arrays = {"names": this.names["test"], "labels": labels, "predictions": outcome.predictions}
    extra = {"scores": outcome.scores, "by_epoch": outcome.by_epoch}
    arrays |= {name: value for name, value in extra.items() if value is not None}
    settings = "".join(f"-{key}{value}" for key, value in evaluation.settings.items())
    file = this.folder / "predictions" / f"{evaluation.name}{settings}-{evaluation.digest[:8]}.npz"
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return PredictionsPart(file=file.relative_to(this.folder).as_posix(), digest=digest_file(file))


def _method_part(plan: Plan, encoder: nn.Module) -> MethodPart:
    configs = (plan.config, *(config for _, config in plan.evaluations.values()))
    preset = plan.request.preset if any(hasattr(config, "preset") for config in configs) else "default"
    return MethodPart(
        name=plan.method.name,
        config=plan.config.model_dump(mode="json"),
        preset=f"changed {preset}" if plan.request.overrides else preset,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        target=plan.target,
    )


def _dataset_part(dataset: PreparedDataset) -> DatasetPart:
    return DatasetPart(
        name=dataset.name,
        profile=dataset.profile.name,
        digest=dataset.digest,
        clips=dataset.num_clips,
        expected_clips=dataset.expected_clips,
        complete=dataset.complete,
        absent_body=dataset.absent_body,
    )


def notes_on(plan: Plan) -> tuple[str, ...]:
    """What a reader of the table must know of the split."""
    unlisted = plan.dataset.num_clips - len(plan.split.train) - len(plan.split.test)
    return (f"{unlisted:,} clips are in neither part of {plan.protocol.name}.",) if unlisted else ()


def _protocol_part(this: _Seed) -> ProtocolPart:
    plan, names = this.plan, this.names
    train, test = plan.protocol.expected.get(plan.dataset.name, (None, None))
    held_out = plan.request.validation is not None
    return ProtocolPart(
        name=plan.protocol.name,
        validation=plan.request.validation,
        train_digest=digest_lines(names["train"]),
        test_digest=digest_lines(names["test"]),
        train_clips=len(names["train"]),
        test_clips=len(names["test"]),
        expected_train=None if held_out else train,
        expected_test=None if held_out else test,
        notes=() if held_out else notes_on(plan),
    )
