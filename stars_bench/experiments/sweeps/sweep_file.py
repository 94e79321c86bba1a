"""The file of a sweep: which methods, data, protocols, streams, settings and seeds; every combination is a run.

methods = ["mamp", "stars"]
on = ["ntu60:xsub", "ntu60:xview"]
seeds = [0, 1, 2]

[grid]                      # every combination
lr = [1e-3, 5e-4]

[method.stars.grid]         # of one method
temperature = [0.07, 0.2]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, ValidationError, model_validator

from stars_bench.api import Select
from stars_bench.errors import UsageError, of_validation
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import read_toml

T = TypeVar("T")


def _listed(value: object) -> object:
    return [value] if isinstance(value, (str, int)) else value


Listed = Annotated[tuple[T, ...], BeforeValidator(_listed), Field(min_length=1)]
"""A list, or its only member alone."""


class Settings(BaseModel):
    """Settings of methods and evaluations (`linear.lr`), and which values each takes.

    Attributes:
        set: The same value in every run.
        grid: Several values a setting; every combination of them is a run.
        points: Tables of settings that change together; each is combined with every combination of the grid.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    set: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    points: tuple[dict[str, Any], ...] = ()

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield the settings of every run, in the order of the file."""
        for listed in self.points or ({},):
            for values in product(*self.grid.values()):
                yield {**self.set, **listed, **dict(zip(self.grid, values, strict=True))}


class SweepFile(Settings):
    """All that a sweep's file says.

    Attributes:
        methods: Registered methods, or `module:Class`.
        protocols: Protocols; with every dataset.
        datasets: Datasets; default: the one prepared dataset with the protocol.
        on: Pairs `DATASET:PROTOCOL` in place of the two.
        streams: Joint, bone, motion, bone-motion; several are also summed. Default: joint.
        seeds: A run each. Default: 0.
        evaluations: As `--eval`. Default: k-NN, the linear probe, and the method's own.
        preset: As `--preset`. Default: paper.
        recipe: As `--recipe`. Default: common.
        select: As `--select`. Default: last.
        profile: As `--profile`.
        init: As `--init`.
        validation: As `--validation`: "subjects".
        precision: As `--precision`.
        choose_on: Under `--choose-by`, the evaluation whose first number is compared. Default: the first.
        method: Settings of single methods, by name.
        slurm: What submitit asks SLURM for: timeout_min, gpus_per_node, slurm_partition, ...
    """

    methods: Listed[str]
    protocols: Listed[str] | None = None
    datasets: Listed[str] | None = None
    on: Listed[Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]] | None = None
    streams: Listed[str] = ("joint",)
    seeds: Listed[NonNegativeInt] = (0,)
    evaluations: Listed[str] | None = None
    preset: str = "paper"
    recipe: str = "common"
    select: Select = "last"
    profile: str | None = None
    init: Path | None = None
    validation: str | None = None
    precision: str | None = None
    choose_on: str | None = None
    method: dict[str, Settings] = {}
    slurm: dict[str, Any] = {}

    @model_validator(mode="after")
    def _consistent(self) -> SweepFile:
        if (self.protocols is None) == (self.on is None):
            raise ValueError('say either protocols = ["xsub"] or on = ["ntu60:xsub"]')
        if self.on is not None and self.datasets is not None:
            raise ValueError("on says the datasets already: leave datasets out")
        if others := [name for name in self.method if name not in self.methods]:
            raise ValueError(f"[method.{others[0]}]: {others[0]} is not among methods")
        return self

    @property
    def places(self) -> list[tuple[str | None, str]]:
        """Every dataset with its protocol; None: the one that has it."""
        if self.on is not None:
            pairs = (one.split(":") for one in self.on)
            return [(dataset, protocol) for dataset, protocol in pairs]
        return list(product(self.datasets or (None,), self.protocols or ()))

    def settings(self, method: str) -> list[dict[str, Any]]:
        """Return the settings of every run of a method: those for all, combined with its own."""
        own = self.method.get(method, Settings())
        combined = [one | other for one in self.combinations() for other in own.combinations()]
        return [one for i, one in enumerate(combined) if one not in combined[:i]]

    def requests(self, data_dir: Path, runs_dir: Path, command: str = "") -> list[Request]:
        """Return one request a run, each of one seed, in the order of the file.

        Args:
            data_dir: Folder of the prepared datasets.
            runs_dir: Folder of the runs.
            command: What the user typed. Default: empty.
        """
        return [
            Request(
                method=method,
                protocol=protocol,
                data_dir=data_dir,
                runs_dir=runs_dir,
                dataset=dataset,
                profile=self.profile,
                evaluations=self.evaluations or (),
                preset=self.preset,
                overrides=tuple(f"{key}={json.dumps(value)}" for key, value in settings.items()),
                seeds=(seed,),
                validation=self.validation,
                select=self.select,
                init=self.init,
                stream=stream,
                recipe=self.recipe,
                training=TrainingOptions(precision=self.precision),
                command=command,
            )
            for method in dict.fromkeys(self.methods)
            for dataset, protocol in dict.fromkeys(self.places)
            for stream in dict.fromkeys(self.streams)
            for settings in self.settings(method)
            for seed in dict.fromkeys(self.seeds)
        ]


def read(path: Path, given: Mapping[str, Any] | None = None) -> SweepFile:
    """Read the file of a sweep.

    Args:
        path: The file.
        given: Keys whose values stand in place of the file's. Default: none.

    Raises:
        StarsBenchError: It cannot be read, or is not TOML.
        UsageError: It says something that a sweep does not know; one line names it.
    """
    return parse(read_toml(path) | dict(given or {}), str(path))


def parse(content: Mapping[str, Any], where: str) -> SweepFile:
    """Return what a sweep's content says.

    Raises:
        UsageError: It says something that a sweep does not know; one line that begins with `where`.
    """
    try:
        return SweepFile.model_validate(dict(content))
    except ValidationError as error:
        raise UsageError(of_validation(error, where)) from error
