"""One seed of a plan: its split, its folder, its clips and its encoder in, the records of every evaluation out.

Where the encoder comes from is the one thing that varies: an `EncoderSource` (encoder_source.py) trains it or rebuilds
it. Everything after that is the same for all of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.api import Evaluation, Split
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.evaluation.classifier import ClassifierConfig, own_logits
from stars_bench.evaluation.subject import PartName, Subject, WrongEncoder, probe
from stars_bench.experiments import recipes
from stars_bench.experiments.config_file import to_toml
from stars_bench.experiments.plan import Plan, device_name
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.record_parts import (
    checkpoint_rule,
    class_names_of,
    dataset_part,
    encoder_costs,
    init_part,
    names_of,
    protocol_part,
    selection_facts,
)
from stars_bench.io.files import (
    Busy,
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
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import keep_away
from stars_bench.io.source.closure import source_closure
from stars_bench.models.layers.encoder import Block
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.protocols.splits import VALIDATION
from stars_bench.records import store
from stars_bench.records.doubts import doubts
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.metrics import measure, per_class
from stars_bench.records.outcome import Outcome
from stars_bench.records.predictions import save_predictions
from stars_bench.records.record import (
    CodePart,
    EnvironmentPart,
    EvaluationPart,
    MethodPart,
    NewerSchema,
    PredictionsPart,
    Record,
    SelectionPart,
    StagePart,
)
from stars_bench.training import checkpoint
from stars_bench.training.loggers.logger import LoggedRun
from stars_bench.training.loggers.together import Loggers
from stars_bench.training.loop import Progress, Tell
from stars_bench.training.module_state import digest_module, kinds
from stars_bench.training.parallel import distributed
from stars_bench.training.selection import Selection
from stars_bench.training.stage_result import StageResult
from stars_bench.training.stages import SHARED, StageRun

ROOTS = ("stars_bench.protocols.splits", "stars_bench.records.metrics", *SHARED)
"""Modules that every result runs through, beside what its method and evaluation import."""
UNCHANGED = ("predictions", "metrics", "code", "method", "dataset", "protocol", "init", "selection", "weights")
"""Parts of a record that an equal result shares."""
DIGITS = 16
"""Digits of a module's digest that a record keeps."""


class EvaluationsFailed(StarsBenchError):
    """An evaluation failed; the results of the others are kept.

    Attributes:
        records: Those results.
    """

    def __init__(self, line: str, records: Sequence[Record]) -> None:
        super().__init__(line)
        self.records = tuple(records)


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder that is ready to be evaluated.

    Args:
        module: Maps clips (B, 3, T, V, M) to features (B, `module.dim`); `module.frames` is its T.
        key: Names it: a digest of all code, data and settings that its weights depend on.
        stages: What was trained for it, in order; empty where nothing was.
        code: Classes and functions that it consists of beside its modules' classes.
    """

    module: nn.Module
    key: str
    stages: Sequence[StageResult] = ()
    code: Sequence[object] = ()


@dataclass(frozen=True)
class EncoderSource:
    """Where the encoder of a seed comes from; `encoder_source.py` has the sources.

    Args:
        build: gives an encoder of the same kind without training it, for `SeedRun.check`; None where none can be built.
        get: gives the encoder, trained.
    """

    build: Callable[[SeedRun], nn.Module | None]
    get: Callable[[SeedRun], TrainedEncoder]


@dataclass(frozen=True)
class SeedRun:
    """One seed of a plan, from its clips to its records.

    Args:
        plan: What to run, resolved.
        seed: Seed of all random numbers; held-out subjects depend on it, too.
        split: The clips that train and that are tested.
        folder: The seed's folder.
        store: All clips of the dataset, on the device.
        source: Gives the encoder.
        progress: Called while something is computed.
        tell: Called with a line for each thing that the user must know.
        started: When the seed was started (UTC, ISO 8601).
        wait: Whether a stage that another run trains at the moment is waited for. Default: True.
        stages: What trains the stages. Default: `StageRun`.
    """

    plan: Plan
    seed: int
    split: Split
    folder: RunFolder
    store: ClipStore
    source: EncoderSource
    progress: Progress | None
    tell: Tell | None
    started: str
    wait: bool = True
    stages: Callable[..., StageRun[BaseModel]] = StageRun

    def check(self) -> None:
        """Try the encoder on two training clips, as far as it can be had without training; nothing is written.

        Raises:
            UsageError: there is no such encoder, or it is for other joints.
            StarsBenchError: it cannot be built, or gives no finite features.
        """
        encoder = self.source.build(self)
        if encoder is not None:
            self.probe(encoder.to(self.plan.device))

    def probe(self, encoder: nn.Module) -> int:
        """Try an encoder on two training clips, see `evaluation.subject.probe`, and return the width of features."""
        clips = self.part(self.split.train, labelled=False)
        return probe(encoder, clips, self.plan.precision, self.plan.method.name)

    def records(self) -> list[Record]:
        """Evaluate the encoder and keep the records.

        Returns:
            One record for each outcome of each evaluation, new or already there.

        Raises:
            WrongEncoder: The encoder's features are not finite numbers (B, D). Nothing is left of one that was
                not trained here and not measured yet.
            StarsBenchError: Another process writes to the folder, or training or an evaluation fails.
        """
        if not distributed.is_first():
            return self._records()
        with alone_in(self.folder.path), self._withdrawn(), closing(self._loggers):
            return self._records()

    @contextmanager
    def _withdrawn(self) -> Iterator[None]:
        """Remove what is written for an encoder that turns out to be wrong; what is trained or measured stays."""
        folder, config = self.folder, self.folder.config
        before = set(folder.path.rglob("*"))
        text = config.read_text(encoding="utf-8") if config in before else ""
        try:
            yield
        except WrongEncoder:
            trained = folder.encoder.exists() or folder.stages.exists()
            if trained or not before.issuperset(folder.record_files()):
                raise
            if not before:
                shutil.rmtree(folder.path)
            for path in set(folder.path.rglob("*")) - before:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            if config in before:
                write_text(config, text)
            raise

    def _records(self) -> list[Record]:
        if distributed.is_first():
            write_text(self.folder.config, to_toml(self.plan, self.seed))
        if self.tell and self._selection_facts is not None:
            self.tell(f"--select {self.plan.request.select}, seed {self.seed}: {self._selection_facts}")
        encoder = self.source.get(self)
        has_blocks = any(isinstance(module, Block) for module in encoder.module.modules())
        if self.tell and self.plan.request.training.compile and not has_blocks:
            self.tell(f"--compile changes nothing: {self.plan.method.name} has no transformer blocks")
        costs = encoder_costs(encoder.module, self.store.num_joints, self.plan.device)
        weights = checkpoint.digest_tensors(encoder.module.state_dict())
        records: list[Record] = []
        failures: list[tuple[str, Exception]] = []
        for name in self.plan.evaluations:
            try:
                records += self._evaluated(name, encoder, weights, costs)
            except Exception as error:
                # Of several processes one may fail where the others do not know of it; a full disk fails everywhere.
                if distributed.launched() or isinstance(error, (OSError, Busy, WrongEncoder)):
                    raise
                failures.append((name, error))
        if len(failures) == 1 == len(self.plan.evaluations):
            raise failures[0][1]
        if failures:
            reasons = "; ".join(f"{name}: {one_line(error)}" for name, error in failures)
            raise EvaluationsFailed(f"{reasons} (the other evaluations are kept)", records) from failures[0][1]
        return records

    def _evaluated(self, name: str, encoder: TrainedEncoder, weights: str, costs: Mapping[str, int]) -> list[Record]:
        """Run an evaluation and keep its records."""
        evaluation, config = self.plan.evaluations[name]
        subject = self._subject(encoder, weights, evaluation, config)
        method, code = self._method_part(name, costs), self._code_part(encoder, evaluation)
        records = []
        for outcome in evaluation().run(subject):
            self._check_chosen(subject, outcome, name)
            keep = partial(self._keep, outcome, name, config, method, encoder.stages, weights, code)
            records.append(distributed.from_first(keep))
            self._loggers.result(records[-1].evaluation.title, {one.name: one.value for one in records[-1].metrics})
        return records

    def _check_chosen(self, subject: Subject[BaseModel], outcome: Outcome, name: str) -> None:
        if subject.looked_at is not None and all(stage.epoch is None for stage in outcome.stages):
            raise StarsBenchError(
                f"--select {self.plan.request.select}: {name} says that it selects, but no stage of its outcome has "
                "Stage.classify"
            )

    @cached_property
    def selection(self) -> Split | None:
        """What trains, and as its test part the clips that choose the epoch; None: the last epoch is evaluated."""
        return self.plan.selection_part(self.split, self.seed)

    @property
    def learnt(self) -> np.ndarray:
        """Numbers of the clips that the method trains on: without those held out, where they choose its epoch."""
        selection = self.selection if self.plan.selects_encoder else None
        return self.split.train if selection is None else selection.train

    @cached_property
    def _loggers(self) -> Loggers:
        """What is told of epochs and results; nobody in other processes than the first."""
        plan = self.plan
        run = LoggedRun(
            method=plan.method.name,
            dataset=plan.dataset.name,
            protocol=plan.protocol.name,
            seed=self.seed,
            key=plan.key,
            settings=plan.config.model_dump(mode="json"),
            folder=self.folder.path,
        )
        return Loggers(plan.loggers if distributed.is_first() else (), run, self.tell)

    @property
    def start(self) -> Pretrained | None:
        """The encoder that --init names for this seed."""
        return self.plan.starts.get(self.seed)

    def names(self, ids: np.ndarray) -> np.ndarray:
        """Return names of clips, by their numbers."""
        return names_of(self.plan.dataset, ids)

    def labels(self, ids: np.ndarray) -> np.ndarray:
        """Return classes of clips, by their numbers."""
        labels: np.ndarray = self.plan.dataset.table["label"].to_numpy(dtype=np.int64)[ids]
        return labels

    def class_names(self, ids: np.ndarray) -> Set[str]:
        """Return names of the classes that clips are of."""
        return class_names_of(self.plan.dataset, ids)

    def part(self, ids: np.ndarray, labelled: bool) -> ClipPart:
        """Return clips as methods and evaluations get them."""
        return ClipPart(self.store, ids, self.labels(ids) if labelled else None, len(self.plan.dataset.spec.classes))

    @property
    def data(self) -> dict[str, str]:
        """What the clips of a batch depend on beside their names."""
        dataset, stream, options = self.plan.dataset, self.plan.request.stream, self.plan.request.training
        chosen = {"deterministic": options.deterministic, "compiled": options.compile is True}
        chosen["compiled steps"] = options.compile == "step"
        kernels = ", ".join(name for name, asked in chosen.items() if asked)
        data = {"data": dataset.digest, "absent_body": dataset.absent_body, "stream": stream}
        data |= {} if self.plan.clip_input == "resized" else {"clip_input": self.plan.clip_input}
        return data | {"kernels": kernels} if kernels else data

    def stage_run(
        self,
        config: BaseModel,
        train: np.ndarray,
        code: Sequence[object],
        start: nn.Module | None = None,
        selects: bool = False,
        **context: str,
    ) -> StageRun[BaseModel]:
        """Return a method or an evaluation what it trains its stages with.

        Args:
            config: Its validated config.
            train: Numbers of the training clips.
            code: Classes and functions that its stages depend on beside their steps.
            start: An encoder to start from. Default: None.
            selects: Whether the epoch of its stages is chosen. Default: False.
            context: What its stages depend on beside data and code.
        """
        options = self.plan.request.training
        data = dict(self.data) | {"train": digest_lines(self.names(train))}
        return self.stages(
            config=config,
            seed=self.seed,
            device=self.plan.device,
            folder=self.folder.path,
            context=data | context,
            precision=self.plan.precision,
            reuse=True,
            checkpoint_seconds=options.checkpoint_seconds,
            progress=self.progress,
            start=start,
            micro_batches=options.grad_accum,
            fit_batch=options.fit_batch,
            tell=self.tell,
            loggers=self._loggers,
            code=code,
            selection=self._selection() if selects else None,
            wait=self.wait,
        )

    def _selection(self) -> Selection | None:
        """The clips that choose an epoch, with their labels."""
        if self.selection is None:
            return None
        ids = self.selection.test
        return Selection(
            rule=checkpoint_rule(self.plan.request.select, self.plan.protocol),
            clips=digest_lines(self.names(ids)),
            labels=torch.from_numpy(self.labels(ids)).to(self.plan.device),
            classify=partial(
                own_logits,
                clips=self.part(ids, labelled=False),
                crop=ClassifierConfig.model_validate(recipes.changes(self.plan.recipe, "classifier")).crop,
                precision=self.plan.precision,
            ),
            code=[own_logits],
        )

    def _subject(
        self, encoder: TrainedEncoder, weights: str, evaluation: type[Evaluation[Any]], config: BaseModel
    ) -> Subject[BaseModel]:
        """Return what an evaluation is given: labels of the bank or training part, none of the test part."""
        labelled, test = self.split.labelled, self.split.test
        selection = self.selection if self.plan.selects(evaluation.name) else None
        held_out = None
        if selection is not None and self.plan.request.select == VALIDATION:
            labelled, held_out = selection.train, selection.test
        names: dict[PartName, np.ndarray] = {"train": self.names(labelled), "test": self.names(test)}
        if held_out is not None:
            names["validation"] = self.names(held_out)
        # Its results are those of these values, even where its key is wrong: fit may have read some from a file.
        values = distributed.from_first(lambda: digest_module(encoder.module))
        key = digest_json({"encoder": encoder.key, "weights": weights, "values": values})
        code = [evaluation, *encoder.code, *kinds(encoder.module)]
        return Subject(
            encoder=encoder.module,
            train=self.part(labelled, labelled=True),
            test=self.part(test, labelled=False),
            num_classes=len(self.plan.dataset.spec.classes),
            run=self.stage_run(
                config,
                labelled,
                code,
                selects=selection is not None,
                encoder=key,
                test=digest_lines(self.names(test)),
            ),
            names=names,
            key=key,
            data=self.data,
            test_classes=len(np.unique(self.labels(test))),
            class_names=self.plan.dataset.spec.classes,
            unseen=np.setdiff1d(self.labels(test), self.labels(labelled)),
            draw_episodes=partial(draw_episodes, self.labels(labelled), self.labels(test)),
            validation=None if held_out is None else self.part(held_out, labelled=False),
            looked_at=None if selection is None else "test" if held_out is None else "validation",
        )

    def _keep(
        self,
        outcome: Outcome,
        name: str,
        config: BaseModel,
        method: MethodPart,
        stages: Sequence[StageResult],
        weights: str,
        code: CodePart,
    ) -> Record:
        """Save predictions, measure them and write the record; an equal result that is already there stays."""
        plan, outcome = self.plan, outcome.limited(self._tested.labels)
        chosen = any(stage.epoch is not None for stage in (*stages, *outcome.stages))
        if chosen:
            outcome = replace(outcome, checkpoint_rule=checkpoint_rule(plan.request.select, plan.protocol))
        evaluation = EvaluationPart(
            name=name,
            config=config.model_dump(mode="json"),
            settings=dict(outcome.settings) | self._transfer(),
            checkpoint_rule=outcome.checkpoint_rule,
        )
        settings = "".join(f"-{key}{value}" for key, value in evaluation.settings.items())
        file = self.folder.predictions / f"{path_part(evaluation.name + settings)}-{evaluation.digest[:8]}.npz"
        save_predictions(file, outcome, self._tested)
        record = Record(
            method=method,
            dataset=dataset_part(plan.dataset, plan.request.stream, plan.clip_input),
            protocol=protocol_part(
                plan.dataset, plan.protocol, plan.protocol_config, plan.request.validation, self.split
            ),
            evaluation=evaluation,
            seed=self.seed,
            **measured(outcome, self._tested, len(plan.dataset.spec.classes)),
            stages=tuple(StagePart(**asdict(stage)) for stage in (*stages, *outcome.stages)),
            code=code,
            environment=self._environment_part(),
            command=plan.request.command,
            started=self.started,
            finished=utc_now(),
            predictions=PredictionsPart(file=file.relative_to(self.folder.path).as_posix(), digest=digest_file(file)),
            doubts=doubts(outcome, self._tested.labels, self.labels(self.split.labelled)),
            init=None if self.start is None else init_part(self.start, plan.dataset, self.split),
            weights=weights,
            selection=self._selection_facts if chosen else None,
        )
        path = self.folder.records / record.file_name
        if path.exists():
            old = self._recorded(path)
            if old is not None and all(getattr(old, part) == getattr(record, part) for part in UNCHANGED):
                return old
        return store.read_record(store.write_record(self.folder, record))

    def _recorded(self, path: Path) -> Record | None:
        """The record that is there; None, with a line, where it is damaged or edited, and then kept under another name.

        Raises:
            StarsBenchError: it cannot be read, or a later version wrote it.
        """
        try:
            old = store.read_record(path)
            if not store.edited(path, old):
                return old
        except StarsBenchError as error:
            if isinstance(error, NewerSchema) or isinstance(error.__cause__, OSError):
                raise
        line = keep_away(path)
        if self.tell:
            self.tell(line)
        return None

    @cached_property
    def _selection_facts(self) -> SelectionPart | None:
        plan = self.plan
        return selection_facts(plan.dataset, plan.protocol, plan.request.select, self.selection)

    @cached_property
    def _tested(self) -> MeasuredClips:
        return MeasuredClips.of(self.plan.dataset, self.split.test)

    def _transfer(self) -> dict[str, str]:
        """Return the variant that an encoder from another dataset makes; where classes are novel it is the rule."""
        start = self.start
        if start is None or start.dataset in (None, self.plan.dataset.name) or self.split.bank is not None:
            return {}
        return {"from": start.dataset}

    def _code_part(self, encoder: TrainedEncoder, evaluation: type[Evaluation[Any]]) -> CodePart:
        definitions = [self.plan.method, evaluation, *encoder.code, *kinds(encoder.module)]
        closure = source_closure(definitions, ROOTS)
        modules = {name: digest[:DIGITS] for name, digest in closure.sources.items()}
        return CodePart(**code_state(), modules=modules, distributions=closure.distributions)

    def _method_part(self, evaluation: str, costs: Mapping[str, int]) -> MethodPart:
        plan, start, preset = self.plan, self.start, self.plan.preset_name(evaluation)
        if start is not None and start.preset not in ("", preset):
            preset = f"{start.preset}, then {preset}"
        return MethodPart(
            name=plan.method.name,
            config=plan.config.model_dump(mode="json"),
            preset=preset,
            target=plan.target,
            citations=tuple(getattr(plan.method, "citations", ())),
            recipe=recipes.name_of(plan.recipe, plan.method),
            **costs,
        )

    def _environment_part(self) -> EnvironmentPart:
        plan = self.plan
        machine = environment(device_name(plan.device))
        return EnvironmentPart(
            **machine,
            precision=plan.precision,
            processes=distributed.world_size(),
            threads=torch.get_num_threads(),
            deterministic=plan.request.training.deterministic,
            compiled=plan.request.training.compile,
        )


def measured(outcome: Outcome, clips: MeasuredClips, num_classes: int) -> dict[str, Any]:
    """The fields of a record that are computed from predictions and the clips of the test part."""
    metrics = tuple(measure(outcome, clips.labels, clips.units))
    if outcome.kind != "classes":
        return {"metrics": metrics}
    accuracies = per_class(outcome, clips.labels, num_classes)
    return {"metrics": metrics, "per_class": tuple(None if np.isnan(one) else float(one) for one in accuracies)}
