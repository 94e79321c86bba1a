"""From what a user asks for to what will be run: all names resolved, all configs validated, before anything starts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import BaseModel, ValidationError

from stars_bench import registry
from stars_bench.api import ClipInput, Evaluation, Method, ProtocolSpec, Recipe, Select, Split
from stars_bench.data.clip_store import STREAMS
from stars_bench.errors import UsageError, of_validation, printable
from stars_bench.experiments import pretrained, recipes
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.recipes import changes
from stars_bench.experiments.request import Compiled, Request
from stars_bench.io.files import digest_json
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.source.closure import source_closure
from stars_bench.models.mamp import EncoderConfig
from stars_bench.protocols.splits import BEST_ON_TEST, LAST, selection_part, split_of
from stars_bench.storage.quality import doubtful
from stars_bench.storage.shards import PreparedDataset, left_out, open_dataset, prepared_datasets
from stars_bench.training.loggers.logger import Logger
from stars_bench.training.parallel import distributed

PRECISIONS = ("float32", "tf32", "bf16")
AMPERE = (8, 0)
"""Compute capability of the first GPUs with TF32 and bf16."""
DEFAULT_PRESETS = ("paper", "quick")
DEFAULT_EVALUATIONS = ("knn", "linear")
SEVERAL = ("all", "every")
"""What `--eval` takes beside names: a paper's row, and with it every other evaluation that applies."""
CLASSIFIES = "classifier"
"""The evaluation that a method which learns to classify names as its own."""


@dataclass(frozen=True)
class Plan:
    """A request with every name resolved and every config validated.

    Args:
        request: What was asked for.
        dataset: The prepared dataset.
        protocol: The protocol.
        protocol_config: The protocol's settings; None if it has none.
        method: The method.
        config: The method's settings.
        starts: Encoders to start from, by seed.
        evaluations: Evaluations and their settings, by name.
        device: Device of the computation.
        precision: float32, tf32 or bf16.
        recipe: The recipe of the method's own paper, where the run follows it and it is not the common one.
        cut: Batches that were cut because the data are small, a line each. Default: none.
        loggers: What is told of every epoch and result, beside the run's own files.
    """

    request: Request
    dataset: PreparedDataset
    protocol: ProtocolSpec
    protocol_config: BaseModel | None
    method: type[Method[BaseModel]]
    config: BaseModel
    starts: Mapping[int, Pretrained]  # by seed; empty without --init
    evaluations: Mapping[str, tuple[type[Evaluation[BaseModel]], BaseModel]]
    device: torch.device
    precision: str
    recipe: Recipe | None = None
    cut: tuple[str, ...] = ()
    loggers: tuple[type[Logger], ...] = ()

    @property
    def clip_input(self) -> ClipInput:
        """How a stored clip becomes the frames that the encoder takes."""
        return "resized" if self.recipe is None else self.recipe.clip_input

    @property
    def target(self) -> str:
        """The method as `module:Class`."""
        return _target(self.method)

    @property
    def key(self) -> str:
        """Names the run's folder: method, config, data, protocol and precision."""
        init = None
        if self.starts:
            own = all(start.seed == seed for seed, start in self.starts.items())
            init = sorted({(start.run, None if own else start.seed) for start in self.starts.values()})
        return run_key(
            method=self.target,
            config=self.config.model_dump(mode="json"),
            data=self.dataset.digest,
            profile=self.dataset.profile.name,
            protocol=self.protocol.name,
            validation=self.request.validation,
            precision=self.precision,
            stream=self.request.stream,
            deterministic=self.request.training.deterministic,
            compiled=self.request.training.compile,
            select=self.request.select,
            protocol_config=None if self.protocol_config is None else self.protocol_config.model_dump(mode="json"),
            init=init,
            recipe=None if self.recipe is None else "own",
            clip_input=self.clip_input,
        )

    @property
    def notices(self) -> list[str]:
        """What the user must know before anything is trained: of the encoders to start from, the method, the data."""
        notices = [*doubtful(self.dataset.quality), *self.cut]
        if self.request.expects not in (None, self.dataset.digest):
            notices.append("the prepared data are not those of --config (another digest): numbers may differ")
        notices += [f"{start.path}: {note}" for start in self.starts.values() for note in start.notes]
        if not self.is_trained and not hasattr(self.method, "build"):
            notices.append(
                f"{self.method.name}: has no build(config, num_joints), so its encoder is tried only after training, "
                "and cannot be loaded again from encoder.pt"
            )
        return list(dict.fromkeys(notices))

    def preset_name(self, evaluation: str | None = None) -> str:
        """Name the preset as a record does: changed as soon as one setting of the method or the evaluation is.

        Args:
            evaluation: The name of the record's evaluation; None for the method alone.
        """
        settings: list[Chosen] = [(self.method.Config, None if self.is_trained else self.config, changes(self.recipe))]
        if evaluation is not None:
            target, config = self.evaluations[evaluation]
            settings.append((target.Config, config, changes(self.recipe, evaluation)))
        return preset_label(self.request.preset, self.dataset.name, settings)

    def folder(self, seed: int) -> RunFolder:
        """Return the folder of one seed."""
        return RunFolder.of(
            self.request.runs_dir, self.dataset.name, self.protocol.name, self.method.name, self.key, seed
        )

    def split(self, seed: int) -> Split:
        """Return the clips that train and that are tested; held-out subjects depend on the seed."""
        return split_of(self.dataset, self.protocol, self.protocol_config, self.request.validation, seed)

    def selection_part(self, split: Split, seed: int) -> Split | None:
        """Return what trains, and as its test part the clips that choose the epoch; None: the last is evaluated."""
        return selection_part(self.dataset, self.protocol, split, self.request.select, seed)

    @property
    def selects_encoder(self) -> bool:
        """Whether the epoch of the encoder itself is chosen: that of a method which learns to classify."""
        return self.request.select != LAST and not self.is_trained and CLASSIFIES in own_evaluations(self.method)

    def selects(self, evaluation: str) -> bool:
        """Whether the epoch of what an evaluation trains is chosen."""
        return self.request.select in getattr(self.evaluations[evaluation][0], "selects", ())

    @property
    def is_trained(self) -> bool:
        """Whether --init gives the method's own encoder, so that there is nothing to train."""
        return any(start.target == self.target for start in self.starts.values())


def run_key(
    *,
    method: str,
    config: Mapping[str, Any],
    data: str,
    profile: str,
    protocol: str,
    validation: str | None,
    precision: str,
    stream: str,
    deterministic: bool,
    compiled: Compiled,
    select: str,
    protocol_config: Mapping[str, Any] | None,
    init: Sequence[tuple[str, int | None]] | None,
    recipe: str | None = None,
    clip_input: str = "resized",
) -> str:
    """Name the folder of a run by all that decides it.

    Args:
        method: `module:Class`.
        config: its settings.
        data: digest of the prepared dataset.
        profile: its cleaning.
        protocol: the protocol's name.
        validation: what is held out of the training part and tested, if anything.
        precision: of matrix products.
        stream: joint, bone, motion or bone-motion.
        deterministic: whether kernels are deterministic.
        compiled: what is compiled.
        select: which epoch is evaluated.
        protocol_config: the protocol's settings; None of one that has none.
        init: key and seed of the runs that were started from; the seed is None where each seed starts from its own.
        recipe: "own" under a recipe of the method's own that is not the common one. Default: None.
        clip_input: how a stored clip becomes the frames that the encoder takes. Default: resized.

    Returns:
        10 hexadecimal digits.
    """
    # What is as usual is left out, so that keys stay the same when a choice is added.
    unusual: dict[str, Any] = {
        "stream": None if stream == "joint" else stream,
        "deterministic": deterministic or None,
        "compile": compiled or None,
        "select": None if select == LAST else select,
        "protocol_config": protocol_config,
        "init": init,
        "recipe": recipe,
        "clip_input": None if clip_input == "resized" else clip_input,
    }
    parts = {
        "method": method,
        "config": config,
        "data": data,
        "profile": profile,
        "protocol": protocol,
        "validation": validation,
        "precision": precision,
    }
    return digest_json(parts | {name: value for name, value in unusual.items() if value is not None})[:10]


def resolve(request: Request, method: type[Method[BaseModel]] | None = None, start: Pretrained | None = None) -> Plan:
    """Turn names into objects and key=value into configs; nothing is trained before all of it is right.

    Args:
        request: What is asked for.
        method: The method itself, which then need not be found by its name. Default: None.
        start: An encoder to start from, for every seed. Default: None, what `request.init` names.

    Returns:
        What will be run.

    Raises:
        UsageError: A name, a setting or a combination that does not fit.
    """
    method = method or registry.load("methods", request.method)
    _check_method(method, request.method)
    protocol = registry.load("protocols", request.protocol)
    recipe = recipes.chosen(request, method)
    names = _evaluations(request, protocol, own_evaluations(method), recipe, method.name)
    targets = [registry.load("evaluations", name) for name in names]
    evaluations = {target.name: target for target in targets}
    source_closure([method, *targets])  # refused now where it cannot be read; and what is edited later does not count
    _check_options(request, list(evaluations))
    dataset = find_dataset(request, protocol, recipe, method.name)
    device = choose_device(request.training.device)
    starts = _starts(request, method, dataset, recipe) if start is None else dict.fromkeys(request.seeds, start)
    protocol_config = _protocol_config(request, protocol)
    plan = Plan(
        request=request,
        dataset=dataset,
        protocol=protocol,
        protocol_config=protocol_config,
        method=method,
        config=_method_config(request, method, dataset.name, starts, recipe),
        starts=starts,
        evaluations={
            name: (
                target,
                build_config(
                    target.Config,
                    request.preset,
                    dataset.name,
                    _for(name, request),
                    name,
                    changes(recipe, name),
                    f"{name}.",
                ),
            )
            for name, target in evaluations.items()
        },
        device=device,
        precision=choose_precision(request.training.precision, device),
        recipe=recipe,
        loggers=_loggers(request),
    )
    _check_selection(plan)
    return with_fitting_batches(plan)


def own_evaluations(method: type[Method[BaseModel]]) -> Sequence[str]:
    """Return the evaluations that a method adds to the protocol's."""
    own: Sequence[str] = getattr(method, "evaluations", ())
    return own


def _check_selection(plan: Plan) -> None:
    """Refuse a choice of the epoch where there is none, or no clips to choose by."""
    request, protocol = plan.request, plan.protocol
    if request.select == LAST:
        return
    if any(plan.split(seed).bank is not None for seed in request.seeds):
        raise UsageError(
            f"--select {request.select}: {protocol.name} tests classes that nothing learns, so no epoch can be chosen"
        )
    if request.select == BEST_ON_TEST and request.validation is not None:
        raise UsageError(f"--select {BEST_ON_TEST}: --validation {request.validation} measures no test part")
    for name, (evaluation, _) in plan.evaluations.items():
        able = getattr(evaluation, "selects", ())
        if plan.selects(name) or (plan.selects_encoder and not able):
            continue
        why = f"is for {', '.join((LAST, *able))}" if able else "trains nothing here, so there is no epoch to choose"
        others = _able(registry.names("evaluations"), request, ())
        raise UsageError(f"--select {request.select}: {name} {why}; leave it out, or take {' or '.join(others)}")
    for name in plan.evaluations:
        if plan.selects(name) and any(item.startswith(f"{name}.test_every=") for item in request.overrides):
            raise UsageError(f"--set {name}.test_every: under --select {request.select} every epoch is looked at")


def _able(names: Sequence[str], request: Request, own: Sequence[str]) -> list[str]:
    """Return the evaluations that a chosen epoch can be measured with: their own, or a classifying method's."""
    if request.select == LAST:
        return list(names)
    ways = {name: getattr(registry.load("evaluations", name), "selects", ()) for name in names}
    return [name for name in names if request.select in ways[name] or (CLASSIFIES in own and not ways[name])]


def _check_method(method: object, called: str) -> None:
    """Refuse what is no method before anything of it is used."""
    lacks = [name for name in ("name", "Config", "fit") if not hasattr(method, name)]
    if lacks:
        raise UsageError(f"{called}: is no method: it has no {' and no '.join(lacks)}")


def _evaluations(
    request: Request, protocol: ProtocolSpec, own: Sequence[str], recipe: Recipe | None, method: str
) -> list[str]:
    """Return what to run: by default k-NN and linear probe; under a recipe of the method's own all that it has.

    `own` are those that the method adds (its own classifier).
    """
    if recipe is not None and recipe.evaluations:
        able = _able(list(recipe.evaluations), request, own)
        asked = [name for one in request.evaluations or ("all",) for name in (able if one in SEVERAL else (one,))]
        if others := [name for name in asked if name not in recipe.evaluations]:
            raise UsageError(
                f"--eval {others[0]}: the recipe of {method} has {', '.join(recipe.evaluations)} alone; leave "
                "--recipe own out"
            )
        return list(dict.fromkeys(asked))
    if not request.evaluations:
        usual = [name for name in DEFAULT_EVALUATIONS if name in protocol.evaluations]
        return _able((*own, *(usual or protocol.evaluations)), request, own)
    row = (*own, *protocol.evaluations)
    asked = []
    for one in request.evaluations:
        names = {"all": row, "every": (*row, *_beside(row))}.get(one)
        asked += [one] if names is None else _able(names, request, own)
    return list(dict.fromkeys(asked))


def _beside(row: Sequence[str]) -> list[str]:
    """Return the evaluations that say they go beside one of a paper's row: the others that a protocol allows."""
    return [
        name
        for name in registry.names("evaluations")
        if name not in row and set(registry.fact("evaluations", name, "beside") or ()) & set(row)
    ]


def _check_options(request: Request, evaluations: Sequence[str]) -> None:
    if request.stream not in STREAMS:
        raise UsageError(f"--stream {request.stream}: there are {', '.join(STREAMS)}")
    if request.select not in get_args(Select):
        raise UsageError(f"--select {printable(request.select)}: there are {', '.join(get_args(Select))}")
    if request.trained_on is not None and request.init is None:
        raise UsageError(f"--trained-on {request.trained_on}: is said of a checkpoint: give --init FILE")
    for item in request.overrides:
        if "=" not in item:
            raise UsageError(f"--set {printable(item)}: has no value: use --set {printable(item)}=VALUE")
        owner, dot, _ = item.partition("=")[0].partition(".")
        if dot and owner not in (*evaluations, "protocol"):
            raise UsageError(f"--set {item}: {owner} is not evaluated ({', '.join(evaluations)} are)")


def _loggers(request: Request) -> tuple[type[Logger], ...]:
    """Return the loggers asked for, each once, after every one has said that it can work here."""
    asked = (*request.training.log, *(("tensorboard",) if request.training.tensorboard else ()))
    names = (part for one in asked for part in (one.split(",") if isinstance(one, str) else (one,)))
    found = dict.fromkeys(registry.load("loggers", one) if isinstance(one, str) else one for one in names)
    for one in found:
        if lacks := [name for name in registry.MEMBERS["loggers"] if not hasattr(one, name)]:
            raise UsageError(f"--log {one.__name__}: is no logger: it has no {' and no '.join(lacks)}")
        if (check := getattr(one, "check", None)) is not None:
            check()
    return tuple(found)


def _protocol_config(request: Request, protocol: ProtocolSpec) -> BaseModel | None:
    own = _for("protocol", request)
    if protocol.Config is None:
        if own:
            raise UsageError(f"--set protocol.{own[0]}: {protocol.name} has no settings")
        return None
    return build_config(protocol.Config, "paper", "", own, protocol.name, prefix="protocol.")


def _starts(
    request: Request, method: type[Method[BaseModel]], dataset: PreparedDataset, recipe: Recipe | None
) -> dict[int, Pretrained]:
    """Return the encoders that --init names, by seed."""
    if request.init is None:
        return {}
    starts = {seed: _start(request, method, dataset.name, request.init, seed, recipe) for seed in request.seeds}
    for start in starts.values():
        pretrained.check_joints(start, dataset.spec.skeleton)
    return starts


def _start(
    request: Request, method: type[Method[BaseModel]], dataset: str, init: Path, seed: int, recipe: Recipe | None
) -> Pretrained:
    """Return the encoder to start from, with what the user says of it."""
    said = (item.partition("=") for item in request.overrides)
    start = pretrained.find(init, seed)
    settings = {key: _literal(text) for key, _, text in said if key in pretrained.open_settings(start)}
    if "frames" not in settings and start.target != _target(method):
        config = build_config(method.Config, request.preset, dataset, _own(request), method.name, changes(recipe))
        alike = ("dim", "depth", "mlp_ratio")
        if isinstance(config, EncoderConfig) and all(getattr(config, name) == start.config.get(name) for name in alike):
            settings["frames"] = config.frames  # the method's length: the temporal table alone is interpolated
    start = pretrained.fitted(start, settings)
    if request.trained_on is None:
        start = pretrained.as_stated(start, request.data_dir)
    else:
        start = pretrained.trained_on(start, request.trained_on, request.data_dir)
    return pretrained.cut_to_classes(start, dataset)


def _own(request: Request) -> list[str]:
    """Return what is --set of the method itself."""
    return [item for item in request.overrides if "." not in item.partition("=")[0]]


def _target(method: type[Method[BaseModel]]) -> str:
    return f"{method.__module__}:{method.__qualname__}"


def _method_config(
    request: Request,
    method: type[Method[BaseModel]],
    dataset: str,
    starts: Mapping[int, Pretrained],
    recipe: Recipe | None,
) -> BaseModel:
    """Return the method's config: its preset's with changes, or that of the encoder which is already trained."""
    own, target = _own(request), _target(method)
    for start in starts.values():
        if start.stream not in (None, request.stream):
            raise UsageError(f"--init {start.path}: trained on {start.stream}s; say --stream {start.stream}")
        if start.recipe != ("common" if recipe is None else "own"):
            raise UsageError(
                f"--init {start.path}: trained with the recipe {start.recipe}: use --recipe {start.recipe}"
            )
        if start.target == target:
            own = [item for item in own if item.split("=")[0] not in pretrained.open_settings(start)]
            if own:
                raise UsageError(f"--set {own[0]}: {start.path} is a trained {method.name}, nothing is left to train")
            # Of an official encoder only the size is known: no other setting may stand in its record.
            known = EncoderConfig if start.is_official else method.Config
            return known.model_validate(dict(start.config))
        if start.method not in getattr(method, "starts_from", ()):
            able = ", ".join((method.name, *getattr(method, "starts_from", ())))
            raise UsageError(f"--init {start.path}: holds a {start.method}; {method.name} starts from {able}")
    return build_config(method.Config, request.preset, dataset, own, method.name, changes(recipe))


def _for(evaluation: str, request: Request) -> list[str]:
    prefix = f"{evaluation}."
    return [item.removeprefix(prefix) for item in request.overrides if item.startswith(prefix)]


def find_dataset(
    request: Request, protocol: ProtocolSpec, recipe: Recipe | None = None, method: str = ""
) -> PreparedDataset:
    """Return the dataset asked for, or the one prepared dataset that has the protocol, as the recipe wants it."""
    if recipe is not None:
        opened = partial(recipes.open_for, recipe, request, method=method)
    else:
        opened = partial(open_dataset, request.data_dir, profile=request.profile)
    if request.dataset is None:
        names = sorted({found.name for found in prepared_datasets(request.data_dir) if found.has_protocol(protocol)})
        if not names and (reasons := [*left_out(request.data_dir).values()]):
            raise UsageError(f"--protocol {protocol.name}: none prepared has it; {reasons[0]}")
        if len(names) != 1:
            there = (
                f"{', '.join(names)} have it: choose with --dataset"
                if names
                else "none prepared has it: stars-bench prepare DATASET makes one, --data-dir FOLDER names another"
            )
            raise UsageError(f"--protocol {protocol.name}: {there} (data folder {request.data_dir.resolve()})")
        return opened(names[0])
    dataset = opened(request.dataset)
    if not dataset.has_protocol(protocol):
        raise UsageError(f"{dataset.name} has no protocol {protocol.name} ({', '.join(protocol.datasets)} have it)")
    return dataset


def build_config(
    config: type[BaseModel],
    preset: str,
    dataset: str,
    overrides: Sequence[str],
    owner: str,
    recipe: Mapping[str, object] | None = None,
    prefix: str = "",
) -> BaseModel:
    """Return the config of a preset with a recipe's settings and `key=value` overrides, validated.

    Raises:
        UsageError: Unknown preset or key (the nearest one is named), or a value that does not fit.
    """
    presets = getattr(config, "presets", DEFAULT_PRESETS)
    if preset not in presets:
        # Evaluations know no variants of the paper's preset: theirs is the paper's.
        if not preset.startswith("paper-") or owner in registry.names("methods"):
            raise UsageError(f"{owner} has no preset {preset!r}: there are {', '.join(presets)}")
        preset = "paper"
    if unknown := sorted((recipe or {}).keys() - config.model_fields.keys()):
        raise UsageError(f"--recipe own: the recipe sets {unknown[0]} of {owner}, which has no such setting")
    maker = getattr(config, "preset", None)
    values = (maker(preset, dataset) if maker else config()).model_dump() | dict(recipe or {})
    for item in overrides:
        key, equals, text = item.partition("=")
        if not equals or key not in config.model_fields:
            close = get_close_matches(key, config.model_fields, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(
                f"--set {prefix}{printable(item)}: {hint}{owner} knows {', '.join(config.model_fields)} (as key=value)"
            )
        values[key] = _literal(text)
    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise UsageError(of_validation(error, owner)) from error


Chosen = tuple[type[BaseModel], BaseModel | None, Mapping[str, object]]
"""A Config, the settings that were used (None: no preset chose them), and those that a recipe changes."""


def preset_label(preset: str, dataset: str, settings: Sequence[Chosen]) -> str:
    """Name a preset as records do: `default` where nothing has presets, `changed NAME` where a setting is another.

    Args:
        preset: The name that was asked for.
        dataset: What the presets are for.
        settings: Each Config with the settings that were used.

    Raises:
        UsageError: There is no such preset.
    """
    name = preset if any(hasattr(config, "preset") for config, *_ in settings) else "default"
    used = DEFAULT_PRESETS[0] if name == "default" else preset
    chosen = (one for one in settings if one[1] is not None)
    changed = any(values != build_config(config, used, dataset, (), "", recipe) for config, values, recipe in chosen)
    return f"changed {name}" if changed else name


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or a number or nesting beyond all bounds
        return text


def choose_device(name: str | None) -> torch.device:
    """Return the device asked for, else the GPU where there is one."""
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device (cpu, cuda, cuda:1)") from error
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device {name}: only cpu and cuda are supported")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch sees no CUDA device here; to use the CPU, leave out --device")
    if device.type == "cpu":
        return device
    return own_gpu(device) if distributed.launched() else numbered_gpu(device)


def numbered_gpu(device: torch.device) -> torch.device:
    """Return the GPU asked for, by its number, without which `torch.cuda.set_device` takes none.

    The first where none is.
    """
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        there = "only cuda:0 is there" if count == 1 else f"there are cuda:0 to cuda:{count - 1}"
        raise UsageError(f"--device {device}: {there}")
    return torch.device("cuda", index)


def own_gpu(device: torch.device) -> torch.device:
    """Return the GPU of this one of several processes on a machine."""
    count = torch.cuda.device_count()
    if device.index is not None:
        raise UsageError(f"--device {device}: each of several processes has a GPU of its own; say --device cuda")
    if distributed.local_rank() >= count:
        raise UsageError(f"more processes on this machine than its GPUs: torchrun --nproc-per-node {count}")
    return torch.device("cuda", distributed.local_rank())


def choose_precision(name: str | None, device: torch.device) -> str:
    """Return the precision asked for; by default TF32 on a GPU that has it, else float32, as the published runs."""
    older = device.type == "cuda" and torch.cuda.get_device_capability(device) < AMPERE
    if name is None:
        return "tf32" if device.type == "cuda" and not older else "float32"
    if name not in PRECISIONS:
        raise UsageError(f"--precision {name}: there are {', '.join(PRECISIONS)}")
    if name == "tf32" and device.type == "cpu":
        raise UsageError("--precision tf32 needs a GPU; on a CPU use float32 or bf16")
    if name != "float32" and older:
        raise UsageError(f"--precision {name}: {device_name(device)} has none; use float32")
    return name


def device_name(device: torch.device) -> str:
    """Return the device for people: the GPU's name, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def with_fitting_batches(plan: Plan) -> Plan:
    """Cut every batch that is larger than the clips it is drawn from, as small data wants it.

    To a power of two, so that seeds whose parts differ by a few clips are trained alike; `Plan.cut` says it.
    """
    splits = [(split, plan.selection_part(split, seed)) for seed in plan.request.seeds for split in [plan.split(seed)]]
    learnt = min(
        len((chosen if chosen is not None and plan.selects_encoder else split).train) for split, chosen in splits
    )
    config, cut = (plan.config, []) if plan.is_trained else _fitting(plan.config, learnt, plan.method.name)
    evaluations = {}
    for name, (target, settings) in plan.evaluations.items():
        labelled = min(
            len(chosen.train if chosen is not None and plan.selects(name) else split.labelled)
            for split, chosen in splits
        )
        fitting, lines = _fitting(settings, labelled, name)
        evaluations[name] = target, fitting
        cut += lines
    return replace(plan, config=config, evaluations=evaluations, cut=tuple(cut)) if cut else plan


def _fitting(config: BaseModel, clips: int, owner: str) -> tuple[BaseModel, list[str]]:
    """Return settings whose batches are not larger than the clips, and what was cut."""
    if getattr(config, "shrinks_batch", False):
        return config, []
    most = 1 << (max(clips, 1).bit_length() - 1)
    large = {key: value for key, value in config if key.endswith("batch_size") and value > clips}
    lines = [f"{key} of {owner} cut from {value} to {most}: there are {clips} clips" for key, value in large.items()]
    try:
        return config.model_validate(config.model_dump() | dict.fromkeys(large, most)), lines
    except ValidationError as error:
        raise UsageError(of_validation(error, f"{owner}: too few training clips ({clips})")) from error
