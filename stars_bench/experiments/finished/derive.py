"""What a record says, derived again from file name, folder, encoder, stages, method and split.

In: a record with its file, and the prepared dataset where there is one. Out: a line for each value that differs, and
why something could not be derived. docs/trust.md lists the fields that nothing can give again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import Method, Split
from stars_bench.errors import StarsBenchError, UsageError, one_line, printable
from stars_bench.experiments import pretrained, recipes
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.plan import Chosen, preset_label, run_key
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.record_parts import (
    checkpoint_rule,
    dataset_part,
    encoder_costs,
    init_part,
    protocol_part,
    selection_facts,
)
from stars_bench.io.files import read_toml
from stars_bench.io.moved_modules import current
from stars_bench.io.run_folder import RunFolder
from stars_bench.protocols.splits import LAST, config_of, selection_part
from stars_bench.records.record import Record
from stars_bench.storage.shards import PreparedDataset
from stars_bench.training import checkpoint

SHOWN = 60
"""Characters of a value in a line."""
IN_CONFIG = {
    "method": "method.target",
    "dataset": "dataset.name",
    "profile": "dataset.profile",
    "data_digest": "dataset.digest",
    "protocol": "protocol.name",
    "validation": "protocol.validation",
    "stream": "dataset.stream",
    "clip_input": "dataset.clip_input",
    "precision": "environment.precision",
    "deterministic": "environment.deterministic",
    "compile": "environment.compiled",
    "select": "select",
}
"""What config.toml says of a run, by the field of the record that says the same."""
IN_ENCODER = {
    "method": "method.target",
    "config": "method.config",
    "dataset": "dataset.name",
    "protocol": "protocol.name",
    "stream": "dataset.stream",
    "seed": "seed",
}
"""What encoder.pt says, likewise."""
IN_STAGE = ("name", "key", "samples", "peak_bytes", "processes", "micro_batches", "code", "state", "epoch")


class NotDerivable(Exception):
    """What a field must be cannot be derived here; the text says why."""


@dataclass
class Derived:
    """One record of this version, and what it must say.

    Args:
        record: the record.
        path: its file.
        data_dir: folder of the prepared datasets.
        dataset: the one that it was measured on; None where it is not prepared here.
        split: its parts.
    """

    record: Record
    path: Path
    data_dir: Path
    dataset: PreparedDataset | None = None
    split: Split | None = None

    @property
    def folder(self) -> RunFolder:
        """The folder of the record's seed."""
        return RunFolder.of_record(self.path)

    def differences(self) -> Iterator[str]:
        """Yield a line for each value that is not what it must be."""
        settings = [*self._seed(), *self._config(), *self._encoder()]
        yield from settings or self._key()  # the key sums up what config.toml and encoder.pt say one by one
        for check in (self._name, self._stages, self._method, self._weights, self._preset, self._data, self._init):
            with suppress(NotDerivable):
                yield from check()

    def not_derived(self) -> Iterator[str]:
        """Yield why something could not be derived, a line each."""
        for source in ("method", "costs", "starts"):
            try:
                getattr(self, source)
            except NotDerivable as why:
                yield str(why)

    # ------------------------------------------------------------------------- what it is derived from

    @property
    def is_fused(self) -> bool:
        """Whether it is a sum of other results, which has no encoder."""
        return bool(self.record.fused)

    @property
    def is_given(self) -> bool:
        """Whether the encoder was handed over by a program, so that no method made it."""
        init = self.record.init
        return init is not None and init.path == self.record.method.target

    @cached_property
    def method(self) -> type[Method[BaseModel]]:
        """The method's class."""
        target = self.record.method.target
        if self.is_given:
            raise NotDerivable(f"{target}: the encoder was handed over by a program; what it is cannot be derived")
        try:
            registry.check_from_file("methods", target, self.path)
            loaded: type[Method[BaseModel]] = registry.load("methods", target)
        except UsageError as error:
            raise NotDerivable(str(error)) from error
        return loaded

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What encoder.pt says of itself; empty where there is none, as of an encoder that was there already."""
        file = pretrained.encoder_file(self.folder)
        if self.is_fused or file is None:
            return {}
        try:
            return pretrained.content_of(file)
        except StarsBenchError:  # `audit` says so
            return {}

    @cached_property
    def costs(self) -> Mapping[str, int]:
        """Parameters and multiply-adds of the encoder, built anew."""
        build = getattr(self.method(), "build", None)
        if build is None:
            name = self.record.method.name
            raise NotDerivable(f"{name} has no build(config, num_joints): parameters and multiply-adds are not derived")
        try:
            config = self.method.Config.model_validate(dict(self.record.method.config))
            encoder: nn.Module = build(config, self._joints)
            if (state := self._state) is not None:
                encoder.load_state_dict(state)  # which brings the classes that it tells apart
        except (ValidationError, ValueError, RuntimeError) as error:
            raise NotDerivable(f"{self.path}: its encoder cannot be built ({one_line(error)})") from error
        return encoder_costs(encoder, self._joints, torch.device("cpu"))

    @property
    def _state(self) -> Mapping[str, Tensor] | None:
        """The encoder's tensors; None where they are not there."""
        if "encoder" in self.facts:
            state: Mapping[str, Tensor] = self.facts["encoder"]
            return state
        with suppress(NotDerivable):
            return next((one.state for one in self.starts if one.target == self.record.method.target), None)
        return None

    @property
    def _joints(self) -> int:
        name = self.record.dataset.name
        try:
            registry.check_from_file("datasets", name, self.path)
            return len(registry.load("datasets", name).skeleton.parents)
        except UsageError as error:
            raise NotDerivable(str(error)) from error

    @cached_property
    def starts(self) -> Sequence[Pretrained]:
        """The encoder that was started from, in every way in which it may have been read; none: nothing was."""
        init, config = self.record.init, self.record.method.config
        if init is None or self.is_given:
            return ()
        if self.folder.packed.exists() or not Path(init.path).exists():
            raise NotDerivable(f"{init.path}: is not there: what the encoder has seen is not derived")
        try:
            start = pretrained.find(Path(init.path), self.record.seed if init.seed is None else init.seed)
            can_be_said = {name: config[name] for name in pretrained.open_settings(start) if name in config}
            # Who has said the heads, or that the file does not show them, only the notes tell.
            ways = [can_be_said, {name: value for name, value in can_be_said.items() if name != "heads"}]
            read = [_fitted(start, settings) for settings in (ways if start.is_official else ways[:1])]
            stated = f"{init.dataset}:{init.protocol}"
            is_stated = start.dataset is None and init.dataset is not None
            known = [
                pretrained.trained_on(one, stated, self.data_dir)
                if is_stated
                else pretrained.as_stated(one, self.data_dir)
                for one in read
                if one
            ]
            return [pretrained.cut_to_classes(one, self.record.dataset.name) for one in known]
        except StarsBenchError as error:
            raise NotDerivable(str(error)) from error

    # -------------------------------------------------------------------------------------- what must agree

    def _name(self) -> Iterator[str]:
        if self.path.name != self.record.file_name:
            yield f"evaluation: its name, settings and rule give the file name {self.record.file_name}"

    def _seed(self) -> Iterator[str]:
        yield from differing(self.record.seed, self.folder.seed, "seed", "its folder")

    def _key(self) -> Iterator[str]:
        if self.folder.path.resolve().parent.name not in self._keys():
            yield "method, data, protocol, precision, start: they do not give the key in the folder's name"

    def _keys(self) -> Iterator[str]:
        record = self.record
        if self.is_fused:
            yield rescore.fused_key(record, record.evaluation.config.get("weights", {}))
            return
        inits: list[list[tuple[str, int | None]] | None] = [None]
        if record.init is not None:
            inits = [[(record.init.run, seed)] for seed in (None, record.init.seed)]
        # A protocol without settings and one whose settings are none are written alike.
        configs: list[dict[str, Any] | None] = [record.protocol.config] if record.protocol.config else [{}, None]
        for init, protocol_config in product(inits, configs):
            yield run_key(
                method=record.method.target,
                config=record.method.config,
                data=record.dataset.digest,
                profile=record.dataset.profile,
                protocol=record.protocol.name,
                validation=record.protocol.validation,
                precision=record.environment.precision,
                stream=record.dataset.stream,
                deterministic=record.environment.deterministic,
                compiled=record.environment.compiled,
                select=record.select,
                protocol_config=protocol_config,
                init=init,
                recipe="own" if record.is_own_recipe else None,
                clip_input=record.dataset.clip_input,
            )

    def _config(self) -> Iterator[str]:
        if self.is_fused:
            return
        try:
            content = read_toml(self.folder.config)
        except StarsBenchError as error:
            yield one_line(error)
            return
        said = content.get("run", {})
        usual = {"deterministic": False, "compile": False, "select": LAST, "clip_input": "resized"}
        for name, field in IN_CONFIG.items():
            yield from differing(_field(self.record, field), said.get(name, usual.get(name)), field, "config.toml")
        yield from differing("own" if self.record.is_own_recipe else None, said.get("recipe"), "recipe", "config.toml")
        written = {name: value for name, value in self.record.method.config.items() if value is not None}
        yield from differing(written, content.get("method", {}), "method.config", "config.toml")

    def _encoder(self) -> Iterator[str]:
        for name, field in IN_ENCODER.items():
            if name in self.facts:
                fact = current(self.facts[name]) if name == "method" else self.facts[name]
                yield from differing(_field(self.record, field), fact, field, "encoder.pt")
        if "recipe" in self.facts:
            own_recipe = "own" if self.record.is_own_recipe else "common"
            yield from differing(own_recipe, self.facts["recipe"], "method.recipe", "encoder.pt")
        if "stages" in self.facts:
            own = [[stage.name, stage.key] for stage in self.record.stages]
            trained = [list(stage) for stage in self.facts["stages"]]
            if own[: len(trained)] != trained:
                yield f"stages: are {_names(own)}, encoder.pt was trained by {_names(trained)}"

    def _stages(self) -> Iterator[str]:
        for number, stage in enumerate(self.record.stages):
            for file in self.folder.stage_files(stage.name, stage.key)[:1]:
                try:
                    state = checkpoint.load(file)
                except StarsBenchError:  # `audit` says so
                    continue
                where = f"stages.{number}"
                for name in IN_STAGE:
                    if name in state:
                        yield from differing(getattr(stage, name), state[name], f"{where}.{name}", file.name)
                if "seconds" in state:
                    yield from differing(stage.seconds, round(state["seconds"], 3), f"{where}.seconds", file.name)

    def _method(self) -> Iterator[str]:
        own, method = self.record.method, self.method
        yield from differing(own.name, method.name, "method.name", own.target)
        citations = [asdict(one) for one in getattr(method, "citations", ())]
        recorded = [asdict(one) for one in own.citations or ()]
        yield from differing(recorded, citations, "method.citations", own.target)
        if own.recipe is not None:
            recipe = recipes.declared(method) if own.recipe == "own" else None
            yield from differing(own.recipe, recipes.name_of(recipe, method), "method.recipe", own.target)
        for name, value in self.costs.items():
            yield from differing(getattr(own, name), value, f"method.{name}", "the encoder, built anew,")

    def _weights(self) -> Iterator[str]:
        if self.starts and pretrained.encoder_file(self.folder) is None:
            encoder = pretrained.rebuild(self.starts[0], self._joints)
            weights = checkpoint.digest_tensors(encoder.state_dict())
            yield from differing(self.record.weights, weights, "weights", str(self.starts[0].path))

    def _preset(self) -> Iterator[str]:
        own, how, starts = self.record.method, self.record.evaluation, self.starts
        trained = any(start.target == own.target for start in starts)
        _, _, name = own.preset.rpartition(", then ")
        try:
            registry.check_from_file("evaluations", how.name, self.path)
            evaluation = registry.load("evaluations", how.name)
            of_method = None if trained else self.method.Config.model_validate(dict(own.config))
            config = dict(how.config)
            if self.is_fused:  # the weights of the sum stand beside the evaluation's own settings
                config.pop("weights", None)
            recipe = recipes.declared(self.method) if self.record.is_own_recipe else None
            settings: list[Chosen] = [
                (self.method.Config, of_method, recipes.changes(recipe)),
                (evaluation.Config, evaluation.Config.model_validate(config), recipes.changes(recipe, how.name)),
            ]
            label = preset_label(_asked(name, self.facts), self.record.dataset.name, settings)
        except (UsageError, ValidationError) as error:
            yield f"method.preset: {printable(own.preset)!r} cannot be ({one_line(error)})"
            return
        if starts and starts[0].preset not in ("", label):
            label = f"{starts[0].preset}, then {label}"
        yield from differing(own.preset, label, "method.preset", "what was set")

    def _data(self) -> Iterator[str]:
        if self.dataset is None or self.split is None:
            return
        own = self.record
        part = dataset_part(self.dataset, own.dataset.stream, own.dataset.clip_input)
        yield from differing(_json(own.dataset), _json(part), "dataset", "the prepared dataset")
        spec = registry.load("protocols", own.protocol.name)
        config = config_of(spec, own.protocol.config)
        protocol = protocol_part(self.dataset, spec, config, own.protocol.validation, self.split)
        yield from differing(_json(own.protocol), _json(protocol), "protocol", "the split")
        chosen_by = selection_part(self.dataset, spec, self.split, own.select, own.seed)
        selection = selection_facts(self.dataset, spec, own.select, chosen_by)
        recorded = None if own.selection is None else _json(own.selection)
        yield from differing(recorded, None if selection is None else _json(selection), "selection", "the split")
        if own.evaluation.checkpoint_rule != (rule := checkpoint_rule(own.select, spec)):
            yield f"evaluation.checkpoint_rule is {_shown(own.evaluation.checkpoint_rule)}, selection says {rule!r}"

    def _init(self) -> Iterator[str]:
        own = self.record.init
        if own is None or self.is_given or self.dataset is None or self.split is None:
            return
        ways = [init_part(start, self.dataset, self.split) for start in self.starts]
        lines = [list(differing(_json(own), _json(way), "init", own.path)) for way in ways]
        yield from min(lines, key=len, default=())


def differing(recorded: Any, derived: Any, name: str, source: str) -> Iterator[str]:
    """Yield a line for each value in a tree of plain values that differs.

    Args:
        recorded: what a record has.
        derived: what it must have; equal numbers may differ in their last digits.
        name: of the field, as `method.config`.
        source: what gives the derived value.
    """
    if isinstance(recorded, Mapping) and isinstance(derived, Mapping):
        for key in dict.fromkeys((*derived, *recorded)):
            yield from differing(recorded.get(key), derived.get(key), f"{name}.{key}", source)
    elif isinstance(recorded, (list, tuple)) and isinstance(derived, (list, tuple)) and len(recorded) == len(derived):
        for number, (one, other) in enumerate(zip(recorded, derived, strict=True)):
            yield from differing(one, other, f"{name}.{number}", source)
    elif not _same(recorded, derived):
        yield f"{name} is {_shown(recorded)}, {source} says {_shown(derived)}"


def _same(recorded: Any, derived: Any) -> bool:
    if isinstance(recorded, float) and isinstance(derived, (int, float)) and not isinstance(derived, bool):
        return math.isclose(recorded, derived, rel_tol=0, abs_tol=rescore.TOLERANCE)
    return type(recorded) is type(derived) and bool(recorded == derived)


def _shown(value: Any) -> str:
    return printable(repr(value), SHOWN)


def _names(stages: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{name} {key[:8]}" for name, key in stages) or "none"


def _json(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json")


def _field(record: Record, path: str) -> Any:
    value: Any = record
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _asked(label: str, facts: Mapping[str, Any]) -> str:
    """The preset that was asked for, by the encoder where it says one, else by the record's own label."""
    said = str(facts.get("preset", ""))
    known = said.rpartition(", then ")[2].removeprefix("changed ")
    return known if known not in ("", "default") else label.removeprefix("changed ")


def _fitted(start: Pretrained, settings: Mapping[str, Any]) -> Pretrained | None:
    try:
        return pretrained.fitted(start, settings)
    except UsageError:
        return None
