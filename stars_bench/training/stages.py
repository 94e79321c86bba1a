"""A run under one seed: its stages by key. A stage that was finished under the same key, anywhere, is not run again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Generic

import torch
from torch import nn

from stars_bench.api import ConfigT_co
from stars_bench.data.clip_store import ClipPart
from stars_bench.io.files import digest_file, digest_json, locked, write_text
from stars_bench.io.run_folder import DIGITS_OF_KEY, RunFolder
from stars_bench.io.sealed import Damaged, json_lines, keep_away, read_json_lines
from stars_bench.io.source.closure import source_closure
from stars_bench.training import checkpoint
from stars_bench.training.loggers.together import Loggers
from stars_bench.training.loop import Position, Progress, Stage, Tell, seed_step, train
from stars_bench.training.module_state import digest_module, kinds
from stars_bench.training.parallel import distributed
from stars_bench.training.selection import Selection
from stars_bench.training.stage_result import StageResult

SHARED = (__name__, ClipPart.__module__)
"""Modules that every stage runs through, with any step: the loop, and the clips that it is given."""


class StageRun(Generic[ConfigT_co]):
    """Runs stages in order; implements `stars_bench.api.Run`.

    Args:
        config: The validated config of the method (or evaluation).
        seed: Seeds every step, as `seed_step` does.
        device: Where stages are trained.
        folder: The seed's folder.
        context: Everything beside config and code that decides the outcome: data digest, ids digest, the encoder's key.
        precision: How matrix products are computed; default float32.
        reuse: Whether stages and features of other runs of the dataset are taken over where their key is the same;
            default no.
        checkpoint_seconds: Time between two checkpoints; default 60.
        progress: Called as training goes on; default None.
        start: An encoder to start from; default None.
        micro_batches: As `train` has it; decides nothing; default 1.
        tell: Called with where a stage resumes; default None.
        fit_batch: As `train` has it; decides nothing; default no.
        loggers: What is told of every epoch, beside the log; default None, nobody.
        code: Classes and functions that every stage depends on, such as the evaluation; default none. Beside these it
            depends on its step, its module and the code that calls `train`, so that methods can share a stage.
        selection: The clips by which the epoch of a stage that learns classes is chosen; default None, the last epoch.
        wait: Whether a stage that another run trains at the moment is waited for; else it is an error. Default yes.
    """

    def __init__(
        self,
        config: ConfigT_co,
        seed: int,
        device: torch.device,
        folder: Path,
        context: Mapping[str, Any],
        precision: str = "float32",
        reuse: bool = False,
        checkpoint_seconds: float = 60.0,
        progress: Progress | None = None,
        start: nn.Module | None = None,
        micro_batches: int = 1,
        tell: Tell | None = None,
        fit_batch: bool = False,
        loggers: Loggers | None = None,
        code: Sequence[object] = (),
        selection: Selection | None = None,
        wait: bool = True,
    ) -> None:
        self.config, self.seed, self.device, self.precision = config, seed, device, precision
        self.start, self.micro_batches, self.fit_batch, self.tell = start, micro_batches, fit_batch, tell
        self.folder, self.reuse = RunFolder(folder), reuse
        self.checkpoint_seconds, self.progress, self.code = checkpoint_seconds, progress, code
        self.selection, self.wait = selection, wait
        self.loggers = loggers
        self._told_epochs = 0
        self.key = digest_json({"context": context, "seed": seed, "precision": precision, "device": device.type})
        self.stages: list[StageResult] = []
        seed_step(seed, "start", 0)

    def train(self, stage: Stage) -> None:
        """Train a stage to its end; its module then holds the result."""
        caller = str(sys._getframe(1).f_globals["__name__"])
        self._told_epochs = 0
        self._run(stage, caller)
        # What follows draws the same numbers whether the stage was trained or taken over.
        seed_step(self.seed, stage.name, "end")

    def _run(self, stage: Stage, caller: str) -> None:
        self.key, depends_on = distributed.from_first(lambda: self._stage_key(stage, caller))
        file = self.folder.stage_file(stage.name, self.key)
        with self._alone_with(stage):
            found, state = distributed.from_first(lambda: self._finished(stage, file)) or (None, None)
            if state is None:
                at = self._train(stage, file)
                peak_bytes = distributed.largest(at.peak_bytes) or None
                state = distributed.from_first(lambda: self._keep(stage, file, at, peak_bytes, depends_on))
        if found and self.tell:
            others = _other_versions(state.get("packages") or {}, depends_on["packages"])
            self.tell(f"{stage.name}: was finished before, {found}{others}")
        stage.module.load_state_dict(state["module"])
        self.stages.append(
            StageResult(
                name=stage.name,
                key=self.key,
                seconds=round(state["seconds"], 3),
                samples=state["samples"],
                peak_bytes=state["peak_bytes"],
                checkpoint_digest=distributed.from_first(lambda: digest_file(found or file)),
                reused=found is not None,
                processes=state["processes"],
                micro_batches=state["micro_batches"],
                code=depends_on["code"],
                state=depends_on["state"],
                epoch=state.get("epoch"),
            )
        )
        self._log(state["log"])

    def _stage_key(self, stage: Stage, caller: str) -> tuple[str, dict[str, Any]]:
        """Return the key of a stage that is about to be trained, and what it is the digest of."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in stage.optimizer.param_groups]
        code = source_closure([*self.code, *stage.parts, *kinds(stage.module)], [caller, *SHARED])
        depends_on = {
            "parent": self.key,
            "name": stage.name,
            "config": dict(stage.config),
            "loop": [stage.samples, stage.epochs, stage.batch_size, stage.gradient_scale, stage.clip_each],
            "optimizer": [type(stage.optimizer).__name__, groups],
            "step": stage.sources,
            "code": code.digest,
            # Weights may have come into the module from a file that no setting names.
            "state": digest_module(stage.module),
        }
        if (selection := self._selection_of(stage)) is not None:
            chosen = source_closure(selection.code).digest
            depends_on["selection"] = [selection.rule, selection.clips, chosen]
        return digest_json(depends_on), depends_on | {"packages": code.distributions}

    def _alone_with(self, stage: Stage) -> AbstractContextManager[None]:
        """Hold a stage for this process while it is trained: another run that needs it waits, and takes it over."""
        lock = self.folder.stage_lock(stage.name, self.key) if self.reuse else None
        if lock is None or distributed.world_size() > 1 or self.folder.find_stage(stage.name, self.key):
            return nullcontext()
        if not self.wait:
            return locked(lock, None)
        tell = self.tell or (lambda _: None)
        return locked(lock, lambda: tell(f"{stage.name}: another run trains it; waits for it, to take it over"))

    def _selection_of(self, stage: Stage) -> Selection | None:
        """Return the clips that choose the stage's epoch; None where it does not classify, or the last one is asked."""
        classifies = stage.classify is not None or hasattr(stage.module, "classify")
        return self.selection if classifies else None

    def _look(self, stage: Stage) -> Callable[[], float] | None:
        selection = self._selection_of(stage)
        if selection is None:
            return None
        classify = stage.classify or partial(selection.classify, stage.module)
        return lambda: selection.accuracy(classify())

    def _finished(self, stage: Stage, file: Path) -> tuple[Path, dict[str, Any]] | None:
        """Return a file of the stage, of this run or another, and what is in it."""
        for found in self._candidates(stage, file):
            try:
                state = checkpoint.load(found)
                if state.get("key") != self.key:
                    raise Damaged(f"{found}: damaged: holds another stage than its name says")
            except Damaged:
                line = keep_away(found, own=found == file)
                if self.tell:
                    self.tell(f"{stage.name}: {line}")
                continue
            # Still there if a kill came between the last two things of a stage.
            checkpoint.unfinished(file).unlink(missing_ok=True)
            return found, state
        return None

    def _candidates(self, stage: Stage, file: Path) -> Iterator[Path]:
        """Yield files of a stage: this run's own.

        Those of other runs are looked for when it is not there or not taken.
        """
        if file.exists():
            yield file
        if self.reuse:
            yield from (found for found in self.folder.stage_files(stage.name, self.key) if found != file)

    def _train(self, stage: Stage, file: Path) -> Position:
        if distributed.is_first():
            checkpoint.tidy(file)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        return train(
            stage,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            resume_file=checkpoint.unfinished(file),
            checkpoint_seconds=self.checkpoint_seconds,
            progress=self.progress,
            after_epoch=lambda at: self._log(at.log),
            micro_batches=self.micro_batches,
            fit_batch=self.fit_batch,
            tell=self.tell,
            look=self._look(stage),
        )

    def _keep(
        self, stage: Stage, file: Path, at: Position, peak_bytes: int | None, depends_on: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Save a finished stage; returns what was saved."""
        state = {
            "module": {name: value.cpu() for name, value in stage.module.state_dict().items()},
            "name": stage.name,
            "key": self.key,
            "seconds": at.seconds,
            "samples": at.step * stage.batch_size,
            "peak_bytes": peak_bytes,
            "processes": distributed.world_size(),
            "micro_batches": at.micro_batches,
            "log": at.log,
            "code": depends_on["code"],
            "state": depends_on["state"],
            "epoch": None if at.best is None else at.best["epoch"],
            "packages": depends_on["packages"],
        }
        checkpoint.save(file, state)
        checkpoint.unfinished(file).unlink(missing_ok=True)
        return state

    def _log(self, lines: list[dict[str, Any]]) -> None:
        """Put a stage's lines, marked with its key, into log.jsonl in place of those that are there of it."""
        if not distributed.is_first():
            return
        for line in lines[self._told_epochs :]:
            if self.loggers is not None:
                self.loggers.epoch(line["stage"], {name: value for name, value in line.items() if name != "stage"})
        self._told_epochs = len(lines)
        path = self.folder.log
        key = self.key[:DIGITS_OF_KEY]
        kept = [line for line in self._logged() if line.get("key") != key]
        new = [line | {"key": key} for line in lines]
        write_text(path, json_lines(kept + new))

    def _logged(self) -> list[dict[str, Any]]:
        """Return the lines that are there; none where the log is damaged, which is kept under another name."""
        try:
            return read_json_lines(self.folder.log) if self.folder.log.exists() else []
        except Damaged:
            line = keep_away(self.folder.log)
            if self.tell:
                self.tell(f"{line} (the lines of stages that this command does not train are lost)")
            return []


def _other_versions(trained: Mapping[str, str], installed: Mapping[str, str]) -> str:
    """Say which packages had another version when a stage was trained; empty where none had."""
    others = [
        f"{name} {version} instead of {installed[name]}"
        for name, version in trained.items()
        if installed.get(name, version) != version
    ]
    return f" (with {', '.join(others)}: delete it to train the stage again)" if others else ""
