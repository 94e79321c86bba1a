"""`stars_bench.run` and `stars_bench.evaluate`: the commands of the same names as functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import Encoder, Method, RecipeChoice, Select
from stars_bench.data.transforms import StreamName
from stars_bench.display.console import CarefulConsole
from stars_bench.display.training_panel import RunPanel
from stars_bench.errors import UsageError, for_python, of_validation
from stars_bench.experiments import pretrained
from stars_bench.experiments.encoder_source import source_of
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.public.given_encoder import given
from stars_bench.experiments.public.results import RunResults
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.experiments.runner import run_plan
from stars_bench.experiments.seed_run import EncoderSource
from stars_bench.io.default_folders import data_folder, runs_folder
from stars_bench.io.source.closure import qualified_name
from stars_bench.records.store import StoredRecord
from stars_bench.training import memory
from stars_bench.training.loop import Progress, Tell
from stars_bench.training.parallel import distributed


@for_python
def run(
    method: str | type[Method[BaseModel]],
    *,
    protocol: str,
    dataset: str | None = None,
    profile: str | None = None,
    preset: str = "paper",
    settings: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = (0,),
    evaluations: str | Sequence[str] | None = None,
    stream: StreamName = "joint",
    recipe: RecipeChoice = "common",
    validation: str | None = None,
    select: Select = "last",
    init: str | Path | None = None,
    trained_on: str | None = None,
    device: torch.device | str | None = None,
    precision: str | None = None,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    progress: bool | Progress = True,
    **training: Any,
) -> RunResults:
    """Train and evaluate a method under a protocol, as `stars-bench run` does.

    The same call again resumes where the last one stopped, and takes what is finished from the records.

        runs = stars_bench.run("stars", dataset="ntu60", protocol="xsub", settings={"lr": 1e-3, "linear.epochs": 5})
        runs.to_frame()

    Args:
        method: A registered name, "module:Class", or a class with `name`, `Config` and `fit`.
        protocol: A registered name: xsub, xview, xset, unseen, oneshot, fewshot.
        dataset: A prepared dataset. Default: the only one that has the protocol.
        profile: How its clips were cleaned. Default: the dataset's default, or the only one there is.
        preset: Settings to begin with. "paper": the published ones. "quick": small and short, for a CPU.
        settings: Changes of the preset: "key" of the method, "EVALUATION.key", "protocol.key".
        seeds: One run each. Default: 0.
        evaluations: Names, "all" for those of a paper's row, or "every" for all that apply. Default: k-NN and linear
            probe, where the protocol has them, and the method's own.
        stream: Input of the encoder: joint, bone, motion or bone-motion. Default: joint.
        recipe: "common": one probe, crop and cleaning for every method, MAMP's. "own": data, input and evaluation of
            the method's own paper, where that differs. Default: common.
        validation: "subjects": measure on a part of the training subjects, drawn by the seed, that does not train.
            Default: None, the test part.
        select: Which epoch of what learns classes is evaluated: "last"; "validation", the best on training subjects
            (x-view: cameras, x-set: setups) held out for it; "best-on-test", as several papers do it, which is marked
            and never ranked. Default: "last".
        init: A run's folder or a checkpoint of MAMP or STARS to start from. Default: None.
        trained_on: What such a checkpoint was trained on, "DATASET:PROTOCOL". Default: None, what its file says, else
            unknown.
        device: "cpu", "cuda", "cuda:1", or a torch.device. Default: a GPU if there is one.
        precision: "float32", "tf32" or "bf16". Default: tf32 on a GPU that has it, else float32.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data".
        runs_dir: Where runs and records lie. Default: $STARS_BENCH_RUNS, else "runs".
        progress: Whether to show progress; or a function that is called with task, done, total and a note.
        **training: grad_accum, fit_batch, deterministic, compile, checkpoint_seconds, as the options of the command of
            these names; log: one or more loggers, by name or as a class of your own (`api.Logger`).

    Returns:
        The records, in the order of seeds and evaluations.

    Raises:
        UsageError: A name, setting or option that does not fit, or data that are not prepared; nothing is written.
        StarsBenchError: Training or an evaluation failed.
    """
    if not isinstance(method, (str, type)):
        raise UsageError(f"method: a name or a class, not {method!r:.80}")
    request = _request(
        "run",
        method,
        method=method if isinstance(method, str) else qualified_name(method),
        protocol=protocol,
        data_dir=data_dir,
        runs_dir=runs_dir,
        dataset=dataset,
        profile=profile,
        evaluations=evaluations,
        preset=preset,
        settings=settings,
        seeds=seeds,
        validation=validation,
        select=select,
        init=init,
        trained_on=trained_on,
        stream=stream,
        recipe=recipe,
        training={"device": _device(device), "precision": precision, **training},
    )
    plan = _resolved(request, None if isinstance(method, str) else method)
    return _run(plan, source_of(plan), progress)


@for_python
def evaluate(
    encoder: str | Path | nn.Module | Encoder | Callable[[Tensor], Tensor],
    *,
    protocol: str,
    dataset: str | None = None,
    name: str | None = None,
    frames: int | None = None,
    profile: str | None = None,
    preset: str = "paper",
    settings: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    evaluations: str | Sequence[str] | None = None,
    stream: StreamName | None = None,
    validation: str | None = None,
    select: Select = "last",
    trained_on: str | None = None,
    device: torch.device | str | None = None,
    precision: str | None = None,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    progress: bool | Progress = True,
    **training: Any,
) -> RunResults:
    """Evaluate an encoder that is trained already: your own, or as `stars-bench evaluate` does, that of a run.

    Results are kept under the digest of the encoder's weights and code: the same call again takes them from the
    records, and other weights are another result and another row of the table. An encoder of your own is copied, and
    not changed.

        runs = stars_bench.evaluate(my_encoder, dataset="ntu60", protocol="xsub", name="mine", frames=64)

    Args:
        encoder: An nn.Module, or a function with `dim` and `frames`, that maps clips (B, 3, T, V, M) float32 in metres
            to features (B, D). Or a run's folder, its encoder.pt, or a checkpoint of MAMP or STARS.
        protocol: A registered name: xsub, xview, xset, unseen, oneshot, fewshot.
        dataset: A prepared dataset. Default: the only one that has the protocol.
        name: How the rows of an encoder of your own are called.
        frames: T of the encoder's clips. Default: the encoder's attribute `frames`.
        profile: How the clips were cleaned. Default: the dataset's default, or the only one there is.
        preset: Settings of the evaluations to begin with. Default: "paper", the published ones.
        settings: Changes of the preset: "EVALUATION.key", "protocol.key".
        seeds: Seeds of the evaluations, one result each. Default: 0; of a run, all the seeds that it has.
        evaluations: Names, "all" for those of a paper's row, or "every" for all that apply. Default: k-NN and linear
            probe, where the protocol has them.
        stream: Input of an encoder of your own: joint, bone, motion or bone-motion. Default: joint; of a run, its own.
        validation: "subjects": measure on a part of the training subjects, drawn by the seed. Default: None, the test
            part.
        select: Which epoch of what learns classes is evaluated: "last"; "validation", the best on training subjects
            (x-view: cameras, x-set: setups) held out for it; "best-on-test", as several papers do it, which is marked
            and never ranked. Default: "last".
        trained_on: What the encoder was trained on, "DATASET:PROTOCOL". Default: None, what a checkpoint's file says,
            else unknown, which the table says.
        device: "cpu", "cuda", "cuda:1", or a torch.device. Default: a GPU if there is one.
        precision: "float32", "tf32" or "bf16". Default: tf32 on a GPU that has it, else float32.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data".
        runs_dir: Where runs and records lie. Default: $STARS_BENCH_RUNS, else "runs".
        progress: Whether to show progress; or a function that is called with task, done, total and a note.
        **training: grad_accum, fit_batch, deterministic, compile, checkpoint_seconds, as the options of the command of
            these names; log: one or more loggers, by name or as a class of your own (`api.Logger`).

    Returns:
        The records, in the order of seeds and evaluations.

    Raises:
        UsageError: A name, setting or option that does not fit, data that are not prepared, or an encoder whose code
            cannot be read; nothing is written.
        StarsBenchError: The encoder fails, or does not return finite features (B, D); nothing is written.
    """
    request = _request(
        "evaluate",
        encoder,
        protocol=protocol,
        data_dir=data_dir,
        runs_dir=runs_dir,
        dataset=dataset,
        profile=profile,
        evaluations=evaluations,
        preset=preset,
        settings=settings,
        seeds=seeds,
        validation=validation,
        select=select,
        trained_on=trained_on,
        stream="joint" if stream is None else stream,
        training={"device": _device(device), "precision": precision, **training},
    )
    if not isinstance(encoder, (str, Path)):
        return _evaluate_given(encoder, name, frames, request, progress)
    if name is not None or stream is not None:
        raise UsageError(f"{encoder}: has a name and a stream of its own; leave name= and stream= out")
    length = () if frames is None else (f"frames={frames}",)
    request = replace(request, overrides=(*request.overrides, *length))
    return _evaluate_kept(Path(encoder), seeds is None, request, progress)


def _evaluate_given(
    encoder: nn.Module | Encoder | Callable[[Tensor], Tensor],
    name: str | None,
    frames: int | None,
    request: Request,
    progress: bool | Progress,
) -> RunResults:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        got = "" if name is None else f", not {name!r:.80}"
        raise UsageError(f'an encoder of your own needs a name for its rows, one line of text: name="mine"{got}')
    if name in registry.names("methods"):
        raise UsageError(f"name={name!r}: is a method of stars-bench; give your encoder a name of its own")
    mine = given(encoder, name, frames)
    start = mine.start()
    if request.trained_on is not None:
        start = pretrained.trained_on(start, request.trained_on, request.data_dir)
    plan = _resolved(replace(request, method=mine.target, trained_on=None), mine.method, start)
    return _run(plan, mine.source, progress)


def _evaluate_kept(path: Path, every_seed: bool, request: Request, progress: bool | Progress) -> RunResults:
    """Evaluate the encoder of a run or of an official checkpoint."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such folder or file: give runs/DATASET/PROTOCOL/METHOD/KEY")
    seeds = tuple(pretrained.seeds(path)) if every_seed else request.seeds
    start = pretrained.find(path, seeds[0])
    plan = _resolved(
        replace(
            request, method=start.target, seeds=seeds, init=path, stream=start.stream or "joint", recipe=start.recipe
        )
    )
    return _run(plan, source_of(plan), progress)


def _request(
    function: str,
    subject: object,
    *,
    method: str = "",
    protocol: str,
    dataset: str | None,
    data_dir: str | Path | None,
    runs_dir: str | Path | None,
    evaluations: str | Sequence[str] | None,
    settings: Mapping[str, Any] | None,
    seeds: int | Sequence[int] | None,
    training: Mapping[str, Any],
    **others: Any,
) -> Request:
    """Turn the arguments of a call into a request, the types of all of them checked."""
    values = {
        "method": method,
        "protocol": protocol,
        "dataset": dataset,
        "data_dir": data_folder(data_dir),
        "runs_dir": runs_folder(runs_dir),
        "evaluations": _listed(evaluations),
        "overrides": _overrides(settings),
        "seeds": _seeds(seeds),
        "training": _training(**training),
        "command": _command(function, subject, protocol, dataset),
        **others,
    }
    try:
        return TypeAdapter(Request).validate_python(values)
    except ValidationError as error:
        raise UsageError(of_validation(error, function)) from error


def _resolved(request: Request, method: type[Method[BaseModel]] | None = None, start: Pretrained | None = None) -> Plan:
    registry.add_data_dir(request.data_dir)
    distributed.start()
    return resolve(request, method, start)


def _run(plan: Plan, source: EncoderSource, progress: bool | Progress) -> RunResults:
    with _shown(plan, progress) as (callback, tell):
        records = run_plan(plan, source, callback, tell, cost=True)
    return RunResults(StoredRecord(record, plan.folder(record.seed).records / record.file_name) for record in records)


@contextmanager
def _shown(plan: Plan, progress: bool | Progress) -> Iterator[tuple[Progress | None, Tell | None]]:
    """Return the callbacks of a run: a panel in a terminal, an occasional line in a notebook, the caller's, or none."""
    if not isinstance(progress, bool) and not callable(progress):
        raise UsageError(f"progress={progress!r:.80}: True, False, or a function")
    if not isinstance(progress, bool):
        yield progress, None
    elif not progress:
        yield None, None
    else:
        console = CarefulConsole(highlight=False)
        title = f"{plan.method.name} · {plan.dataset.name} {plan.protocol.name}"
        with RunPanel(console, title, memory.peak) as panel:
            yield panel, lambda line: console.print(line, markup=False, soft_wrap=True)


def _seeds(seeds: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the seeds as plain integers, each once."""
    numbers = (0,) if seeds is None else tuple(seeds) if isinstance(seeds, Iterable) else (seeds,)
    if not numbers or not all(_is_whole(number) and number >= 0 for number in numbers):
        raise UsageError(f"seeds={seeds!r:.80}: one or more whole numbers, at least 0")
    return tuple(dict.fromkeys(map(int, numbers)))


def _device(device: torch.device | str | None) -> str | None:
    return str(device) if isinstance(device, torch.device) else device


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _listed(names: str | Sequence[str] | None) -> Sequence[str]:
    return () if names is None else (names,) if isinstance(names, str) else names


def _training(**options: Any) -> dict[str, Any]:
    """Return options of training that there are; `Request` has their types."""
    known = {field.name for field in fields(TrainingOptions)}
    if strange := options.keys() - known:
        raise UsageError(f"{', '.join(sorted(strange))}: no such option; there are {', '.join(sorted(known))}")
    parts, seconds = options.get("grad_accum", 1), options.get("checkpoint_seconds", 60.0)
    if not (_is_whole(parts) and parts >= 1):
        raise UsageError(f"grad_accum={parts!r:.80}: a whole number, at least 1")
    if not (isinstance(seconds, (int, float)) and seconds >= 0):
        raise UsageError(f"checkpoint_seconds={seconds!r:.80}: a number of seconds, at least 0")
    return options | ({"log": _loggers(options["log"])} if "log" in options else {})


def _loggers(log: str | type | Sequence[str | type]) -> tuple[str | type, ...]:
    return (log,) if isinstance(log, (str, type)) else tuple(log)


def _overrides(settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Write settings as `key=value`, as on the command line."""
    if settings is not None and not isinstance(settings, Mapping):
        raise UsageError(f'settings={settings!r:.80}: a mapping, such as {{"lr": 1e-3}}')
    return tuple(f"{key}={_literal(key, value)}" for key, value in (settings or {}).items())


def _literal(key: str, value: Any) -> str:
    try:
        return json.dumps(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"settings: {key} is a {type(value).__name__}; give numbers, texts, lists or None") from error


def _command(function: str, subject: object, protocol: str, dataset: str | None) -> str:
    """Return the call as records show it; settings, seeds and all else stand in the records themselves."""
    what = repr(str(subject)) if isinstance(subject, (str, Path)) else getattr(subject, "__qualname__", None)
    arguments = f"{what or type(subject).__qualname__}, dataset={dataset!r}, protocol={protocol!r}"
    return f"import stars_bench; stars_bench.{function}({arguments})"
