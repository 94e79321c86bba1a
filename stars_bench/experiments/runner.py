"""Where data, protocol, method, evaluation and records meet: one call trains and evaluates a method and keeps records.

Everything decided here is in the record; everything slow is kept in the run folder under the key of what it depends on,
so the same call again goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.api import Split
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.errors import StarsBenchError
from stars_bench.evaluation.flops import multiply_adds
from stars_bench.evaluation.subject import Outcome, Subject
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import Plan, Request, check_batch_sizes, device_name, resolve, to_toml
from stars_bench.experiments.pretrained import Pretrained, rebuild
from stars_bench.io.files import (
    alone_in,
    code_state,
    digest_file,
    digest_json,
    digest_lines,
    environment,
    path_part,
    utc_now,
    write_text,
)
from stars_bench.models.layers.encoder import Block
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.protocols.validation import hold_out_subjects
from stars_bench.records import store
from stars_bench.records.metrics import measure, per_class
from stars_bench.records.predictions import save_predictions
from stars_bench.records.record import (
    CodePart,
    DatasetPart,
    EnvironmentPart,
    EvaluationPart,
    InitPart,
    MethodPart,
    Metric,
    PredictionsPart,
    ProtocolPart,
    Record,
    StagePart,
)
from stars_bench.training import checkpoint, distributed, memory
from stars_bench.training.compile import compiled
from stars_bench.training.deterministic import deterministic
from stars_bench.training.loop import Progress, Tell, set_precision
from stars_bench.training.stages import StageResult, StageRun, code_digest


def run(request: Request, progress: Progress | None = None, tell: Tell | None = None) -> list[Record]:
    """Trains and evaluates a method under every seed; returns the records, new or already there.

    Several processes (torchrun) train as one; all return the records, the first alone writes and calls back.

    Args:
        tell: called with a line for each thing that the user must know before it starts.

    Raises:
        UsageError, StarsBenchError: one line that says what is wrong and what to do.
    """
    with deterministic(request.deterministic), compiled("default" if request.compile else None):
        return _run(request, progress, tell)


def _run(request: Request, progress: Progress | None, tell: Tell | None) -> list[Record]:
    distributed.start()
    plan = resolve(request)
    if not distributed.is_first():
        progress = tell = None
    if plan.device.type == "cuda":
        torch.cuda.set_device(plan.device)
    if tell is not None:
        for notice in plan.notices:
            tell(notice)
    set_precision(plan.precision)
    clips = ClipStore.of(plan.dataset, plan.device, request.stream)
    if plan.device.type == "cpu":
        memory.keep_freed()
    return [record for seed in request.seeds for record in _run_seed(plan, clips, seed, progress, tell)]


@dataclass(frozen=True)
class _Seed:
    """One seed of a plan: its split (held-out subjects depend on the seed), its folder, its clips, where it starts."""

    plan: Plan
    seed: int
    split: Split
    folder: Path
    store: ClipStore
    start: Pretrained | None
    progress: Progress | None
    tell: Tell | None
    started: str

    def names(self, ids: np.ndarray) -> np.ndarray:
        """Names of clips, by their numbers."""
        names: np.ndarray = self.plan.dataset.table["name"].to_numpy(dtype=str)[ids]
        return names

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Classes of clips, by their numbers."""
        labels: np.ndarray = self.plan.dataset.table["label"].to_numpy(dtype=np.int64)[ids]
        return labels

    def class_names(self, ids: np.ndarray) -> set[str]:
        """Names of the classes that clips are of."""
        return {self.plan.dataset.spec.classes[label] for label in np.unique(self.labels(ids))}

    def part(self, ids: np.ndarray, labelled: bool) -> ClipPart:
        """Clips as methods and evaluations get them."""
        return ClipPart(self.store, ids, self.labels(ids) if labelled else None, len(self.plan.dataset.spec.classes))

    @property
    def data(self) -> dict[str, str]:
        """What the clips of a batch depend on beside their names."""
        dataset, stream = self.plan.dataset, self.plan.request.stream
        chosen = {"deterministic": self.plan.request.deterministic, "compiled": self.plan.request.compile}
        kernels = ", ".join(name for name, asked in chosen.items() if asked)
        data = {"data": dataset.digest, "absent_body": dataset.absent_body, "stream": stream}
        return data | {"kernels": kernels} if kernels else data

    def stage_run(
        self, config: BaseModel, train: np.ndarray, start: nn.Module | None = None, **context: str
    ) -> StageRun:
        """What a method or an evaluation trains its stages with; `context` is what they depend on beside the data."""
        request = self.plan.request
        data = dict(self.data) | {"train": digest_lines(self.names(train))}
        return StageRun(
            config=config,
            seed=self.seed,
            device=self.plan.device,
            folder=self.folder,
            context=data | context,
            precision=self.plan.precision,
            reuse_from=request.runs_dir / self.plan.dataset.name,
            checkpoint_seconds=request.checkpoint_seconds,
            progress=self.progress,
            start=start,
            micro_batches=request.grad_accum,
            fit_batch=request.fit_batch,
            tell=self.tell,
            tensorboard=request.tensorboard,
        )


def _run_seed(plan: Plan, clips: ClipStore, seed: int, progress: Progress | None, tell: Tell | None) -> list[Record]:
    held_out = plan.request.validation is not None
    this = _Seed(
        plan=plan,
        seed=seed,
        split=hold_out_subjects(plan.dataset.table, plan.split, seed) if held_out else plan.split,
        folder=store.run_folder(
            plan.request.runs_dir, plan.dataset.name, plan.protocol.name, plan.method.name, plan.key, seed
        ),
        store=clips,
        start=plan.starts.get(seed),
        progress=progress,
        tell=tell,
        started=utc_now(),
    )
    check_batch_sizes(plan, this.split)
    with alone_in(this.folder) if distributed.is_first() else nullcontext():
        return _records(this)


def _records(this: _Seed) -> list[Record]:
    if distributed.is_first():
        write_text(this.folder / "config.toml", to_toml(this.plan))
    encoder, stages, key = _encoder(this)
    if this.tell and this.plan.request.compile and not any(isinstance(part, Block) for part in encoder.modules()):
        this.tell(f"--compile changes nothing: {this.plan.method.name} has no transformer blocks")
    method = _method_part(this, encoder)
    weights = checkpoint.digest_tensors(encoder.state_dict())
    records = []
    for name, (evaluation, config) in this.plan.evaluations.items():
        subject = _subject(this, encoder, key, config)
        for outcome in evaluation().run(subject):
            keep = partial(_keep, this, outcome, name, config, method, stages, weights)
            records.append(distributed.from_first(keep))
    return records


def _subject(this: _Seed, encoder: nn.Module, key: str, config: BaseModel) -> Subject:
    """What an evaluation is given: labels of the bank or training part, none of the test part."""
    labelled, test = this.split.labelled, this.split.test
    return Subject(
        encoder=encoder,
        train=this.part(labelled, labelled=True),
        test=this.part(test, labelled=False),
        num_classes=len(this.plan.dataset.spec.classes),
        run=this.stage_run(config, labelled, encoder=key, test=digest_lines(this.names(test))),
        names={"train": this.names(labelled), "test": this.names(test)},
        key=key,
        data=this.data,
        test_classes=len(np.unique(this.labels(test))),
        draw_episodes=partial(draw_episodes, this.labels(labelled), this.labels(test)),
    )


def _encoder(this: _Seed) -> tuple[nn.Module, Sequence[StageResult], str]:
    """The encoder to be evaluated, trained or taken from --init; the stages that were run, and its key."""
    plan, start = this.plan, this.start
    loaded = None if start is None else rebuild(start, this.store.num_joints).to(plan.device)
    if start is not None and loaded is not None and plan.is_trained:
        return loaded, (), start.key
    context = {} if start is None else {"started_from": start.key}
    fit = this.stage_run(plan.config, this.split.train, start=loaded, **context)
    method = plan.method()
    encoder = method.fit(this.part(this.split.train, labelled=getattr(method, "needs_labels", False)), fit)
    if not isinstance(encoder, nn.Module) or not hasattr(encoder, "dim") or not hasattr(encoder, "frames"):
        raise StarsBenchError(f"{plan.method.name}: fit must return an nn.Module with `dim` and `frames`")
    distributed.take_weights_of_first(encoder)
    encoder = encoder.to(plan.device).requires_grad_(True)
    config = plan.config.model_dump(mode="json")
    code = sorted({code_digest(type(part).__module__) for part in (method, encoder)})
    key = digest_json({"stages": fit.key, "method": plan.target, "config": config, "code": code})
    facts = {
        "method": plan.target,
        "config": config,
        "preset": preset_name(plan),
        "run": plan.key,
        "key": key,
        "seed": this.seed,
        "dataset": plan.dataset.name,
        "protocol": plan.protocol.name,
        "stream": plan.request.stream,
        "train": _together(set(this.names(this.split.train)), start.train if start else set()),
        "classes": _together(this.class_names(this.split.train), start.classes if start else set()),
    }
    if distributed.is_first():
        pretrained.save(this.folder / pretrained.FILE, encoder, facts)
    return encoder, fit.stages, key


def _together(own: set[str], before: Set[str] | None) -> set[str] | None:
    """What an encoder was trained on in all; None: unknown."""
    return None if before is None else own | before


def _keep(
    this: _Seed,
    outcome: Outcome,
    name: str,
    config: BaseModel,
    method: MethodPart,
    stages: Sequence[StageResult],
    weights: str,
) -> Record:
    """Saves predictions, measures them and writes the record; an equal result that is already there stays."""
    evaluation = EvaluationPart(
        name=name,
        config=config.model_dump(mode="json"),
        settings=dict(outcome.settings) | _transfer(this),
        checkpoint_rule=outcome.checkpoint_rule,
    )
    labels = this.labels(this.split.test)
    settings = "".join(f"-{key}{value}" for key, value in evaluation.settings.items())
    file = this.folder / "predictions" / f"{path_part(evaluation.name + settings)}-{evaluation.digest[:8]}.npz"
    save_predictions(file, outcome, this.names(this.split.test), labels)
    record = Record(
        method=method,
        dataset=_dataset_part(this.plan),
        protocol=_protocol_part(this),
        evaluation=evaluation,
        seed=this.seed,
        **measured(outcome, labels, len(this.plan.dataset.spec.classes)),
        stages=tuple(StagePart(**asdict(stage)) for stage in (*stages, *outcome.stages)),
        code=CodePart(**code_state()),
        environment=_environment_part(this.plan),
        command=this.plan.request.command,
        started=this.started,
        finished=utc_now(),
        predictions=PredictionsPart(file=file.relative_to(this.folder).as_posix(), digest=digest_file(file)),
        init=_init_part(this),
        weights=weights,
    )
    path = this.folder / "records" / record.file_name
    if path.exists():
        old = store.read_record(path)
        unchanged = ("predictions", "metrics", "code", "method", "dataset", "protocol", "init", "weights")
        if all(getattr(old, part) == getattr(record, part) for part in unchanged):
            return old
    store.write_record(this.folder, record)
    return record


def measured(outcome: Outcome, labels: np.ndarray, num_classes: int) -> dict[str, Any]:
    """The fields of a record that are computed from predictions and labels of the test part."""
    metrics = tuple(Metric(**asdict(metric)) for metric in measure(outcome, labels))
    if outcome.kind != "classes":
        return {"metrics": metrics}
    accuracies = per_class(outcome, labels, num_classes)
    return {"metrics": metrics, "per_class": tuple(None if np.isnan(one) else float(one) for one in accuracies)}


def _transfer(this: _Seed) -> dict[str, str]:
    """The variant that an encoder from another dataset makes; where classes are novel it is the rule."""
    start = this.start
    if start is None or start.dataset in (None, this.plan.dataset.name) or this.split.bank is not None:
        return {}
    return {"from": start.dataset}


def preset_name(plan: Plan) -> str:
    """The preset as the record names it: changed as soon as one setting is."""
    configs = (plan.method.Config, *(config for _, config in plan.evaluations.values()))
    preset = plan.request.preset if any(hasattr(config, "preset") for config in configs) else "default"
    changed = any(not item.startswith("protocol.") for item in plan.request.overrides)
    return f"changed {preset}" if changed else preset


def _method_part(this: _Seed, encoder: nn.Module) -> MethodPart:
    plan, start, preset = this.plan, this.start, preset_name(this.plan)
    if start is not None and start.preset != preset:
        preset = f"{start.preset}, then {preset}"
    return MethodPart(
        name=plan.method.name,
        config=plan.config.model_dump(mode="json"),
        preset=preset,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        multiply_adds=multiply_adds(encoder, this.store.num_joints, plan.device),
        target=plan.target,
    )


def _init_part(this: _Seed) -> InitPart | None:
    start, split = this.start, this.split
    if start is None:
        return None
    novel = set() if split.bank is None else this.class_names(split.bank)
    return InitPart(
        method=start.method,
        dataset=start.dataset,
        protocol=start.protocol,
        seed=start.seed,
        run=start.run,
        key=start.key,
        path=str(start.path),
        train_clips=None if start.train is None else len(start.train),
        test_clips_seen=None if start.train is None else len(start.train & set(this.names(split.test))),
        novel_classes=len(novel),
        novel_classes_seen=None if start.classes is None else len(novel & start.classes),
        notes=start.notes,
    )


def _environment_part(plan: Plan) -> EnvironmentPart:
    machine = environment(device_name(plan.device))
    return EnvironmentPart(
        **machine,
        precision=plan.precision,
        processes=distributed.world_size(),
        threads=torch.get_num_threads(),
        deterministic=plan.request.deterministic,
        compiled=plan.request.compile,
    )


def _dataset_part(plan: Plan) -> DatasetPart:
    dataset = plan.dataset
    return DatasetPart(
        name=dataset.name,
        profile=dataset.profile.name,
        digest=dataset.digest,
        clips=dataset.num_clips,
        expected_clips=dataset.expected_clips,
        complete=dataset.complete,
        absent_body=dataset.absent_body,
        stream=plan.request.stream,
    )


def notes_on(plan: Plan) -> tuple[str, ...]:
    """What a reader of the table must know of the split."""
    split = plan.split
    bank = 0 if split.bank is None else len(split.bank)
    unlisted = plan.dataset.num_clips - len(split.train) - len(split.test) - bank
    # Where classes are novel, clips of no part are the rule: the test subjects' base classes.
    return (f"{unlisted:,} clips are in neither part of {plan.protocol.name}.",) if unlisted and not bank else ()


def _protocol_part(this: _Seed) -> ProtocolPart:
    plan, split = this.plan, this.split
    standard = plan.request.validation is None and (
        plan.protocol_config is None or plan.protocol_config == type(plan.protocol_config)()
    )
    train, test = plan.protocol.expected.get(plan.dataset.name, (None, None))
    config = plan.protocol_config
    return ProtocolPart(
        name=plan.protocol.name,
        validation=plan.request.validation,
        train_digest=digest_lines(this.names(split.train)),
        test_digest=digest_lines(this.names(split.test)),
        train_clips=len(split.train),
        test_clips=len(split.test),
        expected_train=train if standard else None,
        expected_test=test if standard else None,
        bank_digest=None if split.bank is None else digest_lines(this.names(split.bank)),
        bank_clips=None if split.bank is None else len(split.bank),
        expected_bank=plan.protocol.expected_bank.get(plan.dataset.name) if standard else None,
        config={} if config is None else config.model_dump(mode="json"),
        notes=notes_on(plan) if plan.request.validation is None else (),
    )
