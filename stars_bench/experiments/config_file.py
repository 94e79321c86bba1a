"""config.toml: what decides a run, written into its folder; and the request that repeats it (`run --config`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stars_bench import registry
from stars_bench.api import Select
from stars_bench.errors import UsageError, of_validation
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import Plan
from stars_bench.experiments.request import Request
from stars_bench.io.files import read_toml
from stars_bench.io.run_folder import seeds_of
from stars_bench.protocols.splits import LAST


def to_toml(plan: Plan, seed: int) -> str:
    """Return what decides one seed of a run, as TOML (JSON scalars and arrays are TOML).

    Settings that are None stand in `unset`: TOML has no null.
    """
    request = plan.request
    config = {"method": plan.config, "protocol": plan.protocol_config}
    config |= {f"evaluations.{json.dumps(name)}": settings for name, (_, settings) in plan.evaluations.items()}
    values = {title: one.model_dump(mode="json") for title, one in config.items() if one is not None}
    run_values = {
        "method": plan.target,
        "dataset": plan.dataset.name,
        "profile": plan.dataset.profile.name,
        "data_digest": plan.dataset.digest,
        "protocol": plan.protocol.name,
        "validation": request.validation,
        "stream": request.stream,
        "recipe": None if plan.recipe is None else "own",
        "clip_input": None if plan.clip_input == "resized" else plan.clip_input,
        "init": None if request.init is None else str(request.init),
        "trained_on": request.trained_on,
        "precision": plan.precision,
        "deterministic": request.training.deterministic or None,
        "compile": request.training.compile or None,
        "select": None if request.select == LAST else request.select,
        "preset": request.preset,
        "seed": seed,
        "evaluations": [_named(name, target) for name, (target, _) in plan.evaluations.items()],
        "unset": [f"{title}.{key}" for title, one in values.items() for key, value in one.items() if value is None],
    }
    return "\n".join(_section(title, one) for title, one in {"run": run_values, **values}.items())


def _named(name: str, target: type) -> str:
    return name if name in registry.BUILT_IN["evaluations"] else f"{target.__module__}:{target.__qualname__}"


def _section(title: str, values: Mapping[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join([f"[{title}]", *lines, ""])


FILES_OF_A_SEED = (".json", ".pt")
"""Suffixes of files that stand for their run: a record, encoder.pt."""


class RunSection(BaseModel):
    """The section [run] of config.toml, as `to_toml` writes it; older files lack the last four."""

    model_config = ConfigDict(extra="ignore")

    method: str
    dataset: str
    profile: str
    data_digest: str
    protocol: str
    validation: str | None = None
    stream: str = "joint"
    recipe: str = "common"
    init: Path | None = None
    trained_on: str | None = None
    precision: str | None = None
    deterministic: bool = False
    compile: Literal[False, True, "step"] = False
    select: Select = LAST
    preset: str = "paper"
    seed: int = 0
    evaluations: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


class ConfigFile(BaseModel):
    """The content of config.toml."""

    model_config = ConfigDict(extra="forbid")

    run: RunSection
    method: dict[str, Any]
    protocol: dict[str, Any] = Field(default_factory=dict)
    evaluations: dict[str, dict[str, Any]] = Field(default_factory=dict)


def completed(request: Request, config: Path, given: Set[str]) -> Request:
    """Return a request with what a run's config.toml says, where the user has said nothing.

    Args:
        request: What the user asked for.
        config: The file, or a run, whose file it then is.
        given: Names of the fields of `Request` and `TrainingOptions` that the user gave. Their values win; `overrides`
            are added to the file's settings.

    Raises:
        UsageError: It is no such file, or of another method than the user named.
        StarsBenchError: It cannot be read.
    """
    file = _file(config)
    content = _read(file)
    said = content.run
    name = registry.shipped_name("methods", said.method)
    if request.method not in ("", said.method, name):
        raise UsageError(f"--config {file}: is of {name}: leave {request.method} out")
    if "preset" in given:
        raise UsageError(f"--preset {request.preset}: --config {file} has all settings: change them with --set")
    values = {one.name: getattr(said, one.name) for one in fields(Request) if one.name in RunSection.model_fields}
    values |= {"method": name, "seeds": (said.seed,)}
    request = replace(request, **{name: value for name, value in values.items() if name not in given})
    computed = {name: getattr(said, name) for name in ("precision", "deterministic", "compile") if name not in given}
    return replace(
        request,
        training=replace(request.training, **computed),
        overrides=(*_overrides(content, request), *request.overrides),
        expects=said.data_digest,
    )


def _overrides(content: ConfigFile, request: Request) -> Iterator[str]:
    """Yield the settings of a file that a request has a use for, as `key=value`."""
    able = None
    if request.init is not None:
        start = pretrained.find(request.init, request.seeds[0])
        able = pretrained.open_settings(start) if start.target == content.run.method else None
    parts = {"": {key: value for key, value in content.method.items() if able is None or key in able}}
    if request.protocol == content.run.protocol:
        parts["protocol."] = content.protocol
    asked = {name.rpartition(":")[2] for name in request.evaluations}
    own = request.evaluations == content.run.evaluations or bool({"all", "every"} & asked)
    parts |= {f"{name}.": one for name, one in content.evaluations.items() if own or name in asked}
    for prefix, settings in parts.items():
        yield from (f"{prefix}{key}={json.dumps(value)}" for key, value in settings.items())
    for key in content.run.unset:
        title, _, name = key.rpartition(".")
        prefix = "" if title == "method" else f"{json.loads(title.partition('.')[2]) if '.' in title else title}."
        if prefix in parts and (prefix or able is None):
            yield f"{prefix}{name}=null"


def _file(config: Path) -> Path:
    if config.is_file() and config.suffix not in FILES_OF_A_SEED:
        return config
    if not (folders := seeds_of(config)):
        raise UsageError(f"--config {config}: there is no such file, and no run (`stars-bench list runs` names them)")
    return folders[0].config


def _read(file: Path) -> ConfigFile:
    content = read_toml(file)
    if "sweep" in content or "methods" in content:
        raise UsageError(f"--config {file}: describes a sweep: stars-bench sweep {file}")
    try:
        return ConfigFile.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{of_validation(error, f'--config {file}')}; it takes the config.toml of a run") from error
