"""What a user asks for: method, data, evaluations, and how all of it is computed. Nothing is checked yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stars_bench.api import Select
from stars_bench.errors import UsageError

Compiled = Literal[False, True, "step"]
"""What torch.compile fuses: nothing, transformer blocks, or a whole step where it can."""


@dataclass(frozen=True)
class TrainingOptions:
    """How everything is computed: device, precision, memory, kernels, and what is written meanwhile.

    Args:
        device: Cpu, cuda, cuda:1; None for a GPU if there is one.
        precision: float32, tf32 or bf16; None for tf32 on a GPU that has it, else float32.
        grad_accum: Parts that a process divides its share of a batch into; changes memory and time only. Default 1.
        fit_batch: Whether `grad_accum` is doubled where memory does not suffice. Default False.
        deterministic: Whether a GPU may use deterministic kernels alone. Default False.
        compile: Whether torch.compile fuses transformer blocks; "step": where it can, a whole step. Default False.
        log: Loggers beside log.jsonl: registered names, `module:Class`, or classes (`api.Logger`). Default none.
        tensorboard: Whether "tensorboard" is one of them. Default False.
        checkpoint_seconds: Time between two checkpoints, in seconds. Default 60.
    """

    device: str | None = None
    precision: str | None = None
    grad_accum: int = 1
    fit_batch: bool = False
    deterministic: bool = False
    compile: Compiled = False
    log: tuple[str | type, ...] = ()
    tensorboard: bool = False
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check what no type checker has seen."""
        if self.compile not in (False, True, "step"):
            raise UsageError(f'compile = {self.compile!r}: must be True (blocks), "step" or False')


@dataclass(frozen=True)
class Request:
    """What is to be run. Names are registered ones, or `module:Class`.

    Args:
        method: Name of the method.
        protocol: Name of the protocol.
        data_dir: Folder of the prepared datasets.
        runs_dir: Folder of the runs and their records.
        dataset: Name of the dataset; None for the one prepared dataset that has the protocol.
        profile: Cleaning of the prepared data; None for the published one.
        evaluations: Names, "all" for what the protocol names, or "every" for all that apply; empty for k-NN and linear
            probe, where the protocol has them, and the method's own.
        preset: Preset of the method's and the evaluations' settings. Default "paper".
        overrides: `key=value` of the method's config, `EVALUATION.key=value` of an evaluation's, `protocol.key=value`
            of the protocol's.
        seeds: A run each. Default one, 0.
        validation: None to test on the test part; "subjects" to test on a part of the training subjects, drawn by the
            seed, that does not train.
        select: Which epoch of what learns classes is evaluated: "last"; "validation", the best on held-out training
            clips; "best-on-test", the best on the test part. Default "last".
        init: A run, or a checkpoint of MAMP or STARS, whose encoder is taken instead of training (the same method) or
            instead of the first stage.
        trained_on: What a checkpoint of MAMP or STARS was trained on, `DATASET:PROTOCOL`; None: what its file says,
            else unknown.
        stream: Joint, bone, motion or bone-motion. Default "joint".
        recipe: "common", MAMP's data, crops and probe for every method; "own", those of the method's own paper.
            Default "common".
        training: How it is computed.
        command: What the user typed; kept in the records.
        expects: Digest of the prepared data that the settings were used with before; other data are said to be others.
            Default: None, any.
    """

    method: str
    protocol: str
    data_dir: Path
    runs_dir: Path
    dataset: str | None = None
    profile: str | None = None
    evaluations: Sequence[str] = ()
    preset: str = "paper"
    overrides: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    validation: str | None = None
    select: Select = "last"
    init: Path | None = None
    trained_on: str | None = None
    stream: str = "joint"
    recipe: str = "common"
    training: TrainingOptions = field(default_factory=TrainingOptions)
    command: str = ""
    expects: str | None = None
